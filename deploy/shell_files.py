"""Write hotpixeld's man pages, and its completion for bash, zsh and fish.

    PYTHON deploy/shell_files.py SHARE

PYTHON is one in whose environment hotpixeld is installed; SHARE is a folder such as
/usr/local/share, in which man and the shells look.  What makes the pages, click-man, is
installed for that alone, and gone afterwards, where it is not there.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import get_completion_class

from hotpixeld.cli.main import program

if TYPE_CHECKING:
    from collections.abc import Iterator

CLICK_MAN = "click-man>=0.6,<1"
COMPLETIONS = {
    "bash": "bash-completion/completions/hotpixeld",
    "zsh": "zsh/site-functions/_hotpixeld",
    "fish": "fish/vendor_completions.d/hotpixeld.fish",
}


def every_command(command: click.Command) -> Iterator[click.Command]:
    """Yield a command, and all below it."""
    yield command
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from every_command(one)


def write_pages(folder: Path) -> None:
    """Write a man page for each command, and one for all."""
    from click_man.core import write_man_pages  # noqa: PLC0415 - perhaps only just there

    folder.mkdir(parents=True, exist_ok=True)
    for command in every_command(program):
        # A page's name line wants the whole first sentence: click-man cuts it short.
        first = (command.help or "").partition("\n\n")[0]
        command.short_help = " ".join(first.split()).removesuffix(".")
    write_man_pages(
        "hotpixeld", program, version=version("hotpixeld"), target_dir=str(folder)
    )
    for page in folder.glob("hotpixeld-*.1"):  # those of a group's commands
        text = page.read_text()
        page.write_text(re.sub(r"\\fBhotpixeld (\S+\(1\))", r"\\fBhotpixeld-\1", text))


def write_apply_page(folder: Path) -> None:
    """Write the man page of hotpixeld-apply, from the head of that script."""
    from click_man.man import ManPage  # noqa: PLC0415 - as above

    script = Path(__file__).with_name("hotpixeld-apply").read_text()
    head = re.findall(r"(?m)^#(?!!) ?(.*)$", script.partition("\nset -eu")[0])
    page = ManPage("hotpixeld-apply")
    page.version = version("hotpixeld")
    page.short_help = head[0].removesuffix(".")
    page.synopsis = "[USER]"
    page.description = "\n".join(head)
    (folder / "hotpixeld-apply.1").write_text(str(page))


def write_completions(share: Path) -> None:
    """Write what makes the shells complete commands, options and cameras."""
    for shell, place in COMPLETIONS.items():
        kind = get_completion_class(shell)
        if kind is None:
            raise SystemExit(f"click completes nothing for {shell}")
        file = share / place
        file.parent.mkdir(parents=True, exist_ok=True)
        source = kind(program, {}, "hotpixeld", "_HOTPIXELD_COMPLETE").source()
        file.write_text(source.rstrip() + "\n")


def main() -> None:
    """Write all of it."""
    share = Path(sys.argv[1])
    write_completions(share)
    with tempfile.TemporaryDirectory() as here:
        if importlib.util.find_spec("click_man") is None:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--target", here, CLICK_MAN], check=True)
            sys.path.append(here)
        write_pages(share / "man" / "man1")
        write_apply_page(share / "man" / "man1")


if __name__ == "__main__":
    main()

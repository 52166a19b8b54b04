"""Drop-in: the part of a unit's sandbox that follows from the configuration.

``python -m hotpixeld.dropin FILE [HOME]`` prints it; `hotpixeld-apply` writes it.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.configfile import load
from hotpixeld.errors import ConfigError
from hotpixeld.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.config import Config

HEADER = """\
# Written by hotpixeld-apply from {source}: do not edit, run hotpixeld-apply again.
# A leading "-": what is not there, say a folder on a medium that is not plugged in, does
# not keep the service from starting.
[Service]
"""
KEYS = frozenset({".ssh", ".gnupg"})
"""Hidden in a home even if they come later."""


def quoted(path: Path) -> str:
    r"""Return a path for a unit file, in quotes; see "Quoting" in systemd.syntax(7).

    >>> quoted(Path('/srv/My "50%" \\'))
    '"-/srv/My \\"50%%\\" \\\\"'

    Raises
    ------
    ConfigError
        A unit file cannot hold it.
    """
    text = str(path)
    if not text.isprintable():
        raise ConfigError([f"{text!r}: no unit file can name it: rename the folder"])
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"-{escaped}"'


def written_to(config: Config) -> list[Path]:
    """Return the folders that the service writes to; none lies in another."""
    paths = {folder.path for folder in config.folders}
    paths |= {folder.repaired for folder in config.folders}
    return sorted(
        path for path in paths if not any(other in path.parents for other in paths)
    )


def hidden(home: Path, config: Config) -> list[Path]:
    """Return what of a home leads to no folder of the configuration.

    Links are left out, since systemd would hide what they lead to.  If the home itself is
    such a folder, only what begins with a dot is hidden: keys, mail, browsers, settings.
    """
    wanted = [path.resolve() for path in written_to(config)]
    is_whole = any(home.resolve().is_relative_to(one) for one in wanted)
    names = set(KEYS)
    with contextlib.suppress(OSError):  # not there yet, or closed to root on a server
        names |= {
            entry.name
            for entry in home.glob(".*" if is_whole else "*")
            if not entry.is_symlink()
        }
    return [
        path
        for path in (home / name for name in sorted(names) if name.isprintable())
        if not any(one.is_relative_to(path.resolve()) for one in wanted)
    ]


def text(config: Config, source: Path, home: Path | None = None) -> str:
    """Return the drop-in for a configuration.

    Parameters
    ----------
    source : Path
        The configuration's file, for the comment.
    home : Path, optional
        Of the person whose service it is.

    Raises
    ------
    ConfigError
        It names no folder, or one that no unit file can hold.
    """
    if not config.folders:
        raise ConfigError([f"{source}: no folder to watch: add one under `folders`"])
    lines = [f"ReadWritePaths={quoted(path)}" for path in written_to(config)]
    if home is not None:
        lines += [f"InaccessiblePaths={quoted(path)}" for path in hidden(home, config)]
    return HEADER.format(source=source) + "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Print the drop-in for the configuration file that is named."""
    source, *homes = map(Path, arguments)
    try:
        sys.stdout.write(text(load(source), source, *homes))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.CONFIG
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

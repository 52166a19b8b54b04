"""Drop-in: the part of a unit's sandbox that follows from the configuration.

``python -m hotpixeld.dropin FILE`` prints it; `hotpixeld-apply` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.access import is_in_home
from hotpixeld.configfile import load
from hotpixeld.errors import ConfigError
from hotpixeld.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.config import Config

HEADER = """\
# Written by hotpixeld-apply from {source}: do not edit, run hotpixeld-apply again.
# A leading "-": a folder that is not there, say on a medium that is not plugged in, does
# not keep the service from starting.
[Service]
"""


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


def _bound(path: Path) -> str:
    """Return a path for BindPaths=, where a colon separates source and destination."""
    return quoted(path).replace(":", "\\:")


def written_to(config: Config) -> list[Path]:
    """Return the folders that the service writes to; none lies in another."""
    paths = {folder.path for folder in config.folders}
    paths |= {folder.repaired for folder in config.folders}
    return sorted(
        path for path in paths if not any(other in path.parents for other in paths)
    )


def text(config: Config, source: Path) -> str:
    """Return the drop-in for a configuration.

    Parameters
    ----------
    source : Path
        The configuration's file, for the comment.

    Raises
    ------
    ConfigError
        It names no folder, or one that no unit file can hold.
    """
    if not config.folders:
        raise ConfigError([f"{source}: no folder to watch: add one under `folders`"])
    lines = [
        f"BindPaths={_bound(path)}"
        if is_in_home(path)
        else f"ReadWritePaths={quoted(path)}"
        for path in written_to(config)
    ]
    return HEADER.format(source=source) + "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Print the drop-in for the configuration file that is named."""
    source = Path(arguments[0])
    try:
        sys.stdout.write(text(load(source), source))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.CONFIG
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

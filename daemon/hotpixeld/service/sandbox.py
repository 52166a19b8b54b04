"""The sandbox of the systemd unit, as far as it follows from the configuration.

``python -m hotpixeld.service.sandbox drop-in FILE [HOME]`` prints the drop-in of a unit;
`hotpixeld-apply` writes it.  ``... reveal FILE USER PID``, as root, before a service is told
to reload: a folder that was added to the configuration can be read from then on.

The sandbox is fixed when the service starts: a folder added to the configuration later can
be read at once, but not be written to before `hotpixeld-apply`.  The unit names the command
that opens it in `COMMAND_VARIABLE`; outside a service there is none.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.config.load import load
from hotpixeld.errors import ConfigError, ExitCode
from hotpixeld.messages import plain
from hotpixeld.watch import mounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hotpixeld.config.model import Config, Folder
    from hotpixeld.watch.mounts import Mount

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


def drop_in(arguments: Sequence[str]) -> int:
    """Print the drop-in for the configuration file that is named."""
    source, *homes = map(Path, arguments)
    try:
        sys.stdout.write(text(load(source), source, *homes))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.CONFIG
    return ExitCode.OK


INACCESSIBLE = re.compile(r"(/run)?/systemd/inaccessible/\w+")
"""What systemd mounts over a hidden path: the root of that mount; see proc_pid_mountinfo(5)."""


def covered(table: Iterable[Mount]) -> list[Path]:
    """Return the paths that a sandbox hides, from the mounts that it sees."""
    return [Path(one.point) for one in table if INACCESSIBLE.fullmatch(one.root)]


def to_reveal(paths: Iterable[Path], home: Path, config: Config) -> list[Path]:
    """Return those of the hidden paths in a home that shall not be hidden any more."""
    stay = set(hidden(home, config))
    return [path for path in paths if path.parent == home and path not in stay]


def reveal(arguments: Sequence[str]) -> int:
    """Reveal to a user's service what its configuration file names."""
    source, user, pid = arguments
    home = Path(pwd.getpwnam(user).pw_dir)
    os.environ["HOME"] = str(home)  # of ~ in the configuration
    table = mounts.parse(Path("/proc", pid, "mountinfo").read_text("latin-1"))
    try:
        config = load(Path(source))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.CONFIG
    enter = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "--"]
    for path in to_reveal(covered(table), home, config):
        unmount = [*enter, "umount", "--no-canonicalize", str(path)]
        subprocess.run(unmount, check=True)  # noqa: S603 - no shell; systemd names the paths
    return ExitCode.OK


COMMAND_VARIABLE = "HOTPIXELD_APPLY"
"""Names, in the environment of the service, the command that opens a folder to it."""


def _nearest(path: Path) -> Path:
    """Return the path itself, or of the folders that hold it the nearest there is."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def closed(folder: Folder, environment: Mapping[str, str]) -> str:
    """Return why a watched folder cannot be used in full, and what to do; else ''.

    Parameters
    ----------
    environment : mapping
        The process's environment.
    """
    command = environment.get(COMMAND_VARIABLE)
    if not os.path.lexists(folder.path):
        return ""  # the watcher says that it is not there
    try:
        nearest = _nearest(folder.repaired)
        if os.access(nearest, os.W_OK | os.X_OK):
            return ""
        is_read_only = _is_read_only(nearest)
    except OSError as error:
        return f"{folder.repaired}: copies wait: {error.strerror}"
    if is_read_only and command:
        cure = f"not writable for the service: run `{command}`"
    elif is_read_only:
        cure = "it is on a read-only file system"
    else:
        cure = (
            f"user {os.getuid()} may not write to {nearest}: change its owner or mode"
        )
    return f"{folder.repaired}: copies wait: {cure}"


class Access:
    """What is closed to the daemon of a configuration's folders, as of the last look.

    Attributes
    ----------
    faults : list of str
        Why, in plain words, a folder each.
    """

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        self._config = config
        self._environment = environment
        self._closed: set[Path] = set()
        self.faults: list[str] = []

    def look(self) -> list[str]:
        """Look at every folder again; return the faults that are new."""
        known, self.faults, self._closed = self.faults, [], set()
        for folder in self._config.folders:
            if why := closed(folder, self._environment):
                self._closed.add(folder.path)
                self.faults.append(plain(why))
        return [fault for fault in self.faults if fault not in known]

    def is_open(self, photo: Path) -> bool:
        """Tell whether the copy of a photo can be written, as far as is known."""
        return not any(photo.is_relative_to(path) for path in self._closed)


def main(arguments: Sequence[str]) -> int:
    """Run the command that the unit files and `hotpixeld-apply` name."""
    command, *rest = arguments
    return {"drop-in": drop_in, "reveal": reveal}[command](rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

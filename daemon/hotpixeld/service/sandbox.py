"""The sandbox of the systemd units: which folders the service may read and write.

It follows from the configuration, and is fixed when the service starts.

- ``python -m hotpixeld.service.sandbox drop-in FILE [HOME]`` prints the drop-in of a unit;
  `hotpixeld-apply` writes it, and restarts the service.
- ``... reveal FILE USER PID``, as root, before a reload: a folder that was added to the
  configuration since the start can be read from then on, though not written to.
- `Access`, in the daemon: which folders cannot be written to, and what to do about it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.config.load import load
from hotpixeld.errors import ConfigError, ExitCode, said
from hotpixeld.messages import counted, plain
from hotpixeld.watch import survey
from hotpixeld.watch.walk import Closed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hotpixeld.config.model import Config, Folder
    from hotpixeld.watch.survey import Mount

COMMAND_VARIABLE = "HOTPIXELD_APPLY"
"""Names, in the environment of the service, the command that opens a folder to it."""

HEADER = """\
# Written by hotpixeld-apply from {source}: do not edit, run hotpixeld-apply again.
# A leading "-": what is not there, say a folder on a medium that is not plugged in, does
# not keep the service from starting.
[Service]
"""
KEYS = frozenset({".ssh", ".gnupg"})
"""Hidden in a home even if they come later."""

INACCESSIBLE = re.compile(r"(/run)?/systemd/inaccessible/\w+")
"""What systemd mounts over a hidden path: the root of that mount; see proc_pid_mountinfo(5)."""


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


def writable(config: Config) -> list[Path]:
    """Return the folders that the service writes to; none lies in another."""
    paths = {folder.path for folder in config.folders}
    paths |= {folder.repaired for folder in config.folders}
    if config.report is not None:  # it is written beside its place, and renamed
        paths.add(config.report.parent)
    return sorted(
        path for path in paths if not any(other in path.parents for other in paths)
    )


def to_hide(home: Path, config: Config) -> list[Path]:
    """Return what in a home is not on the path to a folder of the configuration.

    Links are left out, since systemd would hide what they lead to.  If the home itself is
    such a folder, only what begins with a dot is hidden: keys, mail, browsers, settings.
    """
    wanted = [path.resolve() for path in writable(config)]
    is_whole = any(home.resolve().is_relative_to(folder) for folder in wanted)
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
        if not any(folder.is_relative_to(path.resolve()) for folder in wanted)
    ]


def drop_in_text(config: Config, source: Path, home: Path | None = None) -> str:
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
    lines = [f"ReadWritePaths={quoted(path)}" for path in writable(config)]
    if home is not None:
        lines += [f"InaccessiblePaths={quoted(path)}" for path in to_hide(home, config)]
    return HEADER.format(source=source) + "\n".join(lines) + "\n"


def drop_in(arguments: Sequence[str]) -> int:
    """Print the drop-in for the configuration file that is named."""
    source, *homes = map(Path, arguments)
    try:
        sys.stdout.write(drop_in_text(load(source), source, *homes))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.CONFIG
    return ExitCode.OK


def hidden_now(table: Iterable[Mount]) -> list[Path]:
    """Return the paths that a sandbox hides, from the mounts that it sees."""
    return [Path(mount.point) for mount in table if INACCESSIBLE.fullmatch(mount.root)]


def to_reveal(paths: Iterable[Path], home: Path, config: Config) -> list[Path]:
    """Return those of the hidden paths in a home that need not be hidden any more."""
    stay = set(to_hide(home, config))
    return [path for path in paths if path.parent == home and path not in stay]


def reveal(arguments: Sequence[str]) -> int:
    """Reveal to a user's service what its configuration file names."""
    source, user, pid = arguments
    home = Path(pwd.getpwnam(user).pw_dir)
    os.environ["HOME"] = str(home)  # of ~ in the configuration
    table = survey.parse_mounts(Path("/proc", pid, "mountinfo").read_text("latin-1"))
    try:
        config = load(Path(source))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.CONFIG
    enter = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", "--"]
    for path in to_reveal(hidden_now(table), home, config):
        unmount = [*enter, "umount", "--no-canonicalize", str(path)]
        subprocess.run(unmount, check=True)  # noqa: S603 - no shell; systemd names the paths
    return ExitCode.OK


def existing(path: Path) -> Path:
    """Return the path itself if it exists, else the nearest folder above it that does."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def why_closed(folder: Folder, environment: Mapping[str, str]) -> str:
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
        place = existing(folder.repaired)
        if not place.is_dir():
            code = errno.ENOTDIR
            raise NotADirectoryError(code, os.strerror(code), str(place))
        if os.access(place, os.W_OK | os.X_OK):
            return ""
        is_read_only = bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    except OSError as error:
        return f"{folder.repaired}: copies wait: {said(error)}"
    if is_read_only and command:
        cure = f"not writable for the service: run `{command}`"
    elif is_read_only:
        cure = "it is on a read-only file system: mount it for writing, or name another"
    else:
        cure = f"user {os.getuid()} may not write to {place}: change its owner or mode"
    return f"{folder.repaired}: copies wait: {cure}"


class Access:
    """Which of a configuration's folders are closed to the daemon, as of the last look.

    Attributes
    ----------
    faults : list of str
        Why, in plain words, a folder each.
    """

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        self._config = config
        self._environment = environment
        self._closed: dict[Path, Closed] = {}
        self.faults: list[str] = []

    def look(self) -> list[str]:
        """Look at every folder again; return the faults that are new."""
        known, self.faults, self._closed = self.faults, [], {}
        for folder in self._config.folders:
            if fault := why_closed(folder, self._environment):
                repaired = str(folder.repaired)
                cure = fault.removeprefix(f"{repaired}: copies wait: ")
                self._closed[folder.path] = Closed(repaired, cure)
                self.faults.append(plain(fault))
        return [fault for fault in self.faults if fault not in known]

    def is_open(self, photo: Path) -> bool:
        """Return whether the copy of a photo can be written, as far as is known."""
        return not any(photo.is_relative_to(path) for path in self._closed)

    def closed(self, due: Sequence[Path]) -> list[Closed]:
        """Return the outputs that cannot be written to, with how many photos wait.

        Parameters
        ----------
        due : sequence of Path
            The photos that are to be looked at for their copies.
        """
        places = []
        for folder, (repaired, cure) in self._closed.items():
            count = sum(photo.is_relative_to(folder) for photo in due)
            photos = counted(count, "photo")
            places.append(Closed(repaired, f"copies of {photos} wait: {cure}"))
        return places


def main(arguments: Sequence[str]) -> int:
    """Run the command that the unit files and `hotpixeld-apply` name."""
    command, *rest = arguments
    return {"drop-in": drop_in, "reveal": reveal}[command](rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

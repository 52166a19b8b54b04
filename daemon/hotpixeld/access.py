"""Access: which folders the service cannot use yet, and the one command that opens them.

A service's sandbox is fixed at its start: a folder added to the configuration later can
be read at once, but not be written to.  The unit names the command that opens it in
`COMMAND_VARIABLE`; outside a service there is none.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hotpixeld.messages import plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hotpixeld.config import Config, Folder

COMMAND_VARIABLE = "HOTPIXELD_APPLY"


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

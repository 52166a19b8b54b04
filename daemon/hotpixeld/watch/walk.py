"""A walk: the photos below a folder, as far as names and `stat` show.

Events ask `is_candidate` too, so that a walk and an event agree on what may be a photo.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hotpixeld.errors import why
from hotpixeld.files import Signature

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Identity = tuple[int, int]
"""(st_dev, st_ino)."""

SUFFIXES = (".jpg", ".jpeg", ".jpe")
"""Names of JPEG photos end in one of these, in any case."""

# Folders that network drives, desktops and file systems keep for themselves; those that
# start with a dot (.Trash-1000, .stversions, .@__thumb) are left alone anyway.
_FOREIGN = frozenset(
    {
        "@eadir",
        "@recycle",
        "@recently-snapshot",
        "@tmp",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "lost+found",
        "system volume information",
    }
)


class Candidate(NamedTuple):
    """What may be a photo, by its name: not a folder, but perhaps a link or a pipe."""

    path: str
    signature: Signature


class Closed(NamedTuple):
    """A place in a watched folder that is not looked at, or not all of it.

    Attributes
    ----------
    path : str
    reason : str
        Why, and what to do about it, in plain words.
    """

    path: str
    reason: str


def is_ignored(name: str) -> bool:
    """Return whether a file or folder of this name is never a photo of the user's.

    Hidden names (also those that rsync and Syncthing write under, and macOS' ``._``
    files), editors' and downloads' temporary names, and the folders that network drives
    and desktops keep for themselves.

    >>> is_ignored(".IMG_1.jpg.x7Kp2Q"), is_ignored("@eaDir"), is_ignored("IMG_1.jpg")
    (True, True, False)
    """
    return name.startswith((".", "~")) or name.endswith("~") or name.lower() in _FOREIGN


def is_photo_name(name: str) -> bool:
    """Return whether a file of this name may be a JPEG photo.

    >>> is_photo_name("IMG_1.JPG"), is_photo_name("IMG_1.jpg.part")
    (True, False)
    """
    return name.lower().endswith(SUFFIXES) and not name.startswith((".", "~"))


def is_candidate(relative: str) -> bool:
    """Return whether a path below a watched folder may be a photo, by its names.

    Parameters
    ----------
    relative : str
        Relative to the watched folder, whose own name may be any.
    """
    *folders, name = relative.split("/")
    return is_photo_name(name) and not any(map(is_ignored, folders))


def stat_photo(path: Path) -> Signature | None:
    """Return the signature of the file at a path, None for a folder or nothing.

    What is no regular file has one too: whoever reads it says what is wrong with it.

    Raises
    ------
    OSError
        The file system does not answer; that may pass.
    """
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if stat.S_ISDIR(status.st_mode) else Signature.of(status)


def identity(folder: str | Path) -> Identity:
    """Return (st_dev, st_ino) of a folder: another one there means another folder.

    Raises
    ------
    OSError
        It is not there, is not a folder, or cannot be reached.
    """
    status = Path(folder).stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return status.st_dev, status.st_ino


def _identities(folders: Collection[Path]) -> set[Identity]:
    identities = set()
    for folder in folders:
        with contextlib.suppress(
            OSError
        ):  # an output folder appears with its first copy
            identities.add(identity(folder))
    return identities


def _candidate(entry: os.DirEntry[str]) -> Candidate | None:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # between the listing and here
        return None
    if stat.S_ISDIR(status.st_mode):
        return None
    return Candidate(entry.path, Signature.of(status))


class Walk:
    """One walk below a folder: an iterator of candidates, folder by folder, by name.

    Symlinks are not followed, and a folder that `is_ignored` is not entered.  A folder
    below that cannot be read is noted in `faults` and passed over, one behind a link in
    `links`, unless it is walked anyway.

    Parameters
    ----------
    root : str or Path
    excluded : collection of Path
        Folders not to enter: our own output.  By path, and by identity, whatever other
        name or bind mount leads there.

    Attributes
    ----------
    folders : dict
        Every folder entered so far: its path, and its identity.
    faults : list of Closed
        What could not be read.
    links : list of Closed
        Links to folders elsewhere.
    """

    def __init__(self, root: str | Path, excluded: Collection[Path] = ()) -> None:
        self.folders: dict[str, Identity] = {}
        self.faults: list[Closed] = []
        self.links: list[Closed] = []
        self._root = os.fspath(root)
        self._excluded = {os.fspath(path) for path in excluded}
        self._excluded_identities = _identities(excluded)

    def __iter__(self) -> Iterator[Candidate]:
        """Yield the candidates.

        Raises
        ------
        OSError
            The root itself cannot be read: it is offline, which says nothing of photos.
        """
        self.folders[self._root] = identity(self._root)
        with os.scandir(self._root):
            pass
        waiting = [self._root]
        while waiting:
            folder = waiting.pop()
            inner: list[str] = []
            try:
                yield from self._list(folder, inner)
            except OSError as error:
                self._note(error)
            waiting += reversed(inner)

    def _enter(self, entry: os.DirEntry[str]) -> bool:
        if is_ignored(entry.name) or entry.path in self._excluded:
            return False
        status = entry.stat(follow_symlinks=False)
        who = status.st_dev, status.st_ino
        if who in self._excluded_identities:
            return False
        self.folders[entry.path] = who
        return True

    def _list(self, folder: str, inner: list[str]) -> Iterator[Candidate]:
        """Yield the candidates of one folder, and append its folders to `inner`."""
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self._enter(entry):
                        inner.append(entry.path)
                elif is_photo_name(entry.name):
                    candidate = _candidate(entry)
                    if candidate is not None:
                        yield candidate
                elif entry.is_symlink() and not is_ignored(entry.name):
                    self._note_link(entry)
            except OSError as error:
                self._note(error)

    def _note(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            self.faults.append(Closed(error.filename or self._root, why(error)))

    def _note_link(self, entry: os.DirEntry[str]) -> None:
        """Note a link to a folder that is neither walked nor one of our outputs."""
        if not entry.is_dir():
            return
        target = os.path.realpath(entry.path)
        ours = [os.path.realpath(self._root), *map(os.path.realpath, self._excluded)]
        if not any(Path(target).is_relative_to(folder) for folder in ours):
            reason = f"a link, not followed: watch {target} itself, under `folders`"
            self.links.append(Closed(entry.path, reason))

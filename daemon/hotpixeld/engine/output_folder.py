"""Output folders: where copies are written, and how nothing outside of them is touched.

They often lie in folders that others write to, so nothing below the place that the
configuration names is reached through a link.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from typing import TYPE_CHECKING, Literal

from hotpixeld.files import (
    ChangedError,
    UnsuitableError,
    link,
    make_folder,
    prepare,
    put,
    read_regular,
    remove,
    sweep,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.config.model import Folder
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.store.copies import Copy

log = logging.getLogger(__name__)


def place_of(copy: Copy) -> Path:
    """Return the output folder that a copy lies in, as far as its path shows it.

    Copies lie as their photos do, so what both paths end in is taken off.  Where the output
    folder and the watched one are namesakes, that is a folder further up.

    >>> from pathlib import Path
    >>> from hotpixeld.store.copies import Copy
    >>> source, target = Path("/in/anna/1.jpg"), Path("/in/repaired/anna/c_1.jpg")
    >>> place_of(Copy(source, target, "written")).as_posix()
    '/in/repaired'
    """
    source, place = copy.source.parent, copy.target.parent
    while place.name and source.name == place.name:
        source, place = source.parent, place.parent
    return place


class OutputFolder:
    """A folder with copies.

    Parameters
    ----------
    root : Path
        Nothing below it is reached through a link.
    max_bytes : int
        Bounds what is read to recognise a copy.
    makes_root : bool
        Make the root where it is missing.  A watched folder that is missing is offline,
        and not for us to make.
    """

    def __init__(self, root: Path, max_bytes: int, *, makes_root: bool = False) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._makes_root = makes_root

    @classmethod
    def of(cls, folder: Folder, max_bytes: int) -> OutputFolder:
        """Return where the copies of a watched folder go."""
        is_inside = folder.repaired.is_relative_to(folder.path)
        root = folder.path if is_inside else folder.repaired
        return cls(root, max_bytes, makes_root=not is_inside)

    def sha256_of(self, target: Path) -> str | None:
        """Return the SHA-256 of a file in hex, None without one, '' if it is no file.

        Raises
        ------
        OSError
            It cannot be read now, which says nothing of what it is.
        """
        try:
            data, _ = read_regular(target, self._max_bytes, self._root)
        except FileNotFoundError:
            return None
        except (UnsuitableError, ChangedError):
            return ""
        return hashlib.sha256(data).hexdigest()

    def sweep(self, folder: Path) -> None:
        """Remove what a crash left of unfinished copies in a folder of the output.

        Raises
        ------
        OSError
        """
        sweep(folder, self._root)

    def write(self, target: Path, data: bytes, mtime_ns: int) -> None:
        """Write a copy; folders are made.

        Raises
        ------
        OSError
        """
        self._make_root()
        write(target, data, mtime_ns=mtime_ns, root=self._root)

    def prepare(self, target: Path, data: bytes) -> str:
        """Write the bytes of a copy beside its place; return the name of that file.

        Raises
        ------
        OSError
        """
        self._make_root()
        return prepare(target, data, self._root)

    def put(self, name: str, target: Path, mtime_ns: int) -> None:
        """Put what was prepared into its place.

        Raises
        ------
        OSError
        """
        put(name, target, mtime_ns=mtime_ns, root=self._root)

    def _make_root(self) -> None:
        if self._makes_root:
            make_folder(self._root)

    def remove(self, target: Path) -> None:
        """Remove a copy; fine when it is not there.

        Raises
        ------
        OSError
        """
        remove(target, self._root)

    def prune(self, folder: Path) -> None:
        """Remove a folder of the output that is empty, and those above it, but the root."""
        with contextlib.suppress(OSError):
            while folder != self._root and folder.is_relative_to(self._root):
                folder.rmdir()
                folder = folder.parent

    def place(
        self, source: Photo, target: Path, how: Literal["link", "copy"]
    ) -> Literal["link", "copy"]:
        """Put the photo itself at `target`; return how: links cannot cross file systems.

        Raises
        ------
        OSError
        """
        if how == "link":
            self._make_root()
            try:
                link(source.path, target, source.signature.inode, self._root)
            except OSError as error:
                log.debug("cannot link %s, copying: %s", target, error)
            else:
                return "link"
        self.write(target, source.data, source.signature.mtime_ns)
        return "copy"


def is_same_file(one: Path, other: Path) -> bool:
    """Return whether two paths lead to one entry of a folder, by a link or a bind mount.

    Two hard links of one photo, made by ``unchanged: link``, are two copies.

    Raises
    ------
    OSError
    """
    try:
        if not one.samefile(other):
            return False
        only = one.stat().st_nlink == 1
        return only or (one.name == other.name and one.parent.samefile(other.parent))
    except FileNotFoundError:
        return False

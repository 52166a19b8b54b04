"""The output: the folder of repaired copies, and nothing written outside of it.

It often lies in a folder that others write to, so nothing below the place that the
configuration names is reached through a link.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Literal

from hotpixeld.files import link, make_folder, remove, sweep, write
from hotpixeld.reading import ChangedError, UnsuitableError, read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.config import Folder
    from hotpixeld.photo import Photo

log = logging.getLogger(__name__)


class Output:
    """Where the copies of one watched folder go.

    Parameters
    ----------
    folder : Folder
    max_bytes : int
        Bounds what is read to recognise a copy.
    """

    def __init__(self, folder: Folder, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        is_inside = folder.repaired.is_relative_to(folder.path)
        self._root = folder.path if is_inside else folder.repaired

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

    def _make_root(self) -> None:
        # A watched folder that is missing is offline, and not for us to make.
        if self._root == self.folder.repaired:
            make_folder(self._root)

    def remove(self, target: Path) -> None:
        """Remove a copy; fine when it is not there.

        Raises
        ------
        OSError
        """
        remove(target, self._root)

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

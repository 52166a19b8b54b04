"""The spool: the daemon's own copies of pending photos, until a generation holds them.

A photo that was admitted and is not folded yet must not be lost when its file is moved,
deleted or unplugged.  ``STATE/spool/IDENTITY`` is a copy of it, for nobody else to read,
durable before `Spool.keep` returns.  Where the file system can, it shares the original's
blocks and takes no room.

A copy is kept under the identity that it has, and no other: the copy is read back and
its coded data hashed, which costs some 5 ms at 12 MP.  What `stat` says of the original
would be cheaper and not enough: a program that writes through a mapping changes a file
long before its mtime, and a server may tell an old one.  A rating that was added
meanwhile, on the other hand, changes the file and not the photo.

The spool is bounded, and leaves the disk the room of the pass that will empty it.  Where
there is none left, the original stays the only source of the photo, as it was before there
was a spool.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import threading
from typing import TYPE_CHECKING

from hotpixeld import files
from hotpixeld.errors import PhotoError
from hotpixeld.jpeg import markers
from hotpixeld.store import disk_room

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

BOUNDS = 2_000_000_000, 1000
"""Bytes and photos that are kept until they are folded: beyond that, originals serve."""
PIECE = 1 << 20
"""Bytes that are copied at once."""
_FICLONE = 0x40049409
"""Of ioctl(2), from linux/fs.h: share the blocks of another file."""
_IDENTITY = re.compile(r"[0-9a-f]{64}")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class OriginalError(Exception):
    """The original cannot be read now: its disk's fault, or a server's that is gone."""


def _share(source: int, target: int) -> bool:
    """Let `target` share all blocks of `source`; tell whether that is possible."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:  # whatever it is: copying meets it again, or can do without
        return False
    return True


def _pieces(descriptor: int, size: int) -> Iterator[memoryview]:
    """Yield the first `size` bytes of a file in pieces, less where it ends before."""
    buffer, done = memoryview(bytearray(min(PIECE, size))), 0
    while done < size:
        got = os.preadv(descriptor, [buffer[: size - done]], done)
        if not got:
            return
        yield buffer[:got]
        done += got


def _of_original(descriptor: int, size: int) -> Iterator[memoryview]:
    """Yield the pieces of the original; its faults are not those of our own disk."""
    try:
        yield from _pieces(descriptor, size)
    except OSError as error:
        raise OriginalError(f"cannot be read: {error.strerror}") from error


def _identity(descriptor: int) -> str | None:
    """Return the identity of a photo's file, None where it is no whole photo."""
    size = os.fstat(descriptor).st_size
    data = os.pread(descriptor, size, 0)  # in one piece: no copies of it in memory
    try:
        structure = markers.parse(data)
    except markers.MarkerError:
        return None
    return None if structure.eoi is None else markers.identity(data, structure)


class Spool:
    """The copies of pending photos in one folder; several threads may use it.

    Parameters
    ----------
    folder : Path
        Made when missing; nobody else may read it from then on.
    most_bytes, most_photos : int
        Bounds of what is kept.

    Raises
    ------
    OSError
        The folder cannot be made or read.
    """

    def __init__(self, folder: Path, most_bytes: int, most_photos: int) -> None:
        self._folder = folder
        self._most_bytes, self._most_photos = most_bytes, most_photos
        self._lock = threading.Lock()
        files.make_folder(folder, 0o700)
        folder.chmod(0o700)
        self._sizes = self._found()

    def _found(self) -> dict[str, int]:
        """Return the bytes of each copy in the folder."""
        return {
            path.name: path.lstat().st_size
            for path in self._folder.iterdir()
            if _IDENTITY.fullmatch(path.name)
        }

    def _path(self, identity: str) -> Path:
        if not _IDENTITY.fullmatch(identity):
            raise ValueError(f"not an identity: {identity!r}")
        return self._folder / identity

    @property
    def bytes(self) -> int:
        """Return the bytes of all copies, and of those that are being made."""
        with self._lock:
            return sum(self._sizes.values())

    @property
    def photos(self) -> int:
        """Return how many photos are kept, or are being copied."""
        with self._lock:
            return len(self._sizes)

    @property
    def is_half_full(self) -> bool:
        """Return whether half of what may be kept is, of bytes or photos."""
        return (
            2 * self.bytes >= self._most_bytes or 2 * self.photos >= self._most_photos
        )

    def _reserve(self, identity: str, size: int, leave: int) -> bool:
        """Count a copy that is to be made, unless it is one too many."""
        has_room = disk_room.free(self._folder) >= size + leave
        with self._lock:
            self._sizes.pop(identity, None)  # of a copy that somebody else removed
            fits = has_room and len(self._sizes) < self._most_photos
            fits &= sum(self._sizes.values()) + size <= self._most_bytes
            if fits:
                self._sizes[identity] = size
            return fits

    def _holds(self, identity: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return stat.S_ISREG(self._path(identity).lstat().st_mode)
        return False

    def keep(self, identity: str, descriptor: int, leave: int = 0) -> bool:
        """Copy a photo durably; return whether it is kept, now or since before.

        Two threads must not keep the same identity at the same time.

        Parameters
        ----------
        identity : str
            What the photo was examined as: SHA-256 of its coded data, in hex.
        descriptor : int
            Of the original, open to be read; stays open, and its position where it is.
        leave : int
            Bytes that must be free on the disk afterwards.

        Returns
        -------
        bool
            False where there is no room: the original stays the source.

        Raises
        ------
        ChangedError
            The file holds another photo, or none, by now: it has to be examined again.
        OriginalError
            The original cannot be read now.
        OSError
            The spool's disk is faulty.  Nothing is left behind, whatever is raised.
        """
        if self._holds(identity):
            return True
        size = os.fstat(descriptor).st_size
        if not self._reserve(identity, size, leave):
            return False
        try:
            self._copy(identity, descriptor, size)
        except BaseException as error:
            with contextlib.suppress(OSError):
                # Also one whose name could not be synced: found the next time, it would
                # pass for durable.
                self._path(identity).unlink(missing_ok=True)
            with self._lock:
                self._sizes.pop(identity, None)
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                return False
            raise
        return True

    def keep_if_it_can(
        self, identity: str, original: Callable[[], int], leave: int
    ) -> None:
        """Copy a photo durably; where that cannot be, the original stays the source.

        Parameters
        ----------
        original : callable
            Returns a descriptor of it, which is closed; raises OSError, NotAFileError or
            PhotoError where it is gone or another.
        identity, leave
            As for `keep`.
        """
        faults = OSError, PhotoError, OriginalError
        with contextlib.suppress(*faults, files.ChangedError, files.NotAFileError):
            descriptor = original()
            try:
                self.keep(identity, descriptor, leave)
            finally:
                os.close(descriptor)

    def _copy(self, identity: str, descriptor: int, size: int) -> None:
        with files.replacing(self._path(identity), mode=0o600) as file:
            if not _share(descriptor, file.fileno()):
                for piece in _of_original(descriptor, size):
                    file.write(piece)
                file.flush()
            if _identity(file.fileno()) != identity:
                raise files.ChangedError("changed since it was examined")

    def open(self, identity: str) -> int:
        """Return a descriptor of a copy, open to be read; the caller closes it.

        Raises
        ------
        FileNotFoundError
            There is none.
        OSError
            It cannot be opened now.
        """
        path = self._path(identity)
        try:
            return files.open_regular(path)
        except files.NotAFileError as error:
            reason = os.strerror(errno.ENOENT)
            raise FileNotFoundError(errno.ENOENT, reason, str(path)) from error

    def drop(self, identities: Iterable[str]) -> None:
        """Remove copies, once the ledger's durable word is that they are not needed.

        Those that are not there are fine.  This need not be durable: what comes back after
        a power cut, `sweep` removes.

        Raises
        ------
        OSError
            The disk is faulty; what was removed until then is not counted any more.
        """
        for identity in identities:
            self._path(identity).unlink(missing_ok=True)
            with self._lock:
                self._sizes.pop(identity, None)

    def sweep(self, known: Collection[str]) -> None:
        """Remove what a crash left, and copies that nobody waits for; count the rest.

        Call at the start, before anything is kept.  Files with other names are not the
        spool's, and are left alone.

        Parameters
        ----------
        known : collection of str
            Identities of all pending images.

        Raises
        ------
        OSError
            The disk is faulty.
        """
        files.sweep(self._folder)
        self.drop(self._found().keys() - set(known))
        with self._lock:
            self._sizes = self._found()

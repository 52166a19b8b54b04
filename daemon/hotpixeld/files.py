"""Files: reading what others own, and writing that is complete or absent.

Reading: a regular file, whole and unchanged meanwhile, or an error; never a pipe, a
device or a link.  Writing: temporary file, fsync, rename, fsync of the folder, so that a
reader sees the old file or the new one, complete, after a crash too.  A temporary file
that a crash left behind is named ``.hotpixeld-*.tmp`` and is removed by `sweep`.

Where others may write as well, in a watched folder, name a `root`: the folders below it
are then opened one by one, by descriptor, and a symlink among them is an error.  Nobody
can lead a read or a write out of the root by exchanging a folder for a link.

The checksum of large files tells damage by disks, not forgery: SHA-256 of a generation
that is read and written would take up to as long as decoding the photos, where the
processor has no instructions for it; this takes a tenth of the time of copying.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import mmap
import os
import secrets
import stat
import tempfile
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from hotpixeld.compiled import function

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

TEMPORARY_PREFIX = ".hotpixeld-"
TEMPORARY_SUFFIX = ".tmp"
DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""Errors that stop all writing until they have passed; any other is of one folder."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_ONLY_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_FILE_TYPES = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnsuitableError(Exception):
    """What is at a path is not a regular file of a sensible size."""


class NotAFileError(UnsuitableError):
    """What is at a path is not a regular file; says what it is."""


class ChangedError(Exception):
    """A file changed while it was being read."""


class Signature(NamedTuple):
    """What `stat` says of a file: a cache that saves reading it, never its identity."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        """Return the signature of a `stat` result."""
        return cls(
            status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )

    def is_still(self, earlier: Signature) -> bool:
        """Return whether the content has been left alone since `earlier`.

        The ctime does not count: a new link, owner or rating by attribute changes it, and
        some network file systems make it up.
        """
        return self[:3] == earlier[:3]

    def is_aged(self, seconds: float, wall: float) -> bool:
        """Return whether nothing at all happened to the file in the last `seconds`.

        Only the ctime shows that, as no program can set it: a copy often gets an old mtime.
        It is the file server's clock on a network, so this holds for local files only.

        Parameters
        ----------
        seconds : float
        wall : float
            The time now, in seconds since the epoch.
        """
        return wall - self.ctime_ns / 1e9 > seconds


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an OSError of the block name `path`, unless it names a whole path itself.

    Calls on descriptors know no name, or the last part of one.
    """
    try:
        yield
    except OSError as error:
        own = error.filename
        if not (isinstance(own, str) and own.startswith("/")):
            error.filename = str(path)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable.

    Raises
    ------
    OSError
        The folder cannot be opened or synced.
    """
    descriptor = os.open(folder, _FOLDER)
    try:
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(descriptor: int, name: str, mode: int) -> None:
    """Make a folder in the open one, durably or not at all.

    One whose name could not be synced is removed: the next call would take it for
    durable.
    """
    try:
        os.mkdir(name, mode, dir_fd=descriptor)
    except FileExistsError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        os.rmdir(name, dir_fd=descriptor)
        raise


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Create `folder` and its missing parents, durably; fine when it exists."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        with naming(path):
            descriptor = os.open(path.parent, _FOLDER)
            try:
                _make(descriptor, path.name, mode)
            finally:
                os.close(descriptor)


def _enter(descriptor: int, name: str, *, make: bool) -> int:
    """Open a folder in the open one, no link; made when missing, if `make`."""
    if make:
        _make(descriptor, name, 0o777)
    inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
    os.close(descriptor)
    return inner


@contextlib.contextmanager
def open_parent(
    target: Path, root: Path | None, *, make: bool = False
) -> Iterator[int]:
    """Open the folder of `target`, below `root` without following a link."""
    names: tuple[str, ...] = ()
    if root is not None:
        if not target.is_relative_to(root) or ".." in target.parts:
            raise PermissionError(errno.EPERM, f"not below {root}", str(target))
        names = target.parent.relative_to(root).parts
    descriptor = os.open(root or target.parent, _FOLDER)
    try:
        with naming(target.parent):
            for name in names:
                descriptor = _enter(descriptor, name, make=make)
        with naming(target):
            yield descriptor
    except NotADirectoryError as error:
        message = "a link or a file where a folder belongs"
        raise NotADirectoryError(errno.ENOTDIR, message, str(target.parent)) from error
    finally:
        os.close(descriptor)


def _must_be_a_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        name = _FILE_TYPES.get(stat.S_IFMT(status.st_mode), "something")
        raise NotAFileError(f"{name}, not a file")


def open_regular(path: Path | str, folder: int | None = None) -> int:
    """Open a regular file, and nothing else, to read it; return the descriptor.

    A pipe or a device is not opened at all: opening it can have effects.

    Parameters
    ----------
    folder : int, optional
        The open folder that `path` is relative to.

    Raises
    ------
    OSError
        The file cannot be opened.
    NotAFileError
    """
    _must_be_a_file(os.lstat(path, dir_fd=folder))
    descriptor = os.open(path, _ONLY_READ, dir_fd=folder)
    try:
        _must_be_a_file(os.fstat(descriptor))  # it may be another by now
    except NotAFileError:
        os.close(descriptor)
        raise
    return descriptor


def read_regular(
    path: Path, limit: int, root: Path | None = None
) -> tuple[bytes, os.stat_result]:
    """Return the content of a regular file and what `fstat` says of it.

    Never follows a symlink at the last step, nor any below `root`.

    Raises
    ------
    OSError
        The file cannot be read.
    UnsuitableError
        It is not a regular file, or is larger than `limit` bytes.
    ChangedError
        It changed while it was being read.
    """
    if root is None:
        descriptor = open_regular(path)
    else:
        with open_parent(path, root) as folder:
            descriptor = open_regular(path.name, folder)
    with naming(path):
        return _whole(descriptor, limit)


def _whole(descriptor: int, limit: int) -> tuple[bytes, os.stat_result]:
    """Return what is in an open file, and what `fstat` says of it; close it."""
    try:
        before = os.fstat(descriptor)
        if before.st_size > limit:
            raise UnsuitableError(f"{before.st_size} bytes, limit is {limit}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(before.st_size + 1)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if len(content) != after.st_size or before.st_mtime_ns != after.st_mtime_ns:
        raise ChangedError("changed while it was being read")
    return content, after


@contextlib.contextmanager
def replacing(
    target: Path,
    *,
    mode: int = 0o666,
    mtime_ns: int | None = None,
    root: Path | None = None,
) -> Iterator[BinaryIO]:
    """Open a temporary sibling that becomes `target` when the block ends well.

    Parameters
    ----------
    target : Path
        Its folder exists.
    mode : int
        Permissions before the umask.
    mtime_ns : int, optional
        Modification time that the file gets, in nanoseconds since the epoch.
    root : Path, optional
        Follow no link below it; folders between it and `target` are made.

    Raises
    ------
    OSError
        Whatever went wrong; `target` is then as it was.  The one exception is a failing
        sync of the folder after the rename: both outcomes are possible then.

    Notes
    -----
    A failed fsync is never tried again on the same file: the kernel may have dropped the
    dirty pages and would report success (PostgreSQL's "fsyncgate", 2018).
    """
    temporary = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    with open_parent(target, root, make=root is not None) as folder:
        descriptor = os.open(temporary, _NEW, mode, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                if mtime_ns is not None:
                    os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
                os.fsync(file.fileno())
            os.replace(temporary, target.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(
                OSError
            ):  # the first error is the one that matters
                os.unlink(temporary, dir_fd=folder)
            raise
        os.fsync(folder)


def prepare(target: Path, content: bytes, root: Path) -> str:
    """Write `content` beside `target`, durably; return the name that it has until `put`.

    Folders between `root` and `target` are made, and no link below it is followed.

    Raises
    ------
    OSError
    """
    name = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    with open_parent(target, root, make=True) as folder:
        descriptor = os.open(name, _NEW, 0o666, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=folder)
            raise
    return name


def put(name: str, target: Path, *, mtime_ns: int, root: Path) -> None:
    """Give a file that was written by `prepare` its name, atomically and durably.

    Raises
    ------
    OSError
        `target` is as it was, but for a sync of the folder that failed.
    """
    with open_parent(target, root) as folder:
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=folder, follow_symlinks=False)
        os.replace(name, target.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)


def scratch(folder: Path, height: int, width: int) -> NDArray[np.int16]:
    """Return zeros, (height, width) int16, in a file without a name: memory that can go.

    Raises
    ------
    OSError
        The disk has no room for it.
    """
    size = 2 * height * width
    with tempfile.TemporaryFile(dir=folder) as file, naming(folder):
        os.posix_fallocate(file.fileno(), 0, size)  # no signal later, if it is full
        mapped = mmap.mmap(file.fileno(), size)
    return np.frombuffer(mapped, np.int16).reshape(height, width)


def write(
    target: Path,
    content: bytes,
    *,
    mode: int = 0o666,
    mtime_ns: int | None = None,
    root: Path | None = None,
) -> None:
    """Write `content` to `target`, atomically and durably; see `replacing`."""
    with replacing(target, mode=mode, mtime_ns=mtime_ns, root=root) as file:
        file.write(content)


def write_new(target: Path, content: bytes, *, mtime_ns: int | None = None) -> None:
    """Write `content` to a name that is free, atomically and durably.

    Raises
    ------
    FileExistsError
        It is not: what is there stays as it is.
    OSError
        Whatever else went wrong; there is no file then.
    """
    # The name is taken before, for a rename replaces whatever is there by then.
    os.close(os.open(target, _NEW, 0o666))
    try:
        write(target, content, mtime_ns=mtime_ns)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one that matters
            target.unlink()
        raise


def link(source: Path, target: Path, inode: int, root: Path) -> None:
    """Give `source` the second name `target`, durably; folders are made.

    Parameters
    ----------
    inode : int
        That `source` must have; a file put in its place meanwhile is not linked.

    Raises
    ------
    OSError
        It cannot be: `target` exists, is on another file system, ...
    """
    with open_parent(target, root, make=True) as folder:
        os.link(source, target.name, dst_dir_fd=folder, follow_symlinks=False)
        if os.lstat(target.name, dir_fd=folder).st_ino != inode:
            os.unlink(target.name, dir_fd=folder)
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(source))
        os.fsync(folder)


def remove(target: Path, root: Path | None = None) -> None:
    """Remove `target` durably; fine when it is not there."""
    with contextlib.suppress(FileNotFoundError), open_parent(target, root) as folder:
        os.unlink(target.name, dir_fd=folder)
        os.fsync(folder)


def _is_left(name: str, folder: int) -> bool:
    """Return whether a name in the open folder is that of an unfinished write."""
    if not (name.startswith(TEMPORARY_PREFIX) and name.endswith(TEMPORARY_SUFFIX)):
        return False
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode)
    return False


def sweep(folder: Path, root: Path | None = None) -> int:
    """Remove what a crash left of unfinished writes in `folder`; return how many."""
    left = 0
    with (
        contextlib.suppress(FileNotFoundError),
        open_parent(folder / "x", root) as descriptor,
    ):
        for name in os.listdir(descriptor):  # noqa: PTH208 - pathlib has no descriptors
            if _is_left(name, descriptor):
                os.unlink(name, dir_fd=descriptor)
                left += 1
    return left


_GROUP = 32
"""Bytes: a word of each of eight lanes."""


_add = function(
    "hotpixeld_checksum_1", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t
)


class Checksum:
    """Sums of 32-bit little-endian words in eight lanes, and sums of these sums.

    A change of any one word changes them, and so do words that have changed places.

    >>> one, other = Checksum(), Checksum()
    >>> one.update(b"hot " * 20)
    >>> for _ in range(10):
    ...     other.update(b"hot hot ")
    >>> one.hexdigest() == other.hexdigest()
    True
    """

    def __init__(self) -> None:
        self._sums = np.zeros((2, 8), np.uint64)
        self._rest = b""
        self._length = 0

    def update(self, octets: bytes | memoryview) -> None:
        """Add bytes, as many as there are."""
        self._length += len(octets)
        missing = -len(self._rest) % _GROUP
        self._rest += bytes(octets[:missing])
        if len(self._rest) == _GROUP:
            self._add_groups(np.frombuffer(self._rest, np.uint8))
            self._rest = b""
        left = np.frombuffer(octets, np.uint8)[missing:]
        whole = left.size // _GROUP * _GROUP
        self._add_groups(left[:whole])
        self._rest += left[whole:].tobytes()

    def _add_groups(self, octets: np.ndarray) -> None:
        """Add whole groups."""
        _add(self._sums.ctypes.data, octets.ctypes.data, octets.size // _GROUP)

    def hexdigest(self) -> str:
        """Return 64 hex digits that stand for the sums."""
        end = self._rest + self._length.to_bytes(8, "little")
        return hashlib.sha256(self._sums.astype("<u8").tobytes() + end).hexdigest()

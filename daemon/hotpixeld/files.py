"""Files: every write is temp file, fsync, rename, fsync of the folder.

A reader sees the old file or the new one, complete; after a crash too.  A temporary file
that a crash left behind is named ``.hotpixeld-*.tmp`` and is removed by `sweep`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPORARY_PREFIX = ".hotpixeld-"
TEMPORARY_SUFFIX = ".tmp"


class UnsuitableError(Exception):
    """What is at a path is not a regular file of a sensible size."""


class ChangedError(Exception):
    """A file changed while it was being read."""


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable.

    Raises
    ------
    OSError
        The folder cannot be opened or synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Create `folder` and its missing parents, durably; fine when it exists."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(mode=mode, exist_ok=True)
        sync_folder(path.parent)


@contextlib.contextmanager
def replacing(
    target: Path, *, mode: int = 0o666, mtime_ns: int | None = None
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
    name = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    temporary = target.parent / name
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if mtime_ns is not None:
                os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write(
    target: Path, content: bytes, *, mode: int = 0o666, mtime_ns: int | None = None
) -> None:
    """Write `content` to `target`, atomically and durably; see `replacing`."""
    with replacing(target, mode=mode, mtime_ns=mtime_ns) as file:
        file.write(content)


def remove(target: Path) -> None:
    """Remove `target` durably; fine when it is not there."""
    target.unlink(missing_ok=True)
    sync_folder(target.parent)


def sweep(folder: Path) -> int:
    """Remove what a crash left of unfinished writes in `folder`; return how many."""
    left = 0
    for path in folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
        if stat.S_ISREG(path.lstat().st_mode):
            path.unlink(missing_ok=True)
            left += 1
    return left


def read_regular(path: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """Return the content of a regular file and what `fstat` says of it.

    Never follows a symlink at the last step, never waits on a FIFO, and opens read-only.

    Raises
    ------
    OSError
        The file cannot be read; `OSError.errno` is ELOOP for a symlink.
    UnsuitableError
        It is not a regular file, or is larger than `limit` bytes.
    ChangedError
        It changed while it was being read.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise UnsuitableError("not a regular file")
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

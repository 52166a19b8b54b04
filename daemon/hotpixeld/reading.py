"""Reading: files that others own, whole or not at all, and nothing that is no file."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from hotpixeld.files import open_parent

if TYPE_CHECKING:
    from pathlib import Path

_ONLY_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_KINDS = {
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


def _must_be_a_file(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something")
        raise NotAFileError(f"{kind}, not a file")


def open_regular(path: Path | str, folder: int | None = None) -> int:
    """Open a regular file, and nothing else, to read it; return the descriptor.

    A pipe or a device is not opened at all: that alone can do something.

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

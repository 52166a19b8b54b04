"""Errors: split by what the caller must do about them, with the exit code of each.

Library errors become one of these where the library was called.  An error of one photo
never ends the daemon; `exit_code` maps those that end a command or the program.  What the
operating system or SQLite refuses is said with its place and what to do about it: `said`.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class HotpixeldError(Exception):
    """Base of every error that hotpixeld raises on purpose."""


class ConfigError(HotpixeldError):
    """The configuration cannot be used; nothing was started.

    Attributes
    ----------
    problems : tuple of str
        Every fault found, each with its place, in the order of the file.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class PixelListError(HotpixeldError):
    """A pixel list that was to be imported cannot be used; nothing was changed.

    Attributes
    ----------
    problems : tuple of str
        Every fault found, each with its place.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class PhotoError(HotpixeldError):
    """One photo cannot be used; every other photo can.

    Attributes
    ----------
    path : Path
        The photo.
    reason : str
        Why, in a few words that stand in the ledger and in ``status``.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}")

    def __reduce__(self) -> tuple[type[PhotoError], tuple[Path, str]]:
        """Come from another process as it was raised there."""
        return type(self), (self.path, self.reason)


class TruncatedPhotoError(PhotoError):
    """The photo ends too early: perhaps it is still being written; try again."""


class UnreadablePhotoError(TruncatedPhotoError):
    """The photo cannot be read now (a disk fault, a server that is gone): try later."""


class PhotoGoneError(PhotoError):
    """The photo is not there any more; an ordinary outcome in a watched folder."""


class SkippedPhotoError(PhotoError):
    """It must not be folded: edited, without camera identity, or not a file at all."""


class KnownPhotoError(SkippedPhotoError):
    """It is no photo of its own: a copy, or a version, of a known one."""


class RefusedError(HotpixeldError):
    """A photo cannot be repaired; nothing was changed.

    Attributes
    ----------
    reason : str
        Why, in a few words.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class StateError(HotpixeldError):
    """The state folder cannot be used: closed to this user, read-only, not there, ..."""


class CheckpointError(StateError):
    """A stored state is missing, damaged or of another kind; it is never overwritten."""


class LedgerError(StateError):
    """The ledger cannot be used: damaged, of a newer version, or its disk full or faulty."""


class StateInUseError(StateError):
    """Another daemon holds this state."""


class ExitCode(IntEnum):
    """What the exit status says; the unit file and deploy/README.md name them too."""

    OK = 0
    FAULT = 1
    """Something went wrong that no other code names, or the answer was no."""
    USAGE = 2
    """The command line cannot be understood, or wants --yes where nobody can be asked."""
    PHOTO = 3
    """A photo named on the command line could not be used."""
    STATE = 4
    """The state cannot be used: damaged, of a newer version, held by another, disk full."""
    DIFFERENT = 5
    """`diff` found more than the blocks of a repair."""
    PARTLY = 6
    """`run --once` could not do all of it, `check-config` found a path closed now, or `notify`
    could not tell somebody."""
    CONFIG = 78
    """The configuration has faults (EX_CONFIG of sysexits.h)."""


def exit_code(error: HotpixeldError) -> ExitCode:
    """Return the exit code for an error that ends the program."""
    if isinstance(error, ConfigError):
        return ExitCode.CONFIG
    if isinstance(error, (PhotoError, RefusedError)):
        return ExitCode.PHOTO
    if isinstance(error, StateError):
        return ExitCode.STATE
    return ExitCode.FAULT


_AWAY = "the drive or its server is gone: plug it in, or mount it again"
_CLOSED = (
    "user {user} may not: change owner, mode or group, here or of a folder above,"
    " or run this as another user"
)

REMEDIES: Final[Mapping[int, str]] = {
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EROFS: "it is mounted read-only: mount it for writing, or name another folder",
    errno.ENOSPC: "free some space there, or name a folder on another disk",
    errno.EDQUOT: "free some of your space there, or have your quota raised",
    errno.ENOENT: "check the spelling, or plug in or mount what it is on",
    errno.ENOTDIR: "move it away, or name another",
    errno.EISDIR: "move it away, or name another",
    errno.EEXIST: "move it away, or name another",
    errno.ELOOP: "links go in a circle, or may not be followed here: name what they lead to",
    errno.EMFILE: "close some, or allow more: `ulimit -n`, LimitNOFILE= in the unit",
    errno.ENFILE: "close some programs, or raise fs.file-max with sysctl",
    errno.ENOMEM: "close some programs, or lower `limits: {{memory: ...}}`",
    errno.EIO: "the disk or its cable fails: `dmesg` says more; save what is on it",
    errno.ENAMETOOLONG: "give it, or `name` in the configuration, a shorter name",
    errno.EFBIG: "this file system holds no file that large: name a folder on another",
    errno.EBUSY: "something else uses it: wait, or end that",
    errno.EXDEV: "the two are on different file systems: name a place on the same one",
    errno.ENODEV: _AWAY,
    errno.ENXIO: _AWAY,
    errno.ESTALE: _AWAY,
    errno.ENOTCONN: _AWAY,
    errno.EHOSTDOWN: _AWAY,
    errno.EHOSTUNREACH: _AWAY,
    errno.ETIMEDOUT: _AWAY,
    errno.ECONNABORTED: _AWAY,
}
"""What to do about an error of the operating system; every one that is said ends so."""

_ANEW = "put it back from a backup, or move the state folder away to begin anew"

SQLITE_REMEDIES: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_CANTOPEN: _CLOSED,
    sqlite3.SQLITE_PERM: _CLOSED,
    sqlite3.SQLITE_READONLY: _CLOSED,
    sqlite3.SQLITE_FULL: REMEDIES[errno.ENOSPC],
    sqlite3.SQLITE_IOERR: REMEDIES[errno.EIO],
    sqlite3.SQLITE_CORRUPT: _ANEW,
    sqlite3.SQLITE_NOTADB: _ANEW,
    sqlite3.SQLITE_BUSY: REMEDIES[errno.EBUSY],
    sqlite3.SQLITE_LOCKED: REMEDIES[errno.EBUSY],
    sqlite3.SQLITE_NOMEM: REMEDIES[errno.ENOMEM],
}
"""What to do about an error of the ledger's file, by SQLite's primary result code."""


def _with_remedy(text: str, remedy: str | None) -> str:
    return f"{text}: {remedy.format(user=os.geteuid())}" if remedy else text


def why(error: OSError) -> str:
    """Return what the operating system refuses, and what to do, without the place.

    >>> why(OSError(errno.EROFS, "Read-only file system", "/mnt/out"))
    'Read-only file system: it is mounted read-only: mount it for writing, or name another folder'
    """
    what = error.strerror or str(error)
    return _with_remedy(what, REMEDIES.get(error.errno or 0))


def said(error: OSError, path: Path | None = None) -> str:
    """Return an error of the operating system in words: where, what, what to do.

    Parameters
    ----------
    path : Path, optional
        What to name in place of the error's own path.

    >>> said(OSError(errno.ENOSPC, "No space left on device", "/mnt/out"))
    '/mnt/out: No space left on device: free some space there, or name a folder on another disk'
    """
    where = error.filename if path is None else path
    is_place = isinstance(where, str | bytes | os.PathLike)
    return f"{os.fsdecode(where)}: {why(error)}" if is_place else why(error)


def said_by_sqlite(error: sqlite3.Error, path: Path) -> str:
    """Return an error of SQLite in words: which file, what, what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return _with_remedy(f"{path}: cannot be used: {error}", SQLITE_REMEDIES.get(code))

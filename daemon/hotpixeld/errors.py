"""Errors: split by what the caller must do about them, with the exit code of each.

Library errors become one of these where the library was called.  An error of one photo
never ends the daemon; `exit_code` maps those that end a command or the program.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
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


class TruncatedPhotoError(PhotoError):
    """The photo ends too early: perhaps it is still being written; try again."""


class UnreadablePhotoError(TruncatedPhotoError):
    """The photo cannot be read now (a disk fault, a server that is gone): try later."""


class PhotoGoneError(PhotoError):
    """The photo is not there any more; an ordinary outcome in a watched folder."""


class SkippedPhotoError(PhotoError):
    """It must not be folded: edited, without camera identity, or not a file at all."""


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


class CheckpointError(HotpixeldError):
    """A stored state is missing, damaged or of another kind; it is never overwritten."""


class LedgerError(HotpixeldError):
    """The ledger cannot be used: damaged, of a newer version, or its disk full or faulty."""


class StateInUseError(HotpixeldError):
    """Another daemon holds this state."""


class ExitCode(IntEnum):
    """What the exit status says; the unit file and the README name them too."""

    OK = 0
    FAULT = 1
    """Something went wrong that no other code names."""
    USAGE = 2
    """The command line cannot be understood."""
    PHOTO = 3
    """A photo named on the command line could not be used."""
    STATE = 4
    """The state cannot be used: damaged, of a newer version, held by another, disk full."""
    DIFFERENT = 5
    """`diff` found more than the blocks of a repair."""
    CONFIG = 78
    """The configuration has faults (EX_CONFIG of sysexits.h)."""


def exit_code(error: HotpixeldError) -> ExitCode:
    """Return the exit code for an error that ends the program."""
    if isinstance(error, ConfigError):
        return ExitCode.CONFIG
    if isinstance(error, (PhotoError, RefusedError)):
        return ExitCode.PHOTO
    if isinstance(error, (LedgerError, CheckpointError, StateInUseError)):
        return ExitCode.STATE
    return ExitCode.FAULT

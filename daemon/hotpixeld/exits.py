"""Exit codes: what the program's end tells a script or systemd."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from hotpixeld.errors import (
    CheckpointError,
    ConfigError,
    LedgerError,
    PhotoError,
    StateInUseError,
)
from hotpixeld.lossless import RefusedError

if TYPE_CHECKING:
    from hotpixeld.errors import HotpixeldError


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
    """The state cannot be used: damaged, of a newer version, or held by another."""
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

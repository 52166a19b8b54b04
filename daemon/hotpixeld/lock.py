"""The lock on a state folder: one daemon a state."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from hotpixeld.errors import StateInUseError

if TYPE_CHECKING:
    from pathlib import Path


def lock(folder: Path) -> int:
    """Hold the state folder; return the descriptor whose closing lets go.

    Raises
    ------
    StateInUseError
        Another process holds it; says which.
    """
    path = folder / "lock"
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StateInUseError(
            f"{folder}: in use by another hotpixeld, process {holder}: stop it first, or"
            " name another --state"
        ) from error
    with contextlib.suppress(OSError):  # on a full disk it is held without a name
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor

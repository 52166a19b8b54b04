"""Disk room: what a state folder takes, camera by camera, and whether a pass has enough.

A pass writes the next generation while the present one and the one before are there; what
is older goes when the pass is committed.  So one more generation has to fit, and what the
pass and the map after it write into the ledger.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hotpixeld.statistics.generation import generation_bytes
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.store.ledger import Ledger

LEDGER_RESERVE = 8_000_000
"""Bytes: the samples of 256 photos, 14 kB each, in the ledger's log and in its file."""
_BLOCK = 512
"""Of st_blocks, see stat(2)."""


class Use(NamedTuple):
    """What a state folder takes on disk, in bytes.

    Attributes
    ----------
    total : int
        All of it, the ledger too.
    folders, spool : Counter of str
        By camera id: its folder, and the copies of its pending photos; 0 for a camera that
        a daemon has met since.
    """

    total: int
    folders: Counter[str]
    spool: Counter[str]


def needed(height: int, width: int, bins: int = 0) -> int:
    """Return the bytes that must be free for a pass over photos of this size and so many bins."""
    return generation_bytes(height, width, bins) + LEDGER_RESERVE


def free(folder: Path) -> int:
    """Return the bytes that may still be written where a folder is.

    Raises
    ------
    OSError
        It is not there, or cannot be looked at now.
    """
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def check(folder: Path, height: int, width: int, bins: int = 0) -> None:
    """Raise OSError, ENOSPC, where there is no room for a pass.

    Parameters
    ----------
    folder : Path
        The state folder.
    height, width : int
        Of the camera's frames.
    bins : int
        Traces that it keeps beside its own.
    """
    wanted, found = needed(height, width, bins), free(folder)
    if found < wanted:
        reason = f"no room for the next generation: {wanted} bytes needed, {found} bytes free"
        raise OSError(errno.ENOSPC, reason, str(folder))


def used(path: Path) -> int:
    """Return what a file, or a folder with all below it, takes on disk, in bytes.

    What is gone, or cannot be looked at, counts as nothing: a daemon may be at work.
    """
    try:
        status = path.lstat()
        below = path.iterdir() if stat.S_ISDIR(status.st_mode) else ()
        return status.st_blocks * _BLOCK + sum(map(used, below))
    except OSError:
        return 0


def use(state: Path, ledger: Ledger) -> Use:
    """Return what a state folder takes: all of it, and by camera."""
    folders = Counter(
        {
            record.camera.id: used(state_folder.camera_folder(state, record.camera.id))
            for record in ledger.images.cameras()
        }
    )
    spool: Counter[str] = Counter()
    for path in state_folder.spool(state).glob("?" * 64):
        image = ledger.images.find(path.name)
        if image is not None:
            spool[image.camera] += used(path)
    return Use(used(state), folders, spool)

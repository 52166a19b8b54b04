"""The state folder: which one a command works on, what lies where in it, and its lock.

Below it are the ledger, the marks of what is being decoded, the lock, the spool of pending
photos, and a folder for each camera with its generations, its map and its learned
footprint.  The daemon publishes its
status elsewhere, where every user may read it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.errors import StateInUseError

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_STATE = Path("/var/lib/hotpixeld")
SYSTEM_RUNTIME = Path("/run/hotpixeld")
STATUS_NAME = "status.json"


def choose(
    option: Path | None, configured: Path | None, environment: Mapping[str, str]
) -> Path:
    """Return the state folder: option, configuration, systemd's, the system's, own.

    Parameters
    ----------
    option, configured : Path or None
        What ``--state`` and the configuration's ``state`` say.
    environment : mapping
        The process's environment.
    """
    if option or configured:
        return (option or configured or Path()).absolute()
    if given := environment.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if SYSTEM_STATE.is_dir() and os.access(SYSTEM_STATE, os.R_OK | os.X_OK):
        return SYSTEM_STATE
    home = environment.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local/state") / "hotpixeld"


def runtime_folders(state: Path, environment: Mapping[str, str]) -> list[Path]:
    """Return where a daemon may publish its status, the best place first."""
    folders = []
    if given := environment.get("RUNTIME_DIRECTORY"):
        folders.append(Path(given.split(":")[0]))
    # A service's two folders have one name: hotpixeld, or hotpixeld-anna.
    is_service = state.name.startswith("hotpixeld")
    is_service &= state.parent == SYSTEM_STATE.parent
    folders.append(SYSTEM_RUNTIME.with_name(state.name if is_service else "hotpixeld"))
    if given := environment.get("XDG_RUNTIME_DIR"):
        folders.append(Path(given) / "hotpixeld")
    folders.append(state)
    return folders


def ledger_file(state: Path) -> Path:
    """Return the SQLite file of the ledger."""
    return state / "ledger.sqlite3"


def hazard_marks(state: Path) -> Path:
    """Return the file that names the images being decoded now."""
    return state / "under-way"


def spool(state: Path) -> Path:
    """Return the folder with the copies of pending photos; see `spool`."""
    return state / "spool"


def cameras(state: Path) -> Path:
    """Return what holds the folders of the cameras."""
    return state / "cameras"


def camera_folder(state: Path, camera_id: str) -> Path:
    """Return the folder of a camera: checkpoints (see `checkpoint`), map, footprint."""
    return cameras(state) / camera_id


def map_file(state: Path, camera_id: str) -> Path:
    """Return the maintained map of a camera."""
    return camera_folder(state, camera_id) / "map.yaml"


def footprint_file(state: Path, camera_id: str) -> Path:
    """Return what was learned of how a camera's defects show."""
    return camera_folder(state, camera_id) / "footprint.json"


def lock(folder: Path) -> int:
    """Hold the state folder; return the descriptor whose closing releases it.

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

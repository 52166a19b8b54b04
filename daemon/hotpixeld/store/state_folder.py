"""The state folder: which one a command works on, what lies where in it, and its lock.

Below it are the ledger, the marks of what is being decoded, the lock, what `notify` has
told, the spool of pending photos, and a folder for each camera with its generations, its map and its learned
footprint.  The daemon publishes its
status elsewhere, where every user may read it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.errors import StateInUseError

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEM_STATE = Path("/var/lib/hotpixeld")
SYSTEM_RUNTIME = Path("/run/hotpixeld")
RUNTIME_PREFIX = "state-"
"""Runtime folders are named after it and the path of the state they are about."""
STATUS_NAME = "status.json"
LOCK_SECONDS = 0.5
"""How long a lock may be held by one who only looks whether it is, as `holder` does."""


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


def closed_system_state(
    option: Path | None, configured: Path | None, environment: Mapping[str, str]
) -> Path | None:
    """Return the service's state, if `choose` passes it over as this user may not read it."""
    if option or configured or environment.get("STATE_DIRECTORY"):
        return None
    is_passed_over = choose(None, None, environment) != SYSTEM_STATE
    return SYSTEM_STATE if SYSTEM_STATE.is_dir() and is_passed_over else None


def as_owner(path: Path) -> str:
    """Return what to put before a command so that it may read `path`; empty if unknown."""
    try:
        owner = pwd.getpwuid(path.stat().st_uid).pw_name
    except (OSError, KeyError):
        return ""
    return f"sudo -u {owner} "


def runtime_folders(state: Path, environment: Mapping[str, str]) -> list[Path]:
    """Return where a daemon may publish its status, the best place first.

    Below it each state has a folder of its own: several daemons may share the place.
    """
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
    own = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
    return [folder / f"{RUNTIME_PREFIX}{own}" for folder in folders]


def lock_file(state: Path) -> Path:
    """Return the file that is locked by whoever works on the state."""
    return state / "lock"


def ledger_file(state: Path) -> Path:
    """Return the SQLite file of the ledger."""
    return state / "ledger.sqlite3"


def notify_file(folder: Path) -> Path:
    """Return the file that says what was told; `folder` is the state's or a runtime one."""
    return folder / "notify.json"


def notify_lock(state: Path) -> Path:
    """Return the file that is locked by whoever tells what is new."""
    return state / "notify.lock"


def notify_due(state: Path) -> Path:
    """Return the file that is touched when there is news to tell: a unit watches it."""
    return state / "notify.due"


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


def holder(path: Path) -> int | None:
    """Return the process that holds a lock file, None if none does, 0 if it is unnamed.

    Raises
    ------
    OSError
        This user may not read the file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        name = os.read(descriptor, 20).strip()
        return int(name) if name.isdigit() else 0
    finally:
        os.close(descriptor)
    return None


def _try_lock(descriptor: int) -> bool:
    """Return whether the lock is ours; wait for one who only looks at it."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        else:
            return True


def hold(path: Path, mode: int = 0o600) -> int | None:
    """Hold a lock file; return the descriptor whose closing releases it.

    Its content is the process's number.  None if another process holds it.

    Raises
    ------
    OSError
        It cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, mode)
    if not _try_lock(descriptor):
        os.close(descriptor)
        return None
    with contextlib.suppress(OSError):  # on a full disk it is held without a name
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def lock(folder: Path) -> int:
    """Hold the state folder; return the descriptor whose closing releases it.

    Raises
    ------
    StateInUseError
        Another process holds it; says which.
    OSError
        The folder cannot be used.
    """
    path = lock_file(folder)
    descriptor = hold(path)
    if descriptor is None:
        raise StateInUseError(
            f"{folder}: in use by another hotpixeld, process {holder(path) or 'unknown'}:"
            " stop it first, or name another --state"
        )
    return descriptor

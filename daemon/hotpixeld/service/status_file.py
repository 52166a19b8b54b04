"""The status of a state folder: what the ledger says, and the file that the daemon publishes.

Every user may read that file, and see by the lock beside it whether its daemon lives.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import logging
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from hotpixeld.config import camera_names
from hotpixeld.detection.lives import scenes_needed
from hotpixeld.engine import bodies
from hotpixeld.engine.copy_places import EDITED, former_places
from hotpixeld.errors import said
from hotpixeld.files import make_folder, replacing
from hotpixeld.repair import pixel_list
from hotpixeld.service import reasons
from hotpixeld.store import disk_room, state_folder
from hotpixeld.store.paths import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.engine.session import Session
    from hotpixeld.service.reasons import Kinds
    from hotpixeld.store.disk_room import Use
    from hotpixeld.store.images import CameraRecord
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 5.0
"""While there is work, the status is published at most so often."""

BEAT_SECONDS, HUNG_SECONDS = 60.0, 180.0
"""A daemon gives a sign of progress so often, and is taken to hang after so long without
one: as long as the unit's watchdog waits."""

PROBLEMS = 1000
"""At most so many photos, and copies, are named one by one in a status, unless all are
asked for; the number of the others is in it."""
SWEPT_SECONDS = 86_400.0
"""For so long the status of a killed daemon's state says that it was killed."""
_ALIVE = "alive"
"""The lock file in a runtime folder; its mtime is that of the last sign of progress."""

Json = dict[str, Any]


def former_copies(ledger: Ledger) -> list[Json]:
    """Return where copies lie at former places, and how many there are.

    Beyond the first thousand they are counted, at the last place, without looking whether
    they still exist.
    """
    shown = ledger.other_copies.former(PROBLEMS)
    rest = ledger.other_copies.count_former() - len(shown)
    there = [copy for copy in shown if rest or os.path.lexists(copy.target)]
    places = former_places(there)
    former = [
        {"place": str(place), "copies": len(copies)} for place, copies in places.items()
    ]
    if rest:
        former[-1]["copies"] = len(places[list(places)[-1]]) + rest
    return former


def _camera(
    ledger: Ledger, config: Config, record: CameraRecord, known: list[Camera], use: Use
) -> Json:
    """Return the status of one of the `known` cameras, but for its name."""
    camera, detection = record.camera, config.detection
    listed = bodies.listing(ledger, config, camera)
    return {
        "id": camera.id,
        **dataclasses.asdict(camera),
        "same_body": [one.id for one in bodies.same_body(camera, known)],
        "photos": record.photos,
        "weight": record.weight,
        **ledger.images.counts(camera.id),
        "mapped": record.mapped,
        "scenes": round(record.scenes, 1),
        "scenes_needed": scenes_needed(detection.min_photos),
        "photos_needed": detection.min_photos,
        **pixel_list.counts(listed),
        "dropped": ledger.images.is_dropped(record),
        "folder_bytes": use.folders[camera.id],
        "spool_bytes": use.spool[camera.id],
    }


def _by_kind(told: Sequence[Told], kinds: Kinds) -> list[Json]:
    """Return reasons counted by kind, ready for JSON."""
    return [dataclasses.asdict(one) for one in reasons.by_kind(told, kinds)]


def _copies_told(ledger: Ledger) -> list[Told]:
    """Return why copies need a look, those at former places among them."""
    told = ledger.copies.told(reasons.EXAMPLES)
    if count := ledger.other_copies.count_edited():
        shown = ledger.other_copies.edited(reasons.EXAMPLES)
        told.append(Told("former", EDITED, count, tuple(one.target for one in shown)))
    return told


def status(ledger: Ledger, config: Config, most: int | None = PROBLEMS) -> Json:
    """Return the status of a state folder, ready for JSON.

    Parameters
    ----------
    config : Config
        Says how many scenes the next map needs, and what is configured and ignored.
    most : int or None
        At most so many problems are named one by one; None is all.
    """
    use = disk_room.use(ledger.folder, ledger)
    records = list(ledger.images.cameras())
    known = [record.camera for record in records]
    names = camera_names.names(known, config)
    cameras = [
        {
            **_camera(ledger, config, record, known, use),
            "name": names[record.camera.id],
        }
        for record in records
    ]
    problems = [
        {"path": str(path.path), "outcome": path.outcome, "reason": path.reason}
        for path in ledger.paths.with_reason(most)
    ]
    copies = [
        {"path": str(copy.target), "condition": copy.condition, "notes": copy.notes}
        for copy in ledger.copies.with_notes(most)
    ]
    edited = ledger.other_copies.edited(most)
    copies_left_out = ledger.copies.count_with_notes() - len(copies)
    copies_left_out += ledger.other_copies.count_edited() - len(edited)
    copies += [
        {"path": str(copy.target), "condition": "former", "notes": EDITED}
        for copy in edited
        if os.path.lexists(copy.target)
    ]
    paths, images = ledger.paths.counts(), ledger.images.counts()
    unused = sum(paths[outcome] for outcome in ("failed", "waiting", "skipped"))
    return {
        "cameras": cameras,
        "photos": {**_with_again(ledger, images), **paths},
        "copies": ledger.copies.counts(),
        "state_bytes": use.total,
        "former_copies": former_copies(ledger),
        "folders": [place._asdict() for place in ledger.folder_faults.all()],
        "reasons": _by_kind(ledger.paths.told(reasons.EXAMPLES), reasons.KINDS),
        "copy_reasons": _by_kind(_copies_told(ledger), reasons.COPIES),
        "problems": problems,
        "problems_left_out": unused - len(problems),
        "copy_problems": copies,
        "copy_problems_left_out": copies_left_out,
    }


def _with_again(ledger: Ledger, images: dict[str, int]) -> dict[str, int]:
    """Return counts of images, those apart that are lost only until they are seen again."""
    files = ledger.paths.to_learn_again() if images["lost"] else []
    again = len({image for image, path in files if os.path.lexists(path)})
    return images | {"lost": images["lost"] - again, "again": again}


def _folder(state: Path) -> Path:
    """Return the first runtime folder that can be made and written to."""
    *candidates, last = state_folder.runtime_folders(state, os.environ)
    for folder in candidates:
        with contextlib.suppress(OSError):
            make_folder(folder, mode=0o755)
            folder.chmod(0o755)  # whatever the umask says of copies
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
    with contextlib.suppress(OSError):  # said when it is published
        make_folder(last)
    return last


def published(state: Path) -> Json | None:
    """Return the status that a daemon published last; it may have been killed since."""
    for folder in state_folder.runtime_folders(state, os.environ):
        try:
            current = json.loads((folder / state_folder.STATUS_NAME).read_text())
        except (OSError, ValueError):
            continue
        if isinstance(current, dict) and current.get("state") == str(state):
            return current
    return None


def working(state: Path) -> int | None:
    """Return the process that works on a state, 0 if unnamed, None if none does.

    By the lock that it holds, which ends with it, however it ends; users who may not read
    the state see the lock of the runtime folder.
    """
    with contextlib.suppress(OSError):
        return state_folder.holder(state_folder.lock_file(state))
    for folder in state_folder.runtime_folders(state, os.environ):
        with contextlib.suppress(OSError):
            if (process := state_folder.holder(folder / _ALIVE)) is not None:
                return process
    return None


def lives(state: Path) -> Json:
    """Return who works on a state, for its status.

    "daemon" is what a running daemon published, "killed" what one did that did not end by
    itself, and "process" works on the state now.
    """
    process, current = working(state), published(state)
    daemon = current and current.get("daemon")
    return {
        "daemon": daemon if process is not None else None,
        "killed": daemon if process is None else None,
        "process": process,
    }


def _progressed(state: Path) -> float | None:
    """Return when the daemon of a state gave its last sign of progress, in epoch seconds."""
    for folder in state_folder.runtime_folders(state, os.environ):
        with contextlib.suppress(OSError):
            return (folder / _ALIVE).stat().st_mtime
    return None


def ailments(state: Path, wall: Callable[[], float] = time.time) -> list[str]:
    """Return what is wrong with the daemon of a state; nothing if it is well.

    Neither the state nor its ledger is opened but for the lock.
    """
    found = lives(state)
    if found["daemon"] is None:
        who = "another process works on it" if found["process"] is not None else ""
        who = who or ("it was killed" if found["killed"] else "none runs on this state")
        return [f"no daemon: {who}"]
    progressed = _progressed(state)
    silent = 0.0 if progressed is None else wall() - progressed
    if silent > HUNG_SECONDS:
        return [f"the daemon hangs: no sign of progress for {silent:.0f} s"]
    return list(found["daemon"]["faults"])


def sweep(state: Path, wall: Callable[[], float] = time.time) -> None:
    """Remove the runtime folders of daemons that were killed.

    Of this state at once; of others after a day, in which their status says so.
    """
    for own in state_folder.runtime_folders(state, os.environ):
        for folder in own.parent.glob(f"{state_folder.RUNTIME_PREFIX}*"):
            alive = folder / _ALIVE
            with contextlib.suppress(OSError):  # another user's
                is_old = wall() - folder.stat().st_mtime > SWEPT_SECONDS
                is_due = alive.is_file() and (folder == own or is_old)
                if is_due and state_folder.holder(alive) is None:
                    shutil.rmtree(folder)


class Publisher:
    """Publishes the daemon's status.

    Parameters
    ----------
    state : Path
        The state folder.
    clock : callable
        Monotonic seconds.

    Attributes
    ----------
    folder : Path
        The runtime folder.
    text : str
        The status line published last.
    """

    def __init__(
        self, state: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        sweep(state)
        self.folder = _folder(state)
        self._alive = self._live()
        self.text = ""
        self._news: object = None
        self._state = state
        self._clock = clock
        self._since = dt.datetime.now().astimezone().isoformat(timespec="seconds")
        self._published = -PUBLISH_SECONDS
        self._busy = False
        self._fault = ""
        self._beat = -BEAT_SECONDS

    def beat(self) -> None:
        """Note that work goes on, for `ailments`; several times a minute at most."""
        now = self._clock()
        if self._alive is not None and now - self._beat >= PUBLISH_SECONDS:
            self._beat = now
            with contextlib.suppress(OSError):  # the disk's faults are told elsewhere
                os.utime(self._alive)

    def _live(self) -> int | None:
        """Hold the lock by which other users see that this process lives."""
        try:
            alive = state_folder.hold(self.folder / _ALIVE, 0o644)
            if alive is not None:
                os.fchmod(alive, 0o644)
        except OSError as error:
            log.warning("status cannot be published: %s", said(error))
            return None
        return alive

    def publish(
        self,
        session: Session,
        text: str,
        faults: Sequence[str],
        *,
        busy: bool,
        untold: Sequence[Json] = (),
    ) -> None:
        """Publish the status if there is news, and while `busy` not too often.

        Without any, nothing is read or counted.  `untold` are events that the ledger could
        not be made to hold yet.
        """
        now, turned = self._clock(), busy != self._busy
        news = text, session.learning.commits, session.maps.made, list(untold)
        is_early = busy and now - self._published < PUBLISH_SECONDS
        if not turned and (news == self._news or is_early):
            return
        self.text, self._news = text, news
        self._published, self._busy = now, busy
        daemon = {
            "pid": os.getpid(),
            "since": self._since,
            "busy": busy,
            "status": text,
            "faults": list(faults),
            "untold": list(untold),
        }
        current = {
            "state": str(self._state),
            "daemon": daemon,
            **status(session.ledger, session.config),
        }
        try:
            path = self.folder / state_folder.STATUS_NAME
            with replacing(path) as file:
                os.fchmod(file.fileno(), 0o644)  # whatever the umask says of copies
                file.write(json.dumps(current, indent=1).encode())
        except OSError as error:
            if said(error) != self._fault:
                self._fault = said(error)
                log.warning("status cannot be published: %s", self._fault)

    def withdraw(self) -> None:
        """Remove what was published: the daemon stops."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._alive is not None:
            os.close(self._alive)
            self._alive = None

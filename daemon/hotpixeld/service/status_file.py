"""The status of a state folder: what the ledger says, and the file that the daemon publishes.

Every user may read that file.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from hotpixeld.detection.lives import scenes_needed
from hotpixeld.engine.copy_places import EDITED, former_places
from hotpixeld.files import make_folder, replacing
from hotpixeld.repair import pixel_list
from hotpixeld.store import disk_room, state_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hotpixeld.config.model import Config
    from hotpixeld.engine.session import Session
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 5.0
"""While there is work, the status is published at most so often."""


PROBLEMS = 1000
"""At most so many photos are named one by one in a status."""

Json = dict[str, Any]


def former_copies(ledger: Ledger) -> list[Json]:
    """Return where copies lie at former places, and how many there are.

    Beyond the first thousand they are counted without looking whether they still exist.
    """
    shown = ledger.other_copies.former(PROBLEMS)
    places = former_places([copy for copy in shown if os.path.lexists(copy.target)])
    rest = ledger.other_copies.count_former() - len(shown)
    former = [
        {"place": str(place), "copies": len(copies)} for place, copies in places.items()
    ]
    return former + [{"place": "elsewhere", "copies": rest}] * (rest > 0)


def status(ledger: Ledger, config: Config) -> Json:
    """Return the status of a state folder, ready for JSON.

    Parameters
    ----------
    config : Config
        Says how many scenes the next map needs, and what is configured and ignored.
    """
    needed = scenes_needed(config.detection.min_photos)
    use = disk_room.use(ledger.folder, ledger)
    cameras = []
    records = list(ledger.images.cameras())
    known = [record.camera for record in records]
    for record in records:
        counts = ledger.images.counts(record.camera.id)
        detected = ledger.defects.of(record.camera.id)
        listed = pixel_list.listing(config, record.camera, known, detected)
        cameras.append(
            {
                "id": record.camera.id,
                **dataclasses.asdict(record.camera),
                "photos": record.photos,
                "weight": record.weight,
                **counts,
                "mapped": record.mapped,
                "scenes": round(record.scenes, 1),
                "scenes_needed": needed,
                **pixel_list.counts(listed),
                "dropped": ledger.images.is_dropped(record),
                "folder_bytes": use.folders[record.camera.id],
                "spool_bytes": use.spool[record.camera.id],
            }
        )
    problems = [
        {"path": str(path.path), "outcome": path.outcome, "reason": path.reason}
        for path in ledger.paths.with_reason(PROBLEMS)
    ]
    copies = [
        {"path": str(copy.target), "condition": copy.condition, "notes": copy.notes}
        for copy in ledger.copies.with_notes(PROBLEMS)
    ]
    copies += [
        {"path": str(copy.target), "condition": "former", "notes": EDITED}
        for copy in ledger.other_copies.edited(PROBLEMS)
        if os.path.lexists(copy.target)
    ]
    return {
        "cameras": cameras,
        "photos": {**ledger.images.counts(), **ledger.paths.counts()},
        "copies": ledger.copies.counts(),
        "state_bytes": use.total,
        "former_copies": former_copies(ledger),
        "problems": problems,
        "copy_problems": copies,
    }


def _folder(state: Path) -> Path:
    """Return the first runtime folder that can be written, made when missing."""
    *candidates, last = state_folder.runtime_folders(state, os.environ)
    for folder in candidates:
        try:
            make_folder(folder, mode=0o755)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    return last


def published(state: Path) -> Json | None:
    """Return the status that a daemon published, if it is about this state folder."""
    for folder in state_folder.runtime_folders(state, os.environ):
        try:
            current = json.loads((folder / state_folder.STATUS_NAME).read_text())
        except (OSError, ValueError):
            continue
        if isinstance(current, dict) and current.get("state") == str(state):
            return current
    return None


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
        self.folder = _folder(state)
        self.text = ""
        self._news: object = None
        self._state = state
        self._clock = clock
        self._since = dt.datetime.now().astimezone().isoformat(timespec="seconds")
        self._published = -PUBLISH_SECONDS
        self._busy = False
        self._fault = ""

    def publish(
        self, session: Session, text: str, faults: Sequence[str], *, busy: bool
    ) -> None:
        """Publish the status if there is news, and while `busy` not too often.

        Without any, nothing is read or counted.
        """
        now, turned = self._clock(), busy != self._busy
        news = text, session.learning.commits, session.maps.made
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
            if str(error) != self._fault:
                self._fault = str(error)
                log.warning("status cannot be published: %s", error)

    def withdraw(self) -> None:
        """Remove what was published: the daemon stops."""
        (self.folder / state_folder.STATUS_NAME).unlink(missing_ok=True)

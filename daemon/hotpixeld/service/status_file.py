"""The status file: the daemon publishes its status where every user may read it."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import time
from typing import TYPE_CHECKING

from hotpixeld.engine import status
from hotpixeld.files import make_folder, replacing
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hotpixeld.engine.session import Session
    from hotpixeld.engine.status import Json

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 5.0
"""While there is work, the status is published at most so often."""


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
        self._state = state
        self._clock = clock
        self._since = dt.datetime.now().astimezone().isoformat(timespec="seconds")
        self._published = -PUBLISH_SECONDS
        self._fault = ""

    def publish(
        self, session: Session, text: str, faults: Sequence[str], *, busy: bool
    ) -> None:
        """Publish the status if there is news, and while `busy` not too often."""
        now = self._clock()
        if text == self.text or (busy and now - self._published < PUBLISH_SECONDS):
            return
        self.text, self._published = text, now
        daemon = {
            "pid": os.getpid(),
            "since": self._since,
            "status": text,
            "faults": list(faults),
        }
        current = {
            "state": str(self._state),
            "daemon": daemon,
            **status.status(session.ledger, session.config),
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

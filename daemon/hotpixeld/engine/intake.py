"""The intake: from hints that a photo may be there to the photos that are due."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hotpixeld.watch import walk
from hotpixeld.watch.settling import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from hotpixeld.engine.repair_pass import Done
    from hotpixeld.engine.session import Session
    from hotpixeld.watch.survey import Hint

CHUNK = 64
"""New photos taken in one go; then hints are read again."""
QUIET = 5
"""Photos have stopped coming when none was new for so many times what one has to settle."""


class Intake:
    """Lets photos settle, and keeps those that are due until they have an outcome.

    Attributes
    ----------
    backlog : dict
        The paths that are due, in the order in which they settled; the values are not used.
    quiet_at : float
        When photos will have stopped coming, if none does until then.
    """

    def __init__(self, session: Session) -> None:
        self.backlog: dict[Path, None] = {}
        self.quiet_at = 0.0
        self._session = session
        self._tracker = Tracker()

    def __len__(self) -> int:
        """Return how many photos wait, to settle or for their turn."""
        return len(self._tracker)

    def note(self, hints: Iterable[Hint], now: float) -> None:
        """Note what may be a new photo, and queue what has settled."""
        by_source = itertools.groupby(
            hints, key=lambda hint: hint.signature is not None
        )
        paths = self._session.ledger.paths
        for is_from_walk, group in by_source:
            hints = list(group)
            if is_from_walk:
                hints = paths.news(
                    hints, lambda hint: (hint.parent, hint.name, hint.signature)
                )
            for hint in hints:
                self._tracker.note(
                    hint.path,
                    now,
                    settle_seconds=hint.folder.settle_seconds,
                    signature=hint.signature,
                    aged=hint.aged,
                )
        settled = self._tracker.ready(now, walk.stat_photo)
        self.backlog |= dict.fromkeys(candidate.path for candidate in settled)

    def next_deadline(self, now: float) -> float | None:
        """Return when the next photo may have settled."""
        return self._tracker.next_deadline(now)

    def is_quiet(self, now: float) -> bool:
        """Return whether photos have stopped coming."""
        return not self.backlog and now >= self.quiet_at

    def chunk(self) -> list[Path]:
        """Return the next photos to take; what the ledger knows already is dropped."""
        chunk = list(itertools.islice(self.backlog, CHUNK))
        new = self._session.changed(chunk)
        for path in set(chunk) - set(new):
            self._close(path)
        return new

    def finish(self, done: Done, now: float) -> None:
        """Drop a photo that has its outcome; let one that was cut short wait."""
        if done.outcome == "pending":
            folders = self._session.config.folders
            settles = max(folder.settle_seconds for folder in folders)
            self.quiet_at = now + QUIET * settles
        if done.outcome == "waiting" and done.path in self._tracker:
            del self.backlog[done.path]
            if not self._tracker.retry(done.path, now):
                self._session.fail(done.path, done.reason)
        else:
            self._close(done.path, now)

    def _close(self, path: Path, now: float = 0.0) -> None:
        self.backlog.pop(path, None)
        if path in self._tracker:
            self._tracker.done(path, now)

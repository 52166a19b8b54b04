"""Settling: when a file has been still for long enough to be read.

An event is only a hint.  A photo is taken once inode, size and mtime have been the same
for its folder's settle time, whatever gave the hint.  The decoder has the last word: a
photo that it finds cut short waits here again.  Pure: clock and `stat` are passed in.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.files import Signature

RETRY_SECONDS = 3600.0
"""How long a photo that is cut short may wait for its end."""
LONGEST_WAIT_SECONDS = 300.0
"""The longest pause between two looks at a photo that is cut short."""


class Settled(NamedTuple):
    """A path that has been still for its settle time, and as what."""

    path: Path
    signature: Signature


@dataclass(slots=True)
class _Candidate:
    settle_seconds: float
    due: float
    signature: Signature | None  # as last seen; None: not looked at since an event
    taken: bool = False
    hinted_again: bool = False  # while taken
    tries: int = 0
    first_retry: float | None = None

    def restart(self, due: float, signature: Signature | None) -> None:
        self.due, self.signature = due, signature
        self.tries, self.first_retry = 0, None


def _is_news(seen: Signature | None, now: Signature | None) -> bool:
    """Return whether a hint says more than was known: an event always does."""
    return now is None or (seen is not None and not now.is_still(seen))


class Tracker:
    """The candidates that wait; one owner, no locks.

    The owner notes hints, takes what is ready, and says of each whether it is done.
    Times are seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self._candidates: dict[Path, _Candidate] = {}
        self._due: list[tuple[float, int, Path]] = []  # heap; stale entries are skipped
        self._serial = itertools.count()

    def __len__(self) -> int:
        return len(self._candidates)

    def __contains__(self, path: Path) -> bool:
        return path in self._candidates

    def _schedule(self, path: Path, candidate: _Candidate) -> None:
        heapq.heappush(self._due, (candidate.due, next(self._serial), path))

    def note(
        self,
        path: Path,
        now: float,
        *,
        settle_seconds: float,
        signature: Signature | None = None,
        aged: bool = False,
    ) -> None:
        """Note a hint that `path` may hold a new photo.

        Parameters
        ----------
        path : Path
        now : float
        settle_seconds : float
            How long this path must be still.
        signature : Signature, optional
            What a walk saw.  Without one the hint is an event: somebody touched the file
            just now, so its quiet time starts again.  A walk starts it again only when
            it saw another file than last time; else a photo in a folder that is walked
            more often than its settle time would never settle.
        aged : bool
            `Signature.is_aged` held, so a first hint needs no quiet time.
        """
        candidate = self._candidates.get(path)
        # After an event the first look is at once, so that the quiet time counts from it.
        wait = 0.0 if aged or signature is None else settle_seconds
        if candidate is None:
            candidate = _Candidate(settle_seconds, now + wait, signature)
            self._candidates[path] = candidate
        elif _is_news(candidate.signature, signature):
            candidate.hinted_again = candidate.taken
            candidate.restart(now + wait, signature)
        else:
            return
        if not candidate.taken:
            self._schedule(path, candidate)

    def ready(
        self, now: float, look: Callable[[Path], Signature | None]
    ) -> list[Settled]:
        """Return the paths that have settled, and look at those that are due.

        A path that is returned is the caller's until `done` or `retry`: it is not
        returned twice.

        Parameters
        ----------
        now : float
        look : callable
            Returns a regular file's signature, None when there is none (any more), which
            ends the candidate; raises OSError when that is unknown: the candidate waits.
        """
        settled = []
        while self._due and self._due[0][0] <= now:
            due, _, path = heapq.heappop(self._due)
            candidate = self._candidates.get(path)
            if candidate is None or candidate.taken or candidate.due != due:
                continue
            signature = self._look(path, candidate, now, look)
            if signature is not None:
                candidate.taken = True
                settled.append(Settled(path, signature))
        return settled

    def _look(
        self,
        path: Path,
        candidate: _Candidate,
        now: float,
        look: Callable[[Path], Signature | None],
    ) -> Signature | None:
        """Return the signature of a path that has settled."""
        try:
            signature = look(path)
        except OSError:  # busy, stale, forbidden: it may pass
            self._back_off(path, candidate, now)
            return None
        if signature is None:
            del self._candidates[path]
            return None
        if candidate.signature is not None and signature.is_still(candidate.signature):
            return signature
        candidate.restart(now + candidate.settle_seconds, signature)
        self._schedule(path, candidate)
        return None

    def _back_off(self, path: Path, candidate: _Candidate, now: float) -> None:
        wait = max(candidate.settle_seconds, 1.0) * 2.0 ** min(candidate.tries, 20)
        candidate.tries += 1
        candidate.due = now + min(wait, LONGEST_WAIT_SECONDS)
        self._schedule(path, candidate)

    def done(self, path: Path, now: float) -> None:
        """Forget a path that was ready; if a hint came since, it waits anew."""
        candidate = self._candidates[path]
        if candidate.hinted_again:
            self._wait_anew(path, candidate, now)
        else:
            del self._candidates[path]

    def _wait_anew(self, path: Path, candidate: _Candidate, now: float) -> None:
        candidate.taken = candidate.hinted_again = False
        candidate.restart(now, None)
        self._schedule(path, candidate)

    def retry(self, path: Path, now: float) -> bool:
        """Let a path that was ready, but is cut short, wait for its end.

        It is ready again after a pause that doubles each time, up to
        `LONGEST_WAIT_SECONDS`, or as soon as it has changed and is still.

        Returns
        -------
        bool
            Whether it waits; False when it was unchanged for `RETRY_SECONDS`: the path is
            then forgotten, and the caller says that it failed.
        """
        candidate = self._candidates[path]
        if candidate.hinted_again:
            self._wait_anew(path, candidate, now)
            return True
        if candidate.first_retry is None:
            candidate.first_retry = now
        elif now - candidate.first_retry >= RETRY_SECONDS:
            del self._candidates[path]
            return False
        candidate.taken = False
        self._back_off(path, candidate, now)
        return True

    def next_deadline(self, now: float) -> float | None:
        """Return when `ready` has something to do next, None when nothing waits."""
        while self._due:
            due, _, path = self._due[0]
            candidate = self._candidates.get(path)
            if candidate is not None and not candidate.taken and candidate.due == due:
                return max(due, now)
            heapq.heappop(self._due)
        return None

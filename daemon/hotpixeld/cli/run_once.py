"""``run --once``: fold the photos in the folders, make the maps, write the copies."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.cli.terminal import with_progress
from hotpixeld.engine.session import Session, in_order
from hotpixeld.watch import mounts
from hotpixeld.watch import walk as watch_walk
from hotpixeld.watch.settling import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hotpixeld.config.model import Config, Folder
    from hotpixeld.files import Signature

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""How long a file may go on changing before the run does without it."""


def _no_report() -> None:
    """Report progress to nobody."""


def _candidates(config: Config) -> Iterator[tuple[Folder, Path, Signature]]:
    """Yield what lies in the folders, without our own output."""
    outputs = [folder.repaired for folder in config.folders]
    for folder in config.folders:
        walk = watch_walk.Walk(folder.path, outputs)
        for candidate in walk:
            yield folder, Path(candidate.path), candidate.signature
        for fault in walk.faults:
            log.warning("cannot be read: %s", fault)


def settled_photos(
    config: Config,
    session: Session,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Path]:
    """Return the photos in the folders that are new, once they have settled.

    Raises
    ------
    OSError
        A folder cannot be read at all.
    """
    candidates = {path: (folder, seen) for folder, path, seen in _candidates(config)}
    unknown = session.unknown((path, seen) for path, (_, seen) in candidates.items())
    table = mounts.read()
    local = {
        folder.path: not mounts.silent(os.path.realpath(folder.path), table)
        for folder in config.folders
    }
    tracker, began = Tracker(), clock()
    for path in unknown:
        folder, seen = candidates[path]
        still = folder.settle_seconds
        aged = local[folder.path] and seen.is_aged(still, wall())
        tracker.note(path, began, settle_seconds=still, signature=seen, aged=aged)
    ready: list[Path] = []
    while (deadline := tracker.next_deadline(clock())) is not None:
        if clock() - began > PATIENCE_SECONDS:
            log.warning(
                "%d files go on changing and wait for another run", len(tracker)
            )
            break
        sleep(max(deadline - clock(), 0))
        ready += [
            settled.path for settled in tracker.ready(clock(), watch_walk.stat_photo)
        ]
    return ready


def run(config: Config, folder: Path, jobs: int) -> Counter[str]:
    """Fold the photos in the configuration's folders, with maps, then repair.

    Parameters
    ----------
    folder : Path
        The state folder.
    jobs : int
        Photos worked on at once.

    Returns
    -------
    Counter
        How many photos came to which outcome.

    Raises
    ------
    HotpixeldError, OSError
        The state or a folder cannot be used.
    """
    outcomes: Counter[str] = Counter()
    with Session(config, folder, jobs, _no_report) as session:
        photos = settled_photos(config, session)
        photos = in_order(with_progress(photos, len(photos), "sorting"))
        taken = session.take(photos, once=True, ordered=True)
        for done in with_progress(taken, len(photos), "reading"):
            outcomes[done.outcome] += done.outcome != "pending"
        pending = session.ledger.images.counts()["pending"]
        learned = session.learning.all_at_once()
        for done in with_progress(learned, pending, "folding"):
            outcomes[done.outcome] += 1
        outcomes["pending"] = session.ledger.images.counts()["pending"]
        due = session.unrepaired()
        for done in with_progress(session.repair(due), len(due), "repairing"):
            outcomes["no copy"] += bool(done.reason)
    return +outcomes

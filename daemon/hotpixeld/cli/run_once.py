"""What is done once: fold the photos in the folders, make the maps, write the copies.

A folder that is not there does not keep the others waiting, nor does one that cannot be
written to; what could not be done is said at the end, and by the exit code.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.cli.terminal import former_copies, with_progress
from hotpixeld.engine.session import Session, in_order, state_errors
from hotpixeld.errors import why
from hotpixeld.messages import counted, plain
from hotpixeld.repair import pixel_list
from hotpixeld.service import status_file
from hotpixeld.watch import survey
from hotpixeld.watch import walk as watch_walk
from hotpixeld.watch.settling import Tracker
from hotpixeld.watch.walk import Closed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from distributed import Client

    from hotpixeld.cli.terminal import Show
    from hotpixeld.config.model import Config, Folder
    from hotpixeld.files import Signature
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""How long a file may go on changing before the run does without it."""

OUTCOME_WORDS = {
    "earlier": "earlier ones folded",
    "again": "learned again",
    "known": "renamed or seen before",
}
"""Outcomes whose word in the summary is not their own."""
COPY_WORDS = {
    "written": "written",
    "rewritten": "rewritten: the map changed",
    "renewed": "rewritten: the configuration changed",
    "found": "found as they were written",
    "removed": "removed: nothing left to repair",
    "tidied": "removed from a former place",
    "foreign": "left alone: another file is in the place",
    "refused": "not written: the photo cannot be repaired",
}
"""What became of copies in this run, in the words of its summary."""


@dataclass(slots=True)
class Ran:
    """What a run came to; it fills this in.

    Attributes
    ----------
    outcomes : Counter
        How many photos came to which outcome; "earlier" are those that were folded, and
        had been pending before this run, "again" those that had been folded before.
    copies : Counter
        How many copies were written, found, rewritten, removed, or could not be.
    written : int
        How many copies there are.
    former : list of str
        A line about each former place of copies.
    cameras : list of str
        A line about each.
    closed, links : list of Closed
        Folders that could not be used, with why, and links that are not followed.
    faults : list of str
        What else could not be done.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    written: int = 0
    former: list[str] = field(default_factory=list)
    cameras: list[str] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    links: list[Closed] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def undone(self) -> list[str]:
        """Return what could not be done, why, and what to do about it."""
        return [f"{path}: {reason}" for path, reason in self.closed] + self.faults


def _no_report() -> None:
    """Report progress to nobody."""


def _candidates(config: Config, ran: Ran) -> Iterator[tuple[Folder, Path, Signature]]:
    """Yield what lies in the folders, without our own output; note what is closed."""
    outputs = [folder.repaired for folder in config.folders]
    for folder in config.folders:
        walk = watch_walk.Walk(folder.path, outputs)
        try:
            for candidate in walk:
                yield folder, Path(candidate.path), candidate.signature
        except OSError as error:
            ran.closed.append(Closed(str(folder.path), why(error)))
        ran.closed += walk.faults
        ran.links += walk.links


def settled_photos(
    config: Config,
    session: Session,
    ran: Ran,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Path]:
    """Return the photos in the folders that are new, once they have settled.

    Parameters
    ----------
    ran : Ran
        Gets what cannot be read, and files that do not settle.
    """
    candidates = {
        path: (folder, seen) for folder, path, seen in _candidates(config, ran)
    }
    unknown = session.unknown((path, seen) for path, (_, seen) in candidates.items())
    table = survey.mount_table()
    local = {
        folder.path: not survey.silent(os.path.realpath(folder.path), table)
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
            files = counted(len(tracker), "file")
            ran.faults.append(f"{files} still being written: run it again later")
            break
        sleep(max(deadline - clock(), 0))
        ready += [
            settled.path for settled in tracker.ready(clock(), watch_walk.stat_photo)
        ]
    return ready


def run_once(
    config: Config, folder: Path, jobs: int, show: Show = with_progress
) -> Ran:
    """Fold the photos in the configuration's folders, with maps, then repair.

    Parameters
    ----------
    folder : Path
        The state folder.
    jobs : int
        Photos worked on at once.
    show : callable
        Shows how far the work is.

    Raises
    ------
    HotpixeldError
        The state cannot be used.
    """
    ran = Ran()
    status_file.sweep(folder)
    with Session(config, folder, jobs, _no_report) as session:
        photos = settled_photos(config, session, ran)
        photos = in_order(show(photos, len(photos), "sorting"))
        _take(session, photos, ran, show)
        with state_errors(folder):  # of photos there are none here
            _learn(session, set(photos), ran, show)
        _repair(session, ran, show)
        ran.copies["tidied"] += len(list(session.tidy_copies()))
        _end(session, ran)
    return ran


def learn(
    config: Config, folder: Path, client: Client, storage: str, shard_photos: int
) -> Ran:
    """Fold the photos in the folders, on the machines of a cluster, with maps.

    Copies are made by a run after it.  For the parameters see `archive.Cluster`.

    Raises
    ------
    HotpixeldError
        The state, or the cluster, cannot be used.
    """
    from hotpixeld.cluster import archive  # noqa: PLC0415 - Dask is an extra

    ran, show = Ran(), with_progress
    cluster = archive.Cluster(client, storage, shard_photos)
    jobs = len(os.sched_getaffinity(0))
    status_file.sweep(folder)
    with Session(config, folder, jobs, _no_report) as session:
        photos = settled_photos(config, session, ran)
        rest = archive.learn(session, photos, cluster, show)
        _count_joined(session.ledger, set(photos).difference(rest), ran)
        _take(session, rest, ran, show)
        with state_errors(folder):
            _learn(session, set(photos), ran, show)
        _end(session, ran)
    return ran


def make_copies(config: Config, folder: Path, client: Client) -> Ran:
    """Bring copies up to date, which are made on the machines of a cluster.

    Nothing is learned.  Raises what `learn` does.
    """
    from hotpixeld.cluster import copies  # noqa: PLC0415 - Dask is an extra

    ran = Ran()
    status_file.sweep(folder)
    with Session(config, folder, copies.jobs(client), _no_report) as session:
        session.make_copies_by(copies.maker(client, config))
        _repair(session, ran, with_progress)
        _end(session, ran)
    return ran


def _count_joined(ledger: Ledger, photos: Iterable[Path], ran: Ran) -> None:
    """Count what became of photos that other machines learned."""
    for path in photos:
        record = ledger.paths.find(path)
        outcome = record.outcome if record else "gone"
        if record and outcome == "image" and record.image is not None:
            image = ledger.images.with_id(record.image)
            outcome = image.outcome if image else "gone"
        ran.outcomes[outcome] += 1
    del ran.outcomes[
        "pending"
    ]  # too few of a camera there: it is folded here, or waits


def _end(session: Session, ran: Ran) -> None:
    """Note what there is in the end."""
    ran.cameras += _cameras(session.ledger, session.config)
    with session.ledger.transaction():
        session.ledger.folder_faults.replace([*ran.closed, *ran.links])
    ran.written = session.ledger.copies.written()
    ran.former += former_copies(status_file.former_copies(session.ledger))
    ran.outcomes, ran.copies = +ran.outcomes, +ran.copies


def _take(session: Session, photos: list[Path], ran: Ran, show: Show) -> None:
    """Take new photos to their place in the ledger."""
    outcomes: Counter[str] = Counter()
    unusable = 0
    taken = session.take(photos, once=True, ordered=True)
    for done in show(taken, len(photos), "reading"):
        outcomes[done.outcome] += 1
        unusable += done.unusable
    if unusable and not outcomes["pending"] + outcomes["known"]:
        subject = "the only new photo"
        if unusable > 1:
            subject = f"not one of {unusable:,} new photos"
        verb = "cannot" if unusable == 1 else "can"
        ran.faults.append(f"{subject} {verb} be used: `hotpixeld status` says why")
    del outcomes["pending"], outcomes["left"]  # until it is folded; told by its place
    ran.outcomes += outcomes


def _learn(session: Session, new: set[Path], ran: Ran, show: Show) -> None:
    """Fold what is pending, now and from before."""
    pending = session.ledger.images.counts()["pending"]
    for done in show(session.learning.all_at_once(), pending, "folding"):
        is_earlier = done.outcome == "folded" and done.path not in new
        outcome = "earlier" if is_earlier else done.outcome
        ran.outcomes["again" if done.again else outcome] += 1
    ran.outcomes["pending"] = session.ledger.images.counts()["pending"]


def _repair(session: Session, ran: Ran, show: Show) -> None:
    """Bring the copies up to date; note those that cannot be written now."""
    due = session.unrepaired(once=True)
    waiting: Counter[Closed] = Counter()
    looked_at = 0
    try:
        for done in show(session.repair(due), len(due), "repairing"):
            looked_at += 1
            ran.copies[done.copy] += bool(done.copy)
            if done.closed is not None:
                waiting[done.closed] += 1
    except (
        OSError
    ) as error:  # the disk is full or faulty: the rest would fare no better
        rest = counted(len(due) - looked_at, "photo")
        place = str(error.filename or "?")
        reason = f"{why(error)}; {rest} not looked at for copies yet"
        ran.closed.append(Closed(place, reason))
    for (place, reason), count in waiting.items():
        copies = counted(count, "copy")
        ran.closed.append(Closed(place, f"{copies} waiting: {reason}"))
    undone = ran.copies["foreign"] + ran.copies["refused"]
    if undone and undone == ran.copies.total():
        copies = counted(undone, "copy")
        ran.faults.append(
            f"{copies} due and none written: `hotpixeld status --problems` says why"
        )
    del ran.copies["kept"]


def _cameras(ledger: Ledger, config: Config) -> Iterator[str]:
    """Yield a line about each camera."""
    records = list(ledger.images.cameras())
    cameras = [record.camera for record in records]
    for record in records:
        detected = ledger.defects.of(record.camera.id)
        listed = pixel_list.listing(config, record.camera, cameras, detected)
        dropped = ledger.images.is_dropped(record)
        pending = ledger.images.counts(record.camera.id)["pending"]
        photos = counted(record.photos + pending, "photo")
        defects = counted(pixel_list.counts(listed)["defects"], "defect")
        if not record.mapped and not dropped:
            defects += f", no map yet: {config.detection.min_photos} photos needed"
        known = "dropped to its list" if dropped else photos
        yield f"{record.camera.id}: {known}, {defects}"


def _numbers(counts: Counter[str], words: Mapping[str, str]) -> str:
    """Return the counts on one line."""
    return ", ".join(
        f"{count:,} {words.get(what, what)}" for what, count in counts.items()
    )


def summary(ran: Ran) -> str:
    """Return in a few lines what a run did, but for its faults."""
    photos = _numbers(ran.outcomes, OUTCOME_WORDS) or "nothing new"
    copies = _numbers(ran.copies, COPY_WORDS) or "none written"
    in_all = f"{counted(ran.written, 'copy')} in all"
    lines = [f"photos: {photos}", f"copies: {copies}; {in_all}", *ran.former]
    lines += ran.cameras
    lines += [f"{path}: {reason}" for path, reason in ran.links]
    return "\n".join(map(plain, lines))

"""What is done once: fold the photos in the folders, make the maps, write the copies.

A folder that is not there does not keep the others waiting, nor does one that cannot be
written to; what could not be done is said at the end, and by the exit code.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.cli import status_text, tables
from hotpixeld.cli.progress import with_progress
from hotpixeld.cli.status_text import former_copies
from hotpixeld.config import camera_names
from hotpixeld.defect import Kind, shows
from hotpixeld.detection import lives
from hotpixeld.engine import bodies, repair_pass
from hotpixeld.engine.session import Session, in_order, state_errors
from hotpixeld.engine.workers import to_nobody
from hotpixeld.errors import HotpixeldError, said, why
from hotpixeld.messages import EventKind, counted, plain
from hotpixeld.report.writing import write_report
from hotpixeld.service import reasons, status_file
from hotpixeld.store.events import NAMED, new_id
from hotpixeld.store.paths import tally
from hotpixeld.watch import survey
from hotpixeld.watch import walk as watch_walk
from hotpixeld.watch.settling import Tracker
from hotpixeld.watch.walk import Closed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from distributed import Client

    from hotpixeld.cli.progress import Show
    from hotpixeld.config.model import Config, Folder
    from hotpixeld.files import Signature
    from hotpixeld.repair.pixel_list import ListedPixel
    from hotpixeld.store.images import CameraRecord
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
COPY_WORDS = repair_pass.COPY_WORDS | {
    "removed": "removed: nothing left to repair",
    "tidied": "removed from a former place",
    "foreign": "left alone: another file is in the place",
    "refused": "not written: the photo cannot be repaired",
}
"""What became of copies in this run, in the words of its summary."""


REPORT = "`{program} report{options}` shows each defect in photos, before and after"


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
    places : list of Path
        Where copies go.
    cameras : list of str
        A line about each.
    unused : list of (str, str, bytes)
        Outcome, reason and path of each photo of this run that was not used.
    report : Path or None
        The report that was written.
    next : str
        What to do now.
    closed, links : list of Closed
        Folders that could not be used, with why, and links that are not followed.
    faults : list of str
        What else could not be done.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    written: int = 0
    former: list[str] = field(default_factory=list)
    places: list[Path] = field(default_factory=list)
    cameras: list[str] = field(default_factory=list)
    unused: list[tuple[str, str, bytes]] = field(default_factory=list)
    report: Path | None = None
    next: str = ""
    closed: list[Closed] = field(default_factory=list)
    links: list[Closed] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def undone(self) -> list[str]:
        """Return what could not be done, why, and what to do about it."""
        return [f"{path}: {reason}" for path, reason in self.closed] + self.faults


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
    with Session(config, folder, jobs, to_nobody) as session, _recorded(session, ran):
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
    with Session(config, folder, jobs, to_nobody) as session, _recorded(session, ran):
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
    jobs = copies.jobs(client)
    with Session(config, folder, jobs, to_nobody) as session, _recorded(session, ran):
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
    _tell(session.ledger, session.config, ran)
    with session.ledger.transaction():
        closed = [*ran.closed, *ran.links]
        session.ledger.folder_faults.replace(closed, session.config.places)
    ran.written = session.ledger.copies.written()
    ran.former += former_copies(status_file.former_copies(session.ledger))
    _report(session.ledger, session.config, ran)
    ran.outcomes, ran.copies = +ran.outcomes, +ran.copies


@contextlib.contextmanager
def _recorded(session: Session, ran: Ran) -> Iterator[None]:
    """Record the events that a run began, and how it ended."""
    events, transaction, run = (
        session.ledger.events,
        session.ledger.transaction,
        new_id(),
    )
    with transaction():
        events.record(EventKind.RUN_STARTED, "a run began", run=run)
    try:
        yield
    except (HotpixeldError, OSError) as error:
        with contextlib.suppress(HotpixeldError), transaction():
            words = said(error) if isinstance(error, OSError) else str(error)
            undone = [plain(words)]
            message = f"a run failed: {words}"
            events.record(
                EventKind.RUN_FINISHED, message, run=run, ok=False, undone=undone
            )
        raise
    photos = _numbers(_ordered(ran.outcomes), OUTCOME_WORDS) or "nothing new"
    copies = _numbers(ran.copies, COPY_WORDS) or "none written"
    message = f"a run is done: photos: {photos}; copies: {copies}"
    if ran.undone:
        message += f"; not done: {'; '.join(ran.undone[:NAMED])}"
    with transaction():
        events.record(
            EventKind.RUN_FINISHED,
            message,
            run=run,
            ok=not ran.undone,
            photos=dict(ran.outcomes),
            copies=dict(ran.copies),
            undone=[plain(one) for one in ran.undone[:NAMED]],
        )


def _take(session: Session, photos: list[Path], ran: Ran, show: Show) -> None:
    """Take new photos to their place in the ledger."""
    outcomes: Counter[str] = Counter()
    unusable = 0
    taken = session.take(photos, once=True, ordered=True)
    for done in show(taken, len(photos), "reading"):
        outcomes[done.outcome] += 1
        unusable += done.unusable
        if done.outcome in {"failed", "skipped", "waiting"}:
            ran.unused.append((done.outcome, done.reason, os.fsencode(done.path)))
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
        if done.outcome == "failed":
            ran.unused.append((done.outcome, done.reason, os.fsencode(done.path)))
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


def _shown(listed: list[ListedPixel]) -> str:
    """Return in words how many defects there are, when they show, and by which list."""
    others = tables.from_others(listed)
    own = [one for one in listed if not one.prior]
    return ", ".join(filter(None, (_own(own) if own or not others else "", others)))


def _own(listed: Iterable[ListedPixel]) -> str:
    """Return in words how many defects a camera's own list has, and when they show."""
    there = [one for one in listed if one.defect.until is None and not one.ignored]
    conditions: Counter[str] = Counter()
    for one in there:
        if not one.is_certain:
            conditions["not certain yet"] += 1
        elif words := shows(one.defect):
            is_always = words == "always"
            conditions["always visible" if is_always else f"only {words}"] += 1
    sometimes = [words for words in conditions if words.startswith("only ")]
    if len(sometimes) > 1:
        conditions["only at longer exposures or higher ISO"] = sum(
            conditions.pop(words) for words in sometimes
        )
    kinds = {one.defect.kind for one in there}
    what = "hot pixel" if kinds == {Kind.HOT} else "defect"
    found = counted(lives.places(one.defect for one in there), what)
    if len(conditions) == 1 and conditions.total() == len(there):
        (words,) = conditions
        return f"{found}, {'' if len(there) == 1 else 'all '}{words}"
    if not conditions:
        return found
    order = "always", "only", "not"
    ranked = sorted(conditions, key=lambda words: order.index(words.split()[0]))
    parts = ", ".join(f"{conditions[words]} {words}" for words in ranked)
    return f"{found}: {parts}"


def _camera(ledger: Ledger, config: Config, record: CameraRecord) -> tuple[str, int]:
    """Return what there is to say of a camera, and how many photos it lacks for a map."""
    listed = bodies.listing(ledger, config, record.camera)
    if ledger.images.is_dropped(record):
        return f"dropped to its list, {_shown(listed)}", 0
    photos = record.photos + ledger.images.counts(record.camera.id)["pending"]
    wanted = config.detection.min_photos
    if record.mapped or photos >= wanted:
        return f"{counted(photos, 'photo')}, {_shown(listed)}", 0
    words = status_text.needed(photos, wanted)
    return (f"{words}, {_shown(listed)}" if listed else words), wanted - photos


def _tell(ledger: Ledger, config: Config, ran: Ran) -> None:
    """Note what there is to say of each camera, and what to do next."""
    records = sorted(ledger.images.cameras(), key=lambda one: -one.photos)
    names = camera_names.names([one.camera for one in records], config)
    ran.places += [folder.repaired for folder in config.folders]
    lacking = []
    for record in records:
        words, lacks = _camera(ledger, config, record)
        ran.cameras.append(f"{names[record.camera.id]}: {words}")
        if lacks:
            lacking.append(lacks)
    if len(lacking) < len(records):
        ran.next = REPORT
    elif lacking:
        ran.next = f"add {counted(min(lacking), 'photo')} or more, then run this again"
    else:
        ran.next = "name a folder with photos as the camera wrote them"


def _report(ledger: Ledger, config: Config, ran: Ran) -> None:
    """Write the report, if one is configured."""
    if config.report is None:
        return
    records = list(ledger.images.cameras())
    try:
        write_report(config.report, ledger, config, records)
    except (HotpixeldError, OSError) as error:
        words = said(error) if isinstance(error, OSError) else str(error)
        ran.faults.append(f"the report is not made: {words}")
    else:
        ran.report = config.report


def _numbers(counts: Counter[str], words: Mapping[str, str]) -> str:
    """Return the counts on one line."""
    return ", ".join(
        f"{count:,} {words.get(what, what)}" for what, count in counts.items()
    )


def _ordered(outcomes: Counter[str]) -> Counter[str]:
    """Return the outcomes with what was learned first, and what went wrong last."""
    order = "earlier", "folded", "again", "known", "duplicate", "pending"
    ranks = {outcome: rank for rank, outcome in enumerate(order)}
    ranked = sorted(outcomes.items(), key=lambda one: (ranks.get(one[0], 9), one[0]))
    return Counter(dict(ranked))


def _up_to(lines: list[str], most: int, what: str) -> list[str]:
    """Return the lines, or some of them and how many more of what there are."""
    if len(lines) <= most:
        return lines
    shown = lines[: most - 1]
    more = f"and {len(lines) - len(shown):,} more" if shown else f"{len(lines):,}"
    return [*shown, f"{more} {what}: `hotpixeld status` tells of them"]


def _unused(ran: Ran) -> Iterator[str]:
    """Yield why photos were not used, a line for each reason."""
    for reason in reasons.by_kind(tally(ran.unused, reasons.EXAMPLES)):
        names = [Path(one.path).name for one in reason.examples]
        which = f" ({names[0]})" if reason.count == 1 else ""
        yield f"{reason.count:,} {reason.outcome}{which}: {reason.words}"


def _where(places: list[Path]) -> str:
    """Return in words where copies are."""
    first, *others = dict.fromkeys(places)
    return f"in {first}" + (
        f" and {counted(len(others), 'other folder')}" if others else ""
    )


def program() -> str:
    """Return this program as a shell finds it: by its name, or as it was called.

    In a checkout, README's ``.venv/bin/hotpixeld`` is not on the shell's path.
    """
    name, called = "hotpixeld", sys.argv[0]
    if Path(called).name != name or shutil.which(name):
        return name
    return shlex.quote(called)


def summary(ran: Ran, options: str = "") -> str:
    """Return in at most 14 lines what a run did and found, but for its faults.

    Parameters
    ----------
    options : str
        Of this run, that the next command needs, too.
    """
    photos = _numbers(_ordered(ran.outcomes), OUTCOME_WORDS) or "nothing new"
    copies = _numbers(ran.copies, COPY_WORDS) or "none written"
    in_all = f"{counted(ran.written, 'copy')} in all"
    where = f", {_where(ran.places)}" if ran.written and ran.places else ""
    lines = [f"photos: {photos}", f"copies: {copies}; {in_all}{where}"]
    lines += _up_to(ran.former, 1, "former places of copies")
    lines += _up_to(ran.cameras, 4, "cameras")
    lines += _up_to(list(_unused(ran)), 4, "reasons")
    lines += _up_to(
        [f"{path}: {reason}" for path, reason in ran.links], 1, "links not followed"
    )
    if ran.report:
        lines.append(f"report: {ran.report}: open it in a browser")
    elif ran.next:
        lines.append(f"next: {ran.next.format(program=program(), options=options)}")
    if ran.unused:
        lines.append(
            f"`{program()} status{options}` says what to do about unused photos"
        )
    return "\n".join(map(plain, lines))

"""A session: one state folder, held by one daemon, with all that works on it.

The folder is locked for as long as the session is open; a second daemon is refused.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import time
from typing import TYPE_CHECKING, Self

from hotpixeld.engine import copy_places
from hotpixeld.engine.copy_writer import as_found
from hotpixeld.engine.learning import Learning
from hotpixeld.engine.maps import Maps
from hotpixeld.engine.memory import Memory, share_one_heap
from hotpixeld.engine.output_folder import OutputFolder, place_of
from hotpixeld.engine.repair_pass import RepairPass
from hotpixeld.engine.sampling import JUDGED, EarlierPhotos
from hotpixeld.engine.workers import Workers
from hotpixeld.errors import StateError, said
from hotpixeld.files import make_folder, sweep
from hotpixeld.messages import counted
from hotpixeld.photo import metadata
from hotpixeld.store import migration, state_folder
from hotpixeld.store.ledger import Ledger
from hotpixeld.store.spool import BOUNDS, Spool
from hotpixeld.watch import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from pathlib import Path

    from hotpixeld.config.model import Config
    from hotpixeld.engine.repair_pass import Done, MakeCopy
    from hotpixeld.files import Signature

log = logging.getLogger(__name__)


Order = tuple[bool, tuple[str, ...], bool, dt.datetime, str, str]
"""A photo's place in a scan, see `in_order`; places compare as the photos do."""


def order_of(path: Path) -> Order:
    """Return a photo's place in a scan, by the start of its file; never raises."""
    body, captured = metadata.origin(path)
    when, parent = captured or dt.datetime.max, str(path.parent)
    return not any(body), body, captured is None, when, path.name, parent


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Return the paths of a scan camera by camera, each by capture time, then name.

    Each camera has a sequence of its own, and the states of many may not be in memory
    together.  Photos without a camera, or without a time, come last.
    """
    return [path for _, path in sorted((order_of(path), path) for path in paths)]


@contextlib.contextmanager
def state_errors(folder: Path) -> Iterator[None]:
    """Translate what the operating system refuses of the state folder.

    Raises
    ------
    StateError
    """
    try:
        yield
    except OSError as error:
        raise StateError(said(error, None if error.filename else folder)) from error


class Session:
    """All that works on one state folder; owned by one thread.

    Parameters
    ----------
    folder : Path
        The state folder; created, private, when missing.
    jobs : int
        Photos that are read, decoded and repaired at once.
    progress : callable
        Called whenever a step of work is done.
    wall : callable
        Seconds since the epoch.

    Raises
    ------
    StateError
        The state cannot be used; nothing was touched.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        jobs: int,
        progress: Callable[[], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        share_one_heap()
        self.folder = folder
        self._wall = wall
        self._jobs = jobs
        with state_errors(folder):
            make_folder(folder, mode=0o700)
            self._lock = state_folder.lock(folder)
            self.ledger = Ledger(state_folder.ledger_file(folder))
            self.ledger.hazards.open()
            self._spool = Spool(state_folder.spool(folder), *BOUNDS)
        self._workers = Workers(jobs, progress)
        self._upkeep = Workers(1, progress)
        self._use(config)
        try:
            with state_errors(folder):
                migration.migrate(self.ledger, progress)
                self._tidy()
                self.maps.publish_all()
                copy_places.follow(self.ledger, config)
        except Exception:
            self.close()
            raise

    def _tidy(self) -> None:
        """Remove what a crash left: unfinished files, generations never committed."""
        sweep(self.folder)
        self.learning.tidy()
        for copy in self.ledger.copies.unfinished():
            # A folder that is offline is left alone.
            with contextlib.suppress(OSError):
                output = OutputFolder(place_of(copy), self.config.limits.max_bytes)
                output.sweep(copy.target.parent)
                if not os.path.lexists(copy.source):  # nothing else will look at it
                    with self.ledger.transaction():
                        self.ledger.copies.record(as_found(copy, output))

    def _use(self, config: Config) -> None:
        ledger, jobs = self.ledger, self._jobs
        self.config = config
        memory = Memory(config.limits.memory, ledger.paths.largest(), jobs)
        earlier = EarlierPhotos(ledger, config.limits, jobs, memory)
        self.maps = Maps(ledger, config, earlier)
        self.learning = Learning(
            *(ledger, config, self.maps, self._upkeep, self._spool, self._wall)
        )
        self._repair_pass = RepairPass(
            *(ledger, config, self.maps, self._workers, self._spool, self._wall)
        )

    def progress(self) -> None:
        """Report progress, unless one of the threads beside this one hangs."""
        # `&`: both are checked.
        if self._workers.all_progressed() & self._upkeep.all_progressed():
            self._workers.progress()

    def reconfigure(self, config: Config) -> None:
        """Use another configuration from now on; a pass under way is given up."""
        self.learning.stop()
        self._use(config)
        self.maps.publish_all()
        copy_places.follow(self.ledger, config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the state folder; a pass under way is given up."""
        self.learning.stop()
        self._workers.close()
        self._upkeep.close()
        self.ledger.close()
        os.close(self._lock)

    def unknown(self, seen: Iterable[tuple[Path, Signature]]) -> list[Path]:
        """Return those of a walk that the ledger does not know as they are now."""
        news = self.ledger.paths.news(
            seen, lambda item: (item[0].parent, item[0].name, item[1])
        )
        return [path for path, _ in news]

    def changed(self, paths: Iterable[Path]) -> list[Path]:
        """Return those of `paths` that the ledger does not know as they are now."""
        changed = []
        for path in paths:
            record = self.ledger.paths.find(path)
            waits = record is None or record.outcome == "waiting"
            try:
                if waits or record is None or walk.stat_photo(path) != record.signature:
                    changed.append(path)
            except OSError:  # it cannot be looked at now: the reader will say why
                changed.append(path)
        return changed

    def fail(self, path: Path, reason: str) -> None:
        """Record that a photo that was waiting will not come any more."""
        known = self.ledger.paths.find(path)
        seen = known.signature if known else None
        with self.ledger.transaction():
            self.ledger.paths.record(path, "failed", reason=reason, signature=seen)
        log.warning("failed %s: %s", path, reason)

    def reset(self) -> None:
        """Go back to what is durable, after a write that failed."""
        self.learning.stop()
        self.ledger.renew_log()
        self._use(self.config)

    def take(
        self, paths: Iterable[Path], *, once: bool = False, ordered: bool = False
    ) -> Generator[Done]:
        """Take photos to their place in the ledger, and to their copies.

        Copies are made later where it is done `once`, and a photo that is cut short has
        failed.  They are taken `in_order`, or as they are if they are `ordered` already.
        """
        paths = list(paths) if ordered else in_order(paths)
        run = self._repair_pass.run
        yield from self._before_learning(
            run(paths, with_copies=not once, patient=not once)
        )

    def _before_learning(self, photos: Generator[Done]) -> Generator[Done]:
        """Have a pass rest at its borders while photos are repaired."""
        self.learning.yield_to_repairs(now=True)
        try:
            with contextlib.closing(photos):
                for done in photos:
                    self.progress()
                    yield done
        finally:
            self.learning.yield_to_repairs(now=False)

    def unrepaired(self, *, once: bool = False) -> list[tuple[Path, str]]:
        """Return the photos not yet checked against their camera's present pixel list.

        With the version of that list, for `repair`.  In a run that is done `once`, copies
        of a camera's first photos, as many as a map looks back on, are due, too, where
        their pixels would be repaired in another way now.
        """
        past = self.config.repair.past
        versions = {
            known.camera.id: self.maps.version(
                known.camera, with_fill=once and known.photos <= JUDGED
            )
            for known in self.ledger.images.cameras()
        }
        due = self.ledger.paths.to_repair(versions, past=past)
        marked = self._mark_unlisted(due, versions)
        folders = [folder.path for folder in self.config.folders]
        return [
            one
            for one in due
            if one[0] not in marked and any(map(one[0].is_relative_to, folders))
        ]

    def _mark_unlisted(
        self, due: list[tuple[Path, str]], versions: Mapping[str, str]
    ) -> set[Path]:
        """Mark as done, unread, photos without a copy whose cameras have no pixels to list."""
        if any(folder.unchanged != "skip" for folder in self.config.folders):
            return set()
        unlisted = {
            versions[known.camera.id]
            for known in self.ledger.images.cameras()
            if not self.maps.lists_any(known.camera)
        }
        marked = set()
        with self.ledger.transaction():
            for path, version in due:
                if version in unlisted and self.ledger.copies.find(path) is None:
                    self.ledger.paths.set_repaired_with(path, version)
                    marked.add(path)
        return marked

    def tidy_copies(self) -> Generator[Path]:
        """Remove copies at former places, where that is configured; yield each."""
        if not self.config.copies.tidy:
            return
        stay: list[str] = []
        max_bytes = self.config.limits.max_bytes
        for copy, reason in copy_places.tidied(self.ledger, max_bytes):
            self.progress()
            if not reason:
                yield copy.target
            else:
                stay.append(f"{copy.target}: {reason}")
        if stay:
            copies = counted(len(stay), "copy")
            log.warning("%s at former places not removed, such as %s", copies, stay[0])

    def make_copies_by(self, make_copy: MakeCopy) -> None:
        """Have other processes repair photos and prepare their copies."""
        self._repair_pass.make_copy = make_copy

    def repair(self, photos: Iterable[tuple[Path, str]]) -> Generator[Done]:
        """Check photos against their camera's present pixel list; write what changes."""
        yield from self._before_learning(self._repair_pass.repair(photos))

"""A session: one state folder, held by one daemon, with all that works on it.

The folder is locked for as long as the session is open; a second daemon is refused.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Self

from hotpixeld.engine.copy_writer import OutputFolder
from hotpixeld.engine.earlier_photos import JUDGED
from hotpixeld.engine.maps import MapQueue, Maps
from hotpixeld.engine.photos_under_way import Memory, Stages, share_one_heap
from hotpixeld.engine.pipeline import Pipeline
from hotpixeld.engine.sampling import Sampling
from hotpixeld.engine.states import States
from hotpixeld.engine.workers import Workers
from hotpixeld.errors import SkippedPhotoError
from hotpixeld.files import make_folder, sweep
from hotpixeld.photo import metadata
from hotpixeld.store import state_folder
from hotpixeld.store.ledger import Ledger
from hotpixeld.watch import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.engine.photos_under_way import Done
    from hotpixeld.files import Signature

log = logging.getLogger(__name__)

LOOK_BACK = 24
"""Earlier photos that a map looks at again while new ones come: the first map needs it."""
LOOK_BACK_ONCE = 48
"""The same at the end of a run that is done once."""
LISTED_ONCE = 32
"""In such a run suspects are listed after so many photos at the earliest: the rest are
sampled as they come, those that a verdict looks back on, and not once more at the end."""


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Return the paths of a scan camera by camera, each by capture time, then name.

    Each camera has a sequence of its own, and the states of many may not be in memory
    together.  Photos without a camera, or without a time, come last.
    """

    def key(path: Path) -> tuple[bool, tuple[str, ...], bool, dt.datetime, str, str]:
        body, captured = metadata.origin(path)
        when, parent = captured or dt.datetime.max, str(path.parent)
        return not any(body), body, captured is None, when, path.name, parent

    return [path for _, path in sorted((key(path), path) for path in paths)]


class Session:
    """All that works on one state folder; owned by one thread.

    Parameters
    ----------
    folder : Path
        The state folder; created, private, when missing.
    jobs : int
        Photos that are decoded and repaired at once.
    clock : callable
        Monotonic seconds.
    progress : callable
        Called whenever a step of work is done.

    Raises
    ------
    StateInUseError, LedgerError
        The state cannot be used; nothing was touched.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        jobs: int,
        clock: Callable[[], float],
        progress: Callable[[], None],
    ) -> None:
        share_one_heap()
        make_folder(folder, mode=0o700)
        self.folder = folder
        self._clock = clock
        self._jobs = jobs
        self._lock = state_folder.lock(folder)
        self.ledger = Ledger(state_folder.ledger_file(folder))
        self.ledger.hazards.open()
        self._workers = Workers(jobs, progress)
        self._upkeep = Workers(2, progress)  # a checkpoint beside a map
        try:
            self._use(config)
            self._tidy()
        except Exception:
            self.close()
            raise

    def _tidy(self) -> None:
        """Remove what a crash left: unfinished files, checkpoints never committed."""
        sweep(self.folder)
        self.states.tidy()
        for copy in self.ledger.copies.unfinished():
            # A folder that is offline, or not configured any more, is left alone.
            with contextlib.suppress(SkippedPhotoError, OSError):
                folder = self.config.folder_of(copy.source)
                OutputFolder(folder, self.config.limits.max_bytes).sweep(
                    copy.target.parent
                )

    def _use(self, config: Config) -> None:
        self.config = config
        self.memory = Memory(config.limits.memory)
        self.states = States(
            self.ledger, config, self.memory, self._upkeep, self._clock
        )
        frames = self.memory.frames
        sampling = Sampling(self.ledger, config, self._workers, self._jobs, frames)
        self._map_queue = MapQueue(self.memory, self._upkeep, self._jobs)
        self.maps = Maps(self.ledger, config, self.states, sampling, self.progress)
        stages = Stages(self._workers, self.memory, self._jobs)
        self._pipeline = Pipeline(self.ledger, config, self.states, self.maps, stages)

    def progress(self) -> None:
        """Report progress, unless one of the threads beside this one hangs."""
        # `&`: both are checked.
        if self._workers.all_progressed() & self._upkeep.all_progressed():
            self._workers.progress()

    def reconfigure(self, config: Config) -> None:
        """Use another configuration from now on, after a checkpoint of every camera."""
        self.states.save_all()
        self._use(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the state folder; call `States.save_all` before to keep all."""
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
        """Go back to what is durable and fold again what is pending."""
        self.ledger.renew_log()
        self._use(self.config)
        self.states.recover()

    def take(
        self, paths: Iterable[Path], *, once: bool = False, ordered: bool = False
    ) -> Generator[Done]:
        """Take photos to their outcomes, with the checkpoints that are due.

        Copies are written and maps are made as well, unless it is done `once`: then both
        come at the end, and a photo that is cut short has failed.  They are taken
        `in_order`, or as they are if they are `ordered` already.
        """
        paths = list(paths) if ordered else in_order(paths)
        with contextlib.closing(
            self._pipeline.run(paths, with_copies=not once, patient=not once)
        ) as under_way:
            for number, done in enumerate(under_way, 1):
                self.progress()
                yield done
                self.keep_up(once=once)
                if once and number == max(len(paths) - JUDGED, LISTED_ONCE):
                    self._list_suspects()
        self.memory.frames.trim()

    def keep_up(self, *, once: bool = False) -> None:
        """Take the checkpoints and make the maps that are due; no maps yet if `once`."""
        self.states.commit_written()
        for camera_id in self.states.due(self._clock(), once=once):
            self.states.begin_save(camera_id)
        if not once:
            for camera in self.maps.due():
                self._make(camera, LOOK_BACK)
        self._map_queue.step()

    @property
    def is_busy(self) -> bool:
        """Return whether a map or a checkpoint is being made, beside the photos."""
        return self._map_queue.is_busy or self.states.is_saving

    def make_maps(self) -> None:
        """Make the maps of all cameras that may have one, with more care, now."""
        for camera in list(self.maps.due(now=True)):
            self.make_map(camera, LOOK_BACK_ONCE)

    def make_map(self, camera: Camera, most: int) -> None:
        """Make a camera's map now, looking at `most` earlier photos again."""
        self._map_queue.finish()
        self._make(camera, most)
        self._map_queue.finish()

    def _make(self, camera: Camera, most: int) -> None:
        begin = partial(self.maps.make, camera.id, most)
        self._map_queue.add(camera.id, camera.width * camera.height, begin)

    def _list_suspects(self) -> None:
        for camera in self.maps.due(now=True):
            begin = partial(self.maps.list_suspects, camera.id)
            self._map_queue.add(camera.id, camera.width * camera.height, begin)

    def unrepaired(self) -> list[tuple[Path, str]]:
        """Return the photos not yet checked against their camera's present pixel list.

        With the version of that list, for `repair`.
        """
        past = self.config.repair.past
        versions = {
            known.camera.id: self.maps.version(known.camera)
            for known in self.ledger.images.cameras()
        }
        due = self.ledger.paths.to_repair(versions, past=past)
        marked = self._mark_unlisted(due, versions)
        return [one for one in due if one[0] not in marked]

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

    def repair(self, photos: Iterable[tuple[Path, str]]) -> Generator[Done]:
        """Check photos against their camera's present pixel list; write what changes."""
        with contextlib.closing(self._pipeline.repair(photos)) as under_way:
            for done in under_way:
                self.progress()
                yield done
        self.memory.frames.trim()

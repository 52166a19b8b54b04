"""The maps: made anew from the states when due, kept in the ledger and in map.yaml.

MapQueue maps while photos go on: a step at a time, one map at a time.

What a map reads of the state is read by the upkeep thread; the camera's frames wait to be
folded meanwhile, within the memory limit.  Earlier photos are sampled again between new
ones.  All that the ledger keeps is written by its own thread.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hotpixeld.config import map_yaml
from hotpixeld.config.model import is_largest
from hotpixeld.detection import lives, suspects
from hotpixeld.detection.score_test import scenes
from hotpixeld.engine.earlier_photos import Coverage
from hotpixeld.engine.sampling import evidence_of, nominate
from hotpixeld.files import make_folder, remove, write
from hotpixeld.messages import MessageId
from hotpixeld.repair import footprint
from hotpixeld.repair import pixel_list as repair_pixel_list
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Future

    from hotpixeld.engine.photos_under_way import Memory
    from hotpixeld.engine.workers import Workers

    MapSteps = Generator[Future[Any] | None, Any, None]
    """Yields a future and is sent its result, or yields None after a step of its own."""
    from collections.abc import Iterator, Sequence

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.defect import Defect
    from hotpixeld.detection.evidence import EvidenceTable
    from hotpixeld.engine.sampling import Sampling
    from hotpixeld.engine.states import States
    from hotpixeld.photo.metadata import Metadata
    from hotpixeld.repair.footprint import Footprint
    from hotpixeld.repair.pixel_list import PixelList
    from hotpixeld.statistics.welford import State
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)

STEPS_A_PHOTO = 3
"""Taken for every photo meanwhile: a map begun after 20 photos is made within 40."""
SEARCHES = 3
"""Steps of the search for the beginnings of defects, each time a map is made."""
VARIANCE_COUNT = 10
"""Pixels that the original method lists: it has no error rate to stop at."""
FEWEST_NEW, MOST_NEW = 8, 20
"""A map is due after 10 % more photos, at least and at most so many: a defect that begins
after a map is to be listed within 40, of which some come while it is made."""


Judged = tuple[list["Defect"], "Footprint | None", int, float]
"""Defects, how they show, of how many photos the state is, and of how many scenes."""


def is_due(photos: int, mapped: int, min_photos: int) -> bool:
    """Return whether a map is due.

    Parameters
    ----------
    photos, mapped : int
        Photos in the state now, and when the map was made last (0: never).

    >>> [is_due(photos, 16, 16) for photos in (16, 23, 24)]
    [False, False, True]
    """
    if photos < min_photos:
        return False
    return photos - mapped >= min(max(mapped // 10, FEWEST_NEW), MOST_NEW) or not mapped


def find(
    config: Config,
    camera: Camera,
    cameras: list[Camera],
    state: State,
    table: EvidenceTable,
    former: list[Defect],
) -> list[Defect]:
    """Return the defects of a camera, by the configured method.

    Parameters
    ----------
    cameras : list of Camera
        All that are known: a list without `size` is about the largest.
    table : EvidenceTable
    former : list of Defect
        The map before.
    """
    settings = config.detection
    ignored = config.ignored(camera, largest=is_largest(camera, cameras))
    if settings.method == "variance":
        found = suspects.lowest_variance(state, VARIANCE_COUNT)
        return [one for one in found if (one.row, one.col) not in ignored]
    if serviced := config.serviced(camera):
        table, former = table.since(serviced), lives.serviced(former, serviced)
    if len(table.photos) < settings.min_photos:
        return former
    needed = lives.scenes_needed(settings.min_photos)
    return lives.defects(state, table, ignored, former, needed)


def judge(
    config: Config,
    camera: Camera,
    cameras: list[Camera],
    table: EvidenceTable,
    former: list[Defect],
    state: State,
) -> Judged:
    """Return all that a map says."""
    found = find(config, camera, cameras, state, table, former)
    return (
        found,
        footprint.learn(state.mean, found),
        state.photos,
        scenes(table.controls),
    )


class MapQueue:
    """The map that is being made, and those that wait; used by one thread.

    Parameters
    ----------
    memory : Memory
        Gives room for one map at a time; without it, none is begun.
    upkeep : Workers
        The thread that does what `MapSteps` wait for.
    jobs : int
        Earlier photos that are decoded at once.
    """

    def __init__(self, memory: Memory, upkeep: Workers, jobs: int) -> None:
        self._memory = memory
        self._upkeep = upkeep
        self._jobs = jobs
        self._queue: dict[str, tuple[Callable[[], MapSteps], int]] = {}
        self._steps: MapSteps | None = None
        self._future: Future[Any] | None = None
        self._name = ""

    @property
    def is_busy(self) -> bool:
        """Return whether a map is being made or waits to be."""
        return bool(self._queue) or self._steps is not None

    def add(self, camera_id: str, pixels: int, begin: Callable[[], MapSteps]) -> None:
        """Make a map of a camera with so many pixels, unless that is under way."""
        if camera_id != self._name:
            self._queue.setdefault(camera_id, (begin, pixels))

    def step(self) -> None:
        """Take a few steps, if nothing has to be waited for.

        Raises
        ------
        OSError, HotpixeldError
            Of the map; it is dropped.
        """
        if self._steps is None and self._queue:
            self._begin()
        if self._steps is None or not self._has_room():
            return
        if inspect.getgeneratorstate(self._steps) == inspect.GEN_CREATED:
            self._memory.frames.trim()  # the map gets the memory that photos released
        steps = self._steps
        for _ in range(STEPS_A_PHOTO):
            waits = self._future is not None and not self._future.done()
            if waits or self._steps is not steps:
                break
            self._go_on(steps)

    def finish(self) -> None:
        """Make all maps that are to be made, to their ends."""
        while self.is_busy:
            if self._future is not None:
                self._upkeep.wait(self._future)
            self.step()

    def _begin(self) -> None:
        self._name, (begin, pixels) = next(iter(self._queue.items()))
        del self._queue[self._name]
        # Reserved first: as photos end they make room, and no others begin in it.
        self._memory.reserve_for_map(pixels, self._jobs)
        self._steps = begin()

    def _has_room(self) -> bool:
        """Return whether the photos under way leave room for the map by now."""
        return self._memory.is_within_limit() or not self._memory.under_way

    def _go_on(self, steps: MapSteps) -> None:
        """Run the map to its next wait, or to its end."""
        future, self._future = self._future, None
        try:
            result = None if future is None else future.result()
            self._future = steps.send(result)
        except StopIteration:
            self._end()
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        self._steps, self._name = None, ""
        self._memory.reserve_for_map(0, 0)
        self._memory.frames.trim()


class Maps:
    """The maps of all cameras; used by one thread.

    Attributes
    ----------
    made : int
        Maps made so far.
    last : str
        The one made last, in a few words.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        states: States,
        sampling: Sampling,
        progress: Callable[[], None],
    ) -> None:
        self._progress = progress
        self._sampling = sampling
        self._ledger = ledger
        self._config = config
        self._states = states
        self._versions: dict[str, str] = {}
        self._footprints: dict[str, Footprint | None] = {}
        self.made = 0
        self.last = ""

    def _cameras(self) -> list[Camera]:
        return [record.camera for record in self._ledger.images.cameras()]

    def due(self, *, now: bool = False) -> Iterator[Camera]:
        """Yield the cameras whose map is due; with `now`, all that may have one."""
        least = self._config.detection.min_photos
        for record in self._ledger.images.cameras():
            photos = self._states.photos(record.camera.id)
            if photos >= least and (now or is_due(photos, record.mapped, least)):
                yield record.camera

    def list_suspects(self, camera_id: str) -> MapSteps:
        """List the suspects of a camera, so that they are sampled; as `make`."""
        found = yield self._states.read(camera_id, nominate)
        self._sampling.renew(camera_id, found, self._ledger.defects.of(camera_id))

    def make(self, camera_id: str, most: int) -> MapSteps:
        """Make a camera's map from its state and the evidence, and publish it.

        In steps: see `MapSteps`.

        Parameters
        ----------
        most : int
            Earlier photos to sample again, from their files, at the most.

        Raises
        ------
        OSError, LedgerError
            It cannot be written.
        """
        record = self._ledger.images.camera(camera_id)
        if record is None:
            return
        former = self._ledger.defects.of(camera_id)
        # What comes meanwhile is for the next map.
        begun_at = self._states.photos(camera_id)
        if self._config.detection.method == "variance":
            judged = yield self._judge(record.camera, former)
        else:
            yield from self.list_suspects(camera_id)
            yield from self._sample_again(
                record.camera, partial(Coverage.to_judge, most=most)
            )
            judged = yield self._judge(record.camera, former)
            for _ in range(SEARCHES):
                to_date = partial(Coverage.to_date, defects=judged[0])
                if not (yield from self._sample_again(record.camera, to_date)):
                    break
                judged = yield self._judge(record.camera, former)
        found, learned, photos, scenes = judged
        # The file first: a crash in between leaves the map due, and both are made again.
        self._publish(record.camera, found, photos)
        self._keep(camera_id, learned)
        with self._ledger.transaction():
            self._ledger.defects.replace(camera_id, found)
            self._ledger.images.set_mapped(camera_id, begun_at, scenes)
        self._versions.pop(camera_id, None)
        self.made += 1
        self.last = f"{camera_id}, {len(found)} defects"
        self._log(camera_id, former, found)

    def _sample_again(
        self, camera: Camera, which: Callable[[Coverage], Sequence[Image]]
    ) -> Generator[None, None, int]:
        """Sample some of the newest photos again; return how many could be."""
        chosen = which(Coverage.of(self._ledger, camera))
        return (yield from self._sampling.sample_again(camera, chosen, self._progress))

    def _judge(self, camera: Camera, former: list[Defect]) -> Future[Judged]:
        """Have the upkeep thread judge the camera's suspects."""
        table, cameras = evidence_of(self._ledger, camera), self._cameras()
        work = partial(judge, self._config, camera, cameras, table, former)
        return self._states.read(camera.id, work)

    def _publish(self, camera: Camera, found: list[Defect], photos: int) -> None:
        path = state_folder.map_file(self._ledger.folder, camera.id)
        make_folder(path.parent)
        write(path, map_yaml.dump(camera, found, photos=photos).encode())

    def _keep(self, camera_id: str, learned: Footprint | None) -> None:
        """Keep the camera's own footprint; None where the usual ones hold it."""
        path = state_folder.footprint_file(self._ledger.folder, camera_id)
        if learned is not None:
            write(path, learned.to_json().encode())
        elif path.exists():
            remove(path)
        self._footprints[camera_id] = learned

    def _footprint(self, camera_id: str) -> Footprint | None:
        """Return what was learned of the camera's footprints."""
        if camera_id not in self._footprints:
            path = state_folder.footprint_file(self._ledger.folder, camera_id)
            try:
                learned = footprint.Footprint.from_json(path.read_text())
            except FileNotFoundError:
                learned = None
            except (OSError, ValueError) as error:
                log.warning("learned footprint is not used: %s: %s", path, error)
                learned = None
            self._footprints[camera_id] = learned
        return self._footprints[camera_id]

    def _log(self, camera_id: str, former: list[Defect], found: list[Defect]) -> None:
        """Log the map in one line, and every defect that came or went."""
        before = {(defect.row, defect.col): defect for defect in former}
        now = {(defect.row, defect.col): defect for defect in found}
        log.info(
            "map of %s: %d defects",
            camera_id,
            len(now),
            extra={"MESSAGE_ID": MessageId.MAP_WRITTEN, "CAMERA": camera_id},
        )
        new = [("new", now[site]) for site in now.keys() - before.keys()]
        gone = [("gone", before[site]) for site in before.keys() - now.keys()]
        for what, defect in new + gone:
            found_id, gone_id = MessageId.DEFECT_FOUND, MessageId.DEFECT_GONE
            log.info(
                "%s defect of %s: %s pixel at %d,%d",
                what,
                camera_id,
                defect.kind,
                defect.x,
                defect.y,
                extra={
                    "MESSAGE_ID": found_id if what == "new" else gone_id,
                    "CAMERA": camera_id,
                    "PIXELS": f"{defect.x},{defect.y}",
                },
            )

    def listed_for(self, camera: Camera, taken: Metadata) -> PixelList:
        """Return what may be repaired in a photo of `camera`; see `repair.pixel_list`."""
        detected = self._ledger.defects.of(camera.id)
        listed = repair_pixel_list.repairable(
            self._config, camera, self._cameras(), detected, taken
        )
        return replace(listed, footprint=self._footprint(camera.id))

    def lists_any(self, camera: Camera) -> bool:
        """Return whether any pixel of a camera might be repaired, in whatever photo."""
        which, entries = self._config.repair.pixels, self._config.camera_entries(camera)
        listed = which != "detected" and any(entry.pixels for entry in entries)
        certain = any(map(suspects.is_certain, self._ledger.defects.of(camera.id)))
        return listed or (which != "configured" and certain)

    def version(self, camera: Camera) -> str:
        """Return the version of a camera's pixel list: it changes when the list does."""
        if camera.id not in self._versions:
            detected = self._ledger.defects.of(camera.id)
            self._versions[camera.id] = repair_pixel_list.version(
                self._config, camera, detected
            )
        return self._versions[camera.id]

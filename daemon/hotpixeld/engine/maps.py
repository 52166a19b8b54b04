"""The maps: each made from a generation, the samples and the map before; kept, published.

`make` is a function in a thread that has no ledger.  What it returns is kept by the thread
that has one, in the ledger, in map.yaml and in the learned footprint.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import files
from hotpixeld.camera import Bin
from hotpixeld.config import camera_names, map_yaml
from hotpixeld.config.model import is_largest
from hotpixeld.defect import Defect
from hotpixeld.detection import dark_frames, gate, lives, registration, suspects
from hotpixeld.detection.dark_frames import Outcome
from hotpixeld.detection.evidence import SampledPhoto, Suspects
from hotpixeld.detection.lens_correction import NOWHERE
from hotpixeld.detection.score_test import scenes
from hotpixeld.detection.sensor_trace import SensorTrace
from hotpixeld.engine import bodies, footprints
from hotpixeld.engine.bodies import Learned
from hotpixeld.engine.sampling import JUDGED, Coverage, Evidence
from hotpixeld.errors import said
from hotpixeld.files import make_folder, write
from hotpixeld.messages import EventKind, MessageId, counted
from hotpixeld.repair import pixel_list as repair_pixel_list
from hotpixeld.repair.pixel_list import not_ignored
from hotpixeld.store import generation_files, state_folder
from hotpixeld.store.events import NAMED
from hotpixeld.store.paths import joined_version, split_version

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.defect import Prior
    from hotpixeld.detection.evidence import EvidenceTable
    from hotpixeld.detection.lens_correction import Corrections
    from hotpixeld.engine.sampling import EarlierPhotos
    from hotpixeld.photo.metadata import Metadata
    from hotpixeld.repair.pixel_list import PixelList
    from hotpixeld.repair.shape import Footprints
    from hotpixeld.statistics.contrast import FixedPoint
    from hotpixeld.statistics.generation import State
    from hotpixeld.store.images import CameraRecord, Image
    from hotpixeld.store.ledger import Ledger
    from hotpixeld.store.primed import PrimedPixel

    Pixels = tuple[tuple[int, int], ...]
    Site = tuple[int, int]

log = logging.getLogger(__name__)

SEARCHES = 3
"""Steps of the search for the beginnings of defects, each time a map is made."""
LOOK_BACK = 24
"""Earlier photos that a map looks at again while new ones come: the first map needs it."""
VARIANCE_COUNT = 10
"""Pixels that the original method lists: it has no error rate to stop at."""
SHOWN = 10
"""Pixels that are named in the sentence about a map."""


@dataclass(frozen=True, slots=True)
class MapTask:
    """What a map is made from.

    Attributes
    ----------
    config : Config
    ignored : set of (row, col)
        Sound, whatever is detected there.
    generation : Path
        Its folder.
    known : Evidence
    files : mapping of int to list of Path
        Where the photos of `known` are, by image id.
    former : list of Defect
        The map before.
    footprints : Footprints
        What was learned with it.
    priors : tuple of Prior
        What other sizes of its body list, and dark frames have shown.
    primed : list of PrimedPixel
        All that dark frames have shown.
    look_back : int
        Earlier photos to sample again before the verdict; `JUDGED` is all that lack any
        suspect.
    """

    config: Config
    ignored: set[tuple[int, int]]
    generation: Path
    known: Evidence
    files: Mapping[int, list[Path]]
    former: list[Defect]
    footprints: Footprints
    priors: tuple[Prior, ...]
    primed: list[PrimedPixel]
    look_back: int

    @property
    def camera(self) -> Camera:
        """Return the camera."""
        return self.known.camera


@dataclass(frozen=True, slots=True)
class MadeMap:
    """A map, and what else came of making it.

    Attributes
    ----------
    task : MapTask
    defects : list of Defect
    footprints : Footprints
        How they show.
    photos : int
        In the generation.
    scenes : float
        Different ones among the newest photos.
    suspects : Suspects or None
        The new list; None where the method has none.
    sampled : list of SampledPhoto
        At that list, from their files.
    suppressed : mapping of int to bool
        Whether a photo shows none of the defects that it should, by image id.
    is_complete : bool
        The newest photos were all sampled at all suspects.
    primed : mapping of (row, col) to Outcome
        What the photos say of what dark frames have shown, there.
    """

    task: MapTask
    defects: list[Defect]
    footprints: Footprints
    photos: int
    scenes: float
    suspects: Suspects | None
    sampled: list[SampledPhoto]
    suppressed: dict[int, bool]
    is_complete: bool
    primed: dict[Site, Outcome]


def find(
    config: Config,
    camera: Camera,
    state: State,
    table: EvidenceTable,
    former: list[Defect],
) -> list[Defect]:
    """Return the defects of a camera, by the configured method, the ignored ones as well.

    Parameters
    ----------
    table : EvidenceTable
    former : list of Defect
        The map before.
    """
    settings = config.detection
    if settings.method == "variance":
        return suspects.lowest_variance(state, VARIANCE_COUNT)
    needed = lives.scenes_needed(settings.min_photos)

    def judged(
        part: EvidenceTable, known: list[Defect], service: dt.datetime | None = None
    ) -> list[Defect]:
        if len(part.photos) < settings.min_photos:
            return known
        return lives.defects(state, part, known, needed, service)

    if (when := config.serviced(camera)) is None:
        return judged(table, former)
    earlier, later = lives.at_service(former, when)
    past = lives.still_ended(judged(table.before(when), earlier), former, when)
    return judged(table.since(when), past + later, when)


def _settings(config: Config, camera: Camera) -> str:
    """Return what a change of makes another map of the same photos."""
    detection, when = config.detection, config.serviced(camera)
    serviced = when.isoformat() if when else "never"
    return f"{detection.method}, {detection.min_photos} photos, serviced {serviced}"


def _corrections(
    task: MapTask, state: State, scratch: Callable[[int, int], FixedPoint]
) -> Corrections:
    """Return the lens corrections that the state shows now.

    A map that is made afresh owes nothing to those before but the reference.
    """
    before, bins = task.known.suspects.corrections, state.bins
    if _is_afresh(task, state.photos) and before.reference in (None, *bins):
        others = {one: known for one, known in before.of.items() if one not in bins}
        before = replace(before, of=others, why={})
    return registration.corrections(bins, before, scratch)


def _new_suspects(
    task: MapTask, state: State, at_step: Callable[[], None]
) -> tuple[Suspects, State]:
    """Return the suspects that the state shows now, after what is in the map.

    And the state with the trace that they stand out of.
    """

    def scratch(height: int, width: int) -> FixedPoint:
        at_step()
        return files.scratch(task.generation, height, width)

    before = task.known.suspects
    corrections = _corrections(task, state, scratch)
    if corrections.move and any(one in corrections.of for one in state.bins):
        state = replace(state, trace=SensorTrace.of(state.bins, corrections))
    if state.trace is None:
        raise AssertionError("a generation has a trace")
    sites = suspects.nominated(state, state.trace, scratch)
    expected = [suspects.strongest(state.trace, one.places) for one in task.priors]
    sites = np.concatenate([np.array(expected, np.intp).reshape(-1, 2), sites])
    if corrections.have_sites_of(before.corrections):
        known = [(one.row, one.col) for one in task.former]
        sites = np.concatenate([np.array(known, np.intp).reshape(-1, 2), sites])
    at_step()
    listed = Suspects(before.version + 1, suspects.distinct(sites), corrections)
    return listed, state


def _to_judge(task: MapTask, known: Evidence) -> list[Image]:
    """Return the photos to sample again before the verdict."""
    coverage = Coverage.of(known, len(task.former))
    if task.look_back == JUDGED:
        return coverage.all()
    return coverage.to_judge(task.look_back)


def _is_afresh(task: MapTask, photos: int) -> bool:
    """Return whether a map of so many photos needs nothing of the map before.

    All of them are sampled, so that it says nothing that they do not; and the same photos
    give the same map, whichever way they came.
    """
    return task.look_back == JUDGED and photos == len(task.known.photos)


def make(task: MapTask, earlier: EarlierPhotos, at_step: Callable[[], None]) -> MadeMap:
    """Make a map.

    Parameters
    ----------
    earlier : EarlierPhotos
        Samples photos again.
    at_step : callable
        Called for each of these and between other steps; what it raises ends the making.

    Raises
    ------
    CheckpointError
        The generation is missing or damaged.
    """
    state = generation_files.opened(task.generation)
    if _is_afresh(task, state.photos):
        made = _made(replace(task, former=[]), state, earlier, at_step)
        if made.is_complete:
            return replace(made, task=task)
    return _made(task, state, earlier, at_step)


def _searched(
    task: MapTask,
    known: Evidence,
    state: State,
    former: list[Defect],
    earlier: EarlierPhotos,
    at_step: Callable[[], None],
) -> tuple[list[Defect], list[SampledPhoto]]:
    """Return the defects, by earlier photos too, and what was sampled of these.

    First what the verdict lacks, then step by step where defects may have begun.
    """
    found, again, chosen = former, list[SampledPhoto](), _to_judge(task, known)
    for search in range(SEARCHES + 1):
        wanted = [(image, task.files[image.id]) for image in chosen]
        sampled = earlier.sample(wanted, known, at_step)
        if search and not sampled:
            break
        again += sampled
        known = known.with_samples(sampled)
        found = find(task.config, task.camera, state, known.table(), former)
        chosen = Coverage.of(known, len(former)).to_date(found)
    return found, again


def _made(
    task: MapTask,
    state: State,
    earlier: EarlierPhotos,
    at_step: Callable[[], None],
) -> MadeMap:
    """Make a map that continues the one before."""
    known, new, again, is_same_site = task.known, None, list[SampledPhoto](), True
    if task.config.detection.method == "variance":
        found = find(task.config, task.camera, state, known.table(), task.former)
    else:
        new, state = _new_suspects(task, state, at_step)
        is_same_site = new.corrections.have_sites_of(known.suspects.corrections)
        former = task.former if is_same_site else []  # places that are no sensor sites
        known = known.at(new)
        found, again = _searched(task, known, state, former, earlier, at_step)
        known = known.with_samples(again)
    corrections, table = known.suspects.corrections, known.table()
    if corrections.move:  # it is told by places, not by focal lengths
        found = [replace(one, focal=None) for one in found]
    various, needed = scenes(table.controls), task.config.detection.min_photos
    # Where dark frames' pixels were looked for, they lie no longer: the next map denies.
    may_deny = is_same_site and state.photos >= needed
    may_deny = may_deny and various >= lives.scenes_needed(needed)
    ids = [photo.image for photo in table.photos]
    return MadeMap(
        task=task,
        defects=found,
        footprints=footprints.learned(
            task, found, state.photos, corrections, earlier, at_step
        ),
        photos=state.photos,
        scenes=various,
        suspects=new,
        sampled=again,
        suppressed=dict(zip(ids, gate.suppressed(table, found).tolist(), strict=True)),
        is_complete=not Coverage.of(known, 0).all(),
        primed=_primed(task, known.suspects, table, found, may_deny=may_deny),
    )


def _primed(
    task: MapTask,
    listed: Suspects,
    table: EvidenceTable,
    found: list[Defect],
    *,
    may_deny: bool,
) -> dict[Site, Outcome]:
    """Return what the photos say of what dark frames have shown."""
    outcomes: dict[Site, Outcome] = {}
    for one in task.primed:
        site = bodies.site(one, listed.corrections, task.camera)
        if site is not None and one.outcome in {Outcome.OPEN, Outcome.LONGER}:
            pixel = replace(one.pixel, row=site[0], col=site[1])
            word = dark_frames.outcome(pixel, table, found, may_deny=may_deny)
            outcomes[one.pixel.frame] = word
    return outcomes


def _there(
    defects: list[Defect], ignored: set[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Return the (x, y) of defects that have not ended, without the ignored ones."""
    return {(one.x, one.y) for one in not_ignored(defects, ignored) if not one.until}


def _is_inside(defect: Defect, camera: Camera) -> bool:
    """Return whether a sensor site lies in the frame of the reference bin."""
    return 0 <= defect.row < camera.height and 0 <= defect.col < camera.width


class Maps:
    """The maps of all cameras; used by one thread.

    Attributes
    ----------
    earlier : EarlierPhotos
    made : int
        Maps made so far.
    last : str
        The one made last, in a few words.
    """

    def __init__(self, ledger: Ledger, config: Config, earlier: EarlierPhotos) -> None:
        self._ledger = ledger
        self._config = config
        self.earlier = earlier
        self._versions: dict[tuple[Camera, tuple[Camera, ...]], str] = {}
        self._learned: dict[str, Learned] = {}
        self.made = 0
        self.last = ""

    def _cameras(self) -> list[Camera]:
        return [record.camera for record in self._ledger.images.cameras()]

    def _ignored(self, camera: Camera) -> set[tuple[int, int]]:
        largest = is_largest(camera, self._cameras())
        return self._config.ignored(camera, largest=largest)

    def _ignored_in(
        self, camera: Camera, corrections: Corrections, taken: Metadata
    ) -> set[tuple[int, int]]:
        """Return the row, col of the pixels of a photo that are to be ignored."""
        where, size = Bin.of(taken.lens, taken.focal_mm), (camera.height, camera.width)
        sites = np.array(list(self._ignored(camera)), np.intp).reshape(-1, 2)
        places = corrections.places(sites, where, size).tolist()
        return {(row, col) for row, col in places if row != NOWHERE}

    def is_stale(self, record: CameraRecord) -> bool:
        """Return whether a map is of other photos than the state, or by other settings."""
        settings = _settings(self._config, record.camera)
        return record.mapped != record.photos or record.mapped_by != settings

    def task(self, record: CameraRecord, look_back: int) -> MapTask:
        """Return what the map of a camera is made from; see `MapTask`."""
        camera = record.camera
        known = Evidence.of(self._ledger, camera)
        folder = state_folder.camera_folder(self._ledger.folder, camera.id)
        return MapTask(
            self._config,
            self._ignored(camera),
            generation_files.folder_of(folder, record.generation),
            known,
            {one.id: self.earlier.files(one) for one in known.photos},
            self._ledger.defects.of(camera.id),
            self._learned_of(camera).footprints,
            bodies.priors(self._ledger, self._config, camera),
            self._ledger.primed.of(camera.id),
            look_back,
        )

    def keep(self, made: MadeMap) -> None:
        """Publish a map and keep it in the ledger, with all that came of making it.

        Raises
        ------
        OSError, LedgerError
            It cannot be written.
        """
        camera, ignored = made.task.camera, self._ignored(made.task.camera)
        # The file first: a crash in between leaves the map due, and both are made again.
        path, text = self._published(camera, made.defects, made.photos)
        make_folder(path.parent)
        write(path, text)
        footprints.keep(self._ledger.folder, camera.id, made.footprints)
        with self._ledger.transaction():
            if made.suspects is not None:
                self._ledger.samples.list_suspects(
                    camera.id, made.suspects.sites, made.suspects.corrections
                )
            for photo in made.sampled:
                self._ledger.samples.record(camera.id, photo)
            self._ledger.defects.replace(camera.id, made.defects)
            self._ledger.primed.set_outcomes(camera.id, made.primed)
            self._tell(camera, made.task.former, made.defects)
            for image in self._ledger.images.set_suppressed(made.suppressed):
                self._ledger.paths.have_repaired_again(image)
            self._ledger.images.set_mapped(
                camera.id, made.photos, made.scenes, _settings(made.task.config, camera)
            )
        self._versions.clear()
        corrections = self._ledger.samples.suspects(camera.id).corrections
        self._learned[camera.id] = Learned(made.footprints, corrections)
        self.made += 1
        before = not_ignored(made.task.former, ignored)
        now = not_ignored(made.defects, ignored)
        self.last = f"{camera.id}, {counted(lives.places(now), 'defect')}"
        self._log(camera.id, before, now)

    def _published(
        self, camera: Camera, defects: list[Defect], photos: int
    ) -> tuple[Path, bytes]:
        """Return map.yaml and what it says."""
        lived = lives.joined(defects, self._config.serviced(camera))
        lived = [one for one in lived if _is_inside(one, camera)]
        listed = not_ignored(lived, self._ignored(camera))
        ignored = [one for one in lived if one not in listed]
        text = map_yaml.dump(camera, listed, photos, ignored)
        return state_folder.map_file(self._ledger.folder, camera.id), text.encode()

    def publish_all(self) -> None:
        """Bring every map.yaml in line with what the configuration ignores."""
        for record in self._ledger.images.cameras():
            defects = self._ledger.defects.of(record.camera.id)
            # A map outlasts the state that it was made from (`forget_after`).
            folded = self._ledger.images.counts(record.camera.id)["folded"]
            photos = record.mapped or (folded if defects else 0)
            path, text = self._published(record.camera, defects, photos)
            try:
                if photos and (not path.exists() or path.read_bytes() != text):
                    make_folder(path.parent)
                    write(path, text)
            except OSError as error:  # the next map is written anyway
                log.warning("not in line with the configuration: %s", said(error))

    def _learned_of(self, camera: Camera) -> Learned:
        """Return how photos of a camera show what its map lists."""
        if camera.id not in self._learned:
            self._learned[camera.id] = Learned.of(self._ledger, camera)
        return self._learned[camera.id]

    def _tell(self, camera: Camera, former: list[Defect], found: list[Defect]) -> None:
        """Record which defects are there that were not, and the other way; in a transaction."""
        before, now = (_there(one, self._ignored(camera)) for one in (former, found))
        name = camera_names.names(self._cameras(), self._config)[camera.id]
        for kind, some, words in (
            (EventKind.DEFECT_FOUND, now - before, "new"),
            (EventKind.DEFECT_GONE, before - now, "gone"),
        ):
            if some:
                pixels = sorted(some, key=lambda one: (one[1], one[0]))
                shown = " ".join(f"{x},{y}" for x, y in pixels[:SHOWN])
                rest = " ..." if len(pixels) > SHOWN else ""
                self._ledger.events.record(
                    kind,
                    f"{name}: {counted(len(pixels), 'defect')} {words}: {shown}{rest}",
                    camera=camera.id,
                    name=name,
                    count=len(pixels),
                    pixels=[{"x": x, "y": y} for x, y in pixels[:NAMED]],
                    there=len(now),
                )

    def _log(self, camera_id: str, former: list[Defect], found: list[Defect]) -> None:
        """Log the map in one line, and every defect that came or went."""
        before = {(defect.row, defect.col): defect for defect in former}
        now = {(defect.row, defect.col): defect for defect in found}
        log.info(
            "map of %s: %s",
            camera_id,
            counted(len(now), "defect"),
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

    def listed_for(
        self,
        camera: Camera,
        taken: Metadata,
        kept: Pixels | None = None,
        *,
        suppressed: bool = False,
    ) -> PixelList:
        """Return what may be repaired in a photo of `camera`; see `bodies.repairable`.

        Parameters
        ----------
        kept : tuple of (x, y), optional
            What is repaired in place of what is detected: what its copy has (`keeps`).
        """
        learned = self._learned_of(camera)
        listed = bodies.repairable(
            *(self._ledger, self._config, camera, taken, learned), suppressed=suppressed
        )
        listed = replace(listed, version=self.version(camera, with_fill=True))
        if kept is not None and self._config.repair.pixels != "configured":
            places = [Defect.at(x, y) for x, y in kept]
            ignored = self._ignored_in(camera, learned.corrections, taken)
            return listed.keeping(not_ignored(places, ignored))
        return listed

    def keeps(self, camera: Camera, image: Image) -> bool:
        """Return whether the copy of an image stays as it is, whatever is detected now.

        The map that it was made by is forgotten, and none can speak for it: the image is
        forgotten too, or there is no other map yet.
        """
        if image.outcome == "forgotten":
            return True
        record = self._ledger.images.camera(camera.id)
        has_map = (record and record.mapped) or self._ledger.defects.of(camera.id)
        return image.is_unlearned and not has_map

    def lists_any(self, camera: Camera) -> bool:
        """Return whether any pixel of a camera might be repaired, in whatever photo."""
        which, entries = self._config.repair.pixels, self._config.camera_entries(camera)
        listed = which != "detected" and any(entry.pixels for entry in entries)
        return listed or (which != "configured" and bool(self._certain(camera)))

    def _certain(self, camera: Camera) -> list[Defect]:
        return repair_pixel_list.certain(
            self._config, camera, self._cameras(), self._detected(camera)
        )

    def _detected(self, camera: Camera) -> list[Defect]:
        """Return what is detected of a camera, by its map or in another size's photos."""
        others = bodies.priors(self._ledger, self._config, camera)
        return [*self._ledger.defects.of(camera.id), *others]

    def version(self, camera: Camera, *, with_fill: bool = False) -> str:
        """Return the version of a camera's pixel list: it changes when the list does.

        Or `with_fill` joined with the version of how its pixels are repaired.
        """
        cameras = self._cameras()
        key = camera, tuple(cameras)
        if key not in self._versions:
            listed = (self._config, camera, cameras, self._detected(camera))
            learned = self._learned_of(camera)
            certain = repair_pixel_list.certain(*listed)
            fill = repair_pixel_list.fill(certain, learned.footprints)
            version = repair_pixel_list.version(*listed, *learned)
            self._versions[key] = joined_version(version, fill)
        version = self._versions[key]
        return version if with_fill else split_version(version)[0]

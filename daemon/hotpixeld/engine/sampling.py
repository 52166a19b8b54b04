"""Sampling: each photo's evidence about its camera's suspects, now or from its file.

The suspects come from the state and change slowly.  A photo is sampled as it is folded,
at the list of the day; for a new list, earlier photos are sampled again from their files,
as many as the caller has time for, the newest first.

Revisits: which earlier photos are worth being sampled again, at today's suspects.

Decoding a photo again costs as much as folding it.  So only the newest are asked about
what stands out newly, and a defect's beginning is searched for as in a sorted list: a few
photos between those that are known to lack it and to show it, then a few between those.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.detection import evidence
from hotpixeld.detection.evidence import (
    NOT_SAMPLED,
    EvidenceTable,
    SampledPhoto,
    Suspects,
)
from hotpixeld.detection.suspects import FOREMOST, distinct, nominated
from hotpixeld.engine.stages import ahead
from hotpixeld.errors import PhotoError
from hotpixeld.photo import photo_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hotpixeld.camera import Camera
    from hotpixeld.defect import Defect
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger

    Site = tuple[int, int]
    from collections.abc import Callable, Generator
    from pathlib import Path

    from numpy.typing import NDArray

    from hotpixeld.config.model import Config, Limits
    from hotpixeld.detection.evidence import Samples
    from hotpixeld.engine.memory import Frames
    from hotpixeld.engine.workers import Workers
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.statistics.welford import Frame, State

log = logging.getLogger(__name__)

JUDGED = 128
"""Photos that a verdict looks back on."""
ROUTINE = 3
"""Without any news, one in so many of the photos that may be looked at again is."""
NEWEST = 24
"""Photos that are asked about what stands out newly: those since the last map."""
SEARCHED = 8
"""Photos looked at again in one step of the search for beginnings."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the newest photos of a camera were asked about.

    Attributes
    ----------
    photos : sequence of Image
        Newest first, by the order in which they came.
    version : int
        Of the present suspects.
    versions : mapping of int to int
        By image id: of the suspects at which it was sampled; missing where it never was.
    sites : mapping of int to set of (row, col)
        By such a version.
    foremost : set of (row, col)
        Of the present suspects, those in the map and those that stand out most.
    """

    photos: Sequence[Image]
    version: int
    versions: Mapping[int, int]
    sites: Mapping[int, set[Site]]
    foremost: set[Site]

    @classmethod
    def of(cls, ledger: Ledger, camera: Camera) -> Asked:
        """Return it as the ledger has it."""
        tables, listed = ledger.samples, ledger.defects.of(camera.id)
        now = tables.suspects(camera.id)
        versions = tables.versions(camera.id, JUDGED)
        sites = {
            version: {
                (row, col)
                for row, col in tables.suspects(camera.id, version).sites.tolist()
            }
            for version in set(versions.values())
        }
        first = now.sites[: len(listed) + FOREMOST].tolist()
        photos = ledger.images.newest(camera.id, JUDGED)
        foremost = {(row, col) for row, col in first}
        return cls(photos, now.version, versions, sites, foremost)

    def _lacks(self, photo: Image, places: Iterable[Site]) -> bool:
        version = self.versions.get(photo.id)
        return version is None or not self.sites[version].issuperset(places)

    def to_judge(self, most: int) -> list[Image]:
        """Return the photos to sample again before a verdict, at most so many.

        While few were sampled, those that never were, and all others; of the newest, those
        that were not asked about what stands out most; and some more of the newest.
        """
        never = [one for one in self.photos if one.id not in self.versions]
        before = [
            one
            for one in self.photos
            if self.versions.get(one.id) not in {None, self.version}
        ]
        lacking = max(most - len(self.versions), 0)
        rest = max(lacking - len(never), most // ROUTINE - len(never[:lacking]), 0)
        newest = {one.id for one in self.photos[:NEWEST]}
        news = [
            one
            for one in before[rest:]
            if one.id in newest and self._lacks(one, self.foremost)
        ]
        return (never[:lacking] + before[:rest] + news)[:most]

    def to_date(self, defects: Iterable[Defect]) -> list[Image]:
        """Return photos to sample again that tell when some defects began."""
        found: dict[int, Image] = {}
        for one in defects:
            if one.until is not None:
                continue
            between = [
                photo
                for photo in self.photos
                if _is_between(photo, one) and self._lacks(photo, [(one.row, one.col)])
            ]
            between.sort(key=lambda photo: photo.captured or dt.datetime.max)
            spread = np.linspace(0, len(between) - 1, min(SEARCHED, len(between)))
            found |= {between[i].id: between[i] for i in spread.astype(int).tolist()}
        return list(found.values())[:SEARCHED]


def _is_between(photo: Image, defect: Defect) -> bool:
    """Tell whether a defect may have begun with this photo, or before it."""
    when, after, by = photo.captured, defect.after, defect.by
    if when is None:
        return False
    return (after is None or when > after) and (by is None or when < by)


def scan(state: State) -> NDArray[np.intp]:
    """Return the (N, 2) places that stand out most: reads all of the state."""
    if state.trace is None:
        raise AssertionError("a state that keeps no trace has no suspects")
    return nominated(state, state.trace)


def take(frame: Frame, suspects: Suspects) -> Samples:
    """Return the samples of a frame: of the suspects, then of the controls."""
    height, width, _ = frame.shape
    sites = np.concatenate([suspects.sites, evidence.controls(height, width)])
    return evidence.sample(frame, sites)


def sampled(
    source: Photo, image: Image, frame: Frame, suspects: Suspects
) -> SampledPhoto:
    """Return what a photo tells about the suspects."""
    about = source.metadata
    return SampledPhoto(
        image.id,
        about.captured,
        about.exposure_seconds,
        about.iso,
        about.focal_mm,
        suspects.version,
        take(frame, suspects),
    )


def _columns(old: NDArray[np.intp], new: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for each new site the place of the same one among the old, -1 if new."""
    places = {(row, col): index for index, (row, col) in enumerate(old.tolist())}
    return np.array([places.get((row, col), -1) for row, col in new.tolist()], np.intp)


def _look_again(
    wanted: tuple[Image, list[Path]],
    *,
    limits: Limits,
    suspects: Suspects,
    frames: Frames,
) -> SampledPhoto | None:
    """Sample a photo from wherever its file is now, if it still is anywhere."""
    image, paths = wanted
    for path in paths:
        try:
            source = photo_file.examine(path, limits.max_bytes, limits.most_pixels)
            if source.identity == image.identity:
                size = source.structure.height, source.structure.width
                frame = photo_file.decode(source, frames.take(*size))
                return sampled(source, image, frame, suspects)
        except PhotoError as error:
            log.debug("not sampled again: %s", error)
    return None


class Sampling:
    """The samples of all cameras; used by one thread.

    `workers` decode earlier photos again into `frames`, `window` more of them than are
    in use.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        workers: Workers,
        window: int,
        frames: Frames,
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._workers = workers
        self._window = window
        self._frames = frames

    def renew(
        self, camera_id: str, found: NDArray[np.intp], listed: Sequence[Defect]
    ) -> Suspects:
        """List the suspects that the state shows now (`scan`), and what is in the map."""
        known = np.array([(one.row, one.col) for one in listed], np.intp).reshape(-1, 2)
        sites = distinct(np.concatenate([known, found]))
        with self._ledger.transaction():
            return self._ledger.samples.list_suspects(camera_id, sites)

    def sample_again(
        self, camera: Camera, chosen: Sequence[Image], progress: Callable[[], None]
    ) -> Generator[None, None, int]:
        """Sample earlier photos at the present suspects, from their files, one a step.

        Returns
        -------
        int
            How many could be.
        """
        suspects = self._ledger.samples.suspects(camera.id)
        wanted = [(one, self._ledger.paths.of_image(one.id)) for one in chosen]
        look = partial(
            _look_again,
            limits=self._config.limits,
            suspects=suspects,
            frames=self._frames,
        )
        count = 0
        for told in ahead(self._workers, look, wanted, self._window):
            if told is not None:
                count += 1
                with self._ledger.transaction():
                    self._ledger.samples.record(camera.id, told)
            progress()
            yield
        return count


def grid_of(ledger: Ledger, camera: Camera) -> EvidenceTable:
    """Return the evidence of the newest photos about the present suspects."""
    tables = ledger.samples
    sites = tables.suspects(camera.id).sites
    photos = tables.newest(camera.id, JUDGED)
    controls = len(evidence.controls(camera.height, camera.width))
    told = np.zeros((len(photos), len(sites)), evidence.SAMPLE)
    told["clipped"] = NOT_SAMPLED
    told["spread"] = 1.0
    columns: dict[int, NDArray[np.intp]] = {}
    for row, one in zip(told, photos, strict=True):
        if one.version not in columns:
            old = tables.suspects(camera.id, one.version).sites
            columns[one.version] = _columns(old, sites)
        known = columns[one.version]
        row[known >= 0] = one.samples[:-controls][known[known >= 0]]
    ordinary = [one.samples[-controls:] for one in photos]
    empty = np.empty((0, controls), evidence.SAMPLE)
    return EvidenceTable(sites, told, np.stack(ordinary) if ordinary else empty, photos)

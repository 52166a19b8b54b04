"""Sampling: each photo's evidence about its camera's suspects, now or from its file.

The suspects come from the state and change slowly.  A photo is sampled as it is folded, at
the list that stands then; for a new list, earlier photos are sampled again from their
files.  Only the newest are, and a defect's beginning is searched for as in a sorted list:
a few photos between those that are known to lack it and to show it, then a few between
those.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from hotpixeld.detection import evidence
from hotpixeld.detection.evidence import (
    EvidenceTable,
    SampledPhoto,
    Suspects,
)
from hotpixeld.detection.lens_correction import NOWHERE
from hotpixeld.detection.suspects import FOREMOST
from hotpixeld.engine import decode_trial
from hotpixeld.errors import PhotoError, PhotoGoneError
from hotpixeld.jpeg import decoder, entropy, scans
from hotpixeld.jpeg.bits import CodedDataError
from hotpixeld.jpeg.block_reader import BlockReader
from hotpixeld.jpeg.decoder import CodecError, StripDecoder
from hotpixeld.jpeg.markers import MarkerError
from hotpixeld.jpeg.scans import ScanError
from hotpixeld.photo import photo_file
from hotpixeld.statistics.generation import KEPT, strips
from hotpixeld.store.images import Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from hotpixeld.camera import Bin, Camera
    from hotpixeld.config.model import Limits
    from hotpixeld.defect import Defect
    from hotpixeld.detection.evidence import Samples
    from hotpixeld.engine.memory import Memory
    from hotpixeld.jpeg.block_reader import Levels, Window
    from hotpixeld.jpeg.entropy import Walked
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger

    Site = tuple[int, int]

T = TypeVar("T")

log = logging.getLogger(__name__)

JUDGED = 128
"""Photos that a verdict looks back on."""
ROUTINE = 3
"""Without any news, one in so many of the photos that may be sampled again is."""
NEWEST = 24
"""Photos that are sampled at what stands out newly: those since the last map."""
SEARCHED = 8
"""Photos sampled again in one step of the search for beginnings."""
TOGETHER = 8
"""Photos whose windows are in memory together."""
ROWS = 64
"""Of a photo that is decoded to be sampled again, at once."""
WINDOW_COST = 35
"""Pixels of a decode that cost as much as one of a window, the walk taken off the decode:
30 to 40 were measured on photos of 4 to 10 MP, about where it decides."""


def with_controls(
    suspects: Suspects, height: int, width: int, where: Bin
) -> NDArray[np.intp]:
    """Return all places where photos of a bin are sampled: suspects, then controls."""
    places = suspects.corrections.places(suspects.sites, where, (height, width))
    return np.concatenate([places, evidence.controls(height, width)])


def sampled(
    image: Image, taken: Taken, suspects: Suspects, samples: Samples
) -> SampledPhoto:
    """Return a photo's samples at some suspects, with how it was taken."""
    return SampledPhoto(image.id, *taken, suspects.version, samples)


def _costs_less(photo: Photo, pixels: int) -> bool:
    """Return whether windows of so many pixels cost less than the decoding of a photo."""
    whole = photo.structure.height * photo.structure.width
    return pixels * WINDOW_COST < whole


def _walked(
    photo: Photo, windows: Sequence[Window] | NDArray[np.int64]
) -> tuple[BlockReader, Walked]:
    """Return a reader of a photo, and the blocks that windows need.

    Raises
    ------
    CodedDataError, MarkerError, ScanError
        It cannot be walked.
    """
    coded = scans.coded_scans(photo.data, photo.structure)
    reader = BlockReader(photo.data, photo.structure, coded)
    needed = reader.needed(windows)
    return reader, entropy.walk(photo.data, coded, needed, to_patch=False)


def cut_out(photo: Photo, windows: Sequence[Window]) -> list[Levels]:
    """Return windows of a photo, (rows, columns, 3) uint8 each: by the blocks around them.

    Where that would cost more than to decode all of the photo, or it cannot be walked, all
    is decoded.

    Raises
    ------
    CodecError
        It cannot be decoded.
    """
    pixels = sum((one.bottom - one.top) * (one.right - one.left) for one in windows)
    if _costs_less(photo, pixels):
        try:
            reader, walked = _walked(photo, windows)
            return reader.levels(walked, windows)
        except (CodedDataError, MarkerError, ScanError) as error:
            log.debug("decoded, as it cannot be walked: %s: %s", photo.path, error)
    return decoder.cut_out(photo.data, windows)


def _sample_windows(photo: Photo, sites: NDArray[np.intp]) -> Samples:
    """Return what a sequential photo shows at `sites`, by the blocks around them."""
    height, width = photo.structure.height, photo.structure.width
    begins = evidence.corners(height, width, sites)
    windows = np.concatenate([begins, begins + evidence.SIDE], axis=1).astype(np.int64)
    reader, walked = _walked(photo, windows)
    side = evidence.SIDE
    levels = reader.pixels(walked, windows).reshape(-1, side, side, 3)
    return evidence.sample_windows(levels, height, width, sites)


def _sample_decoded(data: bytes, sites: NDArray[np.intp]) -> Samples:
    """Return what a photo shows at `sites`, decoded in strips."""
    out: Samples = np.zeros(len(sites), evidence.SAMPLE)
    with StripDecoder(data) as decoder:
        height, width = decoder.size
        window = np.empty((1, KEPT + ROWS, width, 3), np.uint8)
        for strip in strips(height, ROWS):
            window[0, :KEPT] = window[0, ROWS:].copy()
            decoder.read(window[0, KEPT : KEPT + strip.last - strip.first])
            row = sites[:, 0]
            here = (row >= strip.first_whole) & (row < strip.last_whole)
            top = strip.first - KEPT
            out[here] = evidence.sample_rows(window, top, height, sites[here])[0]
    return out


def sample(photo: Photo, sites: NDArray[np.intp]) -> Samples:
    """Return what a photo shows at `sites`, (N,) of `evidence.SAMPLE`.

    Those that are `NOWHERE` are not sampled.  By the blocks around them, to the same levels; where that would cost more than to
    decode all of the photo, or it cannot be walked, all is decoded.

    Raises
    ------
    CodecError
        It cannot be decoded.
    """
    somewhere = sites[:, 0] != NOWHERE
    if not somewhere.all():
        samples = evidence.none_taken(len(sites))
        samples[somewhere] = sample(photo, sites[somewhere])
        return samples
    enough = min(photo.structure.height, photo.structure.width) >= evidence.SIDE
    if enough and _costs_less(photo, len(sites) * evidence.SIDE**2):
        try:
            return _sample_windows(photo, sites)
        except (CodedDataError, MarkerError, ScanError) as error:
            log.debug("decoded, as it cannot be walked: %s: %s", photo.path, error)
    return _sample_decoded(photo.data, sites)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a camera's newest photos.

    Attributes
    ----------
    camera : Camera
    photos : sequence of Image
        Newest first, by the order in which they are folded.
    suspects : Suspects
        The present ones.
    lists : mapping of int to Suspects
        Of each version that a photo was sampled at, and the present one.
    samples : mapping of int to SampledPhoto
        By image id.
    """

    camera: Camera
    photos: Sequence[Image]
    suspects: Suspects
    lists: Mapping[int, Suspects]
    samples: Mapping[int, SampledPhoto]

    @classmethod
    def of(cls, ledger: Ledger, camera: Camera) -> Evidence:
        """Return what the ledger says."""
        tables = ledger.samples
        now, newest = tables.suspects(camera.id), tables.newest(camera.id, JUDGED)
        lists = {
            version: tables.suspects(camera.id, version)
            for version in {photo.version for photo in newest}
        }
        photos = ledger.images.newest(camera.id, JUDGED)
        samples = {photo.image: photo for photo in newest}
        return cls(camera, photos, now, lists | {now.version: now}, samples)

    def at(self, suspects: Suspects) -> Evidence:
        """Return it with other suspects as the present ones."""
        lists = {**self.lists, suspects.version: suspects}
        return Evidence(self.camera, self.photos, suspects, lists, self.samples)

    def with_samples(self, new: Iterable[SampledPhoto]) -> Evidence:
        """Return it with samples in place of former ones."""
        samples = {**self.samples, **{photo.image: photo for photo in new}}
        return Evidence(self.camera, self.photos, self.suspects, self.lists, samples)

    def places(self, version: int, where: Bin) -> NDArray[np.intp]:
        """Return where photos of a bin show the suspects of a version, (N, 2)."""
        size, listed = (self.camera.height, self.camera.width), self.lists[version]
        return listed.corrections.places(listed.sites, where, size)

    def looked_at(self, version: int, where: Bin) -> set[Site]:
        """Return at which present suspects photos of a bin need not be sampled again.

        Those of which a version has the place, and those that they do not show.
        """
        now = self.places(self.suspects.version, where)
        known = _columns(self.places(version, where), now) >= 0
        known |= now[:, 0] == NOWHERE
        return {(row, col) for row, col in self.suspects.sites[known].tolist()}

    def _columns(self) -> Callable[[int, Bin], NDArray[np.intp]]:
        """Return what tells where the present suspects are among a version's, -1 if new.

        By where photos of a bin show them: it is that at which they were sampled.
        """

        @functools.cache
        def columns(version: int, where: Bin) -> NDArray[np.intp]:
            now = self.places(self.suspects.version, where)
            return _columns(self.places(version, where), now)

        return columns

    def begun(
        self, images: Iterable[Image]
    ) -> dict[int, tuple[Samples, NDArray[np.intp]]]:
        """Return what is known of photos at the present suspects, then at the controls.

        And the numbers of those at which each was not sampled: their places are empty.
        By image id.
        """
        controls = len(evidence.controls(self.camera.height, self.camera.width))
        columns, suspects = self._columns(), len(self.suspects.sites)
        found = {}
        for image in images:
            begun = evidence.none_taken(suspects + controls)
            lacking = np.arange(len(begun))
            if former := self.samples.get(image.id):
                known = columns(former.version, image.taken.bin)
                lacking = np.flatnonzero(known < 0)
                _carry_over(former.samples[:-controls], known, begun[:suspects])
                begun[suspects:] = former.samples[-controls:]
            found[image.id] = begun, lacking
        return found

    def table(self) -> EvidenceTable:
        """Return the samples of the newest photos at the present suspects."""
        places = {photo.id: place for place, photo in enumerate(self.photos)}
        newest = sorted(self.samples, key=lambda one: places.get(one, JUDGED))[:JUDGED]
        photos = sorted(
            (self.samples[image] for image in newest),
            key=lambda one: (one.captured or dt.datetime.max, one.image),
        )
        sites = self.suspects.sites
        controls = len(evidence.controls(self.camera.height, self.camera.width))
        samples = evidence.none_taken(len(photos), len(sites))
        columns = self._columns()
        bins = {photo.id: photo.taken.bin for photo in self.photos}
        for row, photo in zip(samples, photos, strict=True):
            where = bins.get(photo.image, photo.bin)
            known = columns(photo.version, where)
            _carry_over(photo.samples[:-controls], known, row)
        ordinary = [photo.samples[-controls:] for photo in photos]
        empty = np.empty((0, controls), evidence.SAMPLE)
        return EvidenceTable(
            sites, samples, np.stack(ordinary) if ordinary else empty, photos
        )


def _columns(old: NDArray[np.intp], new: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for each new site the place of the same one among the old, -1 if new."""
    places = {(row, col): index for index, (row, col) in enumerate(old.tolist())}
    places.pop((NOWHERE, NOWHERE), None)
    return np.array([places.get((row, col), -1) for row, col in new.tolist()], np.intp)


def _carry_over(old: Samples, columns: NDArray[np.intp], new: Samples) -> None:
    """Take samples at old sites over to the new ones that are the same; see `_columns`."""
    known = columns >= 0
    new[known] = old[columns[known]]


@dataclass(frozen=True, slots=True)
class Coverage:
    """At which suspects the newest photos of a camera were sampled.

    Attributes
    ----------
    photos : sequence of Image
        Newest first, by the order in which they are folded.
    version : int
        Of the present suspects.
    versions : mapping of int to int
        By image id: of the suspects at which it was sampled; missing where it never was.
    sites : mapping of (int, Bin) to set of (row, col)
        Of the present suspects, those at which photos of a bin that were sampled at a
        version have been looked at, and those that they do not show.
    foremost : set of (row, col)
        Of the present suspects, those in the map and those that stand out most.
    """

    photos: Sequence[Image]
    version: int
    versions: Mapping[int, int]
    sites: Mapping[tuple[int, Bin], set[Site]]
    foremost: set[Site]

    @classmethod
    def of(cls, known: Evidence, listed: int) -> Coverage:
        """Return that of what is known, with so many defects in the map before."""
        versions = {image: photo.version for image, photo in known.samples.items()}
        now = known.suspects.version
        of = {
            (version, photo.taken.bin)
            for photo in known.photos
            for version in (now, versions.get(photo.id, now))
        }
        sites = {which: known.looked_at(*which) for which in of}
        first = known.suspects.sites[: listed + FOREMOST].tolist()
        foremost = {(row, col) for row, col in first}
        return cls(known.photos, now, versions, sites, foremost)

    def _lacks(self, photo: Image, sites: Iterable[Site]) -> bool:
        version = self.versions.get(photo.id)
        if version is None:
            return True
        return not self.sites[version, photo.taken.bin].issuperset(sites)

    def to_judge(self, most: int) -> list[Image]:
        """Return the photos to sample again before a verdict, at most so many.

        While few were sampled, those that never were, and all others; of the newest, those
        that were not sampled at what stands out most; and some more of the newest.
        """
        never = [photo for photo in self.photos if photo.id not in self.versions]
        before = [
            photo
            for photo in self.photos
            if self.versions.get(photo.id) not in {None, self.version}
        ]
        lacking = max(most - len(self.versions), 0)
        rest = max(lacking - len(never), most // ROUTINE - len(never[:lacking]), 0)
        newest = {photo.id for photo in self.photos[:NEWEST]}
        news = [
            photo
            for photo in before[rest:]
            if photo.id in newest and self._lacks(photo, self.foremost)
        ]
        return (never[:lacking] + before[:rest] + news)[:most]

    def to_date(self, defects: Iterable[Defect]) -> list[Image]:
        """Return photos to sample again so as to date the beginning of some defects."""
        chosen: dict[int, Image] = {}
        for defect in defects:
            if defect.until is not None:
                continue
            between = [
                photo
                for photo in self.photos
                if _is_between(photo, defect)
                and self._lacks(photo, [(defect.row, defect.col)])
            ]
            between.sort(key=lambda photo: photo.captured or dt.datetime.max)
            spread = np.linspace(0, len(between) - 1, min(SEARCHED, len(between)))
            chosen |= {between[i].id: between[i] for i in spread.astype(int).tolist()}
        return list(chosen.values())[:SEARCHED]

    def all(self) -> list[Image]:
        """Return the photos that lack any of the present suspects."""
        return [
            one
            for one in self.photos
            if self._lacks(one, self.sites[self.version, one.taken.bin])
        ]


def _is_between(photo: Image, defect: Defect) -> bool:
    """Return whether a defect may have begun with this photo, or before it."""
    when, after, by = photo.captured, defect.after, defect.by
    if when is None:
        return False
    return (after is None or when > after) and (by is None or when < by)


class EarlierPhotos:
    """Looks at photos that were admitted before, wherever their files are now.

    The thread that owns the ledger calls `files`; any may call `sample` and `windows`.
    """

    def __init__(
        self, ledger: Ledger, limits: Limits, threads: int, memory: Memory
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self.threads = threads
        self.memory = memory

    def files(self, image: Image) -> list[Path]:
        """Return the paths that held an image; none if decoding it kills the process."""
        return [] if self.refusal(image) else self._ledger.paths.of_image(image.id)

    def refusal(self, image: Image) -> str:
        """Return why an image must not be decoded: an earlier process died of it.

        An image that was being decoded in a crash is tried first.
        """

        def trial() -> str:
            paths = self._ledger.paths.of_image(image.id)
            for photo in self.examined(image, paths):
                return decode_trial.reason(photo.data)
            raise PhotoGoneError(Path(), "no file of it is left")

        try:
            return self._ledger.hazards.reason(image.identity, trial)
        except PhotoGoneError:  # nothing was tried, and nothing will be decoded
            return ""

    def examined(self, image: Image, paths: Iterable[Path]) -> Iterator[Photo]:
        """Yield what still holds the image."""
        for path in paths:
            try:
                photo = photo_file.examine(
                    path, self._limits.max_bytes, self._limits.max_pixels
                )
            except PhotoError as error:
                log.debug("not decoded again: %s", error)
                continue
            if photo.identity == image.identity:
                yield photo

    def sample(
        self,
        wanted: Sequence[tuple[Image, Sequence[Path]]],
        known: Evidence,
        at_photo: Callable[[], None],
    ) -> list[SampledPhoto]:
        """Sample images again; those of which no file is left are missing.

        Parameters
        ----------
        known : Evidence
            Its present suspects are sampled, where they were not yet.
        at_photo : callable
            Called for each; what it raises ends all.
        """
        height, width = known.camera.height, known.camera.width
        begun = known.begun(image for image, _ in wanted)

        def at_suspects(image: Image, photo: Photo) -> SampledPhoto:
            samples, lacking = begun[image.id]
            where = image.taken.bin
            places = with_controls(known.suspects, height, width, where)
            samples[lacking] = sample(photo, places[lacking])
            # The ledger may not know how it was taken: version 0.1 did not ask.
            taken = Taken.of(photo.metadata)._replace(lens=where.lens)
            return sampled(image, taken, known.suspects, samples)

        return [
            found
            for found in self._look_again(wanted, at_suspects, at_photo)
            if found is not None
        ]

    def windows(
        self,
        wanted: Sequence[tuple[Image, Sequence[Path]]],
        windows_of: Callable[[Image], Sequence[Window]],
        at_photo: Callable[[], None],
    ) -> Iterator[list[Levels] | None]:
        """Yield windows of images, in their order; None of which no file is left.

        The other parameters are those of `sample`.
        """

        def cut(image: Image, photo: Photo) -> list[Levels]:
            return cut_out(photo, windows_of(image))

        for start in range(0, len(wanted), TOGETHER):
            yield from self._look_again(wanted[start : start + TOGETHER], cut, at_photo)

    def _look_again(
        self,
        wanted: Sequence[tuple[Image, Sequence[Path]]],
        look: Callable[[Image, Photo], T],
        at_photo: Callable[[], None],
    ) -> list[T | None]:
        """Return what images show, in their order; None of which no file is left."""

        def one(image: Image, paths: Sequence[Path]) -> T | None:
            at_photo()
            for photo in self.examined(image, paths):
                try:
                    with (
                        self.memory.holding(photo_file.coefficient_bytes(photo)),
                        self._ledger.hazards.under_way(image.identity),
                    ):
                        return look(image, photo)
                except CodecError as error:
                    log.debug("not decoded again: %s", error)
            return None

        with ThreadPoolExecutor(self.memory.at_once, "sample") as threads:
            return list(threads.map(one, *zip(*wanted, strict=True)))


def evidence_of(ledger: Ledger, camera: Camera) -> EvidenceTable:
    """Return the evidence of the newest photos about the present suspects."""
    return Evidence.of(ledger, camera).table()

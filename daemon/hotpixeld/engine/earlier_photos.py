"""Earlier photos: which are worth sampling again, and their frames, from their files.

Decoding a photo again costs as much as folding it.  So only the newest are sampled at
new suspects, and a defect's beginning is searched for as in a sorted list: a few
photos between those that are known to lack it and to show it, then a few between those.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.detection.suspects import FOREMOST
from hotpixeld.engine import decode_trial
from hotpixeld.errors import PhotoError, PhotoGoneError
from hotpixeld.photo import photo_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Limits
    from hotpixeld.defect import Defect
    from hotpixeld.engine.photos_under_way import Frames
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.statistics.welford import Frame
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger

    Site = tuple[int, int]

log = logging.getLogger(__name__)

JUDGED = 128
"""Photos that a verdict looks back on."""
ROUTINE = 3
"""One in so many photos that may be sampled again is, even if nothing is new."""
NEWEST = 24
"""The newest photos, which are sampled at new suspects: those since the last map."""
SEARCHED = 8
"""Photos sampled again in one step of the search for beginnings."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """At which suspects the newest photos of a camera were sampled.

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
    def of(cls, ledger: Ledger, camera: Camera) -> Coverage:
        """Return what the ledger says of a camera."""
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

    def _lacks(self, photo: Image, sites: Iterable[Site]) -> bool:
        version = self.versions.get(photo.id)
        return version is None or not self.sites[version].issuperset(sites)

    def to_judge(self, most: int) -> list[Image]:
        """Return the photos to sample again before a verdict, at most so many.

        In this order: those never sampled, while few are; those sampled at former suspects,
        a share of them always; of the newest, those not sampled at one of the foremost.
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


def _is_between(photo: Image, defect: Defect) -> bool:
    """Return whether a defect may have begun with this photo, or before it."""
    when, after, by = photo.captured, defect.after, defect.by
    if when is None:
        return False
    return (after is None or when > after) and (by is None or when < by)


class EarlierPhotos:
    """Decodes images that were admitted before, from wherever their files are now.

    The thread that owns the ledger calls `files`; any may call `decode`.
    """

    def __init__(self, ledger: Ledger, limits: Limits, frames: Frames) -> None:
        self._ledger = ledger
        self._limits = limits
        self._frames = frames

    def files(self, image: Image) -> list[Path]:
        """Return the paths that held an image; none if decoding it kills the process.

        An image that was being decoded in a crash is tried first.
        """
        paths = self._ledger.paths.of_image(image.id)
        trial = partial(self._try, image, paths)
        try:
            reason = self._ledger.hazards.reason(image.identity, trial)
        except PhotoError as error:  # no file of it: nothing was tried
            reason = error.reason
        if reason:
            log.debug("not decoded again: %s: %s", image.identity[:16], reason)
            return []
        return paths

    def _try(self, image: Image, paths: Sequence[Path]) -> str:
        for photo in self._examined(image, paths):
            return decode_trial.reason(photo.data)
        raise PhotoGoneError(paths[0] if paths else Path(), "no file of it is left")

    def _examined(self, image: Image, paths: Sequence[Path]) -> Iterator[Photo]:
        """Yield what still holds the image."""
        for path in paths:
            try:
                photo = photo_file.examine(
                    path, self._limits.max_bytes, self._limits.most_pixels
                )
            except PhotoError as error:
                log.debug("not decoded again: %s", error)
                continue
            if photo.identity == image.identity:
                yield photo

    def decode(self, image: Image, paths: Sequence[Path]) -> tuple[Photo, Frame] | None:
        """Return an image's photo with its frame, None if no file of it is left."""
        for photo in self._examined(image, paths):
            size = photo.structure.height, photo.structure.width
            try:
                with self._ledger.hazards.under_way(image.identity):
                    frame = self._frames.take(*size)
                    return photo, photo_file.decode(photo, frame)
            except PhotoError as error:
                log.debug("not decoded again: %s", error)
        return None

"""Revisits: which earlier photos are worth being sampled again, at today's suspects.

Decoding a photo again costs as much as folding it.  So only the newest are asked about
what stands out newly, and a defect's beginning is searched for as in a sorted list: a few
photos between those that are known to lack it and to show it, then a few between those.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.suspects import FOREMOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hotpixeld.camera import Camera
    from hotpixeld.images import Image
    from hotpixeld.ledger import Ledger
    from hotpixeld.pixels import Defect

    Site = tuple[int, int]

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

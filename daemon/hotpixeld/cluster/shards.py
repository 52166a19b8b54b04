"""Shards: a scan's photos, made unique, cut by camera body and then by capture time.

What has to be seen together stays together, so that a shard's ordinary pass finds what one
pass over all would: the files of one image, a photo with its copies and versions (they have
its capture time), a body with and without its serial number.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hotpixeld.store.images import bare

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hotpixeld.engine.session import Order
    from hotpixeld.files import Signature
    from hotpixeld.photo.fingerprint import Fingerprint

Item = TypeVar("Item")
Body = tuple[str, str, str]
"""Make, model and serial."""
NO_BODY: Body = ("", "", "")


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a look at one photo's file showed.

    Attributes
    ----------
    path : Path
    order : Order
        Its place in a scan.
    signature : Signature or None
        Of the file; None where it is gone.
    identity : str
        Of the image; empty where it cannot be examined.
    body : Body
        Of its camera; `NO_BODY` of one that is not admitted to any.
    captured : datetime or None
    fingerprint : Fingerprint or None
        Of a photo that is admitted and has no capture time to find its relatives by.
    """

    path: Path
    order: Order
    signature: Signature | None = None
    identity: str = ""
    body: Body = NO_BODY
    captured: dt.datetime | None = None
    fingerprint: Fingerprint | None = None

    @property
    def is_admitted(self) -> bool:
        """Return whether it is a camera's photo, as far as it alone can tell."""
        return self.body != NO_BODY


def _families(bodies: Iterable[Body]) -> dict[Body, Body]:
    """Return which bodies may be one, by the name of their family.

    >>> _families([("N", "D80", "0012"), ("N", "D80", "12"), ("N", "D90", "7")])
    {('N', 'D80', '0012'): ('N', 'D80', '12'), ('N', 'D80', '12'): ('N', 'D80', '12'), ('N', 'D90', '7'): ('N', 'D90', '7')}
    """
    bodies = list(bodies)
    nameless = {(make, model) for make, model, serial in bodies if not serial}
    return {
        body: (*body[:2], "" if body[:2] in nameless else bare(body[2]))
        for body in bodies
    }


def _together(photos: Sequence[Scanned]) -> list[list[Scanned]]:
    """Return the photos of one family in groups that stay together, by time."""
    held: dict[str, object] = {}
    groups: dict[object, list[Scanned]] = {}
    # A file that is refused is where the photo is whose image it holds.
    for photo in sorted(photos, key=lambda one: (not one.is_admitted, one.order)):
        group: object = photo.captured if photo.is_admitted else photo.path
        if photo.identity:
            group = held.setdefault(photo.identity, group)
        groups.setdefault(group, []).append(photo)
    return sorted(groups.values(), key=lambda group: group[0].order)


def _cut(photos: Sequence[Scanned], size: int) -> list[list[Scanned]]:
    """Return the photos of one family in shards of `size` or more, in their order."""
    count = max(len(photos) // size, 1)
    shards: list[list[Scanned]] = [[]]
    left = len(photos)
    for group in _together(photos):
        if len(shards[-1]) >= len(photos) / count and left >= size:
            shards.append([])
        shards[-1] += group
        left -= len(group)
    return [sorted(shard, key=lambda photo: photo.order) for shard in shards]


def cut(photos: Iterable[Scanned], size: int) -> list[list[list[Scanned]]]:
    """Return the photos of a scan as families of shards.

    Parameters
    ----------
    size : int
        Photos of a shard, at least, where there are so many.

    Returns
    -------
    list of list of list of Scanned
        Families of bodies that may be one; of each, shards by time, which are merged in
        this order; of each, photos in the order of a scan.
    """
    ordered = sorted(photos, key=lambda photo: photo.order)
    family = _families({photo.body for photo in ordered if photo.is_admitted})
    first: dict[str, Body] = {}
    members: defaultdict[Body, list[Scanned]] = defaultdict(list)
    # An image has one place, however many files hold it, and whatever these say.
    for photo in sorted(ordered, key=lambda photo: not photo.is_admitted):
        name = family.get(photo.body, NO_BODY)
        if photo.identity:
            name = first.setdefault(photo.identity, name)
        members[name].append(photo)
    many = {name for name, count in Counter(family.values()).items() if count > 1}
    return [
        _cut(group, len(group) if name in many else size)
        for name, group in sorted(members.items())
    ]


def name(photos: Iterable[Scanned], settings: str) -> str:
    """Return the name of what is learned of photos: a hash of them, and of how it is done."""
    content = hashlib.sha256(settings.encode())
    for photo in photos:
        content.update(os.fsencode(photo.path) + b"\0")
        content.update(json.dumps([photo.identity, photo.signature]).encode())
    return content.hexdigest()


def pairs(names: Sequence[Item]) -> list[tuple[Item, ...]]:
    """Return things two by two, in their order; the last may be alone.

    >>> pairs(["a", "b", "c"])
    [('a', 'b'), ('c',)]
    """
    return [tuple(names[i : i + 2]) for i in range(0, len(names), 2)]

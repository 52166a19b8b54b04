"""Findings: what a state has to tell a photographer, read from the ledger.

Cameras with their defects, in how many photos each was repaired, what was skipped and why,
and the words for all that: the sentence that the report begins with, dates as people write
them.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hotpixeld.config import camera_names
from hotpixeld.defect import VISIBLE_LEVELS, Kind
from hotpixeld.detection import lives
from hotpixeld.detection.lens_correction import NONE
from hotpixeld.engine import bodies
from hotpixeld.messages import counted
from hotpixeld.service import reasons
from hotpixeld.statistics.contrast import LUMA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hotpixeld.camera import Bin, Camera
    from hotpixeld.config.model import Config
    from hotpixeld.defect import Defect
    from hotpixeld.engine.bodies import Places
    from hotpixeld.repair.pixel_list import ListedPixel
    from hotpixeld.service.reasons import Reason
    from hotpixeld.store.images import CameraRecord
    from hotpixeld.store.ledger import Ledger

NEW_DAYS = 183
"""A defect that began so shortly before its camera's newest photo is new."""
LATEST = 256
"""Photos in which a pixel was repaired last that are remembered, to show it in them: as
many as there are samples of."""


@dataclass(slots=True)
class Repaired:
    """In which photos of a camera a pixel was repaired; filled while copies are counted."""

    count: int = 0
    latest: deque[int] = field(default_factory=lambda: deque(maxlen=LATEST))
    """Image ids."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A pixel of a camera's list, and what became of it in photos.

    Attributes
    ----------
    number : int
        From 1, the strongest first; what the report calls it.
    listed : ListedPixel
    repaired : Repaired
    is_seen : bool
        An eye finds it in some photo.
    is_new : bool
    """

    number: int
    listed: ListedPixel
    repaired: Repaired
    is_seen: bool
    is_new: bool

    @property
    def is_certain(self) -> bool:
        """Return whether enough is known of it for it to be repaired."""
        return self.listed.is_certain

    @property
    def defect(self) -> Defect:
        """Return where it is, and what is known of it."""
        return self.listed.defect

    @property
    def levels(self) -> float:
        """Return what it adds at its centre, luma, as far as is known."""
        return levels(self.defect)


@dataclass(frozen=True, slots=True)
class CameraFindings:
    """What is known of one camera.

    Attributes
    ----------
    record : CameraRecord
    name : str
        As people say it.
    counts : dict of str to int
        Its images by outcome.
    span : (datetime, datetime) or None
        When the first and the newest of its photos were taken.
    suppressed : int
        Photos that show none of the defects that they should.
    findings : tuple of Finding
    reference : str
        The lens and focal length of whose photos the places are; empty where they are
        those of all.
    """

    record: CameraRecord
    name: str
    counts: dict[str, int]
    span: tuple[dt.datetime, dt.datetime] | None
    suppressed: int
    findings: tuple[Finding, ...]
    reference: str = ""

    @property
    def living(self) -> list[Finding]:
        """Return those that are there now, without those to be ignored."""
        return [one for one in self.own if one.defect.until is None]

    @property
    def own(self) -> list[Finding]:
        """Return those that its own photos or the configuration list, and none ignores."""
        return [
            one
            for one in self.findings
            if not one.listed.ignored and not one.listed.prior
        ]


@dataclass(frozen=True, slots=True)
class Findings:
    """All that the report tells, but for crops and what the daemon does.

    Attributes
    ----------
    cameras : tuple of CameraFindings
        Those that have a map or a list: first those with defects, and most photos.
    beginning : tuple of CameraFindings
        Those with too few photos yet for a list of their own.
    repaired, not_repaired : int
        Photos with a repaired copy, and those that cannot have one or could not be used.
    reasons : tuple of Reason
    needed : int
        Photos of a camera before its first map.
    """

    cameras: tuple[CameraFindings, ...]
    beginning: tuple[CameraFindings, ...]
    repaired: int
    not_repaired: int
    reasons: tuple[Reason, ...]
    needed: int

    @property
    def sentence(self) -> str:
        """Return what a person would say who was asked how the cameras are."""
        if not self.cameras:
            return _of_beginners(self.beginning, self.needed)
        living = [one for camera in self.cameras for one in camera.living]
        certain = [one for one in living if one.is_certain]
        count = lives.places(one.defect for one in certain)
        unsure = lives.places(one.defect for one in living if not one.is_certain)
        kinds = {one.defect.kind for one in living}
        word = "hot pixel" if kinds <= {Kind.HOT} else "defective pixel"
        if len(self.cameras) == 1:
            owner = f"Your {self.cameras[0].name} has"
        else:
            owner = f"Your {len(self.cameras)} cameras have"
        found = counted(count, word) if count else f"no {word}s that photos show"
        more = (
            f", {unsure:,} {'more ' if count else ''}not certain yet" if unsure else ""
        )
        return f"{owner} {found}{_news(certain)}{more}{self._photos()}."

    def _photos(self) -> str:
        """Return what became of the photos, as the end of a sentence."""
        if not self.repaired and not self.not_repaired:
            return ""
        was = "was" if self.repaired == 1 else "were"
        words = f"; {counted(self.repaired, 'photo')} {was} repaired"
        if not self.repaired:
            words = "; no photo was repaired"
        return words + (
            f", {self.not_repaired:,} could not be" if self.not_repaired else ""
        )


def levels(defect: Defect) -> float:
    """Return what a defect adds at its centre, luma, in 8-bit levels; 0 if unknown."""
    if defect.amplitude is None:
        return 0.0
    return abs(float(sum(LUMA * defect.amplitude)))


def day(when: dt.datetime) -> str:
    """Return a date as a person writes it.

    >>> day(dt.datetime(2026, 5, 3, 14, 30))
    '3 May 2026'
    """
    return f"{when.day} {when:%B %Y}"


def _news(living: Sequence[Finding]) -> str:
    """Return how many are new, and since when, as a part of a sentence."""
    new = [one.defect for one in living if one.is_new]
    since = min((one.after for one in new if one.after), default=None)
    if since is None:
        return ""
    which = "it is" if len(living) == 1 else f"{len(new)} of them"
    return f", {which} new since {since:%B %Y}"


def _of_beginners(cameras: Sequence[CameraFindings], needed: int) -> str:
    """Return the sentence of a state in which no camera has a map yet."""
    if not cameras:
        return "No photo has come yet: name a folder with photos to hotpixeld run."
    if len(cameras) > 1:
        return (
            f"None of your {len(cameras)} cameras has the {needed} photos needed yet."
        )
    (only,) = cameras
    count = only.counts["folded"] + only.counts["pending"]
    return (
        f"Your {only.name} has {count} of the {needed} photos needed to find defects."
    )


def began(defect: Defect) -> str:
    """Return since when a defect is there, in words.

    >>> from hotpixeld.defect import Defect
    >>> one = Defect(1, 2, after=dt.datetime(2026, 5, 3), by=dt.datetime(2026, 6, 9))
    >>> began(one)
    'began between 3 May 2026 and 9 June 2026'
    """
    after, by = defect.after, defect.by
    if after is not None and by is not None:
        words = f"began between {day(after)} and {day(by)}"
        if after.date() == by.date():
            words = f"began on {day(by)}"
    elif by is not None:
        words = f"already there on {day(by)}"
    else:
        words = "listed without a date" if after is None else f"since {day(after)}"
    return words + (f", gone since {day(defect.until)}" if defect.until else "")


def _is_new(defect: Defect, newest: dt.datetime | None) -> bool:
    if None in {defect.after, defect.by, newest} or defect.until is not None:
        return False
    return (
        newest is not None
        and defect.by is not None
        and (newest - defect.by) < dt.timedelta(days=NEW_DAYS)
    )


def _owners(places: Places, where: Bin) -> Callable[[int, int], Sequence[int]]:
    """Return what tells which pixels of a list a copy has repaired at its x, y.

    Where a lens correction moves them, it may have been known a little less well when the
    copy was written: then a neighbour is the place as well, unless another pixel's is.
    """
    at: dict[tuple[int, int], list[int]] = {}
    for number, sites in enumerate(places.repaired_at(where)):
        for row, col in sites:
            at.setdefault((col, row), []).append(number)
    reach = 0 if places.corrections.at(where) == NONE else 1

    def owners(x: int, y: int) -> Sequence[int]:
        around = range(-reach, reach + 1)
        near = ((x + i, y + j) for i in around for j in around)
        return at.get((x, y)) or next((at[one] for one in near if one in at), ())

    return owners


def in_copies(ledger: Ledger, camera: Camera, places: Places) -> list[Repaired]:
    """Return in which copies each pixel of a camera's list is repaired.

    Parameters
    ----------
    places : Places
        Of the list.
    """
    found = [Repaired() for _ in places.pixels]
    of_bin: dict[Bin, Callable[[int, int], Sequence[int]]] = {}
    for image, where, pixels in ledger.copies.repaired(camera.id):
        if where not in of_bin:
            of_bin[where] = _owners(places, where)
        for number in {one for x, y in pixels for one in of_bin[where](x, y)}:
            found[number].count += 1
            found[number].latest.append(image)
    return found


def _findings(
    listing: Sequence[ListedPixel],
    repaired: Sequence[Repaired],
    newest: dt.datetime | None,
) -> tuple[Finding, ...]:
    """Return a camera's list with what became of it, what is seen most first."""

    def rank(number: int) -> tuple[bool, bool, float, int, int]:
        listed = listing[number]
        one = listed.defect
        return listed.ignored, one.until is not None, -levels(one), one.y, one.x

    found = []
    any_repaired = any(one.count for one in repaired)
    for number, place in enumerate(sorted(range(len(listing)), key=rank), 1):
        listed, in_photos = listing[place], repaired[place]
        one = listed.defect
        # Where it would not be repaired, copies say nothing: the mean excess does.
        told = any_repaired and listed.is_certain and not listed.ignored
        told = told or bool(listed.prior)  # how strong it is, another size's photos say
        is_seen = bool(in_photos.count) if told else levels(one) >= VISIBLE_LEVELS
        is_new = _is_new(one, newest)
        found.append(Finding(number, listed, in_photos, is_seen, is_new))
    return tuple(found)


def _of_camera(
    ledger: Ledger, config: Config, record: CameraRecord, name: str
) -> CameraFindings:
    camera = record.camera
    span = ledger.images.span(camera.id)
    listing = bodies.listing(ledger, config, camera)
    places = bodies.Places(ledger, config, camera, listing)
    repaired = in_copies(ledger, camera, places)
    return CameraFindings(
        record,
        name,
        ledger.images.counts(camera.id),
        span,
        ledger.images.suppressed(camera.id),
        _findings(listing, repaired, span[1] if span else None),
        places.reference,
    )


def collect(
    ledger: Ledger, config: Config, records: Sequence[CameraRecord]
) -> Findings:
    """Return what there is to tell.

    Parameters
    ----------
    records : sequence of CameraRecord
        The cameras to tell of.
    """
    known = [record.camera for record in ledger.images.cameras()]
    names = camera_names.names(known, config)
    cameras = [
        _of_camera(ledger, config, record, names[record.camera.id])
        for record in records
    ]
    cameras.sort(key=lambda one: (not one.findings, -one.counts["folded"], one.name))
    counts = ledger.copies.counts()
    written = sum(counts.get(how, 0) for how in ("lossless", "reencoded", "by hand"))
    not_written = counts.get("refused", 0) + counts.get("foreign", 0)
    return Findings(
        tuple(one for one in cameras if one.record.mapped or one.findings),
        tuple(one for one in cameras if not one.record.mapped and not one.own),
        written,
        not_written + ledger.paths.counts()["failed"],
        reasons.by_kind(ledger.paths.told(reasons.EXAMPLES)),
        config.detection.min_photos,
    )

"""Defects: the words for them, and the one place where x, y become row, column.

People, YAML and JSON say ``x, y``: 0-based stored (sensor) coordinates, origin at the
top left, EXIF Orientation not applied.  Inside the program everything is (row, column).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    Life = tuple[dt.datetime | None, dt.datetime | None]


class Kind(StrEnum):
    """What a defective photosite does to the value it should show."""

    HOT = "hot"
    """Adds to it; grows with exposure time and temperature."""
    STUCK = "stuck"
    """Shows one level, whatever the light."""
    DEAD = "dead"
    """Takes away from it: shows nothing, or a part."""


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly a defect shows in photos of like exposure time.

    Attributes
    ----------
    seconds : (float, float) or None
        Shortest and longest exposure time; None where unknown.
    iso : (int, int) or None
    amplitude : float
        Mean excess at the centre, luma, in 8-bit levels.
    photos : int
    """

    seconds: tuple[float, float] | None
    iso: tuple[int, int] | None
    amplitude: float
    photos: int


@dataclass(frozen=True, slots=True)
class Appearance:
    """In which photos of its life a detected defect shows, and how.

    Attributes
    ----------
    seen, telling : int
        Photos that show it, of those whose evidence decides either way; the map's JSON
        and the ledger have these names.
    strengths : tuple of Strength
        From the shortest exposures to the longest.
    """

    seen: int
    telling: int
    strengths: tuple[Strength, ...]


WHITE = 262.0
"""Levels that what a hot pixel adds saturates at, over its surroundings: some above 255,
as the tone curve ends before the sensor does."""
ORDINARY = 100.0
"""Level of ordinary surroundings."""
DOUBLING = 10.0
"""Degrees by which a sensor is warmer where its dark current is twice as much."""

MOST_DOUBLINGS = 3.0
"""The gain is doubled or halved so often at most: beyond, no temperature was seen."""


@dataclass(frozen=True, slots=True)
class Law:
    """The law of light: how strongly a hot pixel shows, by the light and the exposure.

    What it adds is saturated by the brightness of its surroundings: in a photo whose
    surroundings have `level`, (`WHITE` - level)(1 - exp(-A)) levels of luma at the centre,
    where A = gain (offset + dark x ISO x seconds).  The gain is common to all defects of a
    photo: the sensor's warmth, and what the camera's own noise reduction leaves of them.

    Attributes
    ----------
    offset : float
        Of A, whatever the exposure.
    dark : float
        Of A, per second at ISO 1.
    scatter : float
        Relative standard deviation of what single photos show about the law, their gain
        known.
    drift : float
        Standard deviation of the logarithm of the gain among the camera's photos.
    celsius : float or None
        The camera's temperature at which the gain is 1, where its photos tell.
    doubling : float
        Degrees that double the gain.
    """

    offset: float
    dark: float
    scatter: float
    drift: float = 0.0
    celsius: float | None = None
    doubling: float = DOUBLING

    def times(self, factor: float) -> Law:
        """Return the law of what is so much stronger."""
        return replace(self, offset=factor * self.offset, dark=factor * self.dark)

    def least_exposure(self, levels: float) -> float:
        """Return from which exposure (seconds times ISO) on it shows with so many levels.

        In surroundings of ordinary brightness; 0 is any, infinity is none.

        >>> round(Law(0.0, 0.001, 0.3).least_exposure(3), 1)
        18.7
        """
        missing = -math.log1p(-levels / (WHITE - ORDINARY)) - self.offset
        if missing <= 0:
            return 0.0
        return missing / self.dark if self.dark > 0 else math.inf

    def gain(self, celsius: float | None) -> float:
        """Return the gain at a camera's temperature; 1 where that is unknown.

        >>> Law(0.1, 0.0, 0.3, celsius=20).gain(30)
        2.0
        """
        if celsius is None or self.celsius is None:
            return 1.0
        steps = (celsius - self.celsius) / self.doubling
        return math.exp2(min(max(steps, -MOST_DOUBLINGS), MOST_DOUBLINGS))

    def amplitude(
        self, level: float, seconds: float | None, iso: float | None, gain: float = 1.0
    ) -> float:
        """Return what it adds to the luma at its centre, in 8-bit levels.

        Parameters
        ----------
        level : float
            Luma of the surroundings, 0-255.
        seconds, iso : float or None
            Of the exposure; where either is unknown, the offset alone counts.
        gain : float

        >>> round(Law(0.1, 0.001, 0.3).amplitude(62, 0.5, 400), 1)
        51.8
        """
        strength = gain * (self.offset + self.dark * (seconds or 0) * (iso or 0))
        return (WHITE - level) * -math.expm1(-strength)


def is_alive(life: Life, when: dt.datetime | None) -> bool:
    """Return whether a photo taken at `when` lies in a life.

    One of unknown time does only where the defect was always there.
    """
    begins, until = life
    if when is None:
        return begins is None and until is None
    return (begins is None or when >= begins) and (until is None or when < until)


@dataclass(frozen=True, slots=True)
class Defect:
    """A defective photosite, configured or detected, and how it shows in a JPEG.

    Attributes
    ----------
    row, col : int
        Place in the stored frame, 0-based.
    kind : Kind
    radius : int or None
        Half width of the footprint in pixels (1 is 3x3); None is unknown.
    score : float or None
        Signal to noise ratio of the evidence; None for a configured pixel.
    amplitude : tuple of float or None
        Mean excess at the centre per channel (red, green, blue), in 8-bit levels.
    after, by : datetime or None
        The defect appeared after the photo taken at `after` and was there in the one
        taken at `by`: local time as the camera wrote it, None where unknown.
    until : datetime or None
        The first photo that showed it healed or mapped out.
    focal : (float, float) or None
        Shortest and longest focal length (mm) at which it shows at this place, where the
        camera's lens correction moves it; None is any.
    appearance : Appearance or None
        None for a configured pixel.
    law : Law or None
        How strongly a hot pixel shows, where photos told.
    aside : (float, float)
        Where in its pixel it lies, rows and columns beside the middle: photos that a lens
        correction moves show it there.
    """

    row: int
    col: int
    kind: Kind = Kind.HOT
    radius: int | None = None
    score: float | None = None
    amplitude: tuple[float, float, float] | None = None
    after: dt.datetime | None = None
    by: dt.datetime | None = None
    until: dt.datetime | None = None
    focal: tuple[float, float] | None = None
    appearance: Appearance | None = None
    law: Law | None = None
    aside: tuple[float, float] = (0.0, 0.0)

    @property
    def exactly(self) -> tuple[float, float]:
        """Return the row and column where it lies, in pixels."""
        return self.row + self.aside[0], self.col + self.aside[1]

    @property
    def life(self) -> Life:
        """Return its first photo and the first one without it; see `is_alive`."""
        return (None if self.after is None else self.by), self.until

    @property
    def x(self) -> int:
        """Return the column, as people say it."""
        return self.col

    @property
    def y(self) -> int:
        """Return the row, as people say it."""
        return self.row

    def is_at(self, focal: float | None) -> bool:
        """Return whether a photo of this focal length (mm) may show it at this place."""
        if self.focal is None or focal is None:
            return True
        return self.focal[0] <= focal <= self.focal[1]

    @classmethod
    def at(cls, x: int, y: int) -> Defect:
        """Return a defect at the x, y of people, YAML and JSON."""
        return cls(row=y, col=x)

    @classmethod
    def parse(cls, text: str) -> Defect:
        """Return the defect of a photo that ``X,Y`` names on a command line.

        Raises
        ------
        ValueError
            The text is not two whole numbers of at least 0.

        >>> Defect.parse("1500,1271").row
        1271
        """
        if not is_place(text) or "-" in text:
            raise ValueError(f"{text!r} is not X,Y: two whole numbers, 0 or more")
        return cls.listed_at(text)

    @classmethod
    def listed_at(cls, text: str) -> Defect:
        """Return the listed defect that a place on a command line names; see `is_place`.

        >>> Defect.listed_at("-55,1636").col
        -55
        """
        x, y = map(int, text.split(","))
        return cls.at(x, y)


def is_place(text: str) -> bool:
    """Return whether a word on a command line is a place: ``X,Y``, two whole numbers.

    They may be negative: sensor sites may lie outside of the frame that they are listed in.
    """
    return re.fullmatch(r"\s*-?\d{1,9}\s*,\s*-?\d{1,9}\s*", text) is not None


@dataclass(frozen=True, slots=True)
class Prior(Defect):
    """A defect that photos of another size of the body have shown.

    Its `row` and `col` are the pixel nearest to where it is expected.

    Attributes
    ----------
    source : str
        That size, as in ``5184x3456``.
    places : tuple of (row, col)
        The pixels one of which may be its brightest.
    """

    source: str = ""
    places: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Primed(Prior):
    """A hot pixel that dark frames have shown, and photos have not confirmed yet.

    Its appearance is that in the dark frames.

    Attributes
    ----------
    frame : (row, col)
        Where the dark frames show it; elsewhere than photos whose lens correction moves it.
    least_exposure : float
        ISO times seconds of the photos that it is looked for in, at least.
    """

    frame: tuple[int, int] = (0, 0)
    least_exposure: float = 0.0


def level(defect: Defect) -> int | None:
    """Return the levels that a defect adds, or takes, in the colour that it shows most in."""
    if defect.amplitude is None:
        return None
    strongest: float = max(defect.amplitude, key=abs)
    return round(strongest)


VISIBLE_LEVELS = 3.0
"""What an eye finds at all in a smooth area."""


def exposure_time(seconds: float) -> str:
    """Return an exposure time as photographers write it.

    >>> exposure_time(0.004), exposure_time(2.0)
    ('1/250', '2')
    """
    return f"1/{1 / seconds:.0f}" if seconds < 0.4 else f"{seconds:.3g}"


def _shows_from(law: Law, photographed: Sequence[Strength]) -> str | None:
    """Return from which exposure on a defect shows: empty if at all, None if at none.

    That is said only where photos were taken with less, too.
    """
    least = law.least_exposure(VISIBLE_LEVELS)
    for number, strength in enumerate(photographed):
        if strength.seconds is None or strength.iso is None:
            continue
        (shortest, longest), (_, iso) = strength.seconds, strength.iso
        if longest * iso < least:
            continue
        if not number and shortest * strength.iso[0] >= least:
            return ""
        seconds = min(max(least / iso, shortest), longest)
        return f"{exposure_time(seconds)} s at ISO {iso}"
    return None


def shows(defect: Defect) -> str:
    """Return from which exposure on a hot pixel shows; empty where nothing tells.

    Of a defect that has dates, these are told instead.

    >>> short, long = Strength((1 / 3200, 0.01), (100, 800), 0.4, 30), Strength(
    ...     (0.25, 2.0), (800, 800), 30.0, 9)
    >>> shows(Defect(row=5, col=7, law=Law(0.0, 9e-5, 0.3),
    ...              appearance=Appearance(9, 9, (short, long))))
    'from 1/4 s at ISO 800'
    """
    shown = defect.appearance
    if defect.law is None or shown is None or (defect.after or defect.until):
        return ""
    told = [one for one in shown.strengths if one.seconds and one.iso]
    begins = _shows_from(defect.law, told)
    if begins is None:
        return ""
    return f"from {begins}" if begins else "always"


def photographed(defect: Defect) -> str:
    """Return the exposure times of the photos that tell of a defect, in words.

    >>> strength = Strength((1 / 3200, 2.0), (100, 800), 0.4, 30)
    >>> photographed(Defect(row=5, col=7, appearance=Appearance(9, 9, (strength,))))
    'photographed between 1/3200 and 2 s'
    """
    shown = defect.appearance
    told = [
        one for one in (shown.strengths if shown else ()) if one.seconds and one.iso
    ]
    times = [seconds for one in told for seconds in one.seconds or ()]
    if not times:
        return ""
    first, last = exposure_time(min(times)), exposure_time(max(times))
    between = f"between {first} and {last} s" if first != last else f"at {first} s only"
    return f"photographed {between}"


def conditions(defect: Defect) -> str:
    """Return at which exposures a hot pixel shows, and which there were, in words.

    Empty where `shows` is.
    """
    words = shows(defect)
    return f"shows {words}, {photographed(defect)}" if words else ""

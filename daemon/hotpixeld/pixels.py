"""Pixels: the words for defects, and the one place where x, y become row, column.

People, YAML and JSON say ``x, y``: 0-based stored (sensor) coordinates, origin at the
top left, EXIF Orientation not applied.  Inside the program everything is (row, column).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


class Kind(StrEnum):
    """What a defective photosite does to the value it should show."""

    HOT = "hot"
    """Adds to it; grows with exposure time and temperature."""
    STUCK = "stuck"
    """Shows one level, whatever the light."""
    DEAD = "dead"
    """Takes away from it: shows nothing, or a part."""


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

    @property
    def x(self) -> int:
        """Return the column, as people say it."""
        return self.col

    @property
    def y(self) -> int:
        """Return the row, as people say it."""
        return self.row

    @classmethod
    def at(cls, x: int, y: int) -> Defect:
        """Return a defect at the x, y of people, YAML and JSON."""
        return cls(row=y, col=x)

    @classmethod
    def parse(cls, text: str) -> Defect:
        """Return the defect that ``X,Y`` names on a command line.

        Raises
        ------
        ValueError
            The text is not two whole numbers of at least 0.

        >>> Defect.parse("1500,1271").row
        1271
        """
        match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", text)
        if match is None:
            raise ValueError(f"{text!r} is not X,Y: two whole numbers, 0 or more")
        return cls.at(int(match[1]), int(match[2]))

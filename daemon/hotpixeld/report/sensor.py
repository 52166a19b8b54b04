"""The sensor, drawn to place: a dot for each defect, and its number where it is free.

Lengths are the sensor's pixels; the page scales them to its width.  Where a lens correction
moves defects, the sensor is larger than the frame of photos of one focal length: what only
others show lies around it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.camera import Camera
    from hotpixeld.report.findings import Finding

NAMED = 40
"""Beyond so many defects no numbers stand beside them."""
STRONGEST = 200.0
"""Levels from which on dots grow no more."""
# Thousandths of the longer side.
_LEAST, _GROWTH, _RING, _TOUCH, _TEXT, _GAP = 3.0, 1.3, 9.0, 24.0, 30.0, 7.0
_DIGIT = 0.62
"""Width of a digit to its height."""


class Box(NamedTuple):
    """A rectangle that something takes up."""

    left: float
    top: float
    right: float
    bottom: float

    def shared(self, other: Box) -> float:
        """Return the area that two have in common."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(across, 0) * max(down, 0)


@dataclass(frozen=True, slots=True)
class Dot:
    """A defect in the drawing.

    Attributes
    ----------
    number, x, y : int
    is_seen, is_new : bool
    radius, ring, touch : float
        Of the dot by its levels, of the ring of a new one, and of what can be clicked.
    label : (float, float) or None
        Middle of the number's base line; None is without.
    size : float
        Of the number.
    """

    number: int
    x: int
    y: int
    is_seen: bool
    is_new: bool
    radius: float
    ring: float
    touch: float
    label: tuple[float, float] | None
    size: float

    def is_outside(self, camera: Camera) -> bool:
        """Return whether it lies outside of a camera's frame."""
        return not (0 <= self.x < camera.width and 0 <= self.y < camera.height)

    @property
    def box(self) -> Box:
        """Return what it takes up, with its ring."""
        reach = self.ring if self.is_new else self.radius
        return Box(self.x - reach, self.y - reach, self.x + reach, self.y + reach)


def _without_label(one: Finding, unit: float) -> Dot:
    radius = unit * (_LEAST + _GROWTH * math.sqrt(min(one.levels, STRONGEST)))
    return Dot(
        one.number,
        one.defect.x,
        one.defect.y,
        one.is_seen,
        one.is_new,
        radius=round(radius, 1),
        ring=round(radius + _RING * unit, 1),
        touch=round(_TOUCH * unit, 1),
        label=None,
        size=round(_TEXT * unit, 1),
    )


def _places(dot: Dot, unit: float) -> list[Box]:
    """Return where its number may stand: right, left, above, below."""
    wide, high = len(str(dot.number)) * _DIGIT * dot.size, 0.75 * dot.size
    box, gap = dot.box, _GAP * unit
    across, down = dot.x - wide / 2, dot.y - high / 2
    corners = (
        (box.right + gap, down),
        (box.left - gap - wide, down),
        (across, box.top - gap - high),
        (across, box.bottom + gap),
    )
    return [Box(left, top, left + wide, top + high) for left, top in corners]


def _unit(camera: Camera) -> float:
    return max(camera.width, camera.height) / 1000


def view(found: Sequence[Dot], camera: Camera) -> Box:
    """Return what is drawn: a camera's frame, and the dots outside of it with room around."""
    frame = Box(0, 0, camera.width, camera.height)
    room = _TOUCH * _unit(camera)
    outside = [dot for dot in found if dot.is_outside(camera)]
    left, top, right, bottom = zip(
        frame,
        *((dot.x - room, dot.y - room, dot.x + room, dot.y + room) for dot in outside),
        strict=True,
    )
    corners = min(left), min(top), max(right), max(bottom)
    return Box(*(round(one, 1) for one in corners))


def dots(findings: Sequence[Finding], camera: Camera) -> list[Dot]:
    """Return the dots of a camera's defects, the numbers where they hide least."""
    unit = _unit(camera)
    bare = [_without_label(one, unit) for one in findings]
    if len(bare) > NAMED:
        return bare
    taken = [dot.box for dot in bare]
    drawn = view(bare, camera)

    def hides(box: Box) -> float:
        area = (box.right - box.left) * (box.bottom - box.top)
        outside = area - box.shared(drawn)
        return outside + sum(box.shared(other) for other in taken)

    out = []
    for dot in bare:
        best = min(_places(dot, unit), key=hides)  # the first of those that are free
        taken.append(best)
        middle = (best.left + best.right) / 2
        label = round(middle, 1), round(best.bottom, 1)
        out.append(replace(dot, label=label))
    return out

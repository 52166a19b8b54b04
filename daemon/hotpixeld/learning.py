"""A camera's own footprint, learned from the mean image of its photos."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hotpixeld import shapes
from hotpixeld.footprint import HALF_WIDTH, Shape, of_half

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hotpixeld.pixels import Defect

Samples = NDArray[np.float64]

# Half width of what is looked at, and of what may belong to the footprint.
WINDOW, UNSURE = 8, HALF_WIDTH + 1
# A defect teaches when it stands out of the mean image by this many times its noise, and
# by this many levels.
CLEAR, VISIBLE = 10.0, 3.0
# Fewer defects do not outweigh what is usual.
FEWEST = 4
# No pixel of a footprint exceeds its centre by more: there is another defect.
HIGHEST = 1.2
# Footprints this many times as far from the middle one as half of them are: outliers.
FAR = 4.0
# Noise of the middle footprint, as a share of its centre, and how much less likely than the
# usual ones it must be (a squared distance in standard deviations; 2 to 11 for the three
# measured kinds of camera).  Where the usual shapes hold the camera's own, they serve
# better: a photo's rounding and clipping bend every footprint, and they allow for that.
SPREAD, UNUSUAL = 0.1, 20.0
# Independent ways in which a camera's footprints differ; more are noise.
WAYS = 6
_SIDE = 2 * HALF_WIDTH + 1
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, slots=True)
class Footprint:
    """How one camera's defects show.

    Attributes
    ----------
    count : int
        Defects it was learned from.
    ways : tuple of tuples of float
        Each 7 x 7 pixels, row by row: a footprint of amplitude 1 is a sum of these with
        independent factors of variance 1.
    """

    count: int
    ways: tuple[tuple[float, ...], ...]

    @property
    def luma(self) -> Shape:
        """Return the shape of a footprint in luma."""
        return _shape(self)

    def to_json(self) -> str:
        """Return this as text, some 3 kB.

        >>> Footprint.from_json(Footprint(5, ((0.5,) * 49,)).to_json()).count
        5
        """
        return json.dumps({"count": self.count, "ways": self.ways})

    @classmethod
    def from_json(cls, text: str) -> Footprint:
        """Return what `to_json` wrote.

        Raises
        ------
        ValueError
            The text is something else.
        """
        try:
            found = json.loads(text)
            ways = tuple(tuple(float(v) for v in way) for way in found["ways"])
            count = int(found["count"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a footprint: {text[:40]!r}") from error
        if count < 1 or any(len(way) != _SIDE**2 for way in ways):
            raise ValueError(f"not a footprint: {text[:40]!r}")
        return cls(count, ways)


@functools.lru_cache(maxsize=16)
def _shape(learned: Footprint) -> Shape:
    """Return the shape that a learned footprint stands for."""
    ways = np.array(learned.ways).reshape(-1, _SIDE, _SIDE)
    wide = np.pad(ways, ((0, 0), *[(shapes.LARGEST - HALF_WIDTH,) * 2] * 2))
    flat = wide.reshape(len(ways), -1)
    return Shape(shapes.like(flat.T @ flat, learned.count))


@functools.cache
def _background() -> tuple[NDArray[np.bool_], Samples]:
    """Return which pixels of a window are background, and a plane over the window."""
    rows, columns = np.mgrid[-WINDOW : WINDOW + 1, -WINDOW : WINDOW + 1]
    far = np.maximum(np.abs(rows), np.abs(columns)) > UNSURE
    plane = np.stack([np.ones(rows.size), rows.ravel(), columns.ravel()], axis=1)
    return far, plane


def _normalised(window: Samples) -> tuple[Samples, float] | None:
    """Return a footprint of centre 1, and its noise; None when it does not stand out."""
    far, plane = _background()
    slopes = np.linalg.lstsq(plane[far.ravel()], window[far], rcond=None)[0]
    residual = window - (plane @ slopes).reshape(window.shape)
    noise = 1.4826 * float(np.median(np.abs(residual[far])))
    peak = float(residual[WINDOW, WINDOW])
    if abs(peak) < max(CLEAR * noise, VISIBLE):
        return None
    inner = slice(WINDOW - HALF_WIDTH, WINDOW + HALF_WIDTH + 1)
    footprint = residual[inner, inner] / peak
    if np.abs(footprint).max() > HIGHEST:
        return None
    return footprint.ravel(), noise / abs(peak)


def _windows(
    mean: NDArray[np.float32], defects: Sequence[Defect]
) -> Iterator[NDArray[np.float32]]:
    """Yield the mean image around each defect that has no other one near."""
    places = np.array(sorted({(defect.row, defect.col) for defect in defects}))
    for row, col in places.reshape(-1, 2).tolist():
        near = np.abs(places - (row, col)).max(axis=1) <= WINDOW + HALF_WIDTH
        top, left = row - WINDOW, col - WINDOW
        window = mean[max(top, 0) : row + WINDOW + 1, max(left, 0) : col + WINDOW + 1]
        if near.sum() == 1 and window.shape[:2] == (2 * WINDOW + 1,) * 2:
            yield window


def _is_unusual(middle: Samples) -> bool:
    """Return whether the usual shapes do not hold a footprint."""
    usual = of_half(shapes.usual(), HALF_WIDTH) + SPREAD**2 * np.eye(middle.size)
    return bool(middle @ np.linalg.solve(usual, middle) > UNUSUAL)


def learn(mean: NDArray[np.float32], defects: Sequence[Defect]) -> Footprint | None:
    """Learn how a camera's defects show.

    Parameters
    ----------
    mean : (H, W, 3) float32, levels
        The mean image of the camera's photos.
    defects : sequence of Defect
        The camera's, each once.

    Returns
    -------
    Footprint or None
        None where too few defects stand out clearly of their surroundings, alone and
        away from the edges, or the usual shapes hold theirs: they are better then.
    """
    windows = (window @ _LUMA for window in _windows(mean, defects))
    found = [one for one in map(_normalised, windows) if one is not None]
    if len(found) < FEWEST:
        return None
    seen, noise = np.array([f for f, _ in found]), np.array([n for _, n in found])
    distance = np.linalg.norm(seen - np.median(seen, axis=0), axis=1)
    usable = distance <= FAR * np.median(distance) + 0.1
    if usable.sum() < FEWEST:
        return None
    seen, noise = seen[usable], noise[usable]
    if not _is_unusual(np.median(seen, axis=0)):
        return None
    moment = seen.T @ seen / len(seen) - (noise**2).mean() * np.eye(_SIDE**2)
    values, vectors = np.linalg.eigh(moment)
    ways = (vectors * np.sqrt(np.maximum(values, 0))).T[::-1][:WAYS]
    rounded = tuple(tuple(round(float(v), 4) for v in way) for way in ways)
    return Footprint(len(seen), rounded)

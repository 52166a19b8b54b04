"""A defect's footprint: how one defective photosite shows in a photo.

Demosaicing spreads one site over its neighbours, sharpening draws a ring around it, and
the end of the scale flattens the peak or the ring.  The kernels that a few usual amounts
of each give are taken as equally likely, no camera's own among them: their covariance is
the prior of a footprint (`FootprintPrior`).  `learn` finds a camera's own footprint in the
mean of its photos, where the usual kernels do not hold it.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld.repair.field import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.defect import Defect
    from hotpixeld.repair.field import Subsampling

Array = NDArray[np.floating]
Kernels = NDArray[np.float64]
"""(n, side, side) float64: footprints, 1 at the centre."""
Covariance = NDArray[np.float64]
"""(side * side, side * side) float64: of a footprint of amplitude 1."""

# Half width of the footprint that is always reckoned with: a DSLR shows 3x3, a compact
# 7x7 with a dark ring; compression smears either.
HALF_WIDTH = 3
# A larger radius is cut: no camera shows more, and the equations would be slow.
LARGEST = 8
SIDE = 2 * LARGEST + 1

# Demosaicing: share of the four neighbours, and of the diagonal ones in that; or the
# width of a blur, in pixels.
_NEIGHBOURS, _DIAGONALS = (0.15, 0.3, 0.45), (0.25, 0.5)
_BLURS = (0.3, 0.5, 0.7, 0.9)
# Sharpening: amount and radius of an unsharp mask.
_SHARPENINGS = ((0.0, 1.0), (0.4, 1.0), (0.4, 1.7), (0.9, 1.0), (0.9, 1.7))
# Where the peak is cut off, and the ring (1: nowhere).
_PEAKS, _RINGS = (1.0, 1.0, 0.8, 0.5), (1.0, 1.0, 1.0, 0.04)

# Share of footprints like no kernel above: mirrored pixels rise and fall together, each
# such set for itself, with the strength of its distance from the centre squared.
_OTHER = 0.2
_STRENGTH = {0: 1.0, 1: 0.4, 2: 0.25, 4: 0.2, 5: 0.17, 8: 0.12}
_FAINT = 0.06
# A camera's own footprints outweigh the usual ones when there are more than this.
USUAL_COUNT = 4.0
# Share of its strength by which a pixel may differ from all that, on its own.
_APART = 0.2

# Half width of what is looked at, and of what may belong to the footprint.
WINDOW, UNSURE = 8, HALF_WIDTH + 1
# A defect teaches when it stands out of the mean by this many times its noise, and
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
# measured kinds of camera).  Where the usual kernels hold the camera's own, they serve
# better: a photo's rounding and clipping bend every footprint, and they allow for that.
SPREAD, UNUSUAL = 0.1, 20.0
# Independent ways in which a camera's footprints differ; more are noise.
WAYS = 6
_LEARNED_SIDE = 2 * HALF_WIDTH + 1


class Spot(NamedTuple):
    """A defect's place in the frame and the half width of its footprint, in pixels."""

    row: int
    col: int
    half: int

    @classmethod
    def of(cls, defect: Defect) -> Spot:
        """Return the spot of a defect."""
        half = min(max(defect.radius or 0, HALF_WIDTH), LARGEST)
        return cls(defect.row, defect.col, half)

    def box(self, subsampling: Subsampling) -> Box:
        """Return the samples of a component that the footprint touches."""
        return Box(
            (self.row - self.half) // subsampling.down,
            (self.col - self.half) // subsampling.across,
            (self.row + self.half) // subsampling.down + 1,
            (self.col + self.half) // subsampling.across + 1,
        )


def boxes(spots: Sequence[Spot], subsampling: Subsampling) -> NDArray[np.intp]:
    """Return the box of each spot, as `Spot.box`: (n, 4)."""
    row, col, half = np.array(spots, np.intp).reshape(-1, 3).T
    down, across = subsampling
    first = (row - half) // down, (col - half) // across
    return np.stack(
        [*first, (row + half) // down + 1, (col + half) // across + 1], axis=1
    )


def _blurred(kernel: Kernels, radius: float) -> Kernels:
    """Return a kernel blurred by a Gaussian."""
    pixels = np.arange(SIDE)
    gaussian = np.exp(-((pixels[:, None] - pixels) ** 2) / (2 * radius**2))
    gaussian /= gaussian[LARGEST].sum()
    return np.asarray(gaussian @ kernel @ gaussian.T)


def _demosaiced() -> Kernels:
    """Return what demosaicing may make of one site."""
    kernels = []
    for share, diagonal in itertools.product(_NEIGHBOURS, _DIAGONALS):
        kernel = np.zeros((SIDE, SIDE))
        kernel[LARGEST - 1 : LARGEST + 2, LARGEST - 1 : LARGEST + 2] = share * diagonal
        kernel[LARGEST, LARGEST - 1 : LARGEST + 2] = share
        kernel[LARGEST - 1 : LARGEST + 2, LARGEST] = share
        kernels.append(kernel)
    for radius in _BLURS:
        point = np.zeros((SIDE, SIDE))
        point[LARGEST, LARGEST] = 1.0
        kernel = _blurred(point, radius)
        kernels.append(kernel / kernel[LARGEST, LARGEST])
    for kernel in kernels:
        kernel[LARGEST, LARGEST] = 1.0
    return np.array(kernels)


def usual_kernels() -> Kernels:
    """Return the footprints that cameras make of a photosite, all equally likely."""
    kernels = []
    for spread, (amount, radius) in itertools.product(_demosaiced(), _SHARPENINGS):
        kernel = spread + amount * (spread - _blurred(spread, radius))
        kernel /= kernel[LARGEST, LARGEST]
        for peak, ring in itertools.product(_PEAKS, _RINGS):
            kernels.append(np.clip(kernel, -ring, peak) / peak)
    return np.array(kernels)


def moment(kernels: Kernels) -> Covariance:
    """Return the second moment of the pixels of kernels, about zero."""
    flat = kernels.reshape(-1, SIDE**2)
    return np.asarray(flat.T @ flat / len(flat))


@functools.cache
def usual_moment() -> Covariance:
    """Return the second moment of the usual kernels."""
    return moment(usual_kernels())


def _mirrored() -> Covariance:
    """Return the covariance of footprints known to be alike on all sides only."""
    rows, columns = (np.abs(index - LARGEST) for index in np.indices((SIDE, SIDE)))
    distance = (rows**2 + columns**2).ravel()
    strength = np.array([_STRENGTH.get(int(d), _FAINT) for d in distance])
    sets = (rows * SIDE + columns).ravel()
    together = sets[:, None] == sets[None, :]
    return np.asarray(np.outer(strength, strength) * together)


def loosened(covariance: Covariance) -> Covariance:
    """Return a covariance with what each pixel but the centre may do on its own."""
    apart = _APART**2 * (np.diag(covariance) + _FAINT**2)
    apart[apart.size // 2] = 0.0
    return np.asarray(covariance + np.diag(apart))


def with_others(covariance: Covariance) -> Covariance:
    """Return the covariance of known footprints, and rare ones of any other shape."""
    return np.asarray((1 - _OTHER) * covariance + _OTHER * _mirrored())


@functools.cache
def _strict() -> Covariance:
    """Return the covariance of usual footprints, and rare ones of any other shape."""
    return with_others(usual_moment())


@functools.cache
def usual_covariance() -> Covariance:
    """Return the covariance of the footprint of a camera that is not known better."""
    return loosened(_strict())


def learned_covariance(second_moment: Covariance, count: float) -> Covariance:
    """Return the covariance of a footprint of a camera of which some were seen.

    Parameters
    ----------
    second_moment : (side * side, side * side) float64
        Of the footprints seen, each divided by its centre.
    count : float
        Their number; the usual kernels count as `USUAL_COUNT`.
    """
    share = count / (count + USUAL_COUNT)
    return loosened(share * second_moment + (1 - share) * _strict())


@functools.lru_cache(maxsize=64)
def pooling(
    half: int, subsampling: Subsampling, down: int, across: int
) -> tuple[Box, Array]:
    """Return the samples of a footprint, and what share of its pixels goes into each.

    `down` and `across` are the place of the defect's pixel within its sample.
    """
    box = Spot(down, across, half).box(subsampling)
    side = 2 * half + 1
    share = np.zeros((*box.shape, side, side))
    for y, x in np.ndindex(side, side):
        row = (down + y - half) // subsampling.down - box.top
        column = (across + x - half) // subsampling.across - box.left
        share[row, column, y, x] = 1 / (subsampling.down * subsampling.across)
    return box, share.reshape(box.shape[0] * box.shape[1], side * side)


def of_pixels(pixels: Array, half: int) -> Array:
    """Return the pixels of a footprint, (289,), within a half width."""
    inner = slice(LARGEST - half, LARGEST + half + 1)
    return pixels.reshape(SIDE, SIDE)[inner, inner].ravel()


def of_half(covariance: Array, half: int) -> Array:
    """Return the part of a footprint's covariance within a half width."""
    side = math.isqrt(len(covariance))
    inner = slice(side // 2 - half, side // 2 + half + 1)
    square = covariance.reshape((side,) * 4)[inner, inner, inner, inner]
    return square.reshape(((2 * half + 1) ** 2,) * 2)


class FootprintPrior:
    """What is known of a camera's footprints in one component: a Gaussian prior.

    Parameters
    ----------
    covariance : (side * side, side * side) float64
        Of the pixels of a footprint of amplitude 1, row by row; as wide as any that is
        asked for.
    """

    def __init__(self, covariance: Array) -> None:
        self._covariance = covariance
        self._cache: dict[tuple[int, ...], Array] = {}

    def covariance(
        self, half: int, subsampling: Subsampling, down: int, across: int
    ) -> Array:
        """Return the covariance over the samples of a footprint's box.

        `down` and `across` are the place of the defect's pixel within its sample.
        """
        key = half, *subsampling, down, across
        if key not in self._cache:
            _, share = pooling(half, subsampling, down, across)
            pooled = share @ of_half(self._covariance, half) @ share.T
            self._cache[key] = pooled.astype(np.float32)
        return self._cache[key]

    def covariances(self, half: int, subsampling: Subsampling, samples: int) -> Array:
        """Return the covariance for each place within the sample, row by row.

        (places, samples, samples): any values where the box has another size.
        """
        key = half, *subsampling, samples
        if key not in self._cache:
            each = [
                self.covariance(half, subsampling, *place)
                for place in np.ndindex(*subsampling)
            ]
            self._cache[key] = np.stack(
                [np.resize(own, (samples,) * 2) for own in each]
            )
        return self._cache[key]

    def embedded(self, spot: Spot, subsampling: Subsampling, outer: Box) -> Array:
        """Return the covariance over another box, 0 where the footprint has no part."""
        box = spot.box(subsampling)
        phase = spot.row % subsampling.down, spot.col % subsampling.across
        place = outer.top - box.top, outer.left - box.left
        key = spot.half, *subsampling, *phase, *place, *outer.shape
        if key not in self._cache:
            common = box.clipped(outer)
            into, out_of = common.within(outer), common.within(box)
            own = self.covariance(spot.half, subsampling, *phase).reshape(box.shape * 2)
            whole = np.zeros(outer.shape * 2, np.float32)
            whole[into + into] = own[out_of + out_of]
            self._cache[key] = whole.reshape((outer.shape[0] * outer.shape[1],) * 2)
        return self._cache[key]


@functools.cache
def usual_prior() -> FootprintPrior:
    """Return the prior of a camera that is not known better."""
    return FootprintPrior(usual_covariance())


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
    def luma(self) -> FootprintPrior:
        """Return the prior of a footprint in luma."""
        return _prior(self)

    def to_json(self) -> str:
        """Return this as text, some 3 kB.

        >>> Footprint.from_json(Footprint(5, ((0.5,) * 49,)).to_json()).count
        5
        """
        return json.dumps(self.saved())

    def saved(self) -> dict[str, Any]:
        """Return this for JSON."""
        return {"count": self.count, "ways": self.ways}

    @classmethod
    def from_json(cls, text: str) -> Footprint:
        """Return what `to_json` wrote.

        Raises
        ------
        ValueError
            The text is something else.
        """
        return cls.parse(json.loads(text))

    @classmethod
    def parse(cls, saved: Any) -> Footprint:
        """Return what was `saved`.

        Raises
        ------
        ValueError
            It is something else.
        """
        fault = f"not a footprint: {str(saved)[:40]!r}"
        try:
            ways = tuple(tuple(float(v) for v in way) for way in saved["ways"])
            count = int(saved["count"])
        except (KeyError, TypeError) as error:
            raise ValueError(fault) from error
        if count < 1 or any(len(way) != _LEARNED_SIDE**2 for way in ways):
            raise ValueError(fault)
        return cls(count, ways)


@functools.lru_cache(maxsize=16)
def _prior(learned: Footprint) -> FootprintPrior:
    """Return the prior that a learned footprint stands for."""
    ways = np.array(learned.ways).reshape(-1, _LEARNED_SIDE, _LEARNED_SIDE)
    wide = np.pad(ways, ((0, 0), *[(LARGEST - HALF_WIDTH,) * 2] * 2))
    flat = wide.reshape(len(ways), -1)
    return FootprintPrior(learned_covariance(flat.T @ flat, learned.count))


@functools.cache
def _background() -> tuple[NDArray[np.bool_], Array]:
    """Return which pixels of a window are background, and the terms of a linear trend."""
    rows, columns = np.mgrid[-WINDOW : WINDOW + 1, -WINDOW : WINDOW + 1]
    far = np.maximum(np.abs(rows), np.abs(columns)) > UNSURE
    trend = np.stack([np.ones(rows.size), rows.ravel(), columns.ravel()], axis=1)
    return far, trend


def _normalised(window: Array) -> tuple[Array, float] | None:
    """Return a footprint of centre 1, and its noise; None when it does not stand out."""
    far, trend = _background()
    slopes = np.linalg.lstsq(trend[far.ravel()], window[far], rcond=None)[0]
    residual = window - (trend @ slopes).reshape(window.shape)
    noise = 1.4826 * float(np.median(np.abs(residual[far])))
    peak = float(residual[WINDOW, WINDOW])
    if abs(peak) < max(CLEAR * noise, VISIBLE):
        return None
    inner = slice(WINDOW - HALF_WIDTH, WINDOW + HALF_WIDTH + 1)
    footprint = residual[inner, inner] / peak
    if np.abs(footprint).max() > HIGHEST:
        return None
    return footprint.ravel(), noise / abs(peak)


def _is_unusual(middle: Array) -> bool:
    """Return whether the usual kernels do not hold a footprint."""
    usual = of_half(usual_covariance(), HALF_WIDTH) + SPREAD**2 * np.eye(middle.size)
    return bool(middle @ np.linalg.solve(usual, middle) > UNUSUAL)


def learn(windows: Sequence[Array]) -> Footprint | None:
    """Learn how a camera's defects show.

    Parameters
    ----------
    windows : sequence of (17, 17) float64, levels
        What the mean of photos shows around each defect that has no other one near, in luma.

    Returns
    -------
    Footprint or None
        None where too few defects stand out clearly of their surroundings, or the usual
        kernels hold theirs: they are better then.
    """
    clear = [pair for pair in map(_normalised, windows) if pair is not None]
    if len(clear) < FEWEST:
        return None
    seen, noise = (np.array(part) for part in zip(*clear, strict=True))
    distance = np.linalg.norm(seen - np.median(seen, axis=0), axis=1)
    usable = distance <= FAR * np.median(distance) + 0.1
    if usable.sum() < FEWEST:
        return None
    seen, noise = seen[usable], noise[usable]
    if not _is_unusual(np.median(seen, axis=0)):
        return None
    moment = seen.T @ seen / len(seen) - (noise**2).mean() * np.eye(_LEARNED_SIDE**2)
    values, vectors = np.linalg.eigh(moment)
    ways = (vectors * np.sqrt(np.maximum(values, 0))).T[::-1][:WAYS]
    rounded = tuple(tuple(round(float(v), 4) for v in way) for way in ways)
    return Footprint(len(seen), rounded)

"""How one defect shows: its footprint in each component, learned from the mean image.

What a defect adds to a photo is its shape times the photo's amplitude.  The mean image less
the trend around the site is that shape times the mean amplitude, and what the scenes have left
of themselves: noise, whose covariance the surroundings show.  Where that hides the shape, the
usual footprints decide.  Chroma smears wider than luma, and with luma's amplitude as the unit
it is a small part of it.
"""

from __future__ import annotations

import functools
import itertools
import json
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hotpixeld.repair import footprint
from hotpixeld.repair.footprint import (
    HALF_WIDTH,
    LARGEST,
    SIDE,
    Footprint,
    FootprintPrior,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hotpixeld.defect import Defect
    from hotpixeld.repair.field import Subsampling
    from hotpixeld.repair.footprint import Array, Covariance, Kernels

    Site = tuple[int, int]

# Y, Cb, Cr of red, green, blue (ITU-T T.871), less the constant.
COMPONENTS = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168736, -0.331264, 0.5],
        [0.5, -0.418688, -0.081312],
    ]
)
# Half width of what is looked at around a site, and how much of it shows the trend.
WINDOW, TREND = 20, 8
# How far the peak of one component must stand out of the noise, and each ring of pixels that
# belongs to the shape, in standard deviations.
CLEAR, BELONGS = 3.0, 5.0
# Levels of noise that every mean image has: rounding.
LEAST_NOISE = 0.1
# Widths of blurs, in pixels, by which noise reduction smears chroma; their share among those
# that are not as usual, and the share of these, in luma and in chroma.
_SMEARS = (1.0, 1.5, 2.0, 2.5, 3.0)
_SMEARED, _UNUSUAL = (0.1, 0.6), (0.1, 0.5)
# Ways in which what is known of a shape may be wrong; more are noise.
WAYS = 4
# Of levels: the same photos in another order have means that differ by less, but for their
# last bits.
DIGITS = 1
# Photos bend a shape: by tone curve, clipping and rounding. Share of the usual footprints'
# covariance, and of each pixel's own strength.
_BENT, _APART = 0.02, 0.1


@dataclass(frozen=True, slots=True)
class Shape:
    """A defect's footprint in one component.

    Attributes
    ----------
    half : int
        Its half width, in pixels.
    levels : tuple of float
        (2 half + 1) squared pixels, row by row: what it added to the mean image.
    ways : tuple of tuples of float
        Alike: what they may differ by is a sum of these, with independent factors of
        variance 1,
    error : float
        and of this standard deviation in each pixel.
    """

    half: int
    levels: tuple[float, ...]
    ways: tuple[tuple[float, ...], ...]
    error: float

    @classmethod
    def of(cls, learned: _Learned) -> Shape:
        """Return the shape of what a defect added."""
        values, vectors = np.linalg.eigh(learned.covariance)
        variances = np.maximum(values, 0)
        ways = (vectors * np.sqrt(variances)).T[: -WAYS - 1 : -1]
        error = np.sqrt(variances[:-WAYS].sum() / len(variances))
        return cls(
            learned.half,
            _rounded(learned.levels),
            tuple(map(_rounded, ways)),
            round(float(error), DIGITS),
        )

    @classmethod
    def parse(cls, saved: Mapping[str, Any]) -> Shape:
        """Return what `asdict` made of it; see `Shapes.parse`."""
        half, levels = int(saved["half"]), tuple(map(float, saved["levels"]))
        ways = tuple(tuple(map(float, way)) for way in saved["ways"])
        pixels = (2 * half + 1) ** 2
        if not 0 <= half <= LARGEST or {*map(len, (levels, *ways))} != {pixels}:
            raise ValueError("a shape of another size than it says")
        return cls(half, levels, ways, float(saved["error"]))


@dataclass(frozen=True, slots=True)
class Shapes:
    """How one defect shows.

    Attributes
    ----------
    row, col : int
    amplitude : float
        Its mean in the photos that it was learned from, in levels of luma.
    components : tuple of Shape
        Y, Cb and Cr.
    """

    row: int
    col: int
    amplitude: float
    components: tuple[Shape, ...]

    @classmethod
    def of(
        cls, row: int, col: int, amplitude: float, parts: Sequence[_Learned]
    ) -> Shapes:
        """Return them, from what a defect of some mean amplitude added."""
        return cls(row, col, round(amplitude, DIGITS), tuple(map(Shape.of, parts)))

    @classmethod
    def parse(cls, saved: Mapping[str, Any]) -> Shapes:
        """Return what `asdict` made of them.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
        shapes = tuple(map(Shape.parse, saved["components"]))
        if len(shapes) != len(COMPONENTS):
            raise ValueError(f"shapes in {len(shapes)} components")
        place = int(saved["row"]), int(saved["col"])
        return cls(*place, float(saved["amplitude"]), shapes)


FORMAT = 2
"""Of the text of `Footprints`; that of version 0.1 had none."""


@dataclass(frozen=True, slots=True)
class Footprints:
    """How one camera's defects show.

    Attributes
    ----------
    camera : Footprint or None
        All of them; None where they do as usual, or too few were seen.
    defects : tuple of Shapes
        Single ones.
    """

    camera: Footprint | None = None
    defects: tuple[Shapes, ...] = ()

    def to_json(self) -> str:
        """Return this as text, some kB a defect.

        >>> Footprints.from_json(Footprints().to_json()) == Footprints()
        True
        """
        content = {
            "format": FORMAT,
            "camera": self.camera and json.loads(self.camera.to_json()),
            "defects": [asdict(one) for one in self.defects],
        }
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> Footprints:
        """Return what `to_json` wrote, or version 0.1 of the camera's footprint.

        Raises
        ------
        ValueError
            The text is something else.
        """
        content = json.loads(text)
        if isinstance(content, dict) and "format" not in content:
            return cls(Footprint.from_json(text))
        try:
            if content["format"] != FORMAT:
                raise ValueError(f"footprints of format {content['format']}")
            camera = content["camera"] and Footprint.from_json(
                json.dumps(content["camera"])
            )
            return cls(camera, tuple(map(Shapes.parse, content["defects"])))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not footprints: {text[:40]!r}") from error


USUAL = Footprints()
"""Of a camera that is not known better."""


class _Learned(NamedTuple):
    """What a defect added to one component of the mean image.

    `levels` are its (2 half + 1) squared pixels, known as well as `covariance` says;
    `clear` is how many times the noise the strongest of those seen is.
    """

    half: int
    levels: Array
    covariance: Covariance
    clear: float

    @property
    def peak(self) -> float:
        """Return its strongest pixel, with its sign."""
        return float(self.levels[np.abs(self.levels).argmax()])


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(round(one, DIGITS) for one in values.tolist())


def _shifted(kernels: Kernels, down: int, right: int) -> Kernels:
    """Return kernels that lie half a pixel aside: cameras that scale put them there."""
    for axis, step in ((1, down), (2, right)):
        if step:
            kernels = (kernels + np.roll(kernels, step, axis)) / 2
    return kernels


def _smears() -> Kernels:
    """Return what noise reduction may make of a site's colour."""
    pixels = np.arange(SIDE) - LARGEST
    return np.array(
        [
            np.exp(
                -((pixels[:, None] - down) ** 2 + (pixels - right) ** 2)
                / (2 * width**2)
            )
            for width in _SMEARS
            for down, right in itertools.product((-0.5, 0.0, 0.5), repeat=2)
        ]
    )


def _moment(kernels: Kernels) -> Covariance:
    flat = kernels.reshape(-1, SIDE**2)
    return np.asarray(flat.T @ flat / len(flat))


@functools.cache
def possible_covariance(*, is_chroma: bool) -> Covariance:
    """Return the covariance of a footprint of which nothing was seen."""
    usual, steps = footprint.usual_kernels(), (-1, 0, 1)
    aside = [
        _moment(_shifted(usual, *step)) for step in itertools.product(steps, steps)
    ]
    smeared, unusual = _SMEARED[is_chroma], _UNUSUAL[is_chroma]
    mixed = (1 - smeared) * np.mean(aside, axis=0) + smeared * _moment(_smears())
    mixed = unusual * mixed + (1 - unusual) * _moment(usual)
    return footprint.loosened(footprint.with_others(mixed))


class _View:
    """What the mean image shows around a site, in one component.

    Attributes
    ----------
    residual : (side, side) float64, levels
        Less the trend; 0 where it is not known.
    noise : (289, 289) float64, levels squared
        Covariance of the pixels that a shape may have.
    """

    def __init__(self, levels: Array, usable: NDArray[np.bool_], half: int) -> None:
        rows, columns = np.mgrid[-WINDOW : WINDOW + 1, -WINDOW : WINDOW + 1]
        distance = np.maximum(abs(rows), abs(columns))
        near = usable & (distance > half) & (distance <= half + TREND)
        terms = np.stack([np.ones(rows.shape), rows, columns], axis=-1)
        trend = np.linalg.lstsq(terms[near], levels[near], rcond=None)[0]
        self.residual = np.where(np.isnan(levels), 0, levels - terms @ trend)
        around = usable & (distance > half)
        self.noise = _covariance(np.where(around, self.residual, 0), int(around.sum()))
        self.spread = float(np.sqrt(self.noise[0, 0]))

    def middle(self) -> Array:
        """Return the pixels that a shape may have: (17, 17)."""
        inner = slice(WINDOW - LARGEST, WINDOW + LARGEST + 1)
        return self.residual[inner, inner]


@functools.cache
def _shifts() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return how far two pixels of a shape are apart, down and across: (289, 289)."""
    rows, columns = (index.ravel() for index in np.indices((SIDE, SIDE)))
    return rows[:, None] - rows, columns[:, None] - columns


def _covariance(residual: Array, count: int) -> Covariance:
    """Return the covariance of a shape's pixels, by their shift, as the surroundings have it.

    Sums over all pairs, divided by the number of pixels: what is so estimated is the
    covariance of something, as it must be.
    """
    size = 2 * len(residual)
    spectrum = np.abs(np.fft.rfft2(residual, (size, size))) ** 2
    by_shift = np.fft.irfft2(spectrum, (size, size)) / max(count, 1)
    found = by_shift[_shifts()]
    found[np.diag_indices(len(found))] += LEAST_NOISE**2
    return found


def _reach(view: _View) -> int:
    """Return the half width of what stands out of the noise, `LARGEST` at most.

    A ring of pixels does whose mean square exceeds the noise's by `BELONGS` times its
    standard deviation, were it noise.
    """
    rows, columns = np.mgrid[-LARGEST : LARGEST + 1, -LARGEST : LARGEST + 1]
    distance = np.maximum(abs(rows), abs(columns)).ravel()
    middle = view.middle().ravel()
    for half in range(LARGEST, HALF_WIDTH, -1):
        ring = distance == half
        noise = view.noise[np.ix_(ring, ring)]
        excess = (middle[ring] ** 2).mean() - noise.diagonal().mean()
        if excess > BELONGS * np.sqrt(2 * (noise**2).mean()):
            return half
    return HALF_WIDTH


def _learned(levels: Array, usable: NDArray[np.bool_], *, is_chroma: bool) -> _Learned:
    """Return what a defect added to one component of the mean image."""
    half = _reach(_View(levels, usable, LARGEST))
    view = _View(levels, usable, half)
    seen = footprint.of_pixels(view.middle().ravel(), half)
    noise = footprint.of_half(view.noise, half)
    peak = np.abs(view.middle()[LARGEST - 1 : LARGEST + 2, LARGEST - 1 : LARGEST + 2])
    power = max(float(peak.max()) ** 2 - view.spread**2, view.spread**2)
    prior = power * footprint.of_half(possible_covariance(is_chroma=is_chroma), half)
    share = np.linalg.solve(prior + noise, prior).T
    left = prior - share @ prior
    return _Learned(
        half,
        share @ seen,
        left,
        float(peak.max()) / view.spread,
    )


def _window(mean: Array, row: int, col: int) -> Array:
    """Return Y, Cb and Cr around a site, (3, side, side); NaN outside the frame."""
    side = 2 * WINDOW + 1
    out = np.full((side, side, 3), np.nan)
    top, left = row - WINDOW, col - WINDOW
    part = mean[max(top, 0) : row + WINDOW + 1, max(left, 0) : col + WINDOW + 1]
    down, right = max(-top, 0), max(-left, 0)
    out[down : down + part.shape[0], right : right + part.shape[1]] = part
    return np.moveaxis(out @ COMPONENTS.T, 2, 0)


def _usable(window: Array, others: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which pixels of a window are in the frame, and not near another defect."""
    usable = np.asarray(~np.isnan(window[0]))
    for row, col in others.tolist():
        rows, columns = (
            slice(
                max(WINDOW + place - LARGEST, 0), max(WINDOW + place + LARGEST + 1, 0)
            )
            for place in (row, col)
        )
        usable[rows, columns] = False
    return usable


def _learn_each(
    mean: NDArray[np.float32],
    defects: Sequence[Defect],
    amplitudes: Mapping[Site, float],
) -> tuple[Shapes, ...]:
    """Return how those defects show that stand out with no other near."""
    sites = np.array(sorted({(one.row, one.col) for one in defects}), np.intp)
    found = []
    for row, col in sites.reshape(-1, 2).tolist():
        shift = sites - (row, col)
        distance = np.abs(shift).max(axis=1)
        near = (distance > 0) & (distance <= WINDOW + LARGEST)
        if (distance[near] <= 2 * LARGEST).any():
            continue
        window = _window(mean, row, col)
        usable = _usable(window, shift[near])
        parts = [
            _learned(part, usable, is_chroma=bool(number))
            for number, part in enumerate(window)
        ]
        if max(part.clear for part in parts) < CLEAR:
            continue
        # Without a law it is but the unit of the shape.
        peak = max((part.peak for part in parts), key=abs)
        amplitude = amplitudes.get((row, col)) or peak
        found.append(Shapes.of(row, col, amplitude, parts))
    return tuple(found)


def learn(
    mean: NDArray[np.float32],
    defects: Sequence[Defect],
    amplitudes: Mapping[Site, float] = MappingProxyType({}),
) -> Footprints:
    """Learn how a camera's defects show, all of them and each.

    Parameters
    ----------
    mean : (H, W, 3) float32, levels
        The mean image of the camera's photos.
    defects : sequence of Defect
        The camera's.
    amplitudes : mapping of (row, col) to float
        What they add to luma in the mean of these photos, where that is expected.
    """
    each = _learn_each(mean, defects, amplitudes)
    return Footprints(footprint.learn(mean, defects), each)


class Known(NamedTuple):
    """A known footprint of amplitude 1 over the m samples of its box.

    Attributes
    ----------
    levels : (m,) float64
    deviation : (m, m) float64
        Covariance of what a photo may differ from them.
    """

    levels: Array
    deviation: Covariance


def _sharpened(count: int, step: int) -> Array:
    """Return what takes samples back that were spread over pixels and pooled again.

    libjpeg's decoder gives every pixel three quarters of its own chroma sample and one of
    the nearest other.
    """
    if step != 2:
        return np.eye(count)
    pooled = 0.75 * np.eye(count) + 0.125 * (np.eye(count, k=1) + np.eye(count, k=-1))
    return np.linalg.inv(pooled)


class KnownFootprint(FootprintPrior):
    """A defect's footprint in one component, and how far photos bend it.

    Its covariance, as that of any footprint, is about zero.
    """

    def __init__(self, shape: Shape, amplitude: float, *, is_chroma: bool) -> None:
        self.half = shape.half
        self._levels = np.array(shape.levels) / amplitude
        strongest = float(np.abs(self._levels).max())
        possible = footprint.of_half(
            possible_covariance(is_chroma=is_chroma), self.half
        )
        deviation = _BENT * strongest**2 * possible
        own = (shape.error / amplitude) ** 2 + (_APART * self._levels) ** 2
        ways = np.array(shape.ways) / amplitude
        self._deviation = deviation + ways.T @ ways + np.diag(own)
        side, margin = 2 * self.half + 1, LARGEST - self.half
        square = self._deviation + np.outer(self._levels, self._levels)
        whole = np.pad(square.reshape((side,) * 4), margin).reshape((SIDE**2,) * 2)
        super().__init__(whole)
        self._known: dict[tuple[int, ...], Known] = {}

    def known(self, subsampling: Subsampling, down: int, across: int) -> Known:
        """Return it over the samples of its box.

        `down` and `across` are the place of the defect's pixel within its sample.
        """
        key = *subsampling, down, across
        if key not in self._known:
            box, share = footprint.pooling(self.half, subsampling, down, across)
            sharp = np.kron(
                *(
                    _sharpened(count, step)
                    for count, step in zip(box.shape, subsampling, strict=True)
                )
            )
            part = sharp @ share
            self._known[key] = Known(
                part @ self._levels, part @ self._deviation @ part.T
            )
        return self._known[key]


class Amplitude(NamedTuple):
    """What is expected of a defect's amplitude in a photo, in levels of luma."""

    mean: float
    deviation: float


BROAD = 3.0
"""Times its mean that an amplitude of which nothing is expected may be."""


@functools.lru_cache(maxsize=256)
def known(shapes: Shapes, component: int) -> KnownFootprint:
    """Return the footprint of a defect in a component."""
    shape = shapes.components[component]
    return KnownFootprint(shape, shapes.amplitude, is_chroma=bool(component))

"""Dark frames: exposures with the lens cap on, in which nothing is bright but hot pixels.

`why_not_dark` knows them, by the levels of their blocks.  `DarkFrames` finds the hot pixels
of some of them: what stands out of its surroundings by more than noise does anywhere in a
frame, and does so again in the other frames, which the hit of a particle does not.  What
becomes of one, `outcome` says, by the photos that follow: an exposure says how strongly it
shows at least in another, since what a hot pixel adds has a part that is always there and
one that grows with the exposure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.defect import (
    ORDINARY,
    VISIBLE_LEVELS,
    WHITE,
    Appearance,
    Primed,
    Strength,
)
from hotpixeld.detection.evidence import RING
from hotpixeld.detection.suspects import is_certain, is_ignored
from hotpixeld.statistics import peaks
from hotpixeld.statistics.contrast import LUMA, STEP, UNIT, contrast, luma_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from hotpixeld.defect import Defect
    from hotpixeld.detection.evidence import EvidenceTable
    from hotpixeld.statistics.contrast import FloatArray, Sites

BLOCK = 16
"""Pixels of an MCU's side, at most."""
DARK = 24.0
"""Level that no more than a thousandth of a dark frame's blocks exceeds: long exposures at
high ISO are lifted so far, and the darkest of real photos has blocks of 40."""
UNEVEN = 3.0
"""Levels by which a block may differ from those around it: the glow of an amplifier grows
slowly, a dim scene has edges."""
FEW = 1e-3
"""Blocks that may exceed both: those of hot pixels are so many at most."""

TILE = 64
"""Pixels of the side of what has a noise of its own."""
LEAST_NOISE = 0.15
"""Standard deviation of the contrast, in levels, that rounding leaves at least."""
FALSE_ALARMS = 0.1
"""Expected in all of the frames of a camera that are given together."""
AGAIN = 3.0
"""Standard deviations with which a hot pixel must stand out of single frames."""
COMPARABLE = 0.5
"""A frame with this part of the longest exposure, or more, must show what is listed."""
MARGIN, APART = 2, 4
"""Pixels that a contrast reaches, and that a hot pixel's footprint may move."""

MOST_A_PHOTO = 1.5
"""What one photo may say, so that five at least must deny what was primed."""
NOISE = 2.0
"""Standard deviation of the level of one pixel, in those of a contrast."""
SURE, DOUBT = 7.0, 2.0
"""Logarithms of odds: a thousand to one denies, seven to one speaks for it."""
COOLER = 0.5
"""What a hot pixel adds for sure, of what the dark frames say: ten degrees are a half."""


def _luma(rows: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the luma of rows of a frame, `STEP` a level."""
    red, green, blue = np.moveaxis(rows.astype(np.int16), 2, 0)
    return luma_of(red, green, blue)


def _block_levels(frame: NDArray[np.uint8]) -> FloatArray:
    """Return the median luma of each whole block: hot pixels do not move it."""
    height, width = (size // BLOCK * BLOCK for size in frame.shape[:2])
    levels = [
        np.median(
            _luma(frame[top : top + BLOCK, :width])
            .reshape(BLOCK, -1, BLOCK)
            .swapaxes(0, 1)
            .reshape(-1, BLOCK * BLOCK),
            axis=1,
        )
        for top in range(0, height, BLOCK)
    ]
    return np.asarray(np.array(levels) / STEP, np.float32)


def why_not_dark(frame: NDArray[np.uint8], most: float = DARK) -> str:
    """Return why a frame was not taken with the lens cap on; empty if it was.

    Parameters
    ----------
    frame : (H, W, 3) uint8, 0-255
    most : float
        Level that its blocks may have.

    >>> why_not_dark(np.full((64, 96, 3), 90, np.uint8))
    'not dark: its blocks reach level 90, those of a lens-cap frame 24 at most'
    >>> why_not_dark(np.full((64, 96, 3), 4, np.uint8))
    ''
    """
    if min(frame.shape[:2]) < TILE:
        return f"too small: lens-cap frames have {TILE} rows and columns at least"
    levels = _block_levels(frame)
    highest = float(np.quantile(levels, 1 - FEW, method="lower"))
    if highest > most:
        return (
            f"not dark: its blocks reach level {highest:.0f}, those of a lens-cap frame"
            f" {most:.0f} at most"
        )
    padded = np.pad(levels, 1, mode="edge")
    rows, cols = levels.shape
    around = np.median(
        [
            padded[down : down + rows, right : right + cols]
            for down in range(3)
            for right in range(3)
        ],
        axis=0,
    )
    uneven = float(np.quantile(np.abs(levels - around), 1 - FEW, method="lower"))
    if uneven > UNEVEN:
        return (
            f"not a lens-cap frame: blocks differ from those around them by {uneven:.0f}"
            f" levels, {UNEVEN:.0f} at most where nothing is to be seen"
        )
    return ""


def _spread(values: FloatArray) -> FloatArray:
    """Return the noise of each tile's contrasts, (tiles,): robust, of (tiles, N)."""
    return np.maximum(1.4826 * np.median(np.abs(values), axis=1), LEAST_NOISE)


def _ratios(frame: NDArray[np.uint8]) -> FloatArray:
    """Return how far each pixel stands out, in units of the noise there, (H, W)."""
    height, width = frame.shape[:2]
    out = np.empty((height, width), np.float32)
    for top in range(0, height, TILE):
        bottom = min(top + TILE, height)
        above, below = max(top - MARGIN, 0), min(bottom + MARGIN, height)
        pad = (MARGIN - (top - above), MARGIN - (below - bottom))
        luma = np.pad(
            _luma(frame[above:below]), (pad, (MARGIN, MARGIN)), mode="reflect"
        )
        levels = np.asarray(contrast(luma)[0] / UNIT, np.float32)
        for left in range(0, width, TILE):
            part = levels[:, left : left + TILE]
            out[top:bottom, left : left + TILE] = part / _spread(part.reshape(1, -1))
    return out


def _extrapolated(
    ratios: FloatArray, chances: tuple[float, float], rare: float
) -> float:
    """Return what noise exceeds with a `rare` chance, by what it does with two others.

    As powers of what a Gaussian exceeds; no steeper than that, and no less.
    """
    first, second, wanted = (-NormalDist().inv_cdf(one) for one in (*chances, rare))
    found = np.quantile(ratios, 1 - np.array(chances))
    low, high = max(float(found[0]), first), max(float(found[1]), second)
    power = max(math.log(high / low) / math.log(second / first), 1.0)
    return float(high * (wanted / second) ** power)


def threshold(ratios: FloatArray, expected: float = FALSE_ALARMS) -> float:
    """Return what noise exceeds so many times in a whole plane, as its tail tells.

    By the tenth and the hundredth that are highest, which few hot pixels do not move; then
    by the hundredth and the thousandth of what is apart from all that is beyond.

    Parameters
    ----------
    ratios : (H, W) float32
    expected : float
    """
    rare = expected / ratios.size
    bulk = _extrapolated(ratios, (1e-1, 1e-2), rare)
    height, width = ratios.shape
    ordinary = np.ones((height, width), np.bool_)
    for row, col in np.argwhere(ratios > bulk).tolist():
        ordinary[max(row - APART, 0) : row + APART + 1][
            :, max(col - APART, 0) : col + APART + 1
        ] = False
    if np.count_nonzero(ordinary) < ratios.size / 2:
        return math.inf
    return max(bulk, _extrapolated(ratios[ordinary], (1e-2, 1e-3), rare))


def _peaks(ratios: FloatArray, least: float) -> Sites:
    """Return the places that exceed `least` most in their footprint, (N, 2)."""
    sites = np.argwhere(ratios > least)
    order = np.argsort(-ratios[tuple(sites.T)], kind="stable")
    return peaks.apart(sites[order])


@dataclass(frozen=True, slots=True)
class Exposure:
    """How a dark frame was taken; None where it does not say."""

    seconds: float | None
    iso: int | None

    @property
    def product(self) -> float | None:
        """Return ISO times seconds."""
        if self.seconds is None or self.iso is None:
            return None
        return self.seconds * self.iso


def amplitudes(frame: NDArray[np.uint8], sites: Sites) -> FloatArray:
    """Return what sites have over their surroundings, (N, 3) levels."""
    height, width = frame.shape[:2]
    rows, cols = sites.T
    around = np.zeros((len(sites), 3), np.float32)
    for down, right in RING:
        for sign in (1, -1):
            near_rows = np.clip(rows + sign * down, 0, height - 1)
            near_cols = np.clip(cols + sign * right, 0, width - 1)
            around += frame[near_rows, near_cols]
    return np.asarray(frame[rows, cols] - around / (2 * len(RING)), np.float32)


def _is_line(frame: NDArray[np.uint8], row: int, col: int, excess: float) -> bool:
    """Return whether what stands out goes on, along its row or its column."""
    rows = slice(max(row - 8, 0), row + 9)
    cols = slice(max(col - 8, 0), col + 9)
    here = float(frame[row, col] @ LUMA)
    along = frame[row, cols] @ LUMA, frame[rows, col] @ LUMA
    return any(here - float(np.median(one)) < excess / 2 for one in along)


@dataclass(slots=True)
class DarkFrames:
    """The dark frames of one camera, given one by one; then looked at once more.

    Attributes
    ----------
    exposures : list of Exposure
    total : (H, W) float32 or None
        Sum of their ratios.
    again : list of (H, ceil(W / 8)) uint8
        Which pixels stand out of each, a bit each.
    """

    exposures: list[Exposure] = field(default_factory=list)
    total: FloatArray | None = None
    again: list[NDArray[np.uint8]] = field(default_factory=list)

    def add(self, frame: NDArray[np.uint8], exposure: Exposure) -> None:
        """Take one more, (H, W, 3) uint8, of the size of the others."""
        ratios = _ratios(frame)
        self.again.append(np.packbits(ratios >= AGAIN, axis=1))
        self.exposures.append(exposure)
        self.total = ratios if self.total is None else self.total + ratios

    @property
    def _longest(self) -> list[int]:
        """Return the numbers of the frames that must show what is listed."""
        products = [one.product or 0.0 for one in self.exposures]
        least = COMPARABLE * max(products)
        return [number for number, one in enumerate(products) if one >= least]

    def sites(self) -> Sites:
        """Return where hot pixels are, (N, 2): of all frames together, each seen again."""
        if self.total is None:
            return np.empty((0, 2), np.intp)
        count = len(self.exposures)
        ratios = self.total / np.float32(math.sqrt(count))
        found = _peaks(ratios, threshold(ratios))
        if count == 1:
            return found
        rows, cols = found.T
        shown = np.array(
            [one[rows, cols // 8] >> (7 - cols % 8) & 1 for one in self.again]
        )
        longest = shown[self._longest]
        is_again = (shown.sum(axis=0) >= 2) & (2 * longest.sum(axis=0) >= len(longest))
        return np.asarray(found[is_again], np.intp)

    def hot_pixels(
        self, sites: Sites, frames: Iterable[NDArray[np.uint8]]
    ) -> list[Primed]:
        """Return the hot pixels that an eye finds in the frames, with how they show.

        Parameters
        ----------
        sites : (N, 2) intp
            Row, column; see the method.
        frames : iterable of (H, W, 3) uint8
            The same frames in the same order.
        """
        if not len(sites):
            return []
        shown, alone = [], np.zeros(len(sites), np.intp)
        longest = set(self._longest)
        for number, frame in enumerate(frames):
            here = amplitudes(frame, sites)
            shown.append(here)
            if number in longest:
                alone += [
                    not _is_line(frame, row, col, float(excess @ LUMA))
                    for (row, col), excess in zip(sites.tolist(), here, strict=True)
                ]
        each = np.array(shown)
        mean = each[sorted(longest)].mean(axis=0)
        visible = (mean @ LUMA >= VISIBLE_LEVELS) & (2 * alone > len(longest))
        return [
            self._hot_pixel(sites[number], mean[number], each[:, number] @ LUMA)
            for number in np.flatnonzero(visible).tolist()
        ]

    def _hot_pixel(
        self, site: NDArray[np.intp], mean: FloatArray, levels: FloatArray
    ) -> Primed:
        row, col = site.tolist()
        groups: dict[Exposure, list[float]] = {}
        for exposure, level in zip(self.exposures, levels.tolist(), strict=True):
            groups.setdefault(exposure, []).append(level)
        strengths = tuple(
            Strength(
                None if one.seconds is None else (one.seconds, one.seconds),
                None if one.iso is None else (one.iso, one.iso),
                sum(found) / len(found),
                len(found),
            )
            for one, found in sorted(
                groups.items(), key=lambda each: each[0].product or 0
            )
        )
        red, green, blue = mean.tolist()
        seen = int(sum(level >= VISIBLE_LEVELS for level in levels.tolist()))
        return Primed(
            row,
            col,
            amplitude=(red, green, blue),
            appearance=Appearance(seen, len(levels), strengths),
            source="dark frames",
            places=((row, col),),
            frame=(row, col),
        )


class Outcome(StrEnum):
    """What the photos have said of what was primed."""

    OPEN = "open"
    """Nothing yet: it is looked for in every photo."""
    LONGER = "longer"
    """Too little, and usual photos do not show it: it is looked for in those that must."""
    CONFIRMED = "confirmed"
    """The camera's own map lists it."""
    DROPPED = "dropped"
    """Photos that should show it do not."""


def _logs(strength: Strength) -> tuple[float, float | None]:
    """Return what a strength is of A (see `defect.Law`), and at which exposure."""
    share = min(max(strength.amplitude, 0.0) / WHITE, 0.99)
    if strength.seconds is None or strength.iso is None:
        return -math.log1p(-share), None
    return -math.log1p(-share), strength.seconds[0] * strength.iso[0]


def surely(primed: Defect, exposure: float, level: float) -> float:
    """Return how strongly a photo shows what was primed, at least, in levels of luma.

    Parameters
    ----------
    primed : Defect
        With the strengths of its dark frames.
    exposure : float
        ISO times seconds of the photo; 0 where unknown.
    level : float
        Luma of the surroundings.
    """
    strengths = primed.appearance.strengths if primed.appearance else ()
    parts = [
        strength if product is None else strength * min(1.0, exposure / product)
        for strength, product in map(_logs, strengths)
        if product is None or product > 0
    ]
    return (WHITE - level) * -math.expm1(-COOLER * max(parts, default=0.0))


def least_exposure(primed: Defect) -> float:
    """Return from which exposure (ISO times seconds) on a photo shows a pixel for sure.

    In surroundings of ordinary brightness; infinite if at none.
    """
    strengths = primed.appearance.strengths if primed.appearance else ()
    wanted = -math.log1p(-VISIBLE_LEVELS / (WHITE - ORDINARY)) / COOLER
    parts = [
        0.0 if product is None else wanted / strength * product
        for strength, product in map(_logs, strengths)
        if strength >= wanted
    ]
    return min(parts, default=math.inf)


def _word_of_photos(primed: Primed, table: EvidenceTable) -> float:
    """Return what photos say for what was primed: the logarithm of a ratio of chances.

    That of what they show where it shows as strongly as it must, to that where it does not
    at all, both Gaussian; of one photo within `MOST_A_PHOTO`.
    """
    apart = np.abs(table.sites - np.array([primed.row, primed.col])).max(axis=1)
    if not len(apart) or apart.min() > 1:
        return 0.0
    samples = table.suspects[:, int(apart.argmin())]
    products = table.conditions.exposure.tolist()
    total = 0.0
    for sample, product in zip(samples, products, strict=True):
        if sample["clipped"]:  # or was not taken
            continue
        expected = surely(primed, product, float(sample["level"]))
        noise = math.hypot(NOISE * float(sample["spread"]), 1.0)
        peak = float(sample["peak"].astype(np.float32) @ LUMA)
        word = expected * (peak - expected / 2) / noise**2
        total += min(max(word, -MOST_A_PHOTO), MOST_A_PHOTO)
    return total


def outcome(
    primed: Primed, table: EvidenceTable, found: Sequence[Defect], *, may_deny: bool
) -> Outcome:
    """Return what a camera's photos say of what was primed.

    Parameters
    ----------
    table : EvidenceTable
    found : sequence of Defect
        Its map by these photos.
    may_deny : bool
        Whether they are enough for one.

    Returns
    -------
    Outcome
        Denied only by photos that should show it by half of what the dark frames say.
    """
    certain = [(one.row, one.col) for one in found if is_certain(one)]
    if is_ignored(primed.row, primed.col, certain):
        return Outcome.CONFIRMED
    if not may_deny:
        return Outcome.OPEN
    if is_ignored(primed.row, primed.col, [(one.row, one.col) for one in found]):
        return Outcome.OPEN
    word = _word_of_photos(primed, table)
    if word < -SURE:
        return Outcome.DROPPED
    return Outcome.OPEN if word > DOUBT else Outcome.LONGER

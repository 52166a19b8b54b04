"""Peaks of a plane: the pixels that stand out of their surroundings, strongest first.

A defective photosite stands above (or below) its surroundings in every direction; the
edges, lines and positions of a scene do not.  So the contrast of a pixel is what it has over
the highest of eight interpolations straight through it, and its yardstick is the highest
contrast that other places nearby reach.  What a ratio of the two is worth is then read off
the tail of all such ratios of the plane, by extreme-value extrapolation: the number of
equally strong peaks that chance alone would give the frame.

References
----------
B. M. Hill, "A simple general approach to inference about the tail of a distribution",
Annals of Statistics 3 (1975) 1163-1174: the tail index, here by regression on ranks.
"""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.statistics.contrast import FixedPoint, FloatArray, Sites

STEP = 64
BLOCK = 8
BAND = 64
# Opposite points at two pixels' distance: outside the core of every footprint seen (3x3 of
# a DSLR), and on the dark sharpening ring of the wide ones, which adds to their contrast.
PAIRS = ((0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (2, -1), (2, -2), (1, -2))
REACH = 2
# The yardstick: of the 5x5 cells of 2x2 blocks around, all but the strongest seventh.
CELL = 2 * BLOCK
NEIGHBOURHOOD = 2
SMALLEST = CELL * (2 * NEIGHBOURHOOD + 1)
"""A plane must be as large as one neighbourhood."""
SHARE = 0.85
# Weakest yardstick, in levels: below it rounding alone makes the contrast.
FLOOR = 0.25
# A footprint with its rings and JPEG ringing: weaker peaks within belong to the stronger.
FOOTPRINT = 7
PART = 0.35
# The tail is fitted to at most so many of the largest, at most this share of all, and not
# to the very first of them, which may be defects.
TAIL = 1024
EXTREME = 1 / 16
FIRST = 1 / 16


@dataclass(frozen=True, slots=True)
class Peaks:
    """Isolated peaks of a plane, strongest first.

    Attributes
    ----------
    sites : (N, 2) intp
        Row, column.
    ratios : (N,) float32
        Contrast over the local yardstick; negative for dips.
    false_alarms : (N,) float64
        Peaks at least as strong that chance would give the whole plane.
    """

    sites: Sites
    ratios: FloatArray
    false_alarms: NDArray[np.float64]

    def only(self, wanted: NDArray[np.bool_]) -> Peaks:
        """Return the `wanted` ones, (N,) bool."""
        return Peaks(self.sites[wanted], self.ratios[wanted], self.false_alarms[wanted])


Scratch = Callable[[int, int], "FixedPoint"]
"""Returns zeros, (height, width) int16, for a plane that is needed for a while."""


def zeros(height: int, width: int) -> FixedPoint:
    """Return zeros, (height, width), in memory of their own.

    The system has that back at once; the heap would keep a hole of the size.
    """
    size = 2 * height * width
    return np.frombuffer(mmap.mmap(-1, size), np.int16).reshape(height, width)


def _relief(padded: FixedPoint) -> FixedPoint:
    """Return the signed contrast, in 2 x `STEP` a level, of all but the padding."""
    rows, cols = padded.shape[0] - 2 * REACH, padded.shape[1] - 2 * REACH
    centre = padded[REACH : REACH + rows, REACH : REACH + cols]
    highest = np.full((rows, cols), np.iinfo(np.int16).min, np.int16)
    lowest = np.full((rows, cols), np.iinfo(np.int16).max, np.int16)
    pair = np.empty((rows, cols), np.int16)
    for down, right in PAIRS:
        np.add(
            padded[REACH + down : REACH + down + rows, REACH + right :][:, :cols],
            padded[REACH - down : REACH - down + rows, REACH - right :][:, :cols],
            out=pair,
        )
        np.maximum(highest, pair, out=highest)
        np.minimum(lowest, pair, out=lowest)
    np.add(centre, centre, out=pair)
    # Above all pairs, or below all, or (between them) no contrast at all.
    return np.asarray(pair - np.clip(pair, lowest, highest), np.int16)


def relief(
    rows_of: Callable[[int, int], NDArray[np.float32]],
    height: int,
    width: int,
    scratch: Scratch = zeros,
) -> FixedPoint:
    """Return the signed directional contrast of a plane, band by band.

    Parameters
    ----------
    rows_of : callable
        Returns rows `start` to `stop` of the plane: (stop - start, width) float32,
        0-255 levels.
    height, width : int
        Size of the plane, at least 5x5.

    Returns
    -------
    (height, width) int16, 2 x `STEP` a level: by how much a pixel exceeds all
    interpolations through it, negative where it falls below all.
    """
    out = scratch(height, width)
    for start in range(0, height, BAND):
        stop = min(start + BAND, height)
        first, last = max(start - REACH, 0), min(stop + REACH, height)
        band = (rows_of(first, last) * STEP).astype(np.int16)
        above, below = REACH - (start - first), REACH - (last - stop)
        # Mirrored at the frame's edge: what lies along the edge counts too.
        padded = np.pad(band, ((above, below), (REACH, REACH)), mode="reflect")
        out[start:stop] = _relief(padded)
    return out


def level_grid(plane: FixedPoint, period: int = BLOCK) -> None:
    """Take the mean contrast of each phase of the JPEG grid off `plane`, in place.

    Encoders leave a weak pattern with the period of their blocks, which enough photos
    make as sharp as a defect.  Each phase holds thousands of pixels, and is clipped to
    what is common, so that no defect moves it.
    """
    common = 4 * np.int16(np.abs(plane[::5, ::7]).mean() + 1)
    for row in range(period):
        for col in range(period):
            phase = plane[row::period, col::period]
            bias = np.clip(phase, -common, common).mean(dtype=np.float64)
            if abs(bias) >= 1:
                phase -= np.int16(np.rint(bias))


def _row_maxima(
    plane: FixedPoint, size: int, most: np.ufunc = np.maximum
) -> FixedPoint:
    """Return the maximum of each `size` rows, the last ones possibly fewer."""
    out = plane[::size].copy()
    for phase in range(1, size):
        part = plane[phase::size]
        most(out[: len(part)], part, out=out[: len(part)])
    return out


def _block_maxima(plane: FixedPoint, size: int) -> FixedPoint:
    """Return the maximum of each `size` x `size` block, the last ones possibly smaller."""
    return _row_maxima(_row_maxima(plane, size).T, size).T


def _block_dips(plane: FixedPoint, size: int) -> FixedPoint:
    """Return the depth of the lowest place of each block: as of the plane turned over."""
    lowest = _row_maxima(_row_maxima(plane, size, np.minimum).T, size, np.minimum).T
    return np.asarray(-lowest, np.int16)


def _yardstick(maxima: FixedPoint) -> FloatArray:
    """Return, per block, the contrast that other places nearby reach, 2 x `STEP` a level."""
    cells = _block_maxima(maxima, CELL // BLOCK)
    size = 2 * NEIGHBOURHOOD + 1
    rows, cols = cells.shape[0] - size + 1, cells.shape[1] - size + 1
    nearby = np.stack(
        [
            cells[row : row + rows, col : col + cols]
            for row in range(size)
            for col in range(size)
        ]
    )
    rank = int(SHARE * len(nearby))
    usual = np.partition(nearby, rank, axis=0)[rank].astype(np.float32)
    usual = np.maximum(usual, 0) + np.float32(2 * STEP * FLOOR)
    # At the frame's edge the nearest whole neighbourhood stands in.
    usual = np.pad(usual, NEIGHBOURHOOD, mode="edge")
    height, width = maxima.shape
    ratio = CELL // BLOCK
    spread = np.kron(usual, np.ones((ratio, ratio), np.float32))
    return spread[:height, :width]


def _sites(plane: FixedPoint, blocks: Sites, sign: int) -> Sites:
    """Return where in each of the `blocks` (row, column of the block) its peak is."""
    height, width = plane.shape
    within = np.arange(BLOCK)
    rows = np.minimum(blocks[:, :1] * BLOCK + within, height - 1)
    cols = np.minimum(blocks[:, 1:] * BLOCK + within, width - 1)
    levels = sign * plane[rows[:, :, None], cols[:, None, :]]
    best = levels.reshape(len(blocks), -1).argmax(1)
    index = np.arange(len(blocks))
    return np.stack([rows[index, best // BLOCK], cols[index, best % BLOCK]], axis=1)


def _isolated(
    sites: Sites, strengths: FloatArray, distance: int, part: float
) -> NDArray[np.intp]:
    """Return the numbers of the sites that are not a mere `part` of a stronger one nearby.

    `sites` come strongest first, or nearly.
    """
    kept: list[int] = []
    cells: dict[tuple[int, int], list[int]] = {}
    positions, sizes = sites.tolist(), np.abs(strengths).tolist()
    for index, (row, col) in enumerate(positions):
        down, right = row // distance, col // distance
        rivals = (
            other
            for cell in itertools.product(
                (down - 1, down, down + 1), (right - 1, right, right + 1)
            )
            for other in cells.get(cell, ())
        )
        if not any(
            sizes[index] <= part * sizes[other]
            and abs(positions[other][0] - row) <= distance
            and abs(positions[other][1] - col) <= distance
            for other in rivals
        ):
            kept.append(index)
            cells.setdefault((down, right), []).append(index)
    return np.array(kept, np.intp)


def apart(sites: Sites) -> Sites:
    """Return the (N, 2) `sites`, best first, without those in an earlier one's footprint."""
    return sites[_isolated(sites, np.ones(len(sites), np.float32), FOOTPRINT, 1.0)]


def false_alarms(ratios: NDArray[np.floating], trials: int) -> NDArray[np.float64]:
    """Return how many peaks as strong as each chance alone would give.

    Parameters
    ----------
    ratios : (N,) float, 0 or more, strongest first
        The largest peaks of one sign, a sixteenth of all or more.
    trials : int
        Number of all.

    Notes
    -----
    A power law overrates the tail of a Gaussian, so it errs towards silence; in a scene
    that never changes, whose contrasts have no scale, it is what makes it silent.
    """
    last = min(TAIL, int(EXTREME * trials), len(ratios) - 1)
    if last < 1 / FIRST or ratios[last] <= 0:
        return np.full(len(ratios), np.inf)
    first = int(FIRST * last)
    ranks = np.arange(first, last) + 1.0
    spread = np.log((last + 1) / (ranks - 0.5))
    excess = np.log(np.asarray(ratios[first:last], np.float64) / ratios[last])
    index = max(float(excess @ spread / (spread @ spread)), 1e-3)
    above = np.log(np.maximum(ratios, 1e-9) / np.float64(ratios[last]))
    return np.asarray((last + 1) * np.exp(-above / index), np.float64)


def _one_sign(
    plane: FixedPoint, count: int, sign: int
) -> tuple[Sites, FloatArray, NDArray[np.float64]]:
    """Return sites, ratios and false alarms of the `count` strongest peaks or dips."""
    maxima = (_block_maxima if sign > 0 else _block_dips)(plane, BLOCK)
    ratios = maxima / _yardstick(maxima)
    wanted = min(2 * max(count, TAIL), ratios.size)
    order = np.argpartition(-ratios, wanted - 1, axis=None)[:wanted]
    order = order[np.argsort(-ratios.ravel()[order], kind="stable")]
    blocks = np.stack(np.unravel_index(order, ratios.shape), axis=1)
    sites, strongest = (
        _sites(plane, blocks, sign),
        ratios.ravel()[order].astype(np.float32),
    )
    apart = _isolated(sites, strongest, REACH, 1.0)
    sites, strongest = sites[apart], strongest[apart]
    return (
        sites[:count],
        strongest[:count],
        false_alarms(strongest, ratios.size)[:count],
    )


def peaks(plane: FixedPoint, count: int, part: float = PART) -> Peaks:
    """Return the `count` most significant isolated peaks and dips of a relief.

    Parameters
    ----------
    plane : (H, W) int16
        A `relief`, levelled.
    count : int
    part : float
        A peak in the footprint of another is one of its own where it is stronger than
        this part of that one.
    """
    up, dip = _one_sign(plane, count, 1), _one_sign(plane, count, -1)
    sites = np.concatenate([up[0], dip[0]])
    ratios = np.concatenate([up[1], -dip[1]])
    expected = np.concatenate([up[2], dip[2]])
    order = np.lexsort((-np.abs(ratios), expected))
    sites, ratios, expected = sites[order], ratios[order], expected[order]
    kept = _isolated(sites, ratios, FOOTPRINT, part)[:count]
    return Peaks(sites[kept], ratios[kept], expected[kept])


def no_peaks() -> Peaks:
    """Return the peaks of a plane that shows none."""
    none = np.empty(0)
    return Peaks(np.empty((0, 2), np.intp), none.astype(np.float32), none)

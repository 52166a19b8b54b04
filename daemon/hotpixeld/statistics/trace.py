"""The trace: the signal-to-noise ratio of every pixel, stacked over all photos.

The mean of many photos shows a defect over what is left of their scenes. The trace
weights each photo, at each pixel, by the inverse variance of its surroundings: it sums
the pixel's contrast (`contrast`), bounded, over the variance that the contrast has around
it. The sum over its standard deviation is a signal-to-noise ratio, in which a weak defect
that a few smooth photos show stands out of foliage.

It takes about half of the time of decoding, so the first photos of a camera are added
whole and of the later ones a band each; it forgets like the state.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.statistics import contrast, peaks
from hotpixeld.statistics.contrast import CORE, RING, WINDOW, window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.statistics.contrast import FixedPoint, FloatArray
    from hotpixeld.statistics.peaks import Peaks, Scratch

    Array = NDArray[np.float64]

CELL = 4
UNIT = 64
"""Of a total, per 1 / level: it sums ratios of contrast to variance."""
WHOLE, BANDS = 32, 6
"""So many photos are added whole; of those after, each one band out of six."""
MEMORY = 20
"""Additions to a band that are remembered: the last 120 photos."""
# One photo's contrast counts for so many standard deviations at most; these are no
# smaller than JPEG's rounding, in levels.
BOUND, LEAST_SPREAD = 6.0, 0.5
WHITE = 250
# What is bounded shows the rings of a footprint nearly as strong as its peak.
PART = 0.5
# A line has so much of its height three or four pixels further, and more than noise has;
# one that climbs shows less there than a level one. No defect of four cameras had 0.42.
DRAWN_OUT, DRAWN_SIGMAS = 0.5, 3.5
BEYOND = (RING >= CORE) & (RING <= CORE + 1)
# As in trace.c: sizes of contrasts are held in sixths of a level.
SIZES = 6
PAD, SCRATCH_ROWS = 8, 35
SNR_UNIT = peaks.STEP
"""Of the plane of ratios that `peaks.peaks` takes, per 1."""


def telling_numbers() -> FloatArray:
    """Return the constants that trace.c takes."""
    scale = contrast.GAUSSIAN / (contrast.OUTSIDE.sum() * SIZES)
    border = 16 * contrast.STEP * WHITE
    return np.array([scale, LEAST_SPREAD**2, BOUND, border], np.float32)


@dataclass(slots=True, eq=False)
class Trace:
    """The stack of a camera's photos.

    Attributes
    ----------
    photos : int
        Photos added, whole or in part.
    total : (H, W) int16, `UNIT` per 1 / level
        Sum of the bounded ratios of contrast to variance.
    information : (ceil(H / 4), ceil(W / 4)) float32, 1 / level^2
        Sum of the weights (1 / variance), which is the variance of the totals; taken at
        the first pixel of each cell.
    """

    photos: int
    total: FixedPoint
    information: FloatArray

    def plane(self, scratch: Scratch = peaks.zeros) -> FixedPoint:
        """Return each pixel's signal-to-noise ratio, (H, W) int16, `SNR_UNIT` a unit."""
        height, width = self.total.shape
        out = scratch(height, width)
        with np.errstate(divide="ignore"):
            factors = np.where(self.information > 0, self.information**-0.5, 0)
        factors *= np.float32(SNR_UNIT / UNIT)
        limit = np.iinfo(np.int16).max
        for row, factor in enumerate(factors):
            rows = slice(CELL * row, CELL * row + CELL)
            ratio = self.total[rows] * factor.repeat(CELL)[:width]
            out[rows] = np.clip(ratio, -limit, limit)
        return out

    def suspects(self, count: int, scratch: Scratch = peaks.zeros) -> Peaks:
        """Return the pixels that stand out most, the most significant first.

        Parameters
        ----------
        count : int
        scratch : callable
            Holds the plane of ratios.
        """
        if min(self.total.shape) < peaks.SMALLEST or not self.photos:
            return peaks.no_peaks()
        plane = self.plane(scratch)
        peaks.level_grid(plane)
        return peaks.peaks(plane, count, PART)

    def at(self, places: Array) -> tuple[Array, Array]:
        """Return totals and information at (N, 2) places, between pixels too.

        0 outside the frame; the totals per 1 / level.
        """
        last = np.array(self.total.shape) - 1
        inside = np.all((places >= 0) & (places <= last), axis=1)
        places = np.where(inside[:, None], places, 0)
        first = np.minimum(places.astype(np.intp), last - 1)
        (row, col), (y, x) = first.T, (places - first).T
        total = np.zeros(len(places))
        for down, right in itertools.product((0, 1), repeat=2):
            part = abs(1 - down - y) * abs(1 - right - x)
            total += part * self.total[row + down, col + right]
        row, col = places.astype(np.intp).T // CELL
        return inside * total / UNIT, inside * self.information[row, col]

    def ratios(self, row: int, col: int) -> FloatArray:
        """Return the signal-to-noise ratios around a site, (13, 13); NaN outside the frame."""
        height, width = self.total.shape
        rows = np.arange(max(row - WINDOW, 0), min(row + WINDOW + 1, height))
        cols = np.arange(max(col - WINDOW, 0), min(col + WINDOW + 1, width))
        total = self.total[np.ix_(rows, cols)] / np.float32(UNIT)
        information = self.information[np.ix_(rows // CELL, cols // CELL)]
        ratio = total / np.sqrt(np.maximum(information, np.float32(1e-9)))
        return window(ratio[..., None], row - int(rows[0]), col - int(cols[0]))[..., 0]


def is_drawn_out(ratios: FloatArray) -> bool:
    """Return whether what stands out at a site goes on through it, as lines and edges do.

    On both sides, beyond any footprint; another defect beside it is on one side only.
    Where the frame ends there is but one side.

    Parameters
    ----------
    ratios : (13, 13) float32
        Signal to noise around the site, see `Trace.ratios`.
    """
    ratios = ratios * np.sign(ratios[WINDOW, WINDOW])
    both_sides = np.fmin(ratios, ratios[::-1, ::-1])
    beyond = float(np.nanmax(both_sides[BEYOND], initial=0))
    return beyond > max(DRAWN_OUT * float(ratios[WINDOW, WINDOW]), DRAWN_SIGMAS)

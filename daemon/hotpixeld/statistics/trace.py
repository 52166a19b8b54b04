"""The trace: what all photos together tell about every pixel, for finding suspects.

The mean of many photos shows a defect over what is left of their scenes. The trace
weighs each photo, at each place, by what it can tell there: the contrast of the pixel
(`evidence`), bounded, over the variance that the contrast has around it. The sum over its
standard deviation is a signal to noise ratio, in which a weak defect that a few smooth
photos show stands out of foliage.

It takes about half of the time of decoding, so each of the first photos of a camera is
told whole and of the later ones a band each; it forgets like the state.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from hotpixeld.compiled import library
from hotpixeld.statistics import contrast, peaks
from hotpixeld.statistics.peaks import CORE, RING, WINDOW, window

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotpixeld.statistics.peaks import Peaks, Steps

Frame = NDArray[np.uint8]
Cells = NDArray[np.float32]

CELL = 4
UNIT = 64
"""Steps of a total per 1 / level: a ratio of contrast to variance."""
WHOLE, BANDS = 32, 6
"""So many photos are told whole; of those after, each one band out of six."""
MEMORY = 20
"""Tellings of a band that are remembered: the last 120 photos."""
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
# As in trace.c: sizes of contrasts are held in sixths of a level, up to 64 levels.
SIZE_SHIFT, SIZES, LARGEST = 4, 6, 384
PAD, SCRATCH_ROWS = 8, 35
MARGIN = contrast.REACH
# The trace is a plane of contrasts for `contrast.peaks`: so many steps per unit of SNR.
SNR_STEPS = peaks.STEP


def _numbers() -> NDArray[np.float32]:
    """Return the numbers of a telling, as trace.c takes them."""
    scale = contrast.GAUSSIAN / (contrast.OUTSIDE.sum() * SIZES)
    border = 16 * contrast.STEP * WHITE
    return np.array([scale, LEAST_SPREAD**2, BOUND, border], np.float32)


@functools.cache
def _compiled() -> Callable[..., None] | None:
    """Return the compiled telling, None where there is none."""
    try:
        function = library().hotpixeld_trace_1  # type: ignore[union-attr]
    except AttributeError:
        return None

    levels, steps, numbers = (
        np.ctypeslib.ndpointer(dtype, flags="C_CONTIGUOUS")
        for dtype in (np.uint8, np.int16, np.float32)
    )
    size = ctypes.c_ssize_t
    function.argtypes = [
        levels,
        *[size] * 4,
        ctypes.c_float,
        numbers,
        steps,
        numbers,
        steps,
        numbers,
    ]
    function.restype = None
    return cast("Callable[..., None]", function)


@dataclass(slots=True, eq=False)
class Trace:
    """What a camera's photos tell about every pixel; edited in place.

    Attributes
    ----------
    photos : int
        Photos told, whole or in part.
    total : (H, W) int16, `UNIT` per 1 / level
        Sum of the bounded ratios of contrast to variance.
    telling : (ceil(H / 4), ceil(W / 4)) float32, 1 / level^2
        Sum of the weights (1 / variance): the variance of the totals, taken at the first
        pixel of each cell.
    """

    photos: int
    total: Steps
    telling: Cells

    @classmethod
    def empty(cls, height: int, width: int) -> Trace:
        """Return the trace of no photos."""
        cells = -(-height // CELL), -(-width // CELL)
        return cls(0, np.zeros((height, width), np.int16), np.zeros(cells, np.float32))

    def next_band(self) -> tuple[int, int, float]:
        """Return first and last row that the next photo tells, and what is kept there."""
        height = len(self.total)
        if self.photos < WHOLE:
            return 0, height, 1.0
        band = self.photos % BANDS
        cells = len(self.telling)
        first = CELL * (cells * band // BANDS)
        last = min(CELL * (cells * (band + 1) // BANDS), height)
        return first, last, 1 - 1 / MEMORY

    def tell(self, frame: Frame) -> None:
        """Add what a photo tells, about the whole frame or about the band that is next.

        Parameters
        ----------
        frame : (H, W, 3) uint8, 0-255
            At least `contrast.SMALLEST` each way.

        Raises
        ------
        ValueError
            The frame is of another shape.
        """
        if frame.shape[:2] != self.total.shape:
            height, width = self.total.shape
            raise ValueError(f"frame is {frame.shape}, trace is ({height}, {width}, 3)")
        first, last, decay = self.next_band()
        compiled = _compiled()
        height, width = self.total.shape
        if compiled is None:
            tell_in_numpy(self, frame, first, last, decay)
        else:
            compiled(
                np.ascontiguousarray(frame),
                height,
                width,
                first,
                last,
                decay,
                _numbers(),
                self.total,
                self.telling,
                np.zeros((SCRATCH_ROWS, width + 2 * PAD), np.int16),
                np.empty(width, np.float32),
            )
        self.photos += 1

    def plane(self) -> Steps:
        """Return each pixel's signal to noise ratio, (H, W) int16, `SNR_STEPS` a unit."""
        height, width = self.total.shape
        out = peaks.plane(height, width)
        with np.errstate(divide="ignore"):
            factors = np.where(self.telling > 0, self.telling**-0.5, 0)
        factors *= np.float32(SNR_STEPS / UNIT)
        limit = np.iinfo(np.int16).max
        for row, factor in enumerate(factors):
            rows = slice(CELL * row, CELL * row + CELL)
            ratio = self.total[rows] * factor.repeat(CELL)[:width]
            out[rows] = np.clip(ratio, -limit, limit)
        return out


def is_drawn_out(trace: Trace, row: int, col: int) -> bool:
    """Tell whether what stands out at a site goes on through it, as lines and edges do.

    On both sides, beyond any footprint; another defect beside it is on one side only.
    Where the frame ends there is but one side.
    """
    near = _ratios(trace, row, col)
    near *= np.sign(near[WINDOW, WINDOW])
    both_sides = np.fmin(near, near[::-1, ::-1])
    beyond = float(np.nanmax(both_sides[BEYOND], initial=0))
    return beyond > max(DRAWN_OUT * float(near[WINDOW, WINDOW]), DRAWN_SIGMAS)


def _ratios(trace: Trace, row: int, col: int) -> NDArray[np.float32]:
    """Return the signal to noise ratios around a site, (13, 13); NaN outside the frame."""
    height, width = trace.total.shape
    rows = np.arange(max(row - WINDOW, 0), min(row + WINDOW + 1, height))
    cols = np.arange(max(col - WINDOW, 0), min(col + WINDOW + 1, width))
    total = trace.total[np.ix_(rows, cols)] / np.float32(UNIT)
    telling = trace.telling[np.ix_(rows // CELL, cols // CELL)]
    ratio = total / np.sqrt(np.maximum(telling, np.float32(1e-9)))
    return window(ratio[..., None], row - int(rows[0]), col - int(cols[0]))[..., 0]


def tell_in_numpy(
    trace: Trace, frame: Frame, first: int, last: int, decay: float
) -> None:
    """Edit rows `first` to `last` of a trace: what trace.c does, in numpy."""
    height = len(trace.total)
    scale, least, bound, white = _numbers()
    rows = np.abs(np.arange(first - MARGIN, last + MARGIN))
    rows = np.where(rows >= height, 2 * height - 2 - rows, rows)
    luma = contrast.luma_of(*np.moveaxis(frame[rows].astype(np.int16), 2, 0))
    excess, border = contrast.contrast(np.pad(luma, ((0, 0), (2, 2)), mode="reflect"))
    size = np.minimum((np.abs(excess) + 8) >> SIZE_SHIFT, LARGEST)
    size = np.pad(size, ((0, 0), (4, 4)), mode="reflect")
    around = contrast.box(size, 4) - contrast.box(size[2:-2, 2:-2], 2)
    spread = around * scale
    square = spread * spread + least
    part = slice(MARGIN - 2, MARGIN - 2 + last - first)
    weight = np.where(border[part] < white, 1 / square, 0).astype(np.float32)
    ratio = excess[part] * np.float32(1 / contrast.UNIT) * weight
    most = bound * np.sqrt(weight)
    total = trace.total[first:last] * np.float32(decay)
    total += np.clip(ratio, -most, most) * UNIT
    limit = np.iinfo(np.int16).max
    total = np.clip(total, -limit, limit)
    trace.total[first:last] = np.trunc(total + np.copysign(np.float32(0.5), total))
    cells = trace.telling[first // CELL : -(-last // CELL)]
    cells *= np.float32(decay)
    cells *= np.float32(decay)
    cells += weight[::CELL, ::CELL]


def suspects(trace: Trace, count: int) -> Peaks:
    """Return the places that stand out most, most significant first.

    Parameters
    ----------
    trace : Trace
    count : int
    """
    if min(trace.total.shape) < peaks.SMALLEST or not trace.photos:
        return peaks.no_peaks()
    plane = trace.plane()
    peaks.level_grid(plane)
    return peaks.peaks(plane, count, PART)

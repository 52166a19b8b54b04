"""The sensor trace: the traces of a camera's bins, stacked where each shows a sensor site.

It stands in for the camera's own trace where lens corrections move what the sensor saw:
photos of other bins show a defect at other places, and add nothing to it at this one.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotpixeld.compiled import function
from hotpixeld.detection.lens_correction import MOST_RADII
from hotpixeld.statistics import peaks
from hotpixeld.statistics.contrast import WINDOW
from hotpixeld.statistics.trace import PART, SNR_UNIT, UNIT, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hotpixeld.camera import Bin
    from hotpixeld.detection.lens_correction import Correction, Corrections
    from hotpixeld.statistics.contrast import FixedPoint, FloatArray
    from hotpixeld.statistics.peaks import Peaks, Scratch

Array = NDArray[np.float64]

FINE = np.arange(-4, 5) * 0.12
"""Pixels beside the middle of its own at which a site is looked for."""
CLEAR = 6.0
"""Signal to noise from which on that is told by it."""


class _Moved(ctypes.Structure):
    """`struct moved` of sensor.c."""

    _fields_ = (
        ("total", ctypes.c_void_p),
        ("information", ctypes.c_void_p),
        ("scale", ctypes.c_double),
        ("k1", ctypes.c_double),
        ("k2", ctypes.c_double),
        ("k3", ctypes.c_double),
        ("known", ctypes.c_double * (2 * 2 * MOST_RADII)),
    )


_sensor_snr = function(
    "hotpixeld_sensor_snr_5",
    *(ctypes.POINTER(_Moved), ctypes.c_size_t, *[ctypes.c_int64] * 4, ctypes.c_float),
    *[ctypes.c_void_p] * 3,
)


def snr_at(
    traces: Sequence[Trace],
    corrections: Sequence[Correction | None],
    sites: Array,
    *,
    between: bool = False,
) -> Array:
    """Return the signal to noise of sensor sites in bins together, (N,).

    Not a number where none shows it.

    Parameters
    ----------
    traces : sequence of Trace
    corrections : sequence of Correction or None
        Of each; None leaves it out.
    sites : (N, 2) float64
        Row, column, in the reference bin.
    between : bool
        Read between the pixels of each, in place of the nearest.
    """
    total, information = np.zeros(len(sites)), np.zeros(len(sites))
    for trace, one in zip(traces, corrections, strict=True):
        if one is None:
            continue
        size = trace.total.shape[0], trace.total.shape[1]
        places, known = one.places(sites, size), one.are_known(sites, size)
        told, weight = trace.at(places if between else np.rint(places))
        total += known * told
        information += known * weight
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(information > 0, total / np.sqrt(information), np.nan)


def margin(corrections: Iterable[Correction], size: tuple[int, int]) -> tuple[int, int]:
    """Return how many rows and columns beyond the reference's frame other bins show."""
    height, width = size
    edge = np.array([[0, 0], [0, (width - 1) / 2], [(height - 1) / 2, 0]], np.float64)
    first = np.zeros(2)
    for one in corrections:
        sites = one.sites(edge, size)
        first = np.minimum(
            first, sites[one.are_known(sites, size)].min(axis=0, initial=0)
        )
    down, right = np.ceil(-first).astype(int).tolist()
    return down, right


def _known(one: Correction) -> ctypes.Array[ctypes.c_double]:
    """Return the squares of where a correction is known, inside and outside."""
    squares = np.full((2, MOST_RADII, 2), -1.0)
    for row, radii in zip(squares, (one.inside, one.outside), strict=True):
        row[: len(radii)] = np.reshape(radii, (-1, 2)) ** 2
    return (ctypes.c_double * squares.size)(*squares.ravel().tolist())


def sensor_snr(
    traces: Sequence[Trace],
    corrections: Sequence[Correction],
    scratch: Scratch,
    around: tuple[int, int],
) -> FixedPoint:
    """Return the signal to noise of sensor sites, in all bins together.

    Parameters
    ----------
    traces : sequence of Trace
    corrections : sequence of Correction
        Of each.
    scratch : callable
        Holds the plane.
    around : (rows, columns)
        Beyond the reference's frame, on each side.

    Returns
    -------
    (H + 2 rows, W + 2 columns) int16, `SNR_UNIT` a unit
    """
    height, width = traces[0].total.shape
    rows, cols = height + 2 * around[0], width + 2 * around[1]
    out = scratch(rows, cols)
    total, information = np.empty(cols, np.float32), np.empty(cols, np.float32)
    planes = (_Moved * len(traces))(
        *(
            _Moved(trace.total.ctypes.data, trace.information.ctypes.data,
                   *one.parameters.tolist(), _known(one))
            for trace, one in zip(traces, corrections, strict=True)
        )
    )  # fmt: skip
    _sensor_snr(
        *(planes, len(traces), height, width, *around, SNR_UNIT / UNIT),
        *(total.ctypes.data, information.ctypes.data, out.ctypes.data),
    )
    return out


@dataclass(slots=True, eq=False)
class SensorTrace(Trace):
    """The traces of the bins whose corrections are known; by itself that of the reference.

    Attributes
    ----------
    traces : sequence of Trace
    corrections : sequence of Correction
        Of each.
    """

    traces: Sequence[Trace] = ()
    corrections: Sequence[Correction] = ()

    @classmethod
    def of(cls, bins: Mapping[Bin, Trace], found: Corrections) -> SensorTrace:
        """Return that of a camera's bins."""
        return cls.stacked(list(bins.values()), [found.of.get(one) for one in bins])

    @classmethod
    def stacked(
        cls, traces: Sequence[Trace], corrections: Sequence[Correction | None]
    ) -> SensorTrace:
        """Return that of bins, of those whose corrections are known."""
        known = [
            (trace, one)
            for trace, one in zip(traces, corrections, strict=True)
            if one is not None
        ]
        first, _ = known[0]
        stack = [trace for trace, _ in known], [one for _, one in known]
        return cls(first.photos, first.total, first.information, *stack)

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width of the frames."""
        height, width = self.total.shape
        return height, width

    def suspects(self, count: int, scratch: Scratch = peaks.zeros) -> Peaks:
        """Return the sensor sites that stand out most, the most significant first.

        Some may lie outside of the reference's frame.
        """
        around = margin(self.corrections, self.size)
        plane = sensor_snr(self.traces, self.corrections, scratch, around)
        found = peaks.peaks(plane, count, PART)
        return peaks.Peaks(
            found.sites - np.array(around), found.ratios, found.false_alarms
        )

    def aside(self, row: int, col: int) -> tuple[float, float]:
        """Return where in its pixel a sensor site lies: rows, columns beside the middle.

        Where it stands out most in all bins together, each read between its pixels: they
        show it at other fractions of theirs.  In the middle, where it hardly does: one that
        is stuck at a level may add to as many photos as it takes away from.
        """
        ratio = np.nan_to_num(self._around((row, col), FINE, between=True))
        middle = ratio[len(ratio) // 2]
        if abs(middle) < CLEAR:
            return 0.0, 0.0
        down, right = divmod(int(np.argmax(ratio * np.sign(middle))), len(FINE))
        return round(float(FINE[down]), 2), round(float(FINE[right]), 2)

    def _around(
        self, site: tuple[int, int], steps: NDArray[Any], *, between: bool
    ) -> Array:
        """Return the signal to noise of places so many pixels down and right of a site."""
        places = np.meshgrid(site[0] + steps, site[1] + steps, indexing="ij")
        sites = np.stack(places, axis=2).reshape(-1, 2)
        return snr_at(self.traces, self.corrections, sites, between=between)

    def ratios(self, row: int, col: int) -> FloatArray:
        """Return the signal-to-noise ratios around a sensor site, (13, 13).

        NaN where no photo shows it.
        """
        side = np.arange(-WINDOW, WINDOW + 1)
        ratios = self._around((row, col), side, between=False)
        return ratios.reshape(len(side), -1).astype(np.float32)

"""The sensor trace: the traces of a camera's bins, stacked where each shows a sensor site.

It stands in for the camera's own trace where lens corrections move what the sensor saw:
photos of other bins show a defect at other places, and add nothing to it at this one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.detection import registration
from hotpixeld.detection.lens_correction import NONE, Corrections
from hotpixeld.statistics import peaks
from hotpixeld.statistics.contrast import WINDOW
from hotpixeld.statistics.trace import CELL, PART, UNIT, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hotpixeld.camera import Bin
    from hotpixeld.detection.lens_correction import Correction
    from hotpixeld.statistics.contrast import FloatArray
    from hotpixeld.statistics.peaks import Peaks, Scratch

FINE = np.arange(-4, 5) * 0.12
"""Pixels beside the middle of its own at which a site is looked for."""
CLEAR = 6.0
"""Signal to noise from which on that is told by it."""


def corrections(
    bins: Mapping[Bin, Trace], before: Corrections, scratch: Scratch = peaks.zeros
) -> Corrections:
    """Return the lens corrections that the traces of a camera's bins show.

    Parameters
    ----------
    bins : mapping of Bin to Trace
        The camera's.
    before : Corrections
        As the map before had them: what moves no place by half a pixel stays as it is, and
        so do those of bins that have no trace now.
    scratch : callable
        Holds a plane.
    """
    if not bins:
        return before
    reference = before.reference
    if reference is None or (reference not in bins and not before.move):
        reference = max(bins, key=lambda one: bins[one].photos)
    if reference not in bins:
        return before
    ordered = [reference, *(one for one in bins if one != reference)]
    traces = [bins[one] for one in ordered]
    size = traces[0].total.shape
    priors = [before.of.get(one) for one in ordered]
    found = registration.register(traces, priors, ordered, scratch)
    of = dict(before.of)
    for one, registered in zip(ordered, found, strict=True):
        known, correction = of.get(one), registered.correction
        if correction is None:
            continue
        if known is None or not known.is_same(correction, (size[0], size[1])):
            of[one] = correction
    of[reference] = NONE
    why = {one: each.why for one, each in zip(ordered, found, strict=True)}
    return Corrections(reference, of, {**before.why, **why})


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
        known = [one for one in bins if one in found.of]
        traces, moved = [bins[one] for one in known], [found.of[one] for one in known]
        like = traces[0]
        return cls(like.photos, like.total, like.information, traces, moved)

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width of the frames."""
        height, width = self.total.shape
        return height, width

    def suspects(self, count: int, scratch: Scratch = peaks.zeros) -> Peaks:
        """Return the sensor sites that stand out most, the most significant first.

        Some may lie outside of the reference's frame.
        """
        margin = registration.margin(self.corrections, self.size)
        plane = registration.sensor_snr(self.traces, self.corrections, scratch, margin)
        found = peaks.peaks(plane, count, PART)
        return peaks.Peaks(
            found.sites - np.array(margin), found.ratios, found.false_alarms
        )

    def aside(self, row: int, col: int) -> tuple[float, float]:
        """Return where in its pixel a sensor site lies: rows, columns beside the middle.

        Where it stands out most in all bins together, each read between its pixels: they
        show it at other fractions of theirs.  In the middle, where it hardly does: one that
        is stuck at a level may add to as many photos as it takes away from.
        """
        rows, cols = np.meshgrid(row + FINE, col + FINE, indexing="ij")
        ratio = self._between(np.stack([rows.ravel(), cols.ravel()], axis=1))
        middle = ratio[len(ratio) // 2]
        if abs(middle) < CLEAR:
            return 0.0, 0.0
        down, right = divmod(int(np.argmax(ratio * np.sign(middle))), len(FINE))
        return round(float(FINE[down]), 2), round(float(FINE[right]), 2)

    def _between(self, sites: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the signal to noise of sites between pixels, (N,); 0 where none shows it."""
        total, information = np.zeros(len(sites)), np.zeros(len(sites))
        last = np.array(self.size) - 1
        for trace, correction in zip(self.traces, self.corrections, strict=True):
            places = correction.places(sites, self.size)
            here = np.all((places >= 0) & (places <= last), axis=1)
            here &= correction.are_known(sites, self.size)
            first = np.minimum(places[here].astype(np.intp), last - 1)
            (row, col), (y, x) = first.T, (places[here] - first).T
            for down, right in itertools.product((0, 1), repeat=2):
                part = abs(1 - down - y) * abs(1 - right - x)
                total[here] += part * trace.total[row + down, col + right]
            information[here] += trace.information[row // CELL, col // CELL]
        return total / UNIT / np.sqrt(np.maximum(information, 1e-9))

    def ratios(self, row: int, col: int) -> FloatArray:
        """Return the signal-to-noise ratios around a sensor site, (13, 13).

        NaN where no photo shows it.
        """
        side = np.arange(-WINDOW, WINDOW + 1)
        rows, cols = np.meshgrid(row + side, col + side, indexing="ij")
        sites = np.stack([rows.ravel(), cols.ravel()], axis=1)
        total, information = np.zeros(len(sites)), np.zeros(len(sites))
        for trace, correction in zip(self.traces, self.corrections, strict=True):
            places = np.rint(correction.places(sites, self.size)).astype(np.intp)
            here = np.all((places >= 0) & (places < np.array(self.size)), axis=1)
            here &= correction.are_known(sites, self.size)
            down, right = places[here].T
            total[here] += trace.total[down, right] / np.float32(UNIT)
            information[here] += trace.information[down // CELL, right // CELL]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(information > 0, total / np.sqrt(information), np.nan)
        return ratio.reshape(len(side), -1).astype(np.float32)

"""The sensor trace: the traces of a camera's bins, stacked where each shows a sensor site.

It stands in for the camera's own trace where lens corrections move what the sensor saw:
photos of other bins show a defect at other places, and add nothing to it at this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hotpixeld.detection import registration
from hotpixeld.detection.lens_correction import NONE, Corrections
from hotpixeld.statistics import peaks
from hotpixeld.statistics.contrast import WINDOW
from hotpixeld.statistics.trace import PART, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hotpixeld.camera import Bin
    from hotpixeld.detection.lens_correction import Correction
    from hotpixeld.detection.registration import Array
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
        return registration.snr_at(
            self.traces, self.corrections, sites, between=between
        )

    def ratios(self, row: int, col: int) -> FloatArray:
        """Return the signal-to-noise ratios around a sensor site, (13, 13).

        NaN where no photo shows it.
        """
        side = np.arange(-WINDOW, WINDOW + 1)
        ratios = self._around((row, col), side, between=False)
        return ratios.reshape(len(side), -1).astype(np.float32)

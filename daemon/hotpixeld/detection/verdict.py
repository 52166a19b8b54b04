"""Verdicts: which suspects are defects, and how sure that is.

`judge` tests every suspect against chance (`score_test`), over all photos, one stretch of
time (it appeared, or healed), a range of exposures and one of focal lengths. The
control sites, ordinary places sampled in the same photos, say what the result is worth in
these very photos: it is read as a signal-to-noise ratio, and from there as the number of
false alarms in a whole frame. What a defect is, and since when, `dates` says.

References
----------
J. Dudas, C. Jung, L. Wu, G. Chapman, I. Koren, Z. Koren, "On-line mapping of in-field
defects in image sensor arrays", DFT 2006: evidence accumulated photo by photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.detection import score_test
from hotpixeld.detection.evidence import Conditions
from hotpixeld.detection.score_test import CLIPPED, ROUNDING, Axis, Residuals
from hotpixeld.statistics.contrast import LUMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.detection.evidence import Samples
    from hotpixeld.statistics.contrast import FloatArray

FALSE_ALARMS = 0.1
"""Expected false alarms in a whole frame at which a suspect is listed."""
# What an eye finds at all in a smooth area: a hundredth of full scale, in levels.
VISIBLE = 2.55
# Sensors have many sites that are a little warm: what shows at some exposures only, in less
# than half of the photos, is listed when it glares there, with a tenth of full scale.
GLARING, OFTEN = 25.5, 0.5
# In the others, too, when they show so much beyond doubt: 95 %.
SURE = 1.645


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts on N suspects.

    Attributes
    ----------
    score : (N,) float64
        Signal-to-noise ratio, calibrated on the controls.
    false_alarms : (N,) float64
        Sites as convincing that chance would give the whole frame.
    shown : (photos, N) bool
        The part of the photos, by time, exposure or focal length, in which it stands out
        most.
    axis : (N,) int8
        By which of these; of `score_test.Axis`.
    amplitude : (N, 3) float32
        Mean level over the surroundings in the photos that show it: red, green, blue.
    size : (N,) float32
        Mean level of luma by which it is off its surroundings, whichever way it is drawn.
    elsewhere : (N,) float32
        What the other photos show at least, of luma; 0 where there is none.
    scenes : float
        How many different scenes the photos amount to.
    residuals : Residuals
        (photos, N), what each photo shows.
    """

    score: NDArray[np.float64]
    false_alarms: NDArray[np.float64]
    shown: NDArray[np.bool_]
    axis: NDArray[np.int8]
    amplitude: FloatArray
    size: FloatArray
    elsewhere: FloatArray
    scenes: float
    residuals: Residuals

    @property
    def listed(self) -> NDArray[np.bool_]:
        """Return which suspects are defects that can be seen, (N,) bool."""
        visible = self.size >= self._least()
        return np.asarray((self.false_alarms < FALSE_ALARMS) & visible)

    def _least(self) -> FloatArray:
        """Return the levels that each must show with, (N,)."""
        is_seldom = (self.axis == Axis.EXPOSURE) & (self.shown.mean(axis=0) < OFTEN)
        is_warm = is_seldom & (self.elsewhere < VISIBLE)
        return np.where(is_warm, np.float32(GLARING), np.float32(VISIBLE))


def _weights(suspects: Samples, shown: NDArray[np.bool_]) -> FloatArray:
    """Return how much each photo counts for the mean peak of each site, (photos, N).

    Where there is more texture than usual at the site, a photo counts less.
    """
    spread = suspects["spread"].astype(np.float32)
    counts = shown & (suspects["clipped"] <= CLIPPED)
    usual = np.median(spread, axis=0)
    weight = np.where(counts, 1 / (spread**2 + usual**2 + ROUNDING**2), 0)
    weight /= np.maximum(weight.sum(axis=0), np.float32(1e-9))
    return np.asarray(weight, np.float32)


def _amplitude(suspects: Samples, weight: FloatArray) -> FloatArray:
    """Return the mean peak of each site over the photos that show it, (N, 3).

    A mean, not a median, because some defects show strongly in a few photos and hardly in
    others.
    """
    peak = suspects["peak"].astype(np.float32)
    return np.asarray((weight[..., None] * peak).sum(axis=0), np.float32)


def _size(suspects: Samples, weight: FloatArray, drawn_to: FloatArray) -> FloatArray:
    """Return by how much each site is off its surroundings in the photos that show it.

    What takes away in bright surroundings and adds in dark ones is there in both.
    """
    level = suspects["level"].astype(np.float32)
    sign = np.where(np.isnan(drawn_to), 1, np.sign(drawn_to - level))
    luma = suspects["peak"].astype(np.float32) @ LUMA
    mean = (weight * sign * luma).sum(axis=0)
    return np.asarray(np.abs(mean), np.float32)


def _surely(suspects: Samples, shown: NDArray[np.bool_]) -> FloatArray:
    """Return the size of the mean peak over some photos, of luma, at least; (N,)."""
    weight = _weights(suspects, shown)
    luma = suspects["peak"].astype(np.float32) @ LUMA
    mean = (weight * luma).sum(axis=0)
    error = np.sqrt(np.square(weight * (luma - mean)).sum(axis=0))
    return np.asarray(np.maximum(np.abs(mean) - SURE * error, 0), np.float32)


def judge(
    suspects: Samples,
    controls: Samples,
    pixels: int,
    conditions: Conditions | None = None,
) -> Verdicts:
    """Return the verdicts on the suspects of one camera.

    Parameters
    ----------
    suspects : (photos, N) of `evidence.SAMPLE`
        In order of capture time.
    controls : (photos, C) of `evidence.SAMPLE`
        The same photos at `evidence.controls`; at least 64.
    pixels : int
        Places of the frame, all of which the suspects were chosen from.
    conditions : Conditions, optional
        How the photos were taken, where that is known.

    Returns
    -------
    Verdicts
    """
    photos, count = suspects.shape
    ordinary = Residuals.of(controls)
    shares = score_test.vote_shares(controls)
    both = np.concatenate([suspects, controls], axis=1)
    residuals = Residuals.of(both)
    residuals.share *= np.minimum(shares, score_test.local_shares(both, controls))
    part = score_test.strongest_part(
        residuals,
        conditions or Conditions.unknown(photos),
        score_test.grain(ordinary),
    )
    strength = np.sqrt(2 * part.statistic)
    scale, exponent = score_test.calibrate(strength[count:], strength[:count], pixels)
    score = (strength[:count] / scale) ** (1 / exponent)
    shown = part.shown[:, :count]
    weight = _weights(suspects, shown)
    expected = [pixels * NormalDist().cdf(-ratio) for ratio in score.tolist()]
    return Verdicts(
        score=score,
        false_alarms=np.array(expected),
        shown=shown,
        axis=part.axis[:count],
        amplitude=_amplitude(suspects, weight),
        size=_size(suspects, weight, part.drawn_to[:count]),
        elsewhere=_surely(suspects, ~shown),
        scenes=float(shares.sum()),
        residuals=residuals.only(slice(count)),
    )

"""Verdicts: which suspects are defects, of what kind, since when, and how sure that is.

`judge` tests every suspect against chance (`score_test`), over all photos, one stretch of
time (it appeared, or healed), the longest exposures and a range of focal lengths. The
control sites, ordinary places sampled in the same photos, say what the result is worth in
these very photos: it is read as a signal-to-noise ratio, and from there as the number of
false alarms in a whole frame.

What made the residuals of a suspect is then explained by one hypothesis: a hot pixel adds
some levels, a stuck one shows a level of its own whatever the surroundings, a dead one is
stuck at black, and each of them weakly when a JPEG or a neighbour has dulled it. A photo
votes with the logarithm of how much likelier its residual is under that than under chance,
which has the heavy tails that scenes have. These votes give the defect's `life`.

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

from hotpixeld.defect import Kind
from hotpixeld.detection import light, score_test
from hotpixeld.detection.evidence import Conditions
from hotpixeld.detection.score_test import CLIPPED, ROUNDING, Axis, Residuals
from hotpixeld.statistics.contrast import LUMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hotpixeld.detection.evidence import Samples
    from hotpixeld.statistics.contrast import FloatArray

# What a hot pixel adds varies with exposure and temperature.
VARIATION = 0.3
# What a stuck or dead site is drawn to.
LEVELS = tuple(float(level) for level in range(0, 256, 17))
# The tone curve makes a hot pixel add less where it is bright: a weak pull to white.
BRIGHT, WEAK = 150.0, 0.3
FALSE_ALARMS = 0.1
"""Expected false alarms in a whole frame at which a suspect is listed."""
# A beginning or an end needs this much (log likelihood) against the defect outside.
CHANGE = 4.6
# What an eye finds at all in a smooth area: a hundredth of full scale, in levels.
VISIBLE = 2.55
# A pixel that shows now and then only, at long exposures, is listed when it glares there:
# with a tenth of full scale. Sensors have many that are a little warm.
GLARING, OFTEN = 25.5, 0.5


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a defect does: adds `amplitude`, or shows a `share` of the way to `level`."""

    kind: Kind
    amplitude: float
    level: float = 0.0
    share: float = 0.0

    def expected(self, surroundings: FloatArray) -> FloatArray:
        """Return the residual it makes in `surroundings` of these levels."""
        pull: FloatArray = np.float32(self.level) - surroundings
        pull *= np.float32(self.share)
        pull += np.float32(self.amplitude)
        return pull


def _fit(residual: FloatArray, weight: FloatArray, shape: FloatArray) -> float:
    """Return the factor on `shape` that fits the residuals best."""
    power = float((weight * shape * shape).sum())
    return float((weight * residual * shape).sum()) / max(power, 1e-9)


def hypotheses(
    residual: FloatArray, weight: FloatArray, level: FloatArray
) -> Iterator[Hypothesis]:
    """Yield what may have made the residuals of one site, each fitted to them.

    Parameters
    ----------
    residual, weight, level : (photos,) float32
        Weight is the inverse of the variance, 0 where a photo does not count.
    """
    amplitude = _fit(residual, weight, np.ones_like(residual))
    yield Hypothesis(Kind.DEAD if amplitude < 0 else Kind.HOT, amplitude)
    for drawn_to in LEVELS:
        share = _fit(residual, weight, np.float32(drawn_to) - level)
        if share > 0:
            kind = Kind.STUCK if drawn_to else Kind.DEAD
            if drawn_to > BRIGHT and share < WEAK:
                kind = Kind.HOT
            yield Hypothesis(kind, 0.0, drawn_to, share)


def votes(
    hypothesis: Hypothesis, residual: FloatArray, spread: FloatArray, level: FloatArray
) -> FloatArray:
    """Return each photo's vote for a hypothesis against chance.

    Parameters
    ----------
    hypothesis : Hypothesis
    residual, spread : float32, levels
        Contrast of the site, and its standard deviation if there is no defect.
    level : float32, levels
        Of the surroundings.

    Returns
    -------
    float32, of the same shape
        As `light.support`.
    """
    return light.support(residual, spread, hypothesis.expected(level), VARIATION)


def explain(
    residuals: Residuals, shown: NDArray[np.bool_]
) -> tuple[tuple[Hypothesis, ...], FloatArray]:
    """Return what explains each site best, and how each photo votes for that.

    Parameters
    ----------
    residuals : Residuals
        (photos, N).
    shown : (photos, N) bool
        The photos in which the defect should show.
    """
    chosen: list[Hypothesis] = []
    support = np.zeros_like(residuals.residual)
    for site in range(residuals.residual.shape[1]):
        residual, spread, level, share = (
            residuals.residual[:, site],
            residuals.spread[:, site],
            residuals.level[:, site],
            residuals.share[:, site],
        )
        weight = np.where(shown[:, site], share / spread**2, 0)
        options = list(hypotheses(residual, weight, level))
        each = [
            share * votes(hypothesis, residual, spread, level) for hypothesis in options
        ]
        best = int(np.argmax([(vote * shown[:, site]).sum() for vote in each]))
        chosen.append(options[best])
        support[:, site] = each[best]
    return tuple(chosen), support


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts on N suspects.

    Attributes
    ----------
    score : (N,) float64
        Signal-to-noise ratio, calibrated on the controls.
    false_alarms : (N,) float64
        Sites as convincing that chance would give the whole frame.
    hypothesis : tuple of N Hypothesis
        What explains the samples best.
    support : (photos, N) float32
        Each photo's vote for the hypothesis: above 0 where the defect is likelier to be
        there than not.
    shown : (photos, N) bool
        The photos in which, by time, exposure or focal length, it should show.
    axis : (N,) int8
        By which of these; of `score_test.Axis`.
    amplitude : (N, 3) float32
        Mean level over the surroundings in the photos that show it: red, green, blue.
    scenes : float
        How many different scenes the photos amount to.
    residuals : Residuals
        (photos, N), what each photo shows.
    """

    score: NDArray[np.float64]
    false_alarms: NDArray[np.float64]
    hypothesis: tuple[Hypothesis, ...]
    support: FloatArray
    shown: NDArray[np.bool_]
    axis: NDArray[np.int8]
    amplitude: FloatArray
    scenes: float
    residuals: Residuals

    @property
    def listed(self) -> NDArray[np.bool_]:
        """Return which suspects are defects that can be seen, (N,) bool."""
        least = np.where(self._is_occasional(), GLARING, VISIBLE)
        visible = np.abs(self.amplitude @ LUMA) >= least
        return np.asarray((self.false_alarms < FALSE_ALARMS) & visible)

    def _is_occasional(self) -> NDArray[np.bool_]:
        """Return which show in less than half of the photos, at long exposures, (N,)."""
        share = self.shown.mean(axis=0)
        return np.asarray((share < OFTEN) & (self.axis == Axis.EXPOSURE))


def _amplitude(suspects: Samples, shown: NDArray[np.bool_]) -> FloatArray:
    """Return the mean peak of each site over the photos that show it, (N, 3).

    A mean, not a median, because some defects show strongly in a few photos and hardly in
    others.  Where there is more texture than usual at the site, a photo counts less.
    """
    spread = suspects["spread"].astype(np.float32)
    counts = shown & (suspects["clipped"] <= CLIPPED)
    usual = np.median(spread, axis=0)
    weight = np.where(counts, 1 / (spread**2 + usual**2 + ROUNDING**2), 0)
    weight /= np.maximum(weight.sum(axis=0), np.float32(1e-9))
    peak = suspects["peak"].astype(np.float32)
    return np.asarray((weight[..., None] * peak).sum(axis=0), np.float32)


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
    hypothesis, support = explain(residuals.only(slice(count)), shown)
    expected = [pixels * NormalDist().cdf(-ratio) for ratio in score.tolist()]
    return Verdicts(
        score=score,
        false_alarms=np.array(expected),
        hypothesis=hypothesis,
        support=support,
        shown=shown,
        axis=part.axis[:count],
        amplitude=_amplitude(suspects, shown),
        scenes=float(shares.sum()),
        residuals=residuals.only(slice(count)),
    )


@dataclass(frozen=True, slots=True)
class Life:
    """When a defect was there, in numbers of photos by capture time.

    Attributes
    ----------
    first, last : int
        First and last photo that show it, or would if they counted.
    after, until : int or None
        Last photo before and first one after it that do without it; None where the photos
        do not show that it was ever absent.
    """

    first: int
    last: int
    after: int | None
    until: int | None


def _stretch(support: FloatArray) -> tuple[int, int]:
    """Return the first and last photo of the stretch that votes most for a defect.

    Both vote for it, unless no photo does.
    """
    sums = np.concatenate([np.zeros(1, np.float32), np.cumsum(support)])
    lowest = np.minimum.accumulate(sums[:-1])
    last = int((sums[1:] - lowest).argmax())
    first = int(np.flatnonzero(sums[: last + 1] <= lowest[last])[-1])
    return first, last


def _is_one_stretch(support: FloatArray, shown: NDArray[np.bool_]) -> bool:
    """Return whether one stretch of time explains as well which photos show a defect.

    Then the long exposures, or those of a focal length, happen to be the last ones.
    """
    first, last = _stretch(support)
    return float(support[first : last + 1].sum()) >= float(support[shown].sum())


def life(verdicts: Verdicts, site: int) -> Life:
    """Return the life of the defect at suspect number `site`."""
    support, shown = verdicts.support[:, site], verdicts.shown[:, site]
    if verdicts.axis[site] != Axis.TIME and not _is_one_stretch(support, shown):
        support = np.where(shown, support, 0)  # the others could not show it anyway
    first, last = _stretch(support)
    before, behind = (
        np.flatnonzero(support[:first] < 0),
        np.flatnonzero(support[last + 1 :] < 0),
    )
    began = float(support[:first].sum()) < -CHANGE and before.size > 0
    ended = float(support[last + 1 :].sum()) < -CHANGE and behind.size > 0
    if not began:
        first = int(np.flatnonzero(support > 0)[0]) if (support > 0).any() else 0
    return Life(
        first,
        last,
        int(before[-1]) if began else None,
        last + 1 + int(behind[0]) if ended else None,
    )

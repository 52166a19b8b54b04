"""Verdicts: which suspects are defects, of what kind, since when, and how sure that is.

For every suspect the best of many hypotheses is weighed against chance, over all photos,
over one stretch of time (it appeared, or healed) and over the longer exposures only. The
control sites, ordinary places sampled in the same photos, then say what such a weight is
worth in these very photos: it is read as a signal to noise ratio, and from there as the
number of false alarms in a whole frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import calibration, likelihood
from hotpixeld.calibration import CLIPPED, ROUNDING, Plane
from hotpixeld.weighing import Weighed, weigh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.evidence import Samples
    from hotpixeld.likelihood import Grid, Hypothesis

FALSE_ALARMS = 0.1
"""Expected false alarms in a whole frame at which a suspect is listed."""
# A beginning or an end needs this much (log likelihood) against the defect outside.
CHANGE = 4.6
# What an eye finds at all in a smooth area: a hundredth of full scale, in levels; and,
# where the place is known and one look decides, in standard deviations around.
VISIBLE, SEEN = 2.55, 3.0
# A pixel that shows now and then only, at long exposures, is listed when it glares there:
# with a tenth of full scale. Sensors have many that are a little warm.
GLARING, OFTEN = 25.5, 0.5


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts on N suspects.

    Attributes
    ----------
    score : (N,) float64
        Signal to noise ratio, calibrated on the controls.
    false_alarms : (N,) float64
        Sites as convincing that chance would give the whole frame.
    hypothesis : tuple of N Hypothesis
        What explains the samples best.
    plane : (N,) intp
        Where it shows best: 0 luma, 1 red, 2 blue difference.
    support : (photos, N) float32
        Each photo's vote for the hypothesis: above 0 where the defect is likelier to be
        there than not.
    shown : (photos, N) bool
        The photos in which, by time or exposure, it should show.
    contrast : (N,) float32
        Mean residual in `plane` over the photos that show it, levels.
    amplitude : (N, 3) float32
        The same in red, green and blue.
    votes : float
        Number of independent photos that the samples amount to.
    """

    score: NDArray[np.float64]
    false_alarms: NDArray[np.float64]
    hypothesis: tuple[Hypothesis, ...]
    plane: NDArray[np.intp]
    support: Grid
    shown: NDArray[np.bool_]
    contrast: NDArray[np.float32]
    amplitude: NDArray[np.float32]
    votes: float

    @property
    def listed(self) -> NDArray[np.bool_]:
        """Return which suspects are defects that can be seen, (N,) bool."""
        least = np.where(self._is_occasional(), GLARING, VISIBLE)
        visible = np.abs(self.contrast) >= least
        return np.asarray((self.false_alarms < FALSE_ALARMS) & visible)

    def _is_occasional(self) -> NDArray[np.bool_]:
        """Return which show in less than half of the photos, now and then, (N,) bool.

        Not those that show in one stretch of time: these began or ended.
        """
        times = self.shown.sum(axis=0)
        edges = np.diff(self.shown.astype(np.int8), axis=0, prepend=0, append=0)
        stretches = (edges > 0).sum(axis=0)
        return np.asarray((times < OFTEN * len(self.shown)) & (stretches > 1))


def _exposure_order(
    exposure: NDArray[np.float64] | None, photos: int
) -> NDArray[np.intp]:
    """Return the photos from the longest exposure to the shortest, unknown ones last."""
    if exposure is None:
        return np.arange(photos)
    return np.argsort(-np.nan_to_num(exposure, nan=0.0), kind="stable")


def _contrasts(suspects: Samples, shown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the mean residual of each site over the photos that show it, (3, N).

    Of luma and the two colour differences; a mean, not a median, because some defects
    show strongly in a few photos and hardly in others.  Where there is more texture than
    usual at the site, a photo tells less.
    """
    residual = suspects["residual"].astype(np.float32)
    spread = suspects["spread"].astype(np.float32)
    telling = shown & (suspects["clipped"] <= CLIPPED)
    usual = np.median(spread, axis=0)
    weight = np.where(telling[..., None], 1 / (spread**2 + usual**2 + ROUNDING**2), 0)
    total = weight.sum(axis=0)
    mean = (weight * residual).sum(axis=0) / np.maximum(total, np.float32(1e-9))
    return np.asarray(mean.T, np.float32)


def _amplitude(contrasts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N, 3) red, green, blue from luma and the colour differences, (3, N)."""
    luma, red, blue = contrasts
    # Luma is 0.3 red + 0.59 green + 0.11 blue, and the planes hold red and blue less it.
    green = luma - (0.297 * red + 0.109 * blue) / 0.594
    return np.stack([luma + red, green, luma + blue], axis=1)


def _weigh_planes(
    suspects: Samples,
    controls: Samples,
    shares: Grid,
    order: NDArray[np.intp],
) -> tuple[list[Weighed], list[list[Hypothesis]]]:
    """Return what suspects and controls weigh in each plane, by which hypotheses."""
    both = np.concatenate([suspects, controls], axis=1)
    found: list[Weighed] = []
    options: list[list[Hypothesis]] = []
    for number in range(3):
        plane = Plane.of(both, number)
        plane.share *= np.minimum(shares, calibration.local_shares(plane))
        grain = calibration.grain(Plane.of(controls, number))
        options.append(list(likelihood.hypotheses(colour=number > 0)))
        found.append(weigh(plane, options[-1], order, grain))
    return found, options


def judge(
    suspects: Samples,
    controls: Samples,
    pixels: int,
    exposure: NDArray[np.float64] | None = None,
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
    exposure : (photos,) float64, optional
        Exposure time times ISO, any unit; NaN where unknown.

    Returns
    -------
    Verdicts
    """
    photos, count = suspects.shape
    shares = calibration.vote_shares(Plane.of(controls, 0))
    order = _exposure_order(exposure, photos)
    found, options = _weigh_planes(suspects, controls, shares, order)
    weights = np.stack([one.weight for one in found])
    best = weights.argmax(axis=0)
    # The choice among three planes costs its logarithm.
    weight = np.maximum(weights.max(axis=0) - np.where(best > 0, np.log(3), 0), 0)
    strength = np.sqrt(2 * weight)
    scale, exponent = calibration.line(strength[count:], strength[:count], pixels)
    score = (strength[:count] / scale) ** (1 / exponent)
    site, plane = np.arange(count), best[:count]
    shown = np.stack([one.shown for one in found])[plane, :, site].T
    contrasts = _contrasts(suspects, shown)
    expected = [pixels * NormalDist().cdf(-one) for one in score.tolist()]
    return Verdicts(
        score=score,
        false_alarms=np.array(expected),
        hypothesis=tuple(
            options[number][found[number].index[one]]
            for one, number in enumerate(plane.tolist())
        ),
        plane=plane,
        support=np.stack([one.support for one in found])[plane, :, site].T,
        shown=shown,
        contrast=contrasts[plane, site],
        amplitude=_amplitude(contrasts),
        votes=float(shares.sum()),
    )


@dataclass(frozen=True, slots=True)
class Life:
    """When a defect was there, in numbers of photos by capture time.

    Attributes
    ----------
    first, last : int
        First and last photo that show it, or would if they told anything.
    after, until : int or None
        Last photo before and first one after it that do without it; None where the photos
        do not tell that it was ever absent.
    """

    first: int
    last: int
    after: int | None
    until: int | None


def life(verdicts: Verdicts, site: int) -> Life:
    """Return the life of the defect at suspect number `site`."""
    support = verdicts.support[:, site]
    shown = np.flatnonzero(verdicts.shown[:, site] & (support >= 0))
    if shown.size == 0:
        shown = np.arange(len(support))
    first, last = int(shown[0]), int(shown[-1])
    before, behind = (
        np.flatnonzero(support[:first] < 0),
        np.flatnonzero(support[last + 1 :] < 0),
    )
    began = float(support[:first].sum()) < -CHANGE and before.size > 0
    ended = float(support[last + 1 :].sum()) < -CHANGE and behind.size > 0
    return Life(
        first,
        last,
        int(before[-1]) if began else None,
        last + 1 + int(behind[0]) if ended else None,
    )


def shows(sample: Samples, verdicts: Verdicts) -> NDArray[np.bool_]:
    """Return in which photos, or in one, each defect can be seen.

    Parameters
    ----------
    sample : (N,) or (photos, N) of `evidence.SAMPLE`
        At the sites of the verdicts.

    Returns
    -------
    (N,) or (photos, N) bool
        Where the residual has the defect's sign, stands three times out of the spread
        around it, and makes at least two levels.
    """
    site = np.arange(len(verdicts.plane))
    residual = sample["residual"].astype(np.float32)[..., site, verdicts.plane]
    spread = sample["spread"].astype(np.float32)[..., site, verdicts.plane]
    level = sample["level"].astype(np.float32)
    expected = np.stack(
        [
            one.expected(level[..., index])
            for index, one in enumerate(verdicts.hypothesis)
        ],
        axis=-1,
    )
    size = residual * np.sign(expected)
    return np.asarray(size > np.maximum(SEEN * np.hypot(spread, ROUNDING), VISIBLE))

"""The law of light: how strongly the defects of a camera show, and in which photos.

A hot pixel adds to the light by its offset and by exposure x ISO (`defect.Law`), less where
its surroundings are bright, and by a gain that it shares with the camera's other defects in
the same photo: warmth, or noise reduction that takes them away.  `fit` learns all that from
samples at known defects: each law by a robust fit, the gain of each photo from its
temperature and from the defects *other* than the one it is for, shrunk towards 1 by a prior
whose width the photos themselves say (empirical Bayes).  Whether a defect can be seen in a
photo is then a probability (`visibility`), and a photo's vote for or against it counts only
as far as it was expected there (`Fit.votes`).

References
----------
J. Dudas, L. M. Wu, C. Jung, G. H. Chapman, Z. Koren, I. Koren, "Identification of in-field
defect development in digital image sensors", Proc. SPIE 6502, 2007: I = I_offset +
R_dark x t, scaled by ISO.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from hotpixeld.defect import DOUBLING, MOST_DOUBLINGS, ORDINARY, WHITE, Law
from hotpixeld.statistics.contrast import LUMA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hotpixeld.defect import Defect
    from hotpixeld.detection.score_test import Residuals
    from hotpixeld.statistics.contrast import FloatArray

    Floats = NDArray[np.float64]

_Real = TypeVar("_Real", np.float32, np.float64)

FREEDOM = 5.0
"""Student's t with 5 degrees of freedom: between what controls of real cameras show (6-20)
and the safe side."""
VOTE = 4.0
"""One photo cannot say more than this: e^4 to one."""
# Of what single photos show about the law; the prior is for bodies with few defects.
SCATTERS = np.array([0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65])
SCATTER, SCATTER_PRIOR = 0.3, 0.5
# Of the centre to the contrast: that of a wide footprint, and of a single pixel.
CENTRE = (1.0, 6.0)
# Room of what is added in ordinary surroundings.
MIDDLE = WHITE - ORDINARY
# Steps of the fit of three laws: whatever the exposure, by it alone, and both.
STEPS, SHAPES = 8, ((1, 0), (0, 1), (1, 1))
# A gain's logarithm lies on a grid; its last place is a photo that shows no defect at all.
GAINS = np.append(np.linspace(math.log(1 / 8), math.log(8), 25), -np.inf)
SUPPRESSED = 0.02
"""Photos whose camera took its defects away, before anything was seen of them."""
LIKELIER = 0.5
"""Probability from which on a photo is held to show none of its camera's defects."""
DRIFTS = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0])
DRIFT_PRIOR = 0.4
DOUBLINGS = np.array([5.0, 6.0, 7.0, 8.5, 10.0, 12.0, 14.0, 17.0, 20.0])
DOUBLING_PRIOR = 0.25
"""Standard deviation of its logarithm."""
SHARPNESSES = np.geomspace(0.4, 2.5, 21)
SHARPNESS_PRIOR = 0.4
"""Standard deviation of its logarithm."""
COMPANIONS = 3
"""Defects without which photos have no gain of their own."""
TURNS = 3
"""Laws and gains are fitted in turn so often."""
SHOWN = 3.0
"""Standard deviations by which a defect stands out that shows, and all of a photo together."""


def law_of(defect: Defect) -> Law:
    """Return the law of a defect, or one of its mean strength where it has none."""
    if defect.law is not None:
        return defect.law
    excess = np.array(defect.amplitude or (0, 0, 0)) @ LUMA
    return Law(-math.log1p(-min(max(float(excess) / MIDDLE, 0), 0.9)), 0, SCATTER)


def students_cdf(ratio: Floats) -> Floats:
    """Return the distribution function of Student's t with `FREEDOM` degrees.

    >>> [round(float(x), 4) for x in students_cdf(np.array([-2.571, 0.0, 4.032]))]
    [0.025, 0.5, 0.995]
    """
    part = ratio / math.sqrt(FREEDOM)
    rest = 1 / (1 + part * part)
    return np.asarray(
        0.5 + (part * rest * (1 + rest * (2 / 3)) + np.arctan(part)) / math.pi
    )


def visibility(
    amplitude: Floats, spread: Floats, scatter: float, least: Floats | float
) -> Floats:
    """Return the probability that a defect stands out by at least so much.

    Parameters
    ----------
    amplitude : float64, levels
        Expected at the centre, by the law.
    spread : float64, levels
        Standard deviation of the surroundings, by the same measure.
    scatter : float
        `Law.scatter`.
    least : float64, levels
        What makes it visible.

    Returns
    -------
    float64, of the shape that all have together

    >>> bool(visibility(np.array(30.0), np.array(1.0), 0.2, 3.0) > 0.99)
    True
    """
    wide = np.hypot(spread, scatter * amplitude)
    return students_cdf((amplitude - least) / wide)


def _added(strength: NDArray[_Real], level: NDArray[_Real]) -> NDArray[_Real]:
    """Return what is added to surroundings of these levels."""
    added: NDArray[_Real] = (np.float32(WHITE) - level) * -np.expm1(-strength)
    return added


def _surprise(residual: FloatArray, spread: FloatArray) -> FloatArray:
    """Return minus the logarithm of Student's density, but for that of its spread."""
    ratio = residual / spread
    out: FloatArray = np.log1p(ratio * ratio / np.float32(FREEDOM))
    out *= np.float32((FREEDOM + 1) / 2)
    return out


def _likelier(
    residual: FloatArray, spread: FloatArray, expected: FloatArray, scatter: float
) -> FloatArray:
    """Return `support` without its bounds."""
    wide = np.hypot(spread, np.float32(scatter) * expected)
    out = _surprise(residual, spread) - _surprise(residual - expected, wide)
    out -= np.log(wide / spread)
    return out


def support(
    residual: FloatArray, spread: FloatArray, expected: FloatArray, scatter: float
) -> FloatArray:
    """Return how much likelier residuals are if something is there than if nothing is.

    Parameters
    ----------
    residual, spread : float32, levels
        Contrast of a site, and its standard deviation if there is no defect.
    expected : float32, levels
        The residual that is expected if there is one.
    scatter : float
        Relative standard deviation of that.

    Returns
    -------
    float32, of the same shape
        Logarithms of likelihood ratios, from -`VOTE` to `VOTE`.
    """
    out = _likelier(residual, spread, expected, scatter)
    return np.asarray(np.clip(out, -VOTE, VOTE), np.float32)


def at_centre(
    residuals: Residuals, peak: FloatArray, shown: NDArray[np.bool_]
) -> Residuals:
    """Return residuals in levels of luma at the centre, as laws are.

    A contrast is that of a small cross, and what of it stands at the centre depends on the
    footprint alone.

    Parameters
    ----------
    residuals : Residuals
        (photos, N), in levels of contrast.
    peak : (photos, N, 3) float
        Of the same samples.
    shown : (photos, N) bool
        The photos that show the defects.
    """
    luma = peak.astype(np.float32) @ LUMA
    weight = residuals.share * shown / np.square(residuals.spread)
    power = (weight * residuals.residual**2).sum(axis=0) + np.float32(1e-6)
    ratio = (weight * luma * residuals.residual).sum(axis=0) / power
    ratio = np.clip(ratio, *CENTRE)
    return replace(
        residuals,
        residual=np.asarray(ratio * residuals.residual, np.float32),
        spread=np.asarray(ratio * residuals.spread, np.float32),
    )


@dataclass(frozen=True, slots=True)
class Laws:
    """The laws of N defects; (..., N) float32 each, as in `defect.Law`."""

    offset: FloatArray
    dark: FloatArray

    @classmethod
    def of(cls, laws: Sequence[Law]) -> Laws:
        """Return those of single defects."""
        return cls(*np.array([(law.offset, law.dark) for law in laws], np.float32).T)

    def but(self, known: Mapping[int, Law]) -> Laws:
        """Return them with others in place of some, by number."""
        offset, dark = self.offset.copy(), self.dark.copy()
        for number, law in known.items():
            offset[number], dark[number] = law.offset, law.dark
        return Laws(offset, dark)

    def strength(self, exposure: FloatArray) -> FloatArray:
        """Return A at a gain of 1, (..., photos, N), for (photos, N) exposures."""
        offset, dark = self.offset[..., None, :], self.dark[..., None, :]
        return np.asarray(offset + dark * exposure, np.float32)


def stronger(
    residuals: Residuals, former: Sequence[Law], exposure: NDArray[np.floating]
) -> float:
    """Return by how much stronger defects show than by their former laws.

    The sensor is warmer now, or colder, and gains are relative to the photos that they are
    fitted to. The median over the defects; 1 where there are less than `COMPANIONS`.

    Parameters
    ----------
    residuals : Residuals
        (photos, N), in levels at the centre.
    former : sequence of N Law
        As former photos said.
    exposure : (photos,) float
        Seconds times ISO.
    """
    if len(former) < COMPANIONS:
        return 1.0
    times = np.broadcast_to(exposure.astype(np.float32)[:, None], residuals.share.shape)
    expected = Laws.of(former).strength(times)
    room = np.float32(WHITE) - residuals.level
    shown = -np.log1p(-np.clip(residuals.residual / room, -0.5, 0.9))
    weight = residuals.share * _show_any(residuals)[:, None]
    weight = weight * expected * np.square(room / residuals.spread)
    ratio = (weight * shown).sum(axis=0)
    ratio /= np.maximum((weight * expected).sum(axis=0), np.float32(1e-9))
    return float(np.median(ratio)) if np.median(ratio) > 0 else 1.0


def _solved(
    weight: FloatArray, first: FloatArray, second: FloatArray, wanted: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the two factors, none below 0, that fit `wanted` best; over the photos."""
    aa = (weight * first * first).sum(axis=-2) + np.float32(1e-9)
    bb = (weight * second * second).sum(axis=-2) + np.float32(1e-9)
    ab = (weight * first * second).sum(axis=-2)
    a = (weight * first * wanted).sum(axis=-2)
    b = (weight * second * wanted).sum(axis=-2)
    determinant = aa * bb - ab * ab
    # Exposures that are all the same tell nothing apart: all is offset then.
    clear = determinant > np.float32(1e-4) * aa * bb
    determinant = np.where(clear, determinant, 1)
    one, two = (a * bb - b * ab) / determinant, (b * aa - a * ab) / determinant
    inner = clear & (one >= 0) & (two >= 0)
    alone_one, alone_two = np.maximum(a / aa, 0), np.maximum(b / bb, 0)
    is_first = alone_one * a >= alone_two * b
    return (
        np.where(inner, one, np.where(is_first, alone_one, 0)),
        np.where(inner, two, np.where(is_first, 0, alone_two)),
    )


def _robust(miss: FloatArray, wide: FloatArray) -> FloatArray:
    """Return the weights of a Student's t fit: of misses that are too great, little."""
    weight = (FREEDOM + 1) / (FREEDOM * wide * wide + miss * miss)
    return np.asarray(weight, np.float32)


def _improved(
    laws: Laws,
    residuals: Residuals,
    times: FloatArray,
    gain: FloatArray,
    scatter: float,
    shapes: tuple[FloatArray, FloatArray],
) -> Laws:
    """Return laws after one more step of the fit (Gauss and Newton's, weighted anew).

    `shapes` are 0 where a law has no offset, or no dark rate, else 1.
    """
    strength = laws.strength(times)
    added = _added(gain * strength, residuals.level)
    wide = np.hypot(residuals.spread, np.float32(scatter) * added)
    miss = residuals.residual - added
    slope = gain * (np.float32(WHITE) - residuals.level - added)
    weight: FloatArray = residuals.share * _robust(miss, wide)
    slope = np.asarray(slope, np.float32)
    wanted = np.asarray(miss + slope * strength, np.float32)
    return Laws(*_solved(weight, shapes[0] * slope, shapes[1] * slope * times, wanted))


def fit_laws(
    residuals: Residuals,
    exposure: FloatArray,
    gain: FloatArray,
    scatter: float,
    *,
    sparse: bool = False,
) -> Laws:
    """Return the laws that fit the samples of N defects best, each for itself.

    Parameters
    ----------
    residuals : Residuals
        (photos, N), in levels at the centre; a share of 0 leaves a photo out.
    exposure : (photos, N) float32
        Seconds times ISO, 0 where unknown.
    gain : (photos, N) float32
        Of each photo, for each defect.
    scatter : float
    sparse : bool
        With an offset or a dark rate alone where photos hardly tell that there are both
        (Schwarz): what is not sure of a law must not count against its defect.
    """
    unit = np.float32(float(exposure.max(initial=0)) or 1.0)
    times = exposure / unit
    room = np.float32(WHITE) - residuals.level
    begun = np.clip(residuals.residual / room, 0, np.float32(0.9))
    begun = -np.log1p(-begun)
    plain = np.asarray(residuals.share / np.square(residuals.spread / room), np.float32)
    starts = [
        _solved(plain, first * gain, second * gain * times, begun)
        for first, second in SHAPES
    ]
    laws = Laws(*(np.stack(parts) for parts in zip(*starts, strict=True)))
    first, second = np.array(SHAPES, np.float32).T[..., None, None]
    for _ in range(STEPS):
        laws = _improved(laws, residuals, times, gain, scatter, (first, second))
    strength = gain * laws.strength(times)
    added = _added(strength, residuals.level)
    wide = np.hypot(residuals.spread, np.float32(scatter) * added)
    miss = _surprise(residuals.residual - added, wide) + np.log(wide)
    total = (residuals.share * miss).sum(axis=1)
    if sparse:
        total[2] += np.log(np.maximum(residuals.share.sum(axis=0), 1)) / 2
    best = total.argmin(axis=0)
    site = np.arange(gain.shape[1])
    return Laws(laws.offset[best, site], laws.dark[best, site] / unit)


def _normal(values: Floats, spread: float) -> Floats:
    return -0.5 * np.square(values / spread)


def _priors(warmth: Floats, drift: float) -> Floats:
    """Return the logarithm of the prior of each gain in each photo, (gains, photos)."""
    inside = _normal(GAINS[:-1, None] - warmth, drift)
    inside -= np.log(np.exp(inside).sum(axis=0))
    unseen = np.full((1, inside.shape[1]), math.log(SUPPRESSED))
    return np.concatenate([inside + math.log1p(-SUPPRESSED), unseen])


def _log_sum(values: Floats, axis: int = 0) -> Floats:
    highest = values.max(axis=axis, keepdims=True)
    total = np.log(np.exp(values - highest).sum(axis=axis))
    return np.asarray(total + np.squeeze(highest, axis))


@dataclass(frozen=True, slots=True)
class Fit:
    """What the photos of a camera say of its N defects.

    Attributes
    ----------
    laws, sparse : Laws
        With offset and dark rate; and with what photos tell for sure of them, by which
        votes are, and what is expected.
    exposure : (photos,) float32
        Seconds times ISO.
    scatter, drift, doubling : float
    celsius : float or None
        As in `defect.Law`.
    votes : (photos, N) float32
        Of each photo for each defect against nothing, the gain of the photo as the *other*
        defects tell it.
    expected : (photos, N) float32
        What is expected at the centre, levels, at that gain.
    unseen : (photos, N) float32
        How likely it is that the camera took all of its defects away, as the others tell.
    """

    laws: Laws
    sparse: Laws
    exposure: FloatArray
    scatter: float
    drift: float
    doubling: float
    celsius: float | None
    votes: FloatArray
    expected: FloatArray
    unseen: FloatArray

    def law(self, number: int, former: Law | None = None) -> Law:
        """Return the law of one defect.

        Where these photos hardly tell offset and dark rate apart, that of former ones
        says what share each has: in daylight any dark rate fits.
        """
        offset, dark = float(self.laws.offset[number]), float(self.laws.dark[number])
        law = Law(offset, dark, self.scatter, self.drift, self.celsius, self.doubling)
        offset, dark = (
            float(self.sparse.offset[number]),
            float(self.sparse.dark[number]),
        )
        if former is None or (offset and dark):
            return law
        weight = 1 - self.unseen[:, number]
        exposure = float((weight * self.exposure).sum() / max(weight.sum(), 1e-9))
        before = former.offset + former.dark * exposure
        if not before:
            return law
        same = former.times((offset + dark * exposure) / before)
        return replace(law, offset=same.offset, dark=same.dark)


@dataclass(frozen=True, slots=True)
class _Gains:
    """What is known of the gains of photos: their priors, and what all defects say."""

    drift: float
    doubling: float
    prior: Floats
    each: FloatArray
    """(gains, photos, N): the support of each defect at each gain."""
    together: Floats
    """(gains, photos): that of all."""

    def posterior(self) -> Floats:
        """Return how likely each gain is for each defect, as the *others* tell it.

        (gains, photos, N).
        """
        power = (self.prior + self.together)[:, :, None] - self.each
        return np.exp(power - _log_sum(power))

    def means(self) -> FloatArray:
        """Return the mean gain of each photo for each defect, (photos, N)."""
        mean = np.tensordot(np.exp(GAINS), self.posterior(), 1)
        return np.asarray(mean, np.float32)

    def unseen(self) -> FloatArray:
        """Return the probability of each photo, for each defect, that it shows none."""
        return np.asarray(self.posterior()[-1], np.float32)

    def none_at_all(self) -> Floats:
        """Return the probability of each photo that it shows none, as all tell; (photos,)."""
        power = self.prior + self.together
        return np.asarray(np.exp(power[-1] - _log_sum(power)))

    def votes(self, supports: FloatArray) -> FloatArray:
        """Return each photo's vote, whichever the gain is, by `_supports`.

        None where the others are missing: what is left of doubt in each photo of a series
        is the same doubt, and would add up.
        """
        bounded = np.exp(np.clip(supports, -VOTE, VOTE))
        posterior = self.posterior()
        votes = np.log((posterior * bounded).sum(axis=0))
        return np.where(posterior[-1] > LIKELIER, 0, votes).astype(np.float32)


def _over(celsius: NDArray[np.floating], usual: float | None) -> Floats:
    """Return how much warmer than usual photos were; NaN where that is unknown."""
    return np.asarray(celsius - (math.nan if usual is None else usual), np.float64)


def _warmth(celsius: Floats, doubling: float) -> Floats:
    """Return the logarithm of the gain that temperatures over the usual one give."""
    steps = np.nan_to_num(celsius / doubling)
    return np.clip(steps, -MOST_DOUBLINGS, MOST_DOUBLINGS) * math.log(2)


def _supports(residuals: Residuals, strength: FloatArray, scatter: float) -> FloatArray:
    """Return the support of each defect at each gain, (gains, photos, N); unbounded."""
    factor = np.exp(GAINS).astype(np.float32)[:, None, None]
    expected = _added(factor * strength, residuals.level)
    found = _likelier(residuals.residual, residuals.spread, expected, scatter)
    return np.where(residuals.share > 0, found, 0)


def _bounded(supports: FloatArray, inside: NDArray[np.bool_]) -> FloatArray:
    """Return supports of gains so that one defect may deny a gain, but not alone."""
    least = np.maximum(supports - supports.max(axis=0), -VOTE)
    return np.where(inside, least, np.float32(0))


def _gains(
    residuals: Residuals,
    strength: FloatArray,
    celsius: Floats,
    inside: NDArray[np.bool_],
    scatter: float,
) -> _Gains:
    """Return what is known of the gains of photos by laws that are known."""
    each = _bounded(_supports(residuals, strength, scatter), inside)
    together = each.sum(axis=2, dtype=np.float64)
    is_told = bool(np.isfinite(celsius).any())
    best, found = -math.inf, (DRIFTS[0], DOUBLING)
    if inside.shape[1] < COMPANIONS:
        drifts = DRIFTS[2:3] if is_told else DRIFTS[:1]
        doublings = np.array([DOUBLING])
    else:
        drifts, doublings = DRIFTS, DOUBLINGS if is_told else np.array([DOUBLING])
    for doubling in doublings.tolist():
        warmth = _warmth(celsius, doubling)
        for drift in drifts.tolist():
            likely = float(_log_sum(_priors(warmth, drift) + together).sum())
            likely += float(_normal(np.array(drift), DRIFT_PRIOR))
            ratio = np.array(math.log(doubling / DOUBLING))
            likely += float(_normal(ratio, DOUBLING_PRIOR))
            if likely > best:
                best, found = likely, (drift, doubling)
    drift, doubling = found
    prior = _priors(_warmth(celsius, doubling), drift)
    return _Gains(drift, doubling, prior, each, together)


def _show_any(residuals: Residuals) -> NDArray[np.bool_]:
    """Return the photos that show any defects, before laws are known; (photos,) bool.

    Laws that begin with photos whose camera took the defects away are of neither kind.
    """
    bounded = np.clip(residuals.residual / residuals.spread, -VOTE, VOTE)
    ratio = bounded * (residuals.share > 0)
    usual = ratio.mean(axis=0)
    together = ratio @ usual / np.sqrt(np.square(usual).sum() + np.float32(1e-9))
    return np.asarray(together > SHOWN, np.bool_)


def _scatter(residuals: Residuals, expected: FloatArray) -> float:
    """Return the scatter of single photos that explains the residuals best."""
    best, found = -math.inf, SCATTER
    for scatter in SCATTERS.tolist():
        each = _likelier(residuals.residual, residuals.spread, expected, scatter)
        likely = float((residuals.share * each).sum())
        likely += float(_normal(np.array(math.log(scatter / SCATTER)), SCATTER_PRIOR))
        if likely > best:
            best, found = likely, scatter
    return found


def fit(
    residuals: Residuals,
    exposure: NDArray[np.floating],
    celsius: NDArray[np.floating],
    inside: NDArray[np.bool_],
    known: Mapping[int, Law],
) -> Fit:
    """Learn the laws of a camera's defects, and how they show in its photos.

    Parameters
    ----------
    residuals : Residuals
        (photos, N), in levels at the centre.
    exposure : (photos,) float
        Seconds times ISO, 0 where unknown.
    celsius : (photos,) float
        The camera's temperature, NaN where unknown.
    inside : (photos, N) bool
        The photos of each defect's life, as far as is known.
    known : mapping of int to Law
        Of those that are not to be fitted, by number.
    """
    told = celsius[np.isfinite(celsius)]
    usual = float(np.median(told)) if len(told) else None
    over = _over(celsius, usual)
    times = np.broadcast_to(exposure.astype(np.float32)[:, None], inside.shape)
    alive = replace(residuals, share=residuals.share * inside)
    scatter = SCATTER
    gain = np.ones(inside.shape, np.float32)
    begun = replace(alive, share=alive.share * _show_any(alive)[:, None])
    laws = fit_laws(begun, times, gain, scatter, sparse=True).but(known)
    for _ in range(TURNS):
        strength = laws.strength(times)
        gain = _gains(residuals, strength, over, inside, scatter).means()
        scatter = _scatter(alive, _added(gain * strength, residuals.level))
        laws = fit_laws(alive, times, gain, scatter, sparse=True).but(known)
    strength = laws.strength(times)
    gains = _gains(residuals, strength, over, inside, scatter)
    return Fit(
        fit_laws(alive, times, gain, scatter).but(known),
        laws,
        exposure.astype(np.float32),
        scatter,
        gains.drift,
        gains.doubling,
        usual,
        gains.votes(_supports(residuals, strength, scatter)),
        _added(gains.means() * strength, residuals.level),
        gains.unseen(),
    )


def _sharpened(chance: Floats, sharpness: Floats | float) -> Floats:
    """Return probabilities of odds that are raised to a power."""
    chance = np.clip(chance, 1e-3, 1 - 1e-3)
    return np.asarray(1 / (1 + (1 / chance - 1) ** sharpness))


def sharpness(chance: Floats, seen: NDArray[np.bool_]) -> float:
    """Return the power that a camera's odds need to be what its photos bear out.

    How far single photos bend the law, and which part of a site's surroundings is noise,
    are not the same in all cameras.

    Parameters
    ----------
    chance : (N,) float64
        Of being seen, as `Expected.seen` has it.
    seen : (N,) bool

    References
    ----------
    J. Platt, "Probabilistic outputs for support vector machines", 1999; without an offset,
    and with a prior that leaves the odds of few photos as they are.

    >>> sharpness(np.full(500, 0.7), np.arange(500) % 10 > 0) > 1.5
    True
    """
    right = np.where(seen, chance, 1 - chance)
    likely = np.log(_sharpened(right[:, None], SHARPNESSES)).sum(axis=0)
    likely += _normal(np.log(SHARPNESSES), SHARPNESS_PRIOR)
    return float(SHARPNESSES[likely.argmax()])


@dataclass(frozen=True, slots=True)
class Expected:
    """What a map expects of N defects in photos, and what these say of their gains.

    Attributes
    ----------
    residuals : Residuals
        (photos, N), in levels at the centre.
    strength : (photos, N) float32
        A of each defect in each photo at a gain of 1.
    scatter : float
    """

    residuals: Residuals
    strength: FloatArray
    scatter: float
    _gains: _Gains

    @classmethod
    def of(
        cls,
        residuals: Residuals,
        exposure: NDArray[np.floating],
        celsius: NDArray[np.floating],
        inside: NDArray[np.bool_],
        laws: Sequence[Law],
    ) -> Expected:
        """Return what is expected by laws that are known; nothing is fitted.

        Parameters
        ----------
        residuals, exposure, celsius
            As for `fit`.
        inside : (photos, N) bool
            The photos that may show each defect.
        laws : sequence of N Law
            Of one map.
        """
        times = np.broadcast_to(exposure.astype(np.float32)[:, None], inside.shape)
        strength = Laws.of(laws).strength(times)
        scatter, drift, doubling = (
            float(np.median(numbers))
            for numbers in zip(
                *((one.scatter, one.drift, one.doubling) for one in laws), strict=True
            )
        )
        over = _over(celsius, laws[0].celsius)
        each = _bounded(_supports(residuals, strength, scatter), inside)
        prior = _priors(_warmth(over, doubling), drift)
        together = each.sum(axis=2, dtype=np.float64)
        gains = _Gains(drift, doubling, prior, each, together)
        return cls(residuals, strength, scatter, gains)

    def none_at_all(self) -> Floats:
        """Return how likely it is of each photo that it shows none of them, (photos,).

        Where a photo could show nothing, what is so of any photo: `SUPPRESSED`.
        """
        return self._gains.none_at_all()

    def seen(self, least: Floats, sharpness: float = 1.0) -> Floats:
        """Return in which photos each should be seen: probabilities, (photos, N).

        The gain of a photo is known as well as the *other* defects tell it.

        Parameters
        ----------
        least : (photos, N) float64, levels
            What makes it visible there.
        sharpness : float
            See `sharpness`.
        """
        spread = self.residuals.spread.astype(np.float64)
        total = np.zeros(spread.shape)
        for gain, weight in zip(
            np.exp(GAINS).tolist(), self._gains.posterior(), strict=True
        ):
            factor = np.float32(gain)
            amplitude = _added(factor * self.strength, self.residuals.level)
            total += weight * visibility(
                amplitude.astype(np.float64), spread, self.scatter, least
            )
        return _sharpened(total, sharpness)

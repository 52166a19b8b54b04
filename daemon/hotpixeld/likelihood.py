"""Likelihood: what a defect does to its photos, and how each photo votes on that.

A hot pixel adds some levels, a stuck one shows a level of its own whatever the
surroundings, a dead one is stuck at black, and each of them weakly when a JPEG or a
neighbour has dulled it. A photo votes with the logarithm of how much likelier its residual
is under that than under chance, which has the heavy tails that scenes have.

References
----------
J. Dudas, C. Jung, L. Wu, G. Chapman, I. Koren, Z. Koren, "On-line mapping of in-field
defects in image sensor arrays", DFT 2006: evidence accumulated photo by photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.pixels import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from hotpixeld.calibration import Grid, Told

# Student's t with 5 degrees of freedom: between what controls of real cameras show (6-20)
# and the safe side.
FREEDOM = 5.0
# One photo cannot say more than this: e^4 to one.
VOTE = 4.0
# What a hot pixel adds varies with exposure and temperature.
VARIATION = 0.3
# What a stuck or dead site is drawn to.
LEVELS = tuple(float(level) for level in range(0, 256, 17))
# The tone curve makes a hot pixel add less where it is bright: a weak pull to white.
BRIGHT, WEAK = 150.0, 0.3


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a defect does: adds `amplitude`, or shows a `share` of the way to `level`."""

    kind: Kind
    amplitude: float
    level: float = 0.0
    share: float = 0.0

    def expected(self, surroundings: Grid) -> Grid:
        """Return the residual it makes in `surroundings` of these levels."""
        pull: Grid = np.float32(self.level) - surroundings
        pull *= np.float32(self.share)
        pull += np.float32(self.amplitude)
        return pull


def _fit(residual: Grid, weight: Grid, shape: Grid) -> float:
    """Return the factor on `shape` that fits the residuals best."""
    power = float((weight * shape * shape).sum())
    return float((weight * residual * shape).sum()) / max(power, 1e-9)


def hypotheses(residual: Grid, weight: Grid, level: Grid) -> Iterator[Hypothesis]:
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


def _surprise(residual: Grid, spread: Grid) -> Grid:
    """Return minus the logarithm of Student's density, but for a constant."""
    ratio = residual / spread
    surprise: Grid = np.log1p(ratio * ratio / np.float32(FREEDOM))
    surprise *= np.float32((FREEDOM + 1) / 2)
    return surprise


def votes(hypothesis: Hypothesis, residual: Grid, spread: Grid, level: Grid) -> Grid:
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
        Logarithms of likelihood ratios, from -`VOTE` to `VOTE`.
    """
    expected = hypothesis.expected(level)
    wide = np.hypot(spread, np.float32(VARIATION) * expected)
    out = _surprise(residual, spread) - _surprise(residual - expected, wide)
    out -= np.log(wide / spread)
    return np.asarray(np.clip(out, -VOTE, VOTE), np.float32)


def explain(
    told: Told, shown: NDArray[np.bool_]
) -> tuple[tuple[Hypothesis, ...], Grid]:
    """Return what explains each site best, and how each photo votes for that.

    Parameters
    ----------
    told : Told
        (photos, N).
    shown : (photos, N) bool
        The photos in which the defect should show.
    """
    chosen: list[Hypothesis] = []
    support = np.zeros_like(told.residual)
    for site in range(told.residual.shape[1]):
        residual, spread, level, share = (
            told.residual[:, site],
            told.spread[:, site],
            told.level[:, site],
            told.share[:, site],
        )
        weight = np.where(shown[:, site], share / spread**2, 0)
        options = list(hypotheses(residual, weight, level))
        each = [share * votes(one, residual, spread, level) for one in options]
        best = int(np.argmax([(one * shown[:, site]).sum() for one in each]))
        chosen.append(options[best])
        support[:, site] = each[best]
    return tuple(chosen), support

"""Likelihood: how much better a defect explains a site's samples than chance does.

Each hypothesis says what a photo should show: a hot pixel adds some levels, a stuck one
shows a level of its own whatever the surroundings, a dead one is stuck at black, and each
of them weakly when a JPEG or a neighbour has dulled it. A photo votes with the logarithm of
how much likelier its residual is under that than under chance, which has the heavy tails
that scenes have; what a single photo can say for or against is bounded, because at any
place there may be a speck, a star or a bird.

References
----------
J. Dudas, C. Jung, L. Wu, G. Chapman, I. Koren, Z. Koren, "On-line mapping of in-field
defects in image sensor arrays", DFT 2006: evidence accumulated photo by photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hotpixeld.pixels import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

Grid = NDArray[np.float32]
"""(photos, sites) float32."""

# Student's t with 5 degrees of freedom: between what controls of real cameras show (6-20)
# and the safe side.
FREEDOM = 5.0
# One photo cannot say more than this: e^4 to one. At any place there may be a speck, a
# star or a bird.
VOTE = 4.0
# What a hot pixel adds varies with exposure and temperature.
VARIATION = 0.3
AMPLITUDES = tuple(float(1.4**power) for power in range(15))
STUCK_LEVELS = tuple(range(0, 256, 15))
DULLED = (0.2, 0.45, 0.9)
BRIGHT = 135


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


def _kind(level: float, share: float) -> Kind:
    """Return what to call a defect that pulls towards a level.

    The tone curve makes a hot pixel add less where it is bright: a weak pull to white.
    """
    if level == 0:
        return Kind.DEAD
    return Kind.HOT if share == DULLED[0] and level >= BRIGHT else Kind.STUCK


def hypotheses(*, colour: bool) -> Iterator[Hypothesis]:
    """Yield all hypotheses; in a `colour` difference a defect can only add or take."""
    for amplitude in AMPLITUDES:
        yield Hypothesis(Kind.HOT, amplitude)
        yield Hypothesis(Kind.HOT if colour else Kind.DEAD, -amplitude)
    if not colour:
        for share in DULLED:
            yield from (
                Hypothesis(_kind(level, share), 0.0, level, share)
                for level in STUCK_LEVELS
            )


def _surprise(residual: Grid, spread: Grid) -> Grid:
    """Return minus the logarithm of Student's density, but for a constant."""
    ratio = residual / spread
    np.multiply(ratio, ratio, out=ratio)
    ratio *= np.float32(1 / FREEDOM)
    out = np.log1p(ratio, out=ratio)
    out *= np.float32((FREEDOM + 1) / 2)
    return np.asarray(out, np.float32)


def votes(hypothesis: Hypothesis, residual: Grid, spread: Grid, level: Grid) -> Grid:
    """Return each photo's vote for a hypothesis against chance.

    Parameters
    ----------
    hypothesis : Hypothesis
    residual, spread : (photos, sites) float32, levels
        Contrast of the site, and its standard deviation if there is no defect.
    level : (photos, sites) float32, levels
        Of the surroundings.

    Returns
    -------
    (photos, sites) float32
        Logarithms of likelihood ratios, from -`VOTE` to `VOTE`.
    """
    expected = hypothesis.expected(level)
    wide = np.hypot(spread, np.float32(VARIATION) * expected)
    out = _surprise(residual, spread)
    out -= _surprise(residual - expected, wide)
    out -= np.log(wide / spread)
    return np.clip(out, -VOTE, VOTE, out=out)


def grain_votes(amount: float, residual: Grid, spread: Grid) -> Grid:
    """Return each photo's vote for a fixed offset that is no defect yet."""
    out = _surprise(residual, spread)
    out -= _surprise(residual - np.float32(amount), spread)
    return np.clip(out, -VOTE, VOTE, out=out)

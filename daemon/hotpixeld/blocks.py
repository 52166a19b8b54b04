"""Blocks of 8x8 samples and their quantised DCT coefficients.

References
----------
ITU-T T.81 (1992), annex A.3.3: the transform.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
Steps = NDArray[np.float64]
"""(8, 8) float64: a quantisation table."""
Block = NDArray[np.int32]
"""(..., 8, 8) int32: quantised coefficients."""

# Coefficients of a baseline file lie within; only the first can be -1024 (all black).
_HIGHEST = 1023
_LOWEST = np.full((8, 8), -1023)
_LOWEST[0, 0] = -1024
# Trust in the blocks around: their mean size counts as this many coefficients seen, so
# that a coefficient much larger than they are is unlikely, not impossible.
TAIL = 1.5
# Before any block is seen: mean size of a coefficient in steps, and its weight in blocks.
USUAL, USUAL_WEIGHT = 0.2, 5
# The excess was told from the scene by their smoothness once; counting the uncertainty
# of that in full would let the coefficients' smallness decide the same a second time.
CERTAINTY = 0.1
# Spread, in steps, of an excess that is known exactly; below _NOTHING it is none.
_EXACT, _NOTHING = 0.03, 0.02
# Where the scene is looked for, in steps around the estimate.
_AROUND = (np.arange(21.0) - 10) / 7


def _cosines() -> Samples:
    """Return the orthonormal 8-point DCT-II: row u holds the cosine of frequency u."""
    frequency, place = np.mgrid[0:8, 0:8]
    matrix = np.cos((2 * place + 1) * frequency * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float64)


_DCT = _cosines()
# (64, 8, 8): the samples of each coefficient's wave.
_WAVES = np.einsum("uy,vx->uvyx", _DCT, _DCT).reshape(64, 8, 8)


def samples(coefficients: NDArray[np.int16], steps: Steps) -> Samples:
    """Return the decoded samples of a rectangle of blocks, neither rounded nor clipped.

    Parameters
    ----------
    coefficients : (rows, columns, 8, 8) int16
    steps : (8, 8) float64

    Returns
    -------
    (8 rows, 8 columns) float64, 0-255
    """
    decoded = _DCT.T @ (coefficients * steps) @ _DCT
    rows, columns = coefficients.shape[:2]
    return np.asarray(
        decoded.transpose(0, 2, 1, 3).reshape(8 * rows, 8 * columns) + 128.0
    )


def in_steps(change: Samples, steps: Steps) -> Samples:
    """Return the DCT of an (8, 8) change of samples, in quantisation steps."""
    return np.asarray(_DCT @ change @ _DCT.T / steps)


def spread(covariance: Samples, places: NDArray[np.bool_], steps: Steps) -> Samples:
    """Return the variance of a block's coefficients, in steps squared.

    Parameters
    ----------
    covariance : (n, n) float64
        Of the block's n samples in `places`, in levels squared.
    places : (8, 8) bool
    steps : (8, 8) float64
    """
    waves = _WAVES[:, places]
    variance = ((waves @ covariance) * waves).sum(axis=1)
    return np.asarray(np.maximum(variance, 0.0).reshape(8, 8) / steps**2)


def expected_size(clean: Samples) -> Samples:
    """Return the expected size of a coefficient, from the blocks around.

    Parameters
    ----------
    clean : (n, 8, 8)
        Coefficients of blocks without defects, n may be 0.

    Returns
    -------
    (8, 8) float64, steps
        The mean level is not predicted: infinite at [0, 0].
    """
    total = np.abs(clean).sum(axis=0) + USUAL * USUAL_WEIGHT
    size = np.asarray(total / (len(clean) + USUAL_WEIGHT), np.float64)
    size[0, 0] = np.inf
    return size


def _logistic(value: Samples) -> Samples:
    """Return a close, quick stand-in for the normal distribution function."""
    return np.asarray(1 / (1 + np.exp(np.clip(-1.702 * value, -60, 60))))


def requantised(
    block: NDArray[np.int16], change: Samples, variance: Samples, size: Samples
) -> Block:
    """Return the coefficients that blocks had without an excess, as best guess.

    The camera rounded scene and excess together; without the excess it would have
    rounded the scene alone.  Plain subtraction leaves the rounding error of the sum
    behind, spread over the block.  What the scene may have been is known to half a
    step, and most of its coefficients are small where those around are: the mean of
    what that leaves, rounded, is nearest to what the camera would have written.

    Parameters
    ----------
    block : (n, 8, 8) int16
    change : (n, 8, 8) float64, steps
        The excess, negated.
    variance : (n, 8, 8) float64, steps squared
        Of `change`.
    size : (n, 8, 8) float64, steps
        As from `expected_size`.
    """
    seen = np.rint(block + change)
    scene = seen[..., None] + _AROUND
    sum_seen = (block + change)[..., None]
    sigma = np.sqrt(CERTAINTY * variance + _EXACT**2)[..., None]
    likelihood = _logistic((scene - sum_seen + 0.5) / sigma)
    likelihood -= _logistic((scene - sum_seen - 0.5) / sigma)
    prior = (1 + np.abs(scene) / (TAIL * size[..., None])) ** -(TAIL + 1)
    mass = likelihood * prior
    total = mass.sum(axis=-1)
    mean = (mass * scene).sum(axis=-1) / np.where(total > 0, total, 1.0)
    best = np.where((np.abs(change) < _NOTHING) | (total <= 0), block, np.rint(mean))
    return np.clip(best, _LOWEST, _HIGHEST).astype(np.int32)


def rounded(block: NDArray[np.int16], change: Samples) -> Block:
    """Return a block with a change of samples, in steps, added and rounded."""
    return np.clip(block + np.rint(change), _LOWEST, _HIGHEST).astype(np.int32)

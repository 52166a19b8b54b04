"""Blocks of 8x8 samples and their quantised DCT coefficients.

References
----------
ITU-T T.81 (1992), annex A.3.3: the transform.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
QuantisationTable = NDArray[np.float32]
"""(8, 8) float32, row-major: the step of each coefficient, in levels."""
Coefficients = NDArray[np.int16]
"""(..., 8, 8) int16, row-major: quantised coefficients, in steps."""

# Coefficients of a baseline file lie within; only the first can be -1024 (all black).
_HIGHEST = 1023
_LOWEST = np.full((8, 8), -1023)
_LOWEST[0, 0] = -1024
# Trust in the blocks around: their mean size counts as this many coefficients seen, so
# that a coefficient much larger than they are is unlikely, not impossible.
TAIL = 2.0
# Before any block is seen: mean size of a coefficient in steps, and its weight in blocks.
USUAL, USUAL_WEIGHT = 0.2, 5
# The scene's smoothness has separated it from the excess already; counting the uncertainty
# of that in full would let the coefficients' smallness decide the same a second time.
CERTAINTY = 0.1
# Spread, in steps, of an excess that is known exactly; below _NOTHING it is none.
_EXACT, _NOTHING = 0.03, 0.02
# Variance of grain, and the part of the rounding error's that counts as noise.
GRAIN, ROUNDED = 0.7, 0.3
# Where the scene is looked for, in steps around the estimate.
_NEARBY = ((np.arange(21) - 10) / 7).astype(np.float32)


def _cosines() -> Float32:
    """Return the orthonormal 8-point DCT-II: row u holds the cosine of frequency u."""
    frequency, place = np.mgrid[0:8, 0:8]
    matrix = np.cos((2 * place + 1) * frequency * np.pi / 16) / 2
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


_DCT = _cosines()
# The value of each wave at each place: (8 places, 8 frequencies).
WAVES = np.ascontiguousarray(_DCT.T)
# Of a block row by row: one large product is quicker than many small ones.
_DCT_OF_BLOCK = np.kron(_DCT, _DCT)


def samples(coefficients: Coefficients, table: QuantisationTable) -> Float32:
    """Return the decoded samples of blocks, neither rounded nor clipped.

    Parameters
    ----------
    coefficients : (n, 8, 8) int16
    table : (8, 8) float32

    Returns
    -------
    (n, 8, 8) float32, 0-255
    """
    flat = (coefficients * table).reshape(-1, 64) @ _DCT_OF_BLOCK
    return np.asarray(flat.reshape(-1, 8, 8) + np.float32(128))


def transformed(levels: Float32) -> Float32:
    """Return the coefficients of (n, 8, 8) samples, in levels: neither divided nor rounded."""
    flat = (levels - np.float32(128)).reshape(-1, 64) @ _DCT_OF_BLOCK.T
    return np.asarray(flat.reshape(-1, 8, 8))


def expected_size(total: Float32, count: NDArray[np.intp]) -> Float32:
    """Return the expected size of coefficients, from the blocks around each block.

    Parameters
    ----------
    total : (n, 8, 8) float32, steps
        Sum of the sizes in the blocks around that hold no defect.
    count : (n,) intp
        Their number.

    Returns
    -------
    (n, 8, 8) float32, steps
        The mean level is not predicted: infinite at [:, 0, 0].
    """
    weight = (count + USUAL_WEIGHT)[:, None, None]
    size = np.asarray((total + USUAL * USUAL_WEIGHT) / weight, np.float32)
    size[:, 0, 0] = np.inf
    return size


def noise(table: QuantisationTable) -> Float32:
    """Return the covariance of two samples' noise, by the shift between them.

    Grain that neighbours do not share, and a part of what rounding adds, which is the
    more the finer the detail; the scene's statistics hold the rest.

    Returns
    -------
    (15, 15) float32, levels squared
        For shifts of -7 to 7; further apart there is none.
    """
    spread = ROUNDED * table.astype(float) ** 2 / 12
    out = _autocovariances().T @ spread @ _autocovariances()
    out[7, 7] += GRAIN
    return np.asarray(out, np.float32)


@functools.cache
def _autocovariances() -> NDArray[np.float64]:
    """Return each wave's autocovariance within a block, averaged over its places."""
    waves = _DCT.astype(float)
    return np.stack([np.convolve(wave, wave[::-1]) for wave in waves]) / 8


def _logistic(value: Float32) -> Float32:
    """Return a close, quick stand-in for the normal distribution function."""
    return np.asarray(1 / (1 + np.exp(np.clip(-1.702 * value, -60, 60))))


def _best(
    block: Coefficients, change: Float32, variance: Float32, size: Float32
) -> Float32:
    """Return the mean of what (k,) coefficients may have been, in steps."""
    total = block + change
    scene = np.rint(total)[:, None] + _NEARBY
    sigma = np.sqrt(CERTAINTY * variance + _EXACT**2)[:, None]
    likelihood = _logistic((scene - total[:, None] + 0.5) / sigma)
    likelihood -= _logistic((scene - total[:, None] - 0.5) / sigma)
    mass = likelihood * (1 + np.abs(scene) / (TAIL * size[:, None])) ** -(TAIL + 1)
    weight = mass.sum(axis=1)
    mean = (mass * scene).sum(axis=1) / np.where(weight > 0, weight, 1.0)
    return np.asarray(np.where(weight > 0, mean, total), np.float32)


def requantised(
    block: Coefficients, change: Float32, variance: Float32, size: Float32
) -> Coefficients:
    """Return the coefficients that blocks had without an excess, as best guess.

    The camera rounded scene and excess together; without the excess it would have
    rounded the scene alone.  Plain subtraction leaves the rounding error of the sum
    behind, spread over the block.  What the scene may have been is known to half a
    step, and most of its coefficients are small where those around are: the mean of
    what that leaves, rounded, is nearest to what the camera would have written.

    Parameters
    ----------
    block : (n, 8, 8) int16
    change : (n, 8, 8) float32, steps
        The excess, negated.
    variance : (n, 8, 8) float32, steps squared
        Of `change`.
    size : (n, 8, 8) float32, steps
        As from `expected_size`.
    """
    out = block.astype(np.int32)
    some = np.abs(change) >= _NOTHING
    best = _best(block[some], change[some], variance[some], size[some])
    out[some] = np.rint(best)
    return np.asarray(np.clip(out, _LOWEST, _HIGHEST), np.int16)


def rounded(block: Coefficients, change: Float32) -> Coefficients:
    """Return blocks with a change, in steps, added and rounded."""
    return np.clip(block + np.rint(change), _LOWEST, _HIGHEST).astype(np.int16)

"""The scene under footprints, continued from what lies around them.

References
----------
C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning" (2006),
section 2.2: the conditional mean and covariance.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from hotpixeld.repair.field import Field, Indices, Mask, PositionSet, Samples

# Samples beyond the footprint that the scene is continued from, and learned from.
MARGIN, CONTEXT = 2, 8
# Variance of the local level, in levels squared.
LEVEL = 1e4
# Fewer clean samples than this say nothing about the scene.
FEWEST = 9
# The window's statistics count as this many samples when its middle is louder or quieter
# than the rest, and that by at most the factor.
STEADY, LOUDER = 10.0, 5.0


class Scene(NamedTuple):
    """What the continued scene does not explain under n equal footprints of m samples.

    Attributes
    ----------
    residual : (n, m) float32, levels
        The samples' difference from the continued scene; 0 outside the frame.
    covariance : (n, m, m) float32, levels squared
        Of the scene's part in that.
    inside : (n, m) bool
        Which samples are in the frame.
    enough : (n,) bool
        Whether enough clean samples were there.
    """

    residual: Samples
    covariance: Samples
    inside: Mask
    enough: Mask


class _Layout(NamedTuple):
    """Where in a flat window its middle and the ring around that are."""

    shape: tuple[int, int]
    middle: Indices
    ring: Indices

    @classmethod
    def under(cls, shape: tuple[int, int]) -> _Layout:
        """Return the layout of a window around a footprint of some shape."""
        part = np.zeros((shape[0] + 2 * CONTEXT, shape[1] + 2 * CONTEXT), int)
        outer, inner = CONTEXT - MARGIN, CONTEXT
        part[outer:-outer, outer:-outer] = 1
        part[inner:-inner, inner:-inner] = 2
        return cls(part.shape, np.flatnonzero(part == 2), np.flatnonzero(part == 1))

    @property
    def padded(self) -> tuple[int, int]:
        """Return the shape in which no shift within the ring wraps around."""
        rows, columns = self.shape
        reach = 2 * (CONTEXT - MARGIN)
        down, across = ((size - reach + 1) // 2 * 2 for size in self.shape)
        return rows + down, columns + across


@functools.lru_cache(maxsize=16)
def _layout(shape: tuple[int, int]) -> tuple[_Layout, Indices, Indices, Indices]:
    """Return a layout and where its pairs look up their shift.

    Pairs of the middle, of ring and middle, and of the ring.
    """
    layout = _Layout.under(shape)
    middle, ring = layout.middle, layout.ring
    rows, columns = layout.padded

    def shifts(first: Indices, second: Indices) -> Indices:
        width = layout.shape[1]
        down = (first[:, None] // width - second // width) % rows
        across = (first[:, None] % width - second % width) % columns
        return np.asarray(down * columns + across, np.intp)

    return layout, shifts(middle, middle), shifts(ring, middle), shifts(ring, ring)


def _detrended(seen: Samples, clean: Mask) -> Samples:
    """Return windows less the linear trend of the clean samples of each."""
    count, rows, columns = seen.shape
    down, across = np.indices((rows, columns), dtype=float).reshape(2, -1)
    trend = np.stack([np.ones(down.size), down / rows - 0.5, across / columns - 0.5])
    known = trend * clean.reshape(count, 1, -1)
    # Clean samples in one line have no slope across: the ridge keeps it solvable.
    normal = known @ trend.T + 1e-6 * np.eye(3)
    slopes = np.linalg.solve(normal, known @ seen.reshape(count, -1, 1))
    return np.asarray(seen - (slopes[..., 0] @ trend).reshape(seen.shape), np.float32)


def _by_shift(residual: Samples, clean: Mask, padded: tuple[int, int]) -> Samples:
    """Return each window's autocovariance, flat: edges and grain in their directions.

    Divided by the number of samples, not by that of the pairs, it is a valid covariance.
    """
    count = np.maximum(clean.sum(axis=(1, 2)), 1)
    spectrum = np.fft.rfft2(np.where(clean, residual, np.float32(0)), padded)
    power = spectrum.real**2 + spectrum.imag**2
    out = np.fft.irfft2(power, padded) / count[:, None, None]
    return np.asarray(out.reshape(len(residual), -1), np.float32)


def _wrapped(noise: Samples, padded: tuple[int, int]) -> Samples:
    """Return a covariance by shift in the order of `_by_shift`, flat."""
    out = np.zeros(padded, np.float32)
    reach = len(noise) // 2
    out[: len(noise), : len(noise)] = noise
    return np.roll(out, (-reach, -reach), (0, 1)).ravel()


def _masked(covariance: Samples, known: Mask) -> None:
    """Cut samples that are not known out of covariances, in place."""
    covariance *= known[:, :, None] & known[:, None, :]
    diagonal = np.arange(known.shape[1])
    covariance[:, diagonal, diagonal] += ~known


def continued(
    field: Field,
    hidden: PositionSet,
    corners: tuple[Indices, Indices],
    shape: tuple[int, int],
    noise: Samples,
) -> Scene:
    """Continue the scene under n footprints of one shape.

    The scene is alike at equal distances, as its clean samples show, up to its local
    strength: the ring around each footprint shows how much louder or quieter it is.

    Parameters
    ----------
    field : Field
    hidden : PositionSet
        All samples that any footprint hides.
    corners : two (n,) intp
        Top and left of each footprint.
    shape : (int, int)
        Rows and columns of each.
    noise : (15, 15) float32, levels squared
        Covariance of two samples' noise, by their shift of -7 to 7.
    """
    layout, of_middle, of_both, of_ring = _layout(shape)
    window = corners[0] - CONTEXT, corners[1] - CONTEXT
    seen, exists = field.cut(*window, layout.shape)
    clean = exists & ~hidden.cut(*window, layout.shape)
    residual = _detrended(seen, clean)
    by_shift = _by_shift(residual, clean, layout.padded)
    by_shift += _wrapped(noise, layout.padded)
    by_shift += np.float32(LEVEL)
    flat = residual.reshape(len(seen), -1)
    known = clean.reshape(len(seen), -1)[:, layout.ring]
    inside = exists.reshape(len(seen), -1)[:, layout.middle]
    ring, across = by_shift[:, of_ring], by_shift[:, of_both] * known[..., None]
    _masked(ring, known)
    seen_ring = flat[:, layout.ring] * known
    weights = np.linalg.solve(
        ring, np.concatenate([across, seen_ring[..., None]], axis=2)
    )
    back = across.transpose(0, 2, 1)
    under = flat[:, layout.middle] - (back @ weights[..., -1:])[..., 0]
    covariance = by_shift[:, of_middle] - back @ weights[..., :-1]
    loud = ((seen_ring * weights[..., -1]).sum(axis=1) + STEADY) / (
        known.sum(axis=1) + STEADY
    )
    covariance *= np.clip(loud, 1 / LOUDER, LOUDER)[:, None, None].astype(np.float32)
    _masked(covariance, inside)
    return Scene(under * inside, covariance, inside, clean.sum(axis=(1, 2)) >= FEWEST)

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
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hotpixeld.repair.field import Field, Places, PlaceSet

Samples = NDArray[np.float32]
Mask = NDArray[np.bool_]

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
    """What the scene around does not explain of the samples under n equal footprints.

    Attributes
    ----------
    left : (n, m) float32, levels
        The samples' difference from the continued scene; 0 outside the frame.
    unsure : (n, m, m) float32, levels squared
        The covariance of the scene's part in that.
    inside : (n, m) bool
        Which samples are in the frame.
    judged : (n,) bool
        Whether enough clean samples were there.
    """

    left: Samples
    unsure: Samples
    inside: Mask
    judged: Mask


class _Layout(NamedTuple):
    """Where in a flat window its middle and the ring around that are."""

    shape: tuple[int, int]
    own: Places
    ring: Places

    @classmethod
    def around(cls, shape: tuple[int, int]) -> _Layout:
        """Return the layout of a window around a footprint of some shape."""
        kind = np.zeros((shape[0] + 2 * CONTEXT, shape[1] + 2 * CONTEXT), int)
        outer, inner = CONTEXT - MARGIN, CONTEXT
        kind[outer:-outer, outer:-outer] = 1
        kind[inner:-inner, inner:-inner] = 2
        return cls(kind.shape, np.flatnonzero(kind == 2), np.flatnonzero(kind == 1))

    @property
    def padded(self) -> tuple[int, int]:
        """Return the shape in which no shift within the ring wraps around."""
        rows, columns = self.shape
        reach = 2 * (CONTEXT - MARGIN)
        return rows + (rows - reach + 1) // 2 * 2, columns + (
            columns - reach + 1
        ) // 2 * 2


@functools.lru_cache(maxsize=16)
def _layout(shape: tuple[int, int]) -> tuple[_Layout, Places, Places, Places]:
    """Return a layout and where its pairs look up their shift.

    Pairs of the middle, of ring and middle, and of the ring.
    """
    layout = _Layout.around(shape)
    own, ring = layout.own, layout.ring
    rows, columns = layout.padded

    def shifts(one: Places, other: Places) -> Places:
        width = layout.shape[1]
        down = (one[:, None] // width - other // width) % rows
        across = (one[:, None] % width - other % width) % columns
        return np.asarray(down * columns + across, np.intp)

    return layout, shifts(own, own), shifts(ring, own), shifts(ring, ring)


def _detrended(seen: Samples, clean: Mask) -> Samples:
    """Return windows less the plane that fits the clean samples of each best."""
    count, rows, columns = seen.shape
    down, across = np.indices((rows, columns), dtype=float).reshape(2, -1)
    plane = np.stack([np.ones(down.size), down / rows - 0.5, across / columns - 0.5])
    known = plane * clean.reshape(count, 1, -1)
    # Clean samples in one line have no slope across: the ridge keeps it solvable.
    normal = known @ plane.T + 1e-6 * np.eye(3)
    slopes = np.linalg.solve(normal, known @ seen.reshape(count, -1, 1))
    return np.asarray(seen - (slopes[..., 0] @ plane).reshape(seen.shape), np.float32)


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
    hidden: PlaceSet,
    place: tuple[Places, Places],
    shape: tuple[int, int],
    noise: Samples,
) -> Scene:
    """Continue the scene under n footprints of one shape.

    The scene is alike at equal distances, as its clean samples show, up to its local
    strength: the ring around each footprint shows how much louder or quieter it is.

    Parameters
    ----------
    field : Field
    hidden : PlaceSet
        All samples that any footprint hides.
    place : two (n,) intp
        Top and left of each footprint.
    shape : (int, int)
        Rows and columns of each.
    noise : (15, 15) float32, levels squared
        Covariance of two samples' noise, by their shift of -7 to 7.
    """
    layout, of_own, of_both, of_ring = _layout(shape)
    corner = place[0] - CONTEXT, place[1] - CONTEXT
    seen, exists = field.cut(*corner, layout.shape)
    clean = exists & ~hidden.cut(*corner, layout.shape)
    residual = _detrended(seen, clean)
    by_shift = _by_shift(residual, clean, layout.padded)
    by_shift += _wrapped(noise, layout.padded)
    by_shift += np.float32(LEVEL)
    flat = residual.reshape(len(seen), -1)
    known = clean.reshape(len(seen), -1)[:, layout.ring]
    inside = exists.reshape(len(seen), -1)[:, layout.own]
    ring, across = by_shift[:, of_ring], by_shift[:, of_both] * known[..., None]
    _masked(ring, known)
    around = flat[:, layout.ring] * known
    weights = np.linalg.solve(ring, np.concatenate([across, around[..., None]], axis=2))
    back = across.transpose(0, 2, 1)
    left = flat[:, layout.own] - (back @ weights[..., -1:])[..., 0]
    unsure = by_shift[:, of_own] - back @ weights[..., :-1]
    loud = ((around * weights[..., -1]).sum(axis=1) + STEADY) / (
        known.sum(axis=1) + STEADY
    )
    unsure *= np.clip(loud, 1 / LOUDER, LOUDER)[:, None, None].astype(np.float32)
    _masked(unsure, inside)
    return Scene(left * inside, unsure, inside, clean.sum(axis=(1, 2)) >= FEWEST)

"""The scene under footprints, continued from what lies around them.

The arithmetic is in ``c/separation.c``.

References
----------
C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning" (2006),
section 2.2: the conditional mean and covariance.
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotpixeld.compiled import function

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


class _Windows(ctypes.Structure):
    """`struct windows` of separation.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("count", "rows", "columns")),
        *((name, ctypes.c_int64) for name in ("ring", "middle")),
        ("places", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("first_row", "first_column")),
        *((name, ctypes.c_int64) for name in ("tall", "wide", "reach")),
        *((name, ctypes.c_void_p) for name in ("noise", "seen", "exists", "clean")),
        *((name, ctypes.c_float) for name in ("level", "steady", "louder")),
    )


_continue = function(
    "hotpixeld_continue_1",
    *[ctypes.c_void_p] * 3,
    returns=ctypes.c_int,
)


class _Layout(NamedTuple):
    """Where in a flat window its middle and the ring around that are."""

    shape: tuple[int, int]
    middle: int
    places: Indices  # of the ring, then of the middle

    @classmethod
    def under(cls, shape: tuple[int, int]) -> _Layout:
        """Return the layout of a window around a footprint of some shape."""
        part = np.zeros((shape[0] + 2 * CONTEXT, shape[1] + 2 * CONTEXT), int)
        outer, inner = CONTEXT - MARGIN, CONTEXT
        part[outer:-outer, outer:-outer] = 1
        part[inner:-inner, inner:-inner] = 2
        places = [np.flatnonzero(part == which) for which in (1, 2)]
        return cls(part.shape, places[1].size, np.concatenate(places).astype(np.intp))


_layout = functools.lru_cache(maxsize=16)(_Layout.under)


def continued(
    field: Field,
    hidden: PositionSet,
    corners: tuple[Indices, Indices],
    shape: tuple[int, int],
    noise: Samples,
) -> Scene:
    """Continue the scene under n footprints of one shape.

    The scene is alike at equal distances, as its clean samples show, less their linear
    trend, and up to its local strength: the ring around each footprint shows how much
    louder or quieter it is.

    Parameters
    ----------
    field : Field
    hidden : PositionSet
        All samples that any footprint hides.
    corners : two (n,) intp
        Top and left of each footprint.
    shape : (int, int)
        Rows and columns of each.
    noise : (2 k + 1, 2 k + 1) float32, levels squared
        Covariance of two samples' noise, by their shift of -k to k.
    """
    layout = _layout(shape)
    window = corners[0] - CONTEXT, corners[1] - CONTEXT
    seen, exists = field.cut(*window, layout.shape)
    clean = exists & ~hidden.cut(*window, layout.shape)
    seen, noise = np.ascontiguousarray(seen), np.ascontiguousarray(noise, np.float32)
    count, middle = len(seen), layout.middle
    residual = np.empty((count, middle), np.float32)
    covariance = np.empty((count, middle, middle), np.float32)
    windows = _Windows(
        *(count, *layout.shape, layout.places.size - middle, middle),
        layout.places.ctypes.data,
        *(CONTEXT - MARGIN, CONTEXT - MARGIN),
        *(shape[0] + 2 * MARGIN, shape[1] + 2 * MARGIN, len(noise) // 2),
        *(part.ctypes.data for part in (noise, seen, exists, clean)),
        *(LEVEL, STEADY, LOUDER),
    )
    if _continue(ctypes.byref(windows), residual.ctypes.data, covariance.ctypes.data):
        raise MemoryError("no memory for the scene under a footprint")
    inside = exists.reshape(count, -1)[:, layout.places[-middle:]]
    return Scene(residual, covariance, inside, clean.sum(axis=(1, 2)) >= FEWEST)

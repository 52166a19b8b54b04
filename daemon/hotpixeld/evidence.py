"""Evidence: what one photo tells about the suspects of its camera, a few bytes each.

A sample is the contrast of a suspect in one photo (centre less the mean of eight straight
interpolations through it), and the spread that the same contrast has at the places around
it, which says how much this photo can tell: a smooth surrounding much, foliage nothing.
Luma and the two colour differences are sampled apart, because JPEG keeps luma sharp and
smears colour, so that a defect of one colour may show in one of them alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hotpixeld.contrast import Places, Steps

SAMPLE = np.dtype(
    [
        ("residual", "<f2", (3,)),
        ("spread", "<f2", (3,)),
        ("level", "u1"),
        ("clipped", "u1"),
    ]
)
"""14 bytes a suspect: contrast and its standard deviation around (luma, red - luma, blue -
luma; levels), the mean level of the surroundings (luma) and the share of them that is
clipped white (255: all)."""
Samples = NDArray[np.void]
"""(photos, sites) or (sites,) of `SAMPLE`."""

STEP = 4
REACH = 6
CHUNK = 128
# Opposite points at distance 2 for luma, at 3 for the colours that JPEG smears wider.
NEAR = ((0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (2, -1), (2, -2), (1, -2))
FAR = ((0, 3), (1, 3), (2, 2), (3, 1), (3, 0), (3, -1), (2, -2), (1, -3))
# Places whose contrast gives the spread: outside the footprint, inside the window.
INNER, LUMA_OUTER, COLOUR_OUTER = 3, 4, 3
# Mean absolute value to standard deviation, for a Gaussian.
GAUSSIAN = float(np.sqrt(np.pi / 2))
# A hot pixel cannot show in a clipped highlight.
WHITE, CORE = 253, 2
CONTROL_SEED = 1


def _mirrored(places: Places, size: int) -> Places:
    """Return (13, N) indices around each place, mirrored at the frame's edges."""
    index = np.abs(np.arange(-REACH, REACH + 1)[:, None] + places)
    return np.asarray(np.where(index >= size, 2 * size - 2 - index, index), np.intp)


def _contrast(plane: Steps, pairs: tuple[tuple[int, int], ...], outer: int) -> Steps:
    """Return the contrast, in 16 steps, at the places up to `outer` from the centres."""
    size, start = 2 * outer + 1, REACH - outer

    def at(down: int, right: int) -> Steps:
        top, left = start + down, start + right
        return plane[top : top + size, left : left + size]

    total = at(0, 0) * np.int16(2 * len(pairs))
    for down, right in pairs:
        total -= at(down, right)
        total -= at(-down, -right)
    return np.asarray(total, np.int16)


def _ring(outer: int) -> NDArray[np.float32]:
    """Return 1 for the places of a flat (2 outer + 1) square outside the footprint."""
    axis = np.abs(np.arange(-outer, outer + 1))
    return (np.maximum(axis[:, None], axis) >= INNER).astype(np.float32).ravel()


def _measure(
    plane: Steps, pairs: tuple[tuple[int, int], ...], outer: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the contrast of the centres, and its spread around them, in levels."""
    contrast = _contrast(plane, pairs, outer)
    unit = 2 * len(pairs) * STEP
    centre = contrast[outer, outer] / unit
    sizes = np.abs(contrast, out=contrast).reshape(-1, contrast.shape[-1])
    # A product with the mask sums faster than a selection.
    total = _ring(outer) @ sizes.astype(np.float32)
    return centre, total * (GAUSSIAN / (_ring(outer).sum() * unit))


def _sample_chunk(frame: NDArray[np.uint8], sites: Places, out: Samples) -> None:
    """Fill `out` with the samples of a few sites."""
    height, width, _ = frame.shape
    rows, cols = _mirrored(sites[:, 0], height), _mirrored(sites[:, 1], width)
    # Sites along the last axis: every operation then runs over contiguous memory.
    flat = (rows * width)[:, None, :] + cols[None, :, :]
    window = frame.reshape(-1, 3)[flat].transpose(3, 0, 1, 2)
    red, green, blue = np.ascontiguousarray(window).astype(np.int16)
    # Rec. 601 in 16 bits, a quarter of a level a step.
    luma = (19 * red + 38 * green + 7 * blue) >> 4
    planes = (
        (luma, NEAR, LUMA_OUTER),
        *((STEP * channel - luma, FAR, COLOUR_OUTER) for channel in (red, blue)),
    )
    for index, (plane, pairs, outer) in enumerate(planes):
        residual, spread = _measure(plane, pairs, outer)
        out["residual"][:, index], out["spread"][:, index] = residual, spread
    core = window[:, REACH - CORE : REACH + CORE + 1, REACH - CORE : REACH + CORE + 1]
    out["clipped"] = np.rint((core >= WHITE).mean(axis=(0, 1, 2)) * 255)
    # Every fourth pixel: none of them in the core of the footprint.
    out["level"] = np.rint(luma[::4, ::4].mean(axis=(0, 1)) / STEP)


def sample(frame: NDArray[np.uint8], sites: Places) -> Samples:
    """Return what one photo tells about `sites`.

    Parameters
    ----------
    frame : (H, W, 3) uint8, 0-255
        At least 7x7.
    sites : (N, 2) intp
        Row, column, inside the frame.

    Returns
    -------
    (N,) of `SAMPLE`
    """
    out = np.zeros(len(sites), SAMPLE)
    for start in range(0, len(sites), CHUNK):
        part = slice(start, start + CHUNK)
        _sample_chunk(frame, sites[part], out[part])
    return out


def controls(height: int, width: int, count: int = 512) -> Places:
    """Return ordinary sites, the same ones for every photo of a size.

    Sampled beside the suspects, they show what chance alone makes of these very photos.
    """
    rng = np.random.default_rng(CONTROL_SEED)
    rows, cols = rng.integers(0, height, count), rng.integers(0, width, count)
    return np.stack([rows, cols], axis=1).astype(np.intp)

"""Evidence: what one photo tells about the suspects of its camera, a few bytes each.

A sample is the contrast of a suspect in one photo (the site and its four neighbours, less
the sixteen places around them), and the spread that the same contrast has at the places
around it, which says how much this photo can tell: a smooth surrounding much, foliage
nothing. Both are those of luma: it is the one component that JPEG does not subsample, and
in plantings of every tint the colour differences found nothing that luma did not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hotpixeld.contrast import Places, Steps

SAMPLE = np.dtype(
    [
        ("residual", "<f2"),
        ("spread", "<f2"),
        ("peak", "<f2", (3,)),
        ("pattern", "<u2"),
        ("level", "u1"),
        ("clipped", "u1"),
    ]
)
"""14 bytes a suspect, in levels: contrast and its standard deviation around, what the site
alone has over its surroundings (red, green, blue), which parts of the surroundings are
brighter than others (a bit each), their mean level (luma) and the share of them that is
clipped white (255: all)."""
Samples = NDArray[np.void]
"""(photos, sites) or (sites,) of `SAMPLE`."""

STEP = 2
"""Luma is held in half levels: 48 times 255 of them still fit 16 bits."""
REACH = 6
CHUNK = 128
# Contrast, in 1/48: the site twice and its four neighbours (a footprint that JPEG has
# dulled) against the border of the 5x5. Narrower and wider ones, and filters whitened by
# the covariance of real scenes, told less or no more.
CENTRE, BORDER = 8, 3
UNIT = 16 * BORDER * STEP
# Surroundings of the site alone: where a wide footprint has its dark ring or nothing.
RING = ((0, 3), (1, 3), (2, 2), (3, 1), (3, 0), (3, -1), (2, -2), (1, -3))
# Opposite points well outside of every footprint: their sums do not know slopes, and which
# of them exceed the mean tells one surrounding from another.
AROUND = tuple(
    (round(reach * math.sin(angle)), round(reach * math.cos(angle)))
    for reach, angle in (((4, 6)[k % 2], k * math.pi / 16) for k in range(16))
)
# Places whose contrast gives the spread: outside the footprint, inside the window.
INNER, OUTER = 3, 4
# Mean absolute value to standard deviation, for a Gaussian.
GAUSSIAN = float(np.sqrt(np.pi / 2))
# A hot pixel cannot show in a clipped highlight.
WHITE, CORE = 253, 2
CONTROL_SEED = 1


def _mirrored(places: Places, size: int) -> Places:
    """Return (13, N) indices around each place, mirrored at the frame's edges."""
    index = np.abs(np.arange(-REACH, REACH + 1)[:, None] + places)
    return np.asarray(np.where(index >= size, 2 * size - 2 - index, index), np.intp)


def luma_of(red: Steps, green: Steps, blue: Steps) -> Steps:
    """Return the luma of levels, int16: Rec. 601, `STEP` a level."""
    return (19 * red + 38 * green + 7 * blue) >> 5


def box(plane: Steps, reach: int) -> Steps:
    """Return the sum of the (2 reach + 1) square around each place but the margins.

    Parameters
    ----------
    plane : (H, W, ...) int16
        The sums must fit.
    reach : int

    Returns
    -------
    (H - 2 reach, W - 2 reach, ...) int16
    """
    size = 2 * reach
    height, width = plane.shape[0] - size, plane.shape[1] - size
    down = plane[:height].copy()
    for step in range(1, size + 1):
        down += plane[step : step + height]
    out = down[:, :width].copy()
    for step in range(1, size + 1):
        out += down[:, step : step + width]
    return out


def contrast(luma: Steps) -> tuple[Steps, Steps]:
    """Return how far each place but a margin of two stands out of its surroundings.

    Parameters
    ----------
    luma : (H, W, ...) int16, `STEP` a level

    Returns
    -------
    contrast, border : (H - 4, W - 4, ...) int16
        Contrast, `UNIT` a level, and the sum of the 16 places around, `STEP` a level.
    """
    middle = luma[1:-1, 1:-1]
    border = box(luma, 2) - box(middle, 1)
    plus = 2 * luma[2:-2, 2:-2] + luma[1:-3, 2:-2] + luma[3:-1, 2:-2]
    plus += luma[2:-2, 1:-3] + luma[2:-2, 3:-1]
    return CENTRE * plus - BORDER * border, border


def _outside() -> NDArray[np.float32]:
    """Return 1 for the places of a flat square of contrasts outside the footprint."""
    axis = np.abs(np.arange(-OUTER, OUTER + 1))
    return (np.maximum(axis[:, None], axis) >= INNER).astype(np.float32).ravel()


OUTSIDE = _outside()


def _fold(distance: int) -> NDArray[np.float64]:
    """Return (5, 5): where mirroring takes the rows of a contrast near an edge."""
    fold = np.zeros((5, 5))
    for row in range(5):
        target = row - 2
        fold[target + 2 if target >= -distance else 2 - 2 * distance - target, row] = 1
    return fold


def _inflations() -> NDArray[np.float64]:
    """Return how much more a contrast varies 0, 1, 2 pixels from edges, (3, 3).

    Mirrored places count twice there; the spread is that of places inside.
    """
    kernel = np.pad(np.full((3, 3), 0.0), 1, constant_values=-BORDER)
    kernel[2, 1:4] = kernel[1:4, 2] = CENTRE
    kernel[2, 2] = 2 * CENTRE
    folds = [_fold(distance) for distance in range(3)]
    power = [[np.square(a @ kernel @ b.T).sum() for b in folds] for a in folds]
    return np.asarray(np.sqrt(np.array(power) / power[2][2]))


INFLATIONS = _inflations()


def _inflation(sites: Places, height: int, width: int) -> NDArray[np.float64]:
    """Return how much more the contrast of each site varies than inside the frame."""
    far = np.minimum(sites, np.array([height, width]) - 1 - sites)
    near = np.minimum(far, 2)
    return np.asarray(INFLATIONS[near[:, 0], near[:, 1]])


def _peak(window: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return what the centres have over their surroundings, (3, N) levels."""
    ring = [
        window[:, REACH + sign * down, REACH + sign * right]
        for down, right in RING
        for sign in (1, -1)
    ]
    return np.asarray(window[:, REACH, REACH] - np.mean(ring, axis=0), np.float64)


def _pattern(luma: Steps) -> NDArray[np.uint16]:
    """Return which parts of the surroundings exceed the others, (N,) of 16 bits."""
    pairs = np.stack(
        [
            luma[REACH + down, REACH + right] + luma[REACH - down, REACH - right]
            for down, right in AROUND
        ]
    )
    bits = (pairs > pairs.mean(axis=0)).astype(np.uint16)
    return np.asarray(bits.T @ (1 << np.arange(16, dtype=np.uint16)), np.uint16)


def _sample_chunk(frame: NDArray[np.uint8], sites: Places, out: Samples) -> None:
    """Fill `out` with the samples of a few sites."""
    height, width, _ = frame.shape
    rows, cols = _mirrored(sites[:, 0], height), _mirrored(sites[:, 1], width)
    # Sites along the last axis: every operation then runs over contiguous memory.
    flat = (rows * width)[:, None, :] + cols[None, :, :]
    levels = frame.reshape(-1, 3)[flat].transpose(3, 0, 1, 2)
    window = np.ascontiguousarray(levels).astype(np.int16)
    luma = luma_of(*window)
    excess, _ = contrast(luma)
    out["residual"] = excess[OUTER, OUTER] / UNIT
    sizes = np.abs(excess, out=excess).reshape(-1, excess.shape[-1])
    # A product with the mask sums faster than a selection.
    total = OUTSIDE @ sizes.astype(np.float32)
    scale = GAUSSIAN / (OUTSIDE.sum() * UNIT)
    out["spread"] = total * scale * _inflation(sites, height, width)
    out["peak"] = _peak(window).T
    out["pattern"] = _pattern(luma)
    core = levels[:, REACH - CORE : REACH + CORE + 1, REACH - CORE : REACH + CORE + 1]
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

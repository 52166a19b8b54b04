"""What a defect added to a photo, estimated from the scene around it.

A defect's footprint hides the scene, but not all of it: the scene continues what lies
around, and the footprint is alike above and below, left and right.  Both are Gaussian
priors here, so that one set of linear equations tells scene and defect apart, says how
sure that is, and leaves alone what the defect cannot have changed.

References
----------
C. E. Rasmussen, C. K. I. Williams, "Gaussian Processes for Machine Learning" (2006),
section 2.2: the conditional mean and covariance.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from hotpixeld.footprint import Box, Grid, Spot, embedded, reaching

if TYPE_CHECKING:
    from collections.abc import Sequence

Fill = Literal["adaptive", "neighbours"]
Samples = NDArray[np.float64]

# Samples beyond the footprint that the scene is continued from.
MARGIN = 2
# Variances in levels squared: of a sample's own noise, of the local level.
NOISE = 1.0
LEVEL = 1e4
# First guess of a defect's amplitude in levels, and the smallest that is reckoned with.
STRONG, WEAK = 100.0, 0.5
# Fewer clean samples than this say nothing about the scene.
FEWEST = 9


@dataclass(frozen=True, slots=True)
class Excess:
    """What a defect added to the samples of one component.

    Attributes
    ----------
    box : Box
        The samples that it may have changed.
    mean : (rows, columns) float64, levels
        To be subtracted.
    covariance : (rows * columns, rows * columns) float64, levels squared, or None
        How uncertain `mean` is; None where it is to be taken as it stands.
    """

    box: Box
    mean: Samples
    covariance: Samples | None


def _detrended(window: Samples, clean: NDArray[np.bool_]) -> Samples:
    """Return the window less the plane that fits its clean samples best."""
    rows, columns = np.indices(window.shape, dtype=float)
    plane = np.stack(
        [
            np.ones(window.size),
            rows.ravel() / window.shape[0] - 0.5,
            columns.ravel() / window.shape[1] - 0.5,
        ]
    )
    known = plane * clean.ravel()
    # A window one sample wide has no slope across: the small ridge keeps it solvable.
    normal = known @ known.T + 1e-6 * np.eye(3)
    slopes = np.linalg.solve(normal, known @ window.ravel())
    return np.asarray(window - (slopes @ plane).reshape(window.shape))


@functools.lru_cache(maxsize=64)
def _shifts(shape: tuple[int, int], padded: tuple[int, int]) -> NDArray[np.intp]:
    """Return where in a flat array of shifts each pair of a patch's samples looks."""
    rows, columns = (index.ravel() for index in np.indices(shape))
    down = (rows[:, None] - rows[None, :]) % padded[0]
    across = (columns[:, None] - columns[None, :]) % padded[1]
    return np.asarray(down * padded[1] + across, np.intp)


def _scene_prior(
    residual: Samples, clean: NDArray[np.bool_], shape: tuple[int, int]
) -> Samples:
    """Return the covariance of a patch of scene, alike at equal distances.

    The autocovariance of the clean samples, edges and grain in their directions;
    divided by their number, not by that of the pairs, it is a valid covariance.
    """
    padded = 2 * residual.shape[0], 2 * residual.shape[1]
    spectrum = np.fft.rfft2(np.where(clean, residual, 0.0), padded)
    power = spectrum.real**2 + spectrum.imag**2
    by_shift = np.fft.irfft2(power, padded) / clean.sum()
    return np.asarray(by_shift.ravel()[_shifts(shape, padded)])


def _continued(
    scene: Samples, seen: Samples, hidden: NDArray[np.bool_]
) -> tuple[Samples, Samples]:
    """Return what the scene around does not explain of the hidden samples.

    Their difference from the continued scene, and the covariance of that.
    """
    across = scene[np.ix_(~hidden, hidden)]
    known = np.column_stack([across, seen[~hidden]])
    weights = np.linalg.solve(scene[np.ix_(~hidden, ~hidden)], known)
    unsure = scene[np.ix_(hidden, hidden)] - across.T @ weights[:, :-1]
    return seen[hidden] - across.T @ weights[:, -1], unsure


def _with_defects(
    scene: Samples,
    defects: Sequence[tuple[NDArray[np.intp], Samples]],
    amplitudes: Sequence[float],
) -> Samples:
    """Return the covariance of scene and defects together."""
    total = scene.copy()
    for (places, prior), amplitude in zip(defects, amplitudes, strict=True):
        total[np.ix_(places, places)] += amplitude**2 * prior
    return total


def _told_apart(
    left: Samples,
    unsure: Samples,
    defects: Sequence[tuple[NDArray[np.intp], Samples]],
    scale: int,
) -> tuple[Samples, Samples]:
    """Return what the first defect added at its places, and the covariance of that.

    Solved twice: with any amplitude possible, then with about the ones found.
    """
    total = _with_defects(unsure, defects, [STRONG] * len(defects))
    weights = np.linalg.solve(total, left)
    amplitudes = []
    for places, prior in defects:
        peak = np.abs(STRONG**2 * prior @ weights[places]).max()
        amplitudes.append(max(float(peak) * scale, WEAK))
    total = _with_defects(unsure, defects, amplitudes)
    places, prior = defects[0]
    own = amplitudes[0] ** 2 * prior
    right = np.zeros((left.size, 1 + places.size))
    right[:, 0] = left
    right[places, 1:] = own
    solved = np.linalg.solve(total, right)[places]
    return own @ solved[:, 0], own - own @ solved[:, 1:]


def _adaptive(
    window: Samples, outer: Box, grid: Grid, spot: Spot, spots: Sequence[Spot]
) -> Excess | None:
    """Return what `spot` added, the other spots' footprints being unknown as well."""
    clean = np.ones(window.shape, bool)
    for other in spots:
        clean[other.box(grid).clipped(outer).within(outer)] = False
    if clean.sum() < FEWEST:
        return None
    patch = spot.box(grid).grown(MARGIN).clipped(outer)
    residual = _detrended(window, clean)
    scene = _scene_prior(residual, clean, patch.shape) + LEVEL
    scene[np.diag_indices_from(scene)] += NOISE
    hidden = ~clean[patch.within(outer)].ravel()
    left, unsure = _continued(scene, residual[patch.within(outer)].ravel(), hidden)
    # Places in the patch become places among its hidden samples.
    rank = np.cumsum(hidden) - 1
    embeddings = [embedded(other, grid, patch) for other in spots]
    defects = [(rank[places], prior) for places, prior in embeddings if places.size]
    mean, covariance = _told_apart(left, unsure, defects, grid.down * grid.across)
    box = spot.box(grid).clipped(patch)
    return Excess(box, mean.reshape(box.shape), covariance)


def _neighbours(
    window: Samples, outer: Box, grid: Grid, spot: Spot, spots: Sequence[Spot]
) -> Excess | None:
    """Return what to take off for the weighted mean of the eight neighbours.

    Diagonal ones weigh 1/sqrt(2); those outside the frame and other defects nothing.
    """
    row, col = spot.row // grid.down, spot.col // grid.across
    bad = {(other.row // grid.down, other.col // grid.across) for other in spots}
    total = weight = 0.0
    for y, x in np.ndindex(3, 3):
        place = row + y - 1, col + x - 1
        inside = outer.top <= place[0] < outer.bottom
        if place in bad or not (inside and outer.left <= place[1] < outer.right):
            continue
        share = 1 / float(np.hypot(y - 1, x - 1))
        total += share * float(window[place[0] - outer.top, place[1] - outer.left])
        weight += share
    if not weight:
        return None
    here = float(window[row - outer.top, col - outer.left])
    box = Box(row, col, row + 1, col + 1)
    return Excess(box, np.array([[here - total / weight]]), None)


def excess(
    window: Samples,
    outer: Box,
    grid: Grid,
    spot: Spot,
    spots: Sequence[Spot],
    *,
    fill: Fill = "adaptive",
) -> Excess | None:
    """Estimate what one defect added to the samples of one component.

    Parameters
    ----------
    window : (rows, columns) float64, levels
        Samples around the defect, some 16 on each side where the frame has them.
    outer : Box
        Where the window lies in the component's plane.
    grid : Grid
    spot : Spot
        The defect, inside the window.
    spots : sequence of Spot
        All defects; those whose footprint reaches into the window are reckoned with.
    fill : str
        ``adaptive``: scene and footprint told apart; ``neighbours``: the centre becomes
        the mean of its eight neighbours, diagonals weighing 1/sqrt(2).

    Returns
    -------
    Excess or None
        None where nothing clean is left to judge from.
    """
    near = [other for other in reaching(spots, outer, grid) if other != spot]
    method = _adaptive if fill == "adaptive" else _neighbours
    return method(window, outer, grid, spot, [spot, *near])

"""The compiled conditioning against the same in plain algebra, float64."""

from __future__ import annotations

import numpy as np
import pytest

from hotpixeld.repair import footprint, scene, separation
from hotpixeld.repair.field import Box, Dense, PositionSet, Subsampling
from hotpixeld.repair.footprint import Spot

NOISE = np.outer([0.1, 1, 0.1], [0.1, 1, 0.1]).astype(np.float32)
ONE = Subsampling(1, 1)


def plane(seed: int) -> np.ndarray:
    """Return a textured, slanted plane of 47 x 61 samples."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 6, (48, 62))
    grain = grain[1:, 1:] + grain[:-1, 1:] + grain[1:, :-1]
    y, x = np.mgrid[:47, :61]
    return np.asarray(60 + 0.7 * x + 0.4 * y + grain, np.float32)


def detrended(seen: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Return a window less the linear trend of its clean samples."""
    down, across = np.indices(seen.shape)
    terms = np.stack([np.ones(seen.size), down.ravel(), across.ravel()], axis=1)
    slopes = np.linalg.lstsq(terms[clean.ravel()], seen[clean], rcond=None)[0]
    return np.asarray(seen - (terms @ slopes).reshape(seen.shape))


def shifted(kept: np.ndarray, count: int, noise: np.ndarray, dy: int, dx: int) -> float:
    """Return the covariance of two samples of a window, by their shift."""
    if dy < 0:
        dy, dx = -dy, -dx
    one = kept[: len(kept) - dy, max(-dx, 0) : kept.shape[1] - max(dx, 0)]
    two = kept[dy:, max(dx, 0) : kept.shape[1] - max(-dx, 0)]
    half = len(noise) // 2
    near = max(abs(dy), abs(dx)) <= half
    share = noise[dy + half, dx + half] if near else 0
    return float((one * two).sum() / count + share + scene.LEVEL)


def expected(
    field: Dense, hidden: PositionSet, box: Box, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return residual and covariance under one box, from the definition."""
    reach = scene.CONTEXT
    y, x = np.mgrid[
        box.top - reach : box.bottom + reach, box.left - reach : box.right + reach
    ]
    inside = (y >= 0) & (y < 47) & (x >= 0) & (x < 61)
    seen = field.samples[np.clip(y, 0, 46), np.clip(x, 0, 60)].astype(float)
    clean = inside & ~hidden.index(y, x)[1]
    residual = detrended(seen, clean)
    kept = np.where(clean, residual, 0)

    def covariance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        shifts = [[other - one for other in second] for one in first]
        count = int(clean.sum())
        return np.array([[shifted(kept, count, noise, *s) for s in r] for r in shifts])

    rim = reach - scene.MARGIN
    middle = np.pad(np.ones(box.shape, bool), reach)
    ring = np.pad(np.ones(np.array(box.shape) + 2 * scene.MARGIN, bool), rim)
    ring &= ~middle & clean
    known, wanted = np.argwhere(ring), np.argwhere(middle)
    around, across = covariance(known, known), covariance(known, wanted)
    weights, half = (np.linalg.solve(around, b) for b in (across, residual[ring]))
    rest = residual[middle] - weights.T @ residual[ring]
    out = covariance(wanted, wanted) - weights.T @ across
    loud = (residual[ring] @ half + scene.STEADY) / (ring.sum() + scene.STEADY)
    out *= np.clip(loud, 1 / scene.LOUDER, scene.LOUDER)
    outside = ~inside[middle]
    out[outside] = out[:, outside] = 0
    out[outside, outside] = 1
    return np.where(outside, 0, rest), out


@pytest.mark.parametrize("box", [Box(20, 25, 27, 32), Box(30, 3, 35, 7)])
@pytest.mark.parametrize("place", ["inside", "at an edge", "beside another"])
def test_the_scene_is_continued_as_the_algebra_says(box: Box, place: str) -> None:
    field = Dense(plane(3))
    others = [box]
    if place == "at an edge":
        box = Box(-3, 61 - box.shape[1] + 2, -3 + box.shape[0], 61 + 2)
        others = [box]
    if place == "beside another":
        others.append(Box(box.top - 3, box.left + 2, box.bottom - 3, box.right + 2))
    hidden = PositionSet.of(field.frame, others)
    corner = np.array([box.top]), np.array([box.left])

    found = scene.continued(field, hidden, corner, box.shape, NOISE)

    residual, covariance = expected(field, hidden, box, NOISE)
    np.testing.assert_allclose(found.residual[0], residual, atol=0.02)
    np.testing.assert_allclose(found.covariance[0], covariance, atol=0.05, rtol=2e-3)


def test_a_footprint_is_separated_as_the_algebra_says() -> None:
    spot = Spot(21, 30, 3)
    samples = plane(5)
    samples[21, 30] += 90
    field = Dense(samples)
    hidden = PositionSet.of(field.frame, [spot.box(ONE)])
    box = spot.box(ONE)
    corner = np.array([box.top]), np.array([box.left])
    known = scene.continued(field, hidden, corner, (7, 7), NOISE)
    total = known.covariance[0].astype(float)
    own = footprint.usual_prior().covariance(3, ONE, 0, 0).astype(float)
    strong = separation.STRONG**2 * own
    peak = np.abs(strong @ np.linalg.solve(total + strong, known.residual[0])).max()
    own = peak**2 * own

    (found,) = separation.excesses(field, ONE, [spot], noise=NOISE)

    mean = own @ np.linalg.solve(total + own, known.residual[0])
    covariance = own - own @ np.linalg.solve(total + own, own)
    assert found.covariance is not None
    np.testing.assert_allclose(found.mean.ravel(), mean, atol=0.02)
    np.testing.assert_allclose(found.covariance[0], covariance, atol=0.05, rtol=2e-3)
    assert 60 < found.mean[0, 3, 3] < 120

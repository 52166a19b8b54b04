from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hotpixeld.defect import Defect
from hotpixeld.repair import separation
from hotpixeld.repair.field import Dense, Subsampling
from hotpixeld.repair.footprint import Spot
from jpegs import FOOTPRINT

Scene = NDArray[np.float64]

ONE = Subsampling(1, 1)


def plane(seed: int = 0, noise: float = 1.0) -> Scene:
    """Return a slope with an edge across it: (23, 31)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:23, 0:31]
    scene = 60 + 3.0 * rows + 40.0 * (columns > 13 + rows / 4)
    return np.asarray(scene + rng.normal(0, noise, scene.shape))


def hot(scene: Scene, row: int, col: int, level: float) -> Scene:
    out = np.pad(scene, 1)
    out[row : row + 3, col : col + 3] += level * FOOTPRINT
    return out[1:-1, 1:-1]


def without(
    seen: Scene,
    spots: list[Spot],
    fill: separation.Fill = "adaptive",
    subsampling: Subsampling = ONE,
) -> Scene:
    """Return samples without what was found to be added to them."""
    excesses = separation.excesses(Dense(seen), subsampling, spots, fill=fill)
    return repair_dense(seen, excesses)


def repair_dense(seen: Scene, excesses: list[separation.Excess]) -> Scene:
    room = 20
    out = np.pad(seen, room)
    for excess in excesses:
        height, width = excess.mean.shape[1:]
        for top, left, mean in zip(
            excess.tops + room, excess.lefts + room, excess.mean, strict=True
        ):
            out[top : top + height, left : left + width] -= mean
    return out[room:-room, room:-room]


def around(row: int, col: int) -> tuple[slice, slice]:
    return slice(max(row - 4, 0), row + 5), slice(max(col - 4, 0), col + 5)


@pytest.mark.parametrize(
    "place", [(11, 8), (11, 15), (0, 0), (22, 30), (0, 17), (5, 30), (22, 12)]
)
@pytest.mark.parametrize("level", [12.0, 90.0, -50.0])
def test_the_scene_comes_back_inside_on_edges_and_in_corners(
    place: tuple[int, int], level: float
) -> None:
    scene = plane()
    seen = hot(scene, *place, level)

    repaired = without(seen, [Spot(*place, 3)])

    window = around(*place)
    before = np.abs(seen - scene)[window].mean()
    after = np.abs(repaired - scene)[window].mean()
    assert after < max(0.6 * before, 0.6)
    assert np.abs(repaired - scene)[window].max() < 15


@given(st.integers(0, 22), st.integers(0, 30), st.floats(-3, 3), st.floats(-3, 3))
def test_a_sloping_plane_is_restored(
    row: int, col: int, down: float, across: float
) -> None:
    rows, columns = np.mgrid[0:23, 0:31]
    scene = 100 + down * rows + across * columns
    seen = hot(scene, row, col, 60.0)

    assert np.abs(without(seen, [Spot(row, col, 3)]) - scene).max() < 0.5


def test_a_spot_without_a_defect_is_left_nearly_alone() -> None:
    scene = plane(noise=0.3)

    assert np.abs(without(scene, [Spot(11, 8, 3)]) - scene).max() < 1.0


def test_only_the_footprint_is_touched() -> None:
    seen = hot(plane(), 11, 15, 90.0)

    (excess,) = separation.excesses(Dense(seen), ONE, [Spot(11, 15, 3)])

    assert (excess.tops.tolist(), excess.lefts.tolist()) == ([8], [12])
    assert excess.mean.shape == (1, 7, 7)
    assert excess.covariance is not None
    assert np.linalg.eigvalsh(excess.covariance[0]).min() > -0.01


def test_neighbouring_defects_do_not_feed_each_other() -> None:
    scene = plane()
    places = [(10, 8), (10, 9), (11, 10), (13, 8)]
    seen = scene
    for place in places:
        seen = hot(seen, *place, 90.0)

    repaired = without(seen, [Spot(*place, 3) for place in places])

    assert np.abs(repaired - scene)[6:17, 4:14].mean() < 4
    assert np.abs(seen - scene)[6:17, 4:14].mean() > 5


def test_a_component_at_half_size_is_repaired_in_its_own_samples() -> None:
    scene = plane()
    seen = scene.copy()
    seen[5:7, 7:9] += 20.0

    repaired = without(seen, [Spot(11, 15, 3)], subsampling=Subsampling(2, 2))

    assert np.abs(repaired - scene)[4:8, 6:10].mean() < 2
    changed = np.argwhere(repaired != seen)
    assert changed.min(axis=0).tolist() == [4, 6]
    assert changed.max(axis=0).tolist() == [7, 9]


def test_the_original_fill_is_the_mean_of_eight_with_weaker_diagonals() -> None:
    seen = np.zeros((23, 31))
    seen[10, 8] = 10.0
    seen[11, 7] = 20.0
    seen[11, 8] = 255.0

    repaired = without(seen, [Spot(11, 8, 3)], "neighbours")

    weights = 4 + 4 / np.sqrt(2)
    assert repaired[11, 8] == pytest.approx(30 / weights)
    assert np.count_nonzero(repaired != seen) == 1


def test_the_original_fill_uses_what_neighbours_a_corner_has() -> None:
    seen = np.full((23, 31), 7.0)
    seen[0, 0] = 255.0

    assert without(seen, [Spot(0, 0, 3)], "neighbours")[0, 0] == pytest.approx(7)


@pytest.mark.parametrize("fill", ["adaptive", "neighbours"])
def test_a_frame_of_one_pixel_cannot_be_judged(fill: separation.Fill) -> None:
    assert np.array_equal(without(np.ones((1, 1)), [Spot(0, 0, 3)], fill), [[1.0]])


def test_no_defects_no_excess() -> None:
    assert separation.excesses(Dense(plane()), ONE, []) == []


def line(count: int, rows: int = 1) -> list[Spot]:
    return [Spot(20 + row, 15 + col, 3) for row in range(rows) for col in range(count)]


def wide() -> Scene:
    rows, columns = np.mgrid[0:48, 0:90]
    grain = np.random.default_rng(3).normal(0, 1, rows.shape)
    return np.asarray(60 + 1.5 * rows + 0.5 * columns + grain)


@pytest.mark.parametrize(
    ("spots", "worst"),
    [(line(60), 4.0), (line(50, 2), 5.0), (line(20, 8), 5.0)],
    ids=["a line", "a double line", "a block"],
)
def test_lines_and_blocks_of_defects_close(spots: list[Spot], worst: float) -> None:
    scene = wide()
    seen = scene
    levels = np.random.default_rng(1).uniform(20, 90, len(spots))
    for spot, level in zip(spots, levels, strict=True):
        seen = hot(seen, spot.row, spot.col, float(level))

    repaired = without(seen, spots)

    window = np.s_[14:34, 9:81]
    assert np.abs(repaired - scene)[window].mean() < worst
    assert (
        np.abs(repaired - scene)[window].mean()
        < 0.2 * np.abs(seen - scene)[window].mean()
    )


def test_a_frame_full_of_defects_is_left_alone() -> None:
    seen = plane()[:12, :14]
    spots = [Spot(row, col, 3) for row in range(12) for col in range(14)]

    assert np.array_equal(without(seen, spots), seen)


def test_the_order_of_the_defects_does_not_matter() -> None:
    seen = plane()
    spots = [Spot(10, 8, 3), Spot(10, 10, 3), Spot(18, 25, 5), Spot(2, 27, 3)]
    for spot in spots:
        seen = hot(seen, spot.row, spot.col, 60.0)

    one, other = without(seen, spots), without(seen, spots[::-1])

    assert np.abs(one - other).max() < 0.05


def test_the_callers_window_is_left_as_it_is() -> None:
    seen = hot(plane(), 11, 15, 90.0)
    seen.setflags(write=False)

    assert without(seen, [Spot(11, 15, 3)]) is not seen


@pytest.mark.parametrize(("radius", "half"), [(None, 3), (1, 3), (5, 5), (99, 8)])
def test_a_known_radius_widens_the_footprint_within_reason(
    radius: int | None, half: int
) -> None:
    assert Spot.of(Defect(4, 5, radius=radius)) == Spot(4, 5, half)

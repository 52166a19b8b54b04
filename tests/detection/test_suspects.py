"""The sites that stand out most in a camera's state, and what is measured there."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import sensor
from hotpixeld.defect import Defect, Kind
from hotpixeld.detection import suspects
from whole_frames import State


def state_of(camera: sensor.Sensor, photos: int) -> State:
    state = State.empty(camera.height, camera.width, traced=True)
    for frame in camera.frames(photos):
        state.fold(frame)
    return state


def unlisted(
    defects: tuple[sensor.Planted, ...], sites: np.ndarray
) -> list[sensor.Planted]:
    """Return the defects that no site is within a pixel of."""
    return [
        defect
        for defect in defects
        if np.abs(sites - (defect.row, defect.col)).max(axis=1).min(initial=9) > 1
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_strong_defects_are_the_first_by_the_mean_once_each(seed: int) -> None:
    """Of 60 levels and more; all that follow are what chance gives any plane."""
    defects = sensor.scattered(6, 400, 560, seed=seed, levels=(60, 90))
    camera = sensor.Sensor(seed=seed, defects=defects)

    strongest = suspects.by_mean(state_of(camera, 20), 40)

    assert len(strongest.sites) == 40
    assert unlisted(defects, strongest.sites[: len(defects)]) == []
    assert strongest.false_alarms[len(defects) - 1] < 0.25
    assert strongest.false_alarms[len(defects)] > 0.25


def test_corners_and_edges_count_like_the_middle() -> None:
    places = [(0, 0), (399, 559), (0, 100), (120, 0), (399, 40), (60, 559), (120, 160)]
    defects = tuple(sensor.Planted(row, col, 70) for row, col in places)

    strongest = suspects.by_mean(
        state_of(sensor.Sensor(seed=9, defects=defects), 20), len(defects)
    )

    assert unlisted(defects, strongest.sites) == []


def test_the_kind_the_colour_and_the_footprint_are_measured() -> None:
    defects = (
        sensor.Planted(50, 60, 80, radius=0),
        sensor.Planted(100, 200, 90, tint=(1.0, 0.3, 0.3)),
        sensor.Planted(150, 90, 0, kind="dead"),
        sensor.Planted(200, 250, 250, kind="stuck"),
    )
    state = state_of(sensor.Sensor(seed=10, defects=defects), 20)

    measured = [suspects.measure(state, d.row, d.col, 9.0) for d in defects]

    kinds = [defect.kind for defect in measured]
    assert kinds == [Kind.HOT, Kind.HOT, Kind.DEAD, Kind.STUCK]
    assert [defect.radius for defect in measured] == [0, 1, 1, 1]
    red, green, blue = measured[1].amplitude or (0, 0, 0)
    assert red == pytest.approx(90, abs=15)
    assert max(green, blue) < 0.6 * red


def test_the_order_does_not_depend_on_brightness_or_contrast() -> None:
    """Half the levels, 30 more: the yardstick is of the same photos."""
    defects = sensor.scattered(5, 400, 560, levels=(60,))
    state = state_of(sensor.Sensor(seed=11, defects=defects), 16)
    half = State(16, 16.0, state.mean.copy(), state.m2)
    half.mean /= 2
    half.mean += 30
    half.m2 = state.m2 / np.float32(4)

    ratios = suspects.by_mean(state, 5).ratios
    halves = suspects.by_mean(half, 5).ratios

    assert len(ratios) == 5
    assert halves == pytest.approx(ratios, rel=0.1)


def test_photos_of_one_scene_are_known_as_such() -> None:
    assert suspects.is_one_scene(state_of(sensor.Sensor(seed=8, scenes=1), 24))
    assert not suspects.is_one_scene(state_of(sensor.Sensor(seed=8), 24))


def test_whether_photos_show_one_scene_is_found_without_a_plane_in_memory() -> None:
    """Its planes are mapped from files; copied, 100 megapixels would take 150 MB."""
    state = State.empty(2000, 1500)
    tracemalloc.start()
    suspects.is_one_scene(state)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < state.mean.nbytes / 16 / 4


def test_what_lies_within_two_pixels_of_an_ignored_site_is_ignored() -> None:
    assert suspects.is_ignored(12, 28, [(70, 70), (10, 30)])
    assert not suspects.is_ignored(13, 30, [(10, 30)])
    assert not suspects.is_ignored(10, 30, [])


def test_burned_in_marks_are_not_seen_through_the_lens() -> None:
    state = state_of(sensor.Sensor(seed=14), 16)
    state.mean[:20], state.m2[:20] = 0, 0
    state.mean[8, 40:300:9] = 255

    sites = suspects.by_mean(state, 40).sites

    assert suspects.are_seen(state, np.array([(8, 40), (200, 300)])).tolist() == [
        False,
        True,
    ]
    assert len(sites) > 20
    assert not (sites[:, 0] < 20).any()


def test_suspects_come_by_mean_and_by_trace_without_repeating() -> None:
    defects = sensor.scattered(6, 400, 560, seed=7, levels=(60,))
    camera = sensor.Sensor(seed=7, defects=defects)
    state = state_of(camera, 20)
    assert state.trace is not None
    sites = suspects.nominated(state, state.trace)
    strong = [(one.row, one.col) for one in defects]
    times = [
        int((np.abs(sites - place).max(axis=1) <= suspects.APART).sum())
        for place in strong
    ]

    assert times == [1] * 6
    assert len(sites) <= suspects.BY_TRACE + suspects.BY_MEAN + suspects.BY_VARIANCE


STUCK_BETWEEN = tuple(
    sensor.Planted(row, col, level, kind="stuck", radius=radius)
    for row, col, level, radius in (
        (60, 70, 110, 1), (200, 300, 100, 2), (330, 450, 120, 0), (399, 200, 110, 1)
    )
)  # fmt: skip
"""At levels that scenes are as often above as below: in the mean they are nothing."""


def test_what_is_stuck_between_dark_and_bright_scenes_varies_too_little() -> None:
    state = state_of(sensor.Sensor(seed=21, defects=STUCK_BETWEEN), 24)

    sites = suspects.by_variance(state, 20)

    assert {(one.row, one.col) for one in STUCK_BETWEEN} == set(
        map(tuple, sites.tolist())
    )
    assert all(suspects.varies_little(state, row, col) for row, col in sites.tolist())
    assert state.trace is not None
    nominated = suspects.nominated(state, state.trace)
    assert unlisted(STUCK_BETWEEN, nominated[: suspects.FOREMOST]) == []


@pytest.mark.parametrize("seed", [22, 23, 24])
def test_a_perfect_sensor_has_no_suspect_by_variance(seed: int) -> None:
    state = state_of(sensor.Sensor(seed=seed), 24)
    ordinary = np.random.default_rng(seed).integers(20, 380, (200, 2))

    assert suspects.by_variance(state, 20).tolist() == []
    little = [suspects.varies_little(state, row, col) for row, col in ordinary.tolist()]
    assert not any(little)


def test_hot_pixels_vary_as_their_surroundings_do() -> None:
    defects = sensor.scattered(6, 400, 560, seed=7, levels=(20,))
    state = state_of(sensor.Sensor(seed=7, defects=defects), 20)

    assert suspects.by_variance(state, 20).tolist() == []


def test_bars_and_what_never_changes_are_no_suspects() -> None:
    camera = sensor.Sensor(seed=8)
    state = State.empty(400, 560, traced=True)
    assert state.trace is not None
    for frame in camera.frames(12):
        marked = frame.copy()
        marked[370:] = 0
        marked[385, 100:500:9] = 200
        marked[100:104, 40:520:24] = 250  # on the scene: it changes around them
        state.fold(marked)
    sites = suspects.nominated(state, state.trace)

    assert not (sites[:, 0] > 366).any()
    assert len(sites) > 8  # there are others


def test_the_state_is_left_as_it_is() -> None:
    state = state_of(sensor.Sensor(seed=15), 6)
    mean, m2 = state.mean.copy(), state.m2.copy()

    suspects.by_mean(state, 50)
    suspects.lowest_variance(state, 5)

    assert np.array_equal(state.mean, mean)
    assert np.array_equal(state.m2, m2)


def test_no_photos_and_frames_too_small_for_a_neighbourhood_have_no_suspects() -> None:
    small = State(9, 9.0, *np.zeros((2, 6, 4, 3), np.float32))

    assert len(suspects.by_mean(small, 9).sites) == 0
    assert len(suspects.by_mean(State.empty(400, 560), 9).sites) == 0
    assert len(suspects.by_variance(small, 9)) == 0
    assert len(suspects.by_variance(State.empty(400, 560), 9)) == 0


def test_lowest_variance_lists_a_stuck_pixel_first_and_once() -> None:
    stuck = sensor.Planted(70, 111, 200, kind="stuck")
    state = state_of(sensor.Sensor(seed=16, defects=(stuck,)), 20)

    lowest = suspects.lowest_variance(state, 4)

    assert (lowest[0].row, lowest[0].col) == (70, 111)
    gaps = [
        max(abs(a.row - b.row), abs(a.col - b.col))
        for a in lowest
        for b in lowest
        if a != b
    ]
    assert len(lowest) == 4
    assert min(gaps) > 7


def test_a_repair_needs_more_than_listing() -> None:
    assert suspects.is_certain(Defect(1, 2))
    assert suspects.is_certain(Defect(1, 2, score=suspects.CERTAIN))
    assert not suspects.is_certain(Defect(1, 2, score=5.4))

"""The map that the Welford state alone gives."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sensor
from hotpixeld.defect import Defect, Kind
from hotpixeld.detection import suspects
from hotpixeld.statistics.welford import State


def state_of(camera: sensor.Sensor, photos: int) -> State:
    state = State.empty(camera.height, camera.width)
    for frame in camera.frames(photos):
        state.fold(frame)
    return state


def missed(defects: tuple[sensor.Planted, ...], found: list[Defect]) -> list[object]:
    return [
        one
        for one in defects
        if not any(
            abs(f.row - one.row) <= 1 and abs(f.col - one.col) <= 1 for f in found
        )
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_strong_defects_are_found_once_each_and_nothing_else(seed: int) -> None:
    defects = sensor.scattered(6, 400, 560, seed=seed, levels=(60, 90))
    camera = sensor.Sensor(seed=seed, defects=defects)

    found = suspects.find(state_of(camera, 20))

    assert missed(defects, found) == []
    assert len(found) == len(defects)


@pytest.mark.parametrize("seed", [4, 5, 6, 7])
def test_a_perfect_sensor_has_no_defects(seed: int) -> None:
    assert suspects.find(state_of(sensor.Sensor(seed=seed), 18)) == []


def test_a_scene_that_never_changes_is_silent() -> None:
    fixed = sensor.Sensor(seed=8, scenes=1)

    assert suspects.find(state_of(fixed, 24)) == []


def test_corners_and_edges_count_like_the_middle() -> None:
    places = [(0, 0), (399, 559), (0, 100), (120, 0), (399, 40), (60, 559), (120, 160)]
    defects = tuple(sensor.Planted(row, col, 70) for row, col in places)

    found = suspects.find(state_of(sensor.Sensor(seed=9, defects=defects), 20))

    assert missed(defects, found) == []


def test_the_kind_the_colour_and_the_footprint_are_told() -> None:
    defects = (
        sensor.Planted(50, 60, 80, radius=0),
        sensor.Planted(100, 200, 90, tint=(1.0, 0.3, 0.3)),
        sensor.Planted(150, 90, 0, kind="dead"),
        sensor.Planted(200, 250, 250, kind="stuck"),
    )

    found = suspects.find(state_of(sensor.Sensor(seed=10, defects=defects), 20))

    at = {(one.row, one.col): one for one in found}
    assert [at[d.row, d.col].kind for d in defects] == [
        Kind.HOT,
        Kind.HOT,
        Kind.DEAD,
        Kind.STUCK,
    ]
    assert [at[d.row, d.col].radius for d in defects] == [0, 1, 1, 1]
    red, green, blue = at[100, 200].amplitude or (0, 0, 0)
    assert red == pytest.approx(90, abs=15)
    assert max(green, blue) < 0.6 * red


def test_the_score_does_not_depend_on_brightness_or_contrast() -> None:
    camera = sensor.Sensor(seed=11, defects=sensor.scattered(5, 400, 560, levels=(60,)))
    state = state_of(camera, 16)
    half = State(16, 16.0, state.mean.copy(), state.m2.copy())
    half.mean /= 2
    half.mean += 30
    half.m2 /= 4

    scores = [one.score for one in suspects.find(state)]
    halves = [one.score for one in suspects.find(half)]
    assert halves == pytest.approx(scores, rel=0.1)


def test_too_few_photos_list_nothing() -> None:
    camera = sensor.Sensor(seed=12, defects=sensor.scattered(3, 400, 560, levels=(90,)))
    state = state_of(camera, 5)

    assert suspects.find(state) == []
    assert len(suspects.find(state, min_photos=4)) == 3
    assert suspects.find(State.empty(400, 560), min_photos=0) == []


def test_ignored_places_are_not_listed() -> None:
    defects = sensor.scattered(3, 400, 560, seed=13, levels=(90,))
    state = state_of(sensor.Sensor(seed=13, defects=defects), 16)
    one = defects[1]

    found = suspects.find(state, ignore=[(one.row + 2, one.col - 2)])

    assert missed(defects, found) == [one]


def test_burned_in_marks_are_not_defects() -> None:
    state = state_of(sensor.Sensor(seed=14), 16)
    state.mean[:20], state.m2[:20] = 0, 0
    state.mean[8, 40:300:9] = 255

    assert suspects.find(state) == []


def test_the_state_is_left_as_it_is() -> None:
    state = state_of(sensor.Sensor(seed=15), 6)
    mean, m2 = state.mean.copy(), state.m2.copy()

    suspects.find(state, min_photos=2)
    suspects.lowest_variance(state, 5)

    assert np.array_equal(state.mean, mean)
    assert np.array_equal(state.m2, m2)


def test_frames_too_small_for_any_statistics_have_no_suspects() -> None:
    state = State(
        9, 9.0, np.zeros((6, 4, 3), np.float32), np.zeros((6, 4, 3), np.float32)
    )

    assert suspects.find(state, min_photos=2) == []


def test_lowest_variance_lists_a_stuck_pixel_first_and_once() -> None:
    stuck = sensor.Planted(70, 111, 200, kind="stuck")
    state = state_of(sensor.Sensor(seed=16, defects=(stuck,)), 20)

    found = suspects.lowest_variance(state, 4)

    assert (found[0].row, found[0].col) == (70, 111)
    gaps = [
        max(abs(a.row - b.row), abs(a.col - b.col))
        for a in found
        for b in found
        if a != b
    ]
    assert len(found) == 4
    assert min(gaps) > 7


def test_a_repair_needs_more_than_listing() -> None:
    assert suspects.is_certain(Defect(1, 2))
    assert suspects.is_certain(Defect(1, 2, score=suspects.CERTAIN))
    assert not suspects.is_certain(Defect(1, 2, score=5.4))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "at_most_missed"),
    [
        ("canon-t5i-2592", 1),
        ("fuji-a200", 0),
        ("canon-1100d", 1),
        ("canon-450d", 0),
        ("panasonic-zx3", 0),
        ("reconyx-trailcam", 0),
    ],
)
def test_real_cameras(name: str, at_most_missed: int) -> None:
    photos = os.environ.get("HOTPIXELD_PHOTOS")
    if not photos:
        pytest.skip("HOTPIXELD_PHOTOS names no folder of camera photos")
    folder = Path(photos) / name
    truth = json.loads((folder / "truth.json").read_text())
    state = State.empty(truth["height"], truth["width"])
    for path in sorted(folder.glob("*.[jJ][pP][gG]")):
        with Image.open(path) as image:
            state.fold(np.asarray(image.convert("RGB")))

    found = suspects.find(state, min_photos=4)

    sure = [one for one in truth["defects"] if one.get("certain", True)]

    def near(one: dict[str, int], defect: Defect, reach: int) -> bool:
        return max(abs(one["x"] - defect.x), abs(one["y"] - defect.y)) <= reach

    unseen = [one for one in sure if not any(near(one, d, 2) for d in found)]
    false = [d for d in found if not any(near(one, d, 4) for one in truth["defects"])]
    assert len(unseen) <= at_most_missed
    assert false == []

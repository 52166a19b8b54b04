"""Verdicts from the samples of many photos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import sensor
import whole_frames
from hotpixeld.detection import evidence, verdict
from hotpixeld.detection.evidence import Conditions
from hotpixeld.detection.score_test import Axis
from hotpixeld.statistics.contrast import LUMA

if TYPE_CHECKING:
    from hotpixeld.detection.evidence import Samples

PIXELS = 12_000_000


def samples_of(
    camera: sensor.Sensor, photos: int, sites: np.ndarray, start: int = 0
) -> tuple[Samples, Samples]:
    controls = evidence.controls(camera.height, camera.width, 256)
    asked = np.concatenate([sites, controls])
    rows = [whole_frames.sample(frame, asked) for frame in camera.frames(photos, start)]
    both = np.stack(rows)
    return both[:, : len(sites)], both[:, len(sites) :]


def suspects_of(camera: sensor.Sensor, extra: int = 200) -> np.ndarray:
    """The planted places first, then ordinary ones."""
    places = [(one.row, one.col) for one in camera.defects]
    rng = np.random.default_rng(9)
    others = np.stack(
        [
            rng.integers(camera.height, size=extra),
            rng.integers(camera.width, size=extra),
        ],
        axis=1,
    )
    return np.array([*places, *others.tolist()], np.intp)


def judged(camera: sensor.Sensor, photos: int) -> verdict.Verdicts:
    suspects, controls = samples_of(camera, photos, suspects_of(camera))
    return verdict.judge(suspects, controls, PIXELS)


def test_defects_of_every_kind_are_listed_and_nothing_else() -> None:
    defects = (
        sensor.Planted(60, 70, 25),
        sensor.Planted(150, 300, 30, radius=2),
        sensor.Planted(220, 90, 0, kind="dead"),
        sensor.Planted(300, 400, 200, kind="stuck"),
        sensor.Planted(350, 500, 60, tint=(0.3, 0.05, 1.0)),
        sensor.Planted(0, 559, 40),
    )

    verdicts = judged(sensor.Sensor(seed=1, defects=defects), 24)

    assert np.flatnonzero(verdicts.listed).tolist() == [0, 1, 2, 3, 4, 5]


def test_what_adds_as_much_as_it_takes_away_is_listed() -> None:
    """Its mean is that of its surroundings; what an eye sees is how far it is off them."""
    stuck = sensor.Planted(300, 400, 110, kind="stuck")

    verdicts = judged(sensor.Sensor(seed=1, defects=(stuck,)), 24)

    assert np.flatnonzero(verdicts.listed).tolist() == [0]
    assert verdicts.size[0] > 3 * abs(verdicts.amplitude[0] @ LUMA)


@pytest.mark.parametrize("seed", [2, 3])
def test_a_perfect_sensor_is_silent(seed: int) -> None:
    verdicts = judged(sensor.Sensor(seed=seed), 24)

    assert not verdicts.listed.any()
    assert verdicts.scenes > 20


def test_a_scene_that_never_changes_gives_no_verdict() -> None:
    verdicts = judged(sensor.Sensor(seed=4, scenes=1), 30)

    assert not verdicts.listed.any()
    assert verdicts.scenes < 8


def test_the_score_is_calibrated_on_chance() -> None:
    """Scores of ordinary sites stay below what a Gaussian would reach."""
    verdicts = judged(sensor.Sensor(seed=5), 30)

    assert (verdicts.score > 2).mean() < 0.03
    assert verdicts.score.max() < 4.5


def test_a_few_photos_prove_nothing() -> None:
    camera = sensor.Sensor(seed=6, defects=(sensor.Planted(60, 70, 60),))

    assert not judged(camera, 4).listed.any()


def test_one_photo_alone_never_makes_a_defect() -> None:
    flash = sensor.Planted(60, 70, 150, onset=5, until=7)

    verdicts = judged(sensor.Sensor(seed=7, defects=(flash,)), 24)

    assert not verdicts.listed.any()


def test_what_shows_at_long_exposures_only_is_listed_when_it_glares() -> None:
    """Every third photo is a long exposure; one defect is in the others, too, but weaker."""
    glaring, warm, weaker = (120, 210), (300, 100), (220, 400)
    exposure = np.array([1.0 if index % 3 == 0 else 0.01 for index in range(30)])
    peaks = {1.0: (60, 24, 30), 0.01: (0, 0, 15)}
    cameras = {
        seconds: sensor.Sensor(
            seed=10,
            defects=tuple(
                sensor.Planted(*place, peak)
                for place, peak in zip((glaring, warm, weaker), three, strict=True)
                if peak
            ),
        )
        for seconds, three in peaks.items()
    }
    controls = evidence.controls(400, 560, 256)
    ordinary = suspects_of(sensor.Sensor())
    asked = np.concatenate([np.array([glaring, warm, weaker]), ordinary, controls])
    both = np.stack(
        [
            whole_frames.sample(cameras[seconds].frame(index), asked)
            for index, seconds in enumerate(exposure.tolist())
        ]
    )
    conditions = Conditions(exposure, np.zeros(30), np.full(30, np.nan))

    verdicts = verdict.judge(both[:, :-256], both[:, -256:], PIXELS, conditions)

    assert np.flatnonzero(verdicts.listed).tolist() == [0, 2]
    assert verdicts.false_alarms[1] < verdict.FALSE_ALARMS, "it is there, a little warm"
    assert np.array_equal(verdicts.shown[:, 0], exposure == 1)


def test_a_defect_that_the_zoom_moves_is_listed_for_its_focal_lengths() -> None:
    """At 17 mm the lens correction has it elsewhere."""
    place, moved = (120, 210), (131, 229)
    healthy = sensor.Sensor(seed=13)
    cameras = {
        focal: sensor.Sensor(seed=13, defects=(sensor.Planted(*where, 30),))
        for focal, where in ((4.3, place), (17.0, moved))
    }
    controls = evidence.controls(healthy.height, healthy.width, 256)
    asked = np.concatenate([np.array([place, moved]), suspects_of(healthy), controls])
    focal = np.array([4.3 if index % 4 else 17.0 for index in range(32)])
    both = np.stack(
        [
            whole_frames.sample(cameras[length].frame(index), asked)
            for index, length in enumerate(focal.tolist())
        ]
    )
    conditions = Conditions(np.zeros(32), focal, np.full(32, np.nan))

    verdicts = verdict.judge(both[:, :-256], both[:, -256:], PIXELS, conditions)

    assert np.flatnonzero(verdicts.listed).tolist() == [0, 1]
    assert (verdicts.axis[:2] == Axis.FOCAL).all()
    assert np.array_equal(verdicts.shown[:, 0], focal == 4.3)
    assert np.array_equal(verdicts.shown[:, 1], focal == 17)


def test_burned_in_marks_share_one_vote() -> None:
    camera = sensor.Sensor(seed=12)
    frames = [frame.copy() for frame in camera.frames(24)]
    for frame in frames:
        frame[100:130, 100:200] = 0
        frame[115, 150] = 255
    controls = evidence.controls(camera.height, camera.width, 256)
    asked = np.concatenate([np.array([(115, 150)]), suspects_of(camera, 64), controls])
    both = np.stack([whole_frames.sample(frame, asked) for frame in frames])

    verdicts = verdict.judge(both[:, :-256], both[:, -256:], PIXELS)

    assert not verdicts.listed.any()

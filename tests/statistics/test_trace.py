"""The trace: what all photos together tell about every pixel."""

from __future__ import annotations

import numpy as np
import pytest

import sensor
from hotpixeld.detection import evidence, suspects
from hotpixeld.statistics import peaks
from hotpixeld.statistics import trace as statistics_trace
from hotpixeld.statistics.trace import Trace
from hotpixeld.statistics.welford import State


def told(camera: sensor.Sensor, photos: int) -> Trace:
    trace = Trace.empty(camera.height, camera.width)
    for frame in camera.frames(photos):
        trace.tell(frame)
    return trace


def test_the_compiled_telling_agrees_with_numpy_to_the_bit() -> None:
    if statistics_trace._compiled() is None:
        pytest.skip("the package was built without a compiler")
    camera = sensor.Sensor(height=101, width=87, seed=1)
    one, other = Trace.empty(101, 87), Trace.empty(101, 87)

    for frame in camera.frames(statistics_trace.WHOLE + 2 * statistics_trace.BANDS):
        statistics_trace.tell_in_numpy(other, frame, *other.next_band())
        other.photos += 1
        one.tell(frame)

    np.testing.assert_array_equal(one.total, other.total)
    np.testing.assert_array_equal(one.telling, other.telling)


def test_a_photo_is_told_as_it_is_sampled() -> None:
    """Sum over photos of the bounded residual over the variance, as evidence has them."""
    camera = sensor.Sensor(height=120, width=160, seed=2, texture=4)
    whole = told(camera, 5)
    sites = evidence.controls(120, 160, 300)
    sites = sites[
        (sites % statistics_trace.CELL == 0).all(axis=1) & (sites > 8).all(axis=1)
    ]
    expected = np.zeros(len(sites))
    for frame in camera.frames(5):
        sample = evidence.sample(frame, sites)
        spread = np.hypot(sample["spread"].astype(float), statistics_trace.LEAST_SPREAD)
        ratio = np.clip(
            sample["residual"] / spread, -statistics_trace.BOUND, statistics_trace.BOUND
        )
        expected += np.where(sample["clipped"] < 64, ratio / spread, 0)

    got = whole.total[tuple(sites.T)] / statistics_trace.UNIT
    assert len(sites) > 10
    assert np.corrcoef(got, expected)[0, 1] > 0.99


def test_its_ratio_is_that_of_a_gaussian_where_there_is_nothing() -> None:
    """The perfect sensor's ratios have a standard deviation of 1, and no long tail."""
    ratio = (
        told(sensor.Sensor(seed=3, noise=4.0), 16).plane() / statistics_trace.SNR_STEPS
    )

    assert ratio.std() == pytest.approx(1, abs=0.15)
    assert np.abs(ratio).max() < 7


def test_a_weak_defect_of_smooth_photos_is_among_the_first_suspects() -> None:
    """Of 8 levels, where the mean of so few photos is full of scenes."""
    defects = sensor.scattered(8, 400, 560, seed=4, levels=(8,))
    camera = sensor.Sensor(seed=4, defects=defects)

    sites = statistics_trace.suspects(told(camera, 16), 40).sites

    found = [
        (np.abs(sites - (one.row, one.col)).max(axis=1) <= 1).any() for one in defects
    ]
    assert sum(found) >= 7


def test_after_the_first_photos_a_photo_tells_one_band() -> None:
    camera = sensor.Sensor(height=160, width=120, seed=5)
    trace_ = told(camera, statistics_trace.WHOLE)
    before = trace_.total.copy()
    changed = []
    for frame in camera.frames(statistics_trace.BANDS, start=99):
        trace_.tell(frame)
        rows = np.flatnonzero((trace_.total != before).any(axis=1))
        changed.append(rows)
        before = trace_.total.copy()

    assert (
        max(len(rows) for rows in changed)
        <= 160 / statistics_trace.BANDS + statistics_trace.CELL
    )
    assert np.array_equal(np.sort(np.concatenate(changed)), np.arange(160))


def test_it_forgets_so_that_a_new_defect_stands_out_soon() -> None:
    defects = sensor.scattered(8, 120, 160, seed=6, levels=(25,))
    places = tuple(np.array([(one.row, one.col) for one in defects]).T)
    healthy = sensor.Sensor(height=120, width=160, seed=6)
    ill = sensor.Sensor(height=120, width=160, seed=6, defects=defects)
    trace_ = told(healthy, 80)
    before = np.median(trace_.plane()[places]) / statistics_trace.SNR_STEPS

    for frame in ill.frames(8 * statistics_trace.BANDS, start=80):
        trace_.tell(frame)

    assert before < 2
    assert np.median(trace_.plane()[places]) > 4 * statistics_trace.SNR_STEPS


def test_what_glares_tells_nothing() -> None:
    frame = np.full((96, 96, 3), 255, np.uint8)
    trace_ = Trace.empty(96, 96)
    trace_.tell(frame)

    assert not trace_.telling.any()
    assert not trace_.plane().any()


def test_a_frame_of_another_shape_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"frame is \(90, 96, 3\), trace is \(96, 90, 3\)"
    ):
        Trace.empty(96, 90).tell(np.zeros((90, 96, 3), np.uint8))


def test_a_frame_too_small_for_a_neighbourhood_has_no_suspects() -> None:
    small = Trace.empty(40, 50)
    small.tell(np.zeros((40, 50, 3), np.uint8))

    assert len(statistics_trace.suspects(small, 10).sites) == 0


def test_suspects_come_by_mean_and_by_trace_without_repeating() -> None:
    defects = sensor.scattered(6, 400, 560, seed=7, levels=(60,))
    camera = sensor.Sensor(seed=7, defects=defects)
    state = State.empty(400, 560)
    for frame in camera.frames(20):
        state.fold(frame)
    sites = suspects.nominated(state, told(camera, 20))
    strong = [(one.row, one.col) for one in defects]
    times = [
        int((np.abs(sites - place).max(axis=1) <= suspects.APART).sum())
        for place in strong
    ]

    assert times == [1] * 6
    assert len(sites) <= suspects.BY_TRACE + suspects.BY_MEAN


def test_bars_and_what_never_changes_are_no_suspects() -> None:
    camera = sensor.Sensor(seed=8)
    state, trace_ = State.empty(400, 560), Trace.empty(400, 560)
    for frame in camera.frames(12):
        marked = frame.copy()
        marked[370:] = 0
        marked[385, 100:500:9] = 200
        marked[100:104, 40:520:24] = 250  # on the scene: it changes around them
        state.fold(marked)
        trace_.tell(marked)
    sites = suspects.nominated(state, trace_)

    assert not (sites[:, 0] > 366).any()
    assert len(sites) > peaks.BLOCK

"""The trace: the signal-to-noise ratio of every pixel over all photos."""

from __future__ import annotations

import numpy as np
import pytest

import sensor
import whole_frames
from hotpixeld.detection import evidence
from hotpixeld.statistics import contrast, generation
from hotpixeld.statistics import trace as statistics_trace
from whole_frames import Trace


def traced(camera: sensor.Sensor, photos: int) -> Trace:
    trace = Trace.empty(camera.height, camera.width)
    for frame in camera.frames(photos):
        trace.add(frame)
    return trace


def add_in_numpy(trace: Trace, frame: np.ndarray) -> None:
    """Add a photo to a trace: what trace.c does, in numpy."""
    first, last, decay = generation.band(trace.photos, len(trace.total))
    height = len(trace.total)
    scale, least, bound, white = statistics_trace.telling_numbers()
    rows = np.abs(np.arange(first - contrast.WINDOW, last + contrast.WINDOW))
    rows = np.where(rows >= height, 2 * height - 2 - rows, rows)
    luma = contrast.luma_of(*np.moveaxis(frame[rows].astype(np.int16), 2, 0))
    excess, border = contrast.contrast(np.pad(luma, ((0, 0), (2, 2)), mode="reflect"))
    # Sizes in sixths of a level, up to 64 levels.
    size = np.minimum((np.abs(excess) + 8) >> 4, 384)
    size = np.pad(size, ((0, 0), (4, 4)), mode="reflect")
    near = contrast.box(size, 4) - contrast.box(size[2:-2, 2:-2], 2)
    spread = near * scale
    square = spread * spread + least
    part = slice(contrast.WINDOW - 2, contrast.WINDOW - 2 + last - first)
    weight = np.where(border[part] < white, 1 / square, 0).astype(np.float32)
    ratio = excess[part] * np.float32(1 / contrast.UNIT) * weight
    most = bound * np.sqrt(weight)
    total = trace.total[first:last] * np.float32(decay)
    total += np.clip(ratio, -most, most) * statistics_trace.UNIT
    limit = np.iinfo(np.int16).max
    total = np.clip(total, -limit, limit)
    trace.total[first:last] = np.trunc(total + np.copysign(np.float32(0.5), total))
    cells = trace.information[
        first // statistics_trace.CELL : -(-last // statistics_trace.CELL)
    ]
    cells *= np.float32(decay)
    cells *= np.float32(decay)
    cells += weight[:: statistics_trace.CELL, :: statistics_trace.CELL]
    trace.photos += 1


def test_the_compiled_loop_agrees_with_numpy_to_the_bit() -> None:
    camera = sensor.Sensor(height=101, width=87, seed=1)
    one, other = Trace.empty(101, 87), Trace.empty(101, 87)

    for frame in camera.frames(statistics_trace.WHOLE + 2 * statistics_trace.BANDS):
        add_in_numpy(other, frame)
        one.add(frame)

    np.testing.assert_array_equal(one.total, other.total)
    np.testing.assert_array_equal(one.information, other.information)


def test_the_trace_sums_what_samples_hold() -> None:
    """Sum over photos of the bounded residual over the variance, as evidence has them."""
    camera = sensor.Sensor(height=120, width=160, seed=2, texture=4)
    whole = traced(camera, 5)
    sites = evidence.controls(120, 160, 300)
    sites = sites[
        (sites % statistics_trace.CELL == 0).all(axis=1) & (sites > 8).all(axis=1)
    ]
    expected = np.zeros(len(sites))
    for frame in camera.frames(5):
        sample = whole_frames.sample(frame, sites)
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
        traced(sensor.Sensor(seed=3, noise=4.0), 16).plane() / statistics_trace.SNR_UNIT
    )

    assert ratio.std() == pytest.approx(1, abs=0.15)
    assert np.abs(ratio).max() < 7


def test_a_weak_defect_of_smooth_photos_is_among_the_first_suspects() -> None:
    """Of 8 levels, where the mean of so few photos is full of scenes."""
    defects = sensor.scattered(8, 400, 560, seed=4, levels=(8,))
    camera = sensor.Sensor(seed=4, defects=defects)

    sites = traced(camera, 16).suspects(40).sites

    found = [
        (np.abs(sites - (one.row, one.col)).max(axis=1) <= 1).any() for one in defects
    ]
    assert sum(found) >= 7


def test_after_the_first_photos_one_is_added_to_one_band() -> None:
    camera = sensor.Sensor(height=160, width=120, seed=5)
    trace_ = traced(camera, statistics_trace.WHOLE)
    before = trace_.total.copy()
    changed = []
    for frame in camera.frames(statistics_trace.BANDS, start=99):
        trace_.add(frame)
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
    trace_ = traced(healthy, 80)
    before = np.median(trace_.plane()[places]) / statistics_trace.SNR_UNIT

    for frame in ill.frames(8 * statistics_trace.BANDS, start=80):
        trace_.add(frame)

    assert before < 2
    assert np.median(trace_.plane()[places]) > 4 * statistics_trace.SNR_UNIT


def test_what_glares_does_not_count() -> None:
    frame = np.full((96, 96, 3), 255, np.uint8)
    trace_ = Trace.empty(96, 96)
    trace_.add(frame)

    assert not trace_.information.any()
    assert not trace_.plane().any()


def test_a_frame_too_small_for_a_neighbourhood_has_no_suspects() -> None:
    small = Trace.empty(40, 50)
    small.add(np.zeros((40, 50, 3), np.uint8))

    assert len(small.suspects(10).sites) == 0

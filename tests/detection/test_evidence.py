"""What one photo shows at suspects."""

from __future__ import annotations

import numpy as np
import pytest

import sensor
import whole_frames
from hotpixeld.detection import evidence


def field(value: float, height: int = 40, width: int = 53) -> np.ndarray:
    rng = np.random.default_rng(1)
    levels = rng.normal(value, 2, (height, width, 1)).repeat(3, axis=2)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def at(*places: tuple[int, int]) -> np.ndarray:
    return np.array(places, np.intp)


def test_a_sample_is_the_excess_over_the_surroundings_and_their_spread() -> None:
    frame = field(100)
    frame[20, 30] = 160

    one, other = whole_frames.sample(frame, at((20, 30), (10, 12)))

    assert one["peak"] == pytest.approx(np.full(3, 60), abs=6)
    # Two sixths of the contrast are the site's own.
    assert one["residual"] == pytest.approx(60 / 3, abs=3)
    # Of white noise of 2: the root of 8 / 36 + 1 / 16, times 2.
    assert one["spread"] == pytest.approx(1.07, abs=0.4)
    assert other["residual"] == pytest.approx(0, abs=4)
    assert float(one["level"]) == pytest.approx(100, abs=3)


def test_the_spread_is_that_of_the_contrast_at_ordinary_places() -> None:
    frame = field(120, 400, 560)
    samples = whole_frames.sample(frame, evidence.controls(400, 560, 2000))

    ratio = samples["residual"].astype(float) / samples["spread"]

    assert np.sqrt((ratio**2).mean()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("place", [(0, 20), (39, 30), (0, 0), (39, 55)])
def test_the_spread_is_right_at_edges_and_corners(place: tuple[int, int]) -> None:
    ratios = []
    for seed in range(300):
        levels = np.random.default_rng(seed).normal(120, 4, (40, 56))
        frame = np.rint(levels).astype(np.uint8)[..., None].repeat(3, axis=2)
        (one,) = whole_frames.sample(frame, at(place))
        ratios.append(float(one["residual"]) / float(one["spread"]))

    assert np.std(ratios) == pytest.approx(1, abs=0.25)


def test_a_colour_shows_in_its_channel() -> None:
    frame = field(100)
    frame[20, 30, 2] = 200

    (one,) = whole_frames.sample(frame, at((20, 30)))

    assert one["peak"][2] == pytest.approx(100, abs=6)
    assert np.abs(one["peak"][:2]).max() < 6


def test_surroundings_are_known_again_in_another_light() -> None:
    camera = sensor.Sensor(seed=2, scenes=1, noise=0.0)
    frame = camera.frame(0)
    darker = np.rint(frame * 0.8).astype(np.uint8)
    other = sensor.Sensor(seed=3, noise=0.0).frame(0)
    sites = evidence.controls(400, 560, 200)
    bits, again, strange = (
        whole_frames.sample(one, sites)["pattern"] for one in (frame, darker, other)
    )

    assert np.median(np.bitwise_count(bits ^ again)) <= 1
    assert np.median(np.bitwise_count(bits ^ strange)) > 4


def test_slopes_and_edges_leave_no_residual() -> None:
    y, x = np.mgrid[:40, :53]
    frame = np.rint(2.0 * x + y).astype(np.uint8)[..., None].repeat(3, axis=2)

    (one,) = whole_frames.sample(frame, at((20, 30)))

    assert abs(float(one["residual"])) < 0.5


@pytest.mark.parametrize("place", [(0, 0), (39, 52), (0, 20), (17, 52)])
def test_corners_and_edges_are_sampled_too(place: tuple[int, int]) -> None:
    frame = field(100)
    frame[place] = 180

    (one,) = whole_frames.sample(frame, at(place))

    assert one["peak"][1] == pytest.approx(80, abs=12)
    assert one["residual"] > 20


def test_clipped_highlights_are_no_black() -> None:
    frame = field(3)
    frame[:, 26:] = 255

    dark, white = whole_frames.sample(frame, at((20, 5), (20, 45)))

    assert dark["clipped"] == 0
    assert white["clipped"] == 255


def test_many_sites_are_sampled_like_one_alone_and_the_frame_stays() -> None:
    frame = sensor.Sensor(seed=3).frame(0)
    before = frame.copy()
    sites = evidence.controls(400, 560, 300)

    together = whole_frames.sample(frame, sites)
    alone = [
        whole_frames.sample(frame, sites[index : index + 1])[0]
        for index in (0, 150, 299)
    ]

    assert [together[index] for index in (0, 150, 299)] == alone
    assert np.array_equal(frame, before)


@pytest.mark.parametrize(("height", "width"), [(13, 13), (13, 40), (31, 14), (40, 53)])
def test_windows_are_sampled_as_their_whole_frame_is(height: int, width: int) -> None:
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    sites = np.argwhere(np.ones((height, width)))
    windows = np.array(
        [
            frame[row : row + evidence.SIDE, col : col + evidence.SIDE]
            for row, col in evidence.corners(height, width, sites)
        ]
    )

    found = evidence.sample_windows(windows, height, width, sites)

    assert np.array_equal(found, whole_frames.sample(frame, sites))


def test_a_sample_takes_fourteen_bytes() -> None:
    assert evidence.SAMPLE.itemsize == 14


def test_the_controls_of_a_size_are_always_the_same_and_inside() -> None:
    sites = evidence.controls(30, 50)

    assert np.array_equal(sites, evidence.controls(30, 50))
    assert sites.min() >= 0
    assert (sites.max(axis=0) < (30, 50)).all()

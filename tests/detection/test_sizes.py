"""Where a sensor site of one size lies in another size of the same body."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from hotpixeld.detection import sizes


def test_scaled_frames_have_pixel_edges_upon_each_other() -> None:
    """As measured on a camera: x' = 1.35 x + 0.175."""
    found = sizes.scaling((1920, 2880), (2592, 3888))

    assert found is not None
    assert found.scale == pytest.approx(1.35)
    np.testing.assert_allclose(found.places(np.array([[0, 100]])), [[0.175, 135.175]])


@pytest.mark.parametrize(
    ("size", "other", "crop"),
    [
        ((600, 900), (300, 450), (0, 0, 900, 600)),
        ((600, 900), (338, 600), (0, 46.5, 900, 553.5)),  # 16:9 of 3:2
        ((600, 900), (300, 300), (150, 0, 750, 600)),  # 1:1
        ((600, 800), (450, 800), (0, 75, 800, 525)),  # 16:9 of 4:3, not scaled
    ],
)
def test_a_site_lies_where_a_camera_that_crops_and_scales_shows_it(
    size: tuple[int, int],
    other: tuple[int, int],
    crop: tuple[float, float, float, float],
) -> None:
    rng = np.random.default_rng(3)
    scaling = sizes.scaling(size, other)
    assert scaling is not None
    for row, col in rng.integers((160, 200), (440, 600), (20, 2)).tolist():
        light = np.zeros(size, np.float32)
        light[row, col] = 1000
        scaled = Image.fromarray(light).resize(
            other[::-1], Image.Resampling.LANCZOS, crop
        )
        brightest = np.unravel_index(np.asarray(scaled).argmax(), other)
        (place,) = scaling.places(np.array([[row, col]]))
        pixels = scaling.pixels((float(place[0]), float(place[1])))

        assert (int(brightest[0]), int(brightest[1])) in pixels
        assert len(pixels) <= 16


def test_the_way_back_is_the_way_there() -> None:
    sites = np.array([[30, 40], [200, 410]])
    for there, back in [((600, 900), (338, 600)), ((600, 900), (300, 450))]:
        one, two = sizes.scaling(there, back), sizes.scaling(back, there)
        assert one is not None
        assert two is not None

        np.testing.assert_allclose(two.places(one.places(sites)), sites)


@pytest.mark.parametrize(
    ("size", "other"),
    [
        ((600, 900), (900, 600)),  # on its side
        ((600, 900), (480, 640)),  # a 4:3 crop of a 3:2 sensor, or the other way round
        ((506, 900), (600, 600)),  # crops both, of a frame that is not known
        ((600, 900), (2400, 3600)),  # four pixels wide, each site
    ],
)
def test_where_the_sizes_do_not_tell_nothing_is_said(
    size: tuple[int, int], other: tuple[int, int]
) -> None:
    assert sizes.scaling(size, other) is None


def test_a_rounded_size_leaves_more_pixels_to_look_at() -> None:
    """Canon's medium size of 4272x2848 is 3088x2056, 2.7 rows short."""
    scaling = sizes.scaling((2848, 4272), (2056, 3088))
    assert scaling is not None
    pixels = scaling.pixels((1000.0, 1000.25))
    rows, cols = ({at[axis] for at in pixels} for axis in (0, 1))

    assert (len(rows), len(cols)) == (5, 2)

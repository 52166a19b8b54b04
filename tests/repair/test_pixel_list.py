"""Which defects a photo shows."""

from __future__ import annotations

import numpy as np
import pytest

from hotpixeld.defect import Defect, Kind
from hotpixeld.repair import pixel_list


def frame(texture: float, seed: int = 0) -> np.ndarray:
    """Return a slanted plane of light with noise of this standard deviation."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:40, :60]
    light = 60 + 0.7 * x + 0.4 * y
    levels = light[..., None] + rng.normal(scale=texture, size=(40, 60, 3))
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)


def test_a_defect_in_smooth_light_is_visible_and_measured() -> None:
    photo = frame(0.7)
    photo[20, 30] += 25
    above, spread = pixel_list.prominence(photo, Defect(row=20, col=30))

    assert pixel_list.is_visible(photo, Defect(row=20, col=30))
    np.testing.assert_allclose(above, 25, atol=3)
    assert (spread < 2).all()


def test_a_slope_alone_is_no_defect() -> None:
    photo = frame(0.0)
    places = [(20, 30), (0, 0), (39, 59), (0, 30), (20, 59)]

    assert not any(
        pixel_list.is_visible(photo, Defect(row=row, col=col)) for row, col in places
    )


def test_texture_hides_what_smooth_light_shows() -> None:
    shown = [frame(texture, seed=3) for texture in (0.7, 15.0)]
    for photo in shown:
        photo[20, 30] += 12
    seen = [pixel_list.is_visible(photo, Defect(row=20, col=30)) for photo in shown]

    assert seen == [True, False]


@pytest.mark.parametrize(
    ("kind", "level", "visible"),
    [
        (Kind.HOT, 200, True),
        (Kind.HOT, 0, False),
        (Kind.DEAD, 0, True),
        (Kind.DEAD, 200, False),
        (Kind.STUCK, 200, True),
        (Kind.STUCK, 0, True),
    ],
)
def test_the_sign_must_be_that_of_the_kind(
    kind: Kind, level: int, *, visible: bool
) -> None:
    photo = frame(0.7)
    photo[20, 30] = level

    assert pixel_list.is_visible(photo, Defect(row=20, col=30, kind=kind)) is visible


def test_a_single_colour_is_enough() -> None:
    photo = frame(0.7)
    photo[20, 30, 2] += 40

    assert pixel_list.is_visible(photo, Defect(row=20, col=30))


def test_a_defect_outside_the_frame_is_not_visible() -> None:
    inside = Defect(row=20, col=30)
    photo = frame(0.7)
    photo[20, 30] = 255

    assert pixel_list.visible(photo, [inside, Defect(row=40, col=3)]) == (inside,)

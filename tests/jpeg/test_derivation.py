"""Whether one photo was made of another: of what was saved again, not of what is alike."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from hotpixeld.jpeg import derivation
from hotpixeld.jpeg.derivation import NO_TURN, TURNS, Turn, agreement
from jpegs import Sampling, jpeg, planted, scene, turned

FRAME = scene(203, 282)
PHOTO = jpeg(FRAME)


def saved(change: Turn, quality: int) -> bytes:
    """Return the photo as a program saves it again that decodes and turns it."""
    with Image.open(io.BytesIO(PHOTO)) as image:
        levels = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    return jpeg(
        np.ascontiguousarray(change.apply(levels).transpose(1, 2, 0)), quality=quality
    )


@pytest.mark.parametrize("quality", [50, 75, 85, 92, 98])
@pytest.mark.parametrize("turn", TURNS)
def test_what_was_saved_again_follows_whatever_its_steps(
    turn: Turn, quality: int
) -> None:
    version = saved(turn, quality)
    forth, back = agreement(version, PHOTO), agreement(PHOTO, version)

    assert forth.follows
    assert forth.turn == turn
    assert back.follows or quality < 98


@pytest.mark.parametrize("how", ["mirror", "rotate 90", "rotate 180"])
@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0", "grey"])
def test_what_was_turned_without_loss_follows(how: str, sampling: Sampling) -> None:
    """Blocks at the edge stay where they are if their MCU is not whole."""
    photo = jpeg(FRAME, sampling)
    found = agreement(turned(photo, how), photo)

    assert found.follows
    assert found.turn != NO_TURN


def test_the_next_photo_of_the_same_scene_does_not() -> None:
    """Light and place are the same to the last bit, and the noise is another."""
    for quality in (75, 92, 98):
        photo = jpeg(FRAME, quality=quality)
        for seed in range(1, 9):
            found = agreement(jpeg(scene(203, 282, seed), quality=quality), photo)

            assert not found.follows


def test_a_few_other_blocks_coded_anew_are_a_recoded_photo() -> None:
    other = jpeg(planted(FRAME, 50, 60), progressive=True)
    found = agreement(other, PHOTO)

    assert found.is_recoded
    assert found.follows
    assert not agreement(saved(NO_TURN, 75), PHOTO).is_recoded


def test_black_frames_and_other_sizes_agree_in_nothing() -> None:
    black = jpeg(np.zeros((203, 282, 3), np.uint8))
    tiny = jpeg(FRAME[:32, :40])

    assert agreement(black, black).share == 0.0
    assert agreement(PHOTO, jpeg(FRAME[:200])).share == 0.0
    assert agreement(tiny, tiny).share == 0.0


def test_a_spot_is_sharp() -> None:
    spotted = jpeg(planted(FRAME, 50, 60))
    places = [(50 // 8, 60 // 8)]

    assert derivation.curvature(spotted, places) > derivation.curvature(PHOTO, places)

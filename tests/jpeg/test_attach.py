from __future__ import annotations

from typing import Literal

import pytest

import jpegs
from hotpixeld.jpeg import attach, markers

SMALL = jpegs.jpeg(jpegs.scene(24, 40), quality=60)
LARGE = jpegs.jpeg(jpegs.scene(24, 40), quality=90)
SECOND = jpegs.jpeg(jpegs.scene(8, 16))


def test_a_longer_image_moves_the_second_one_and_the_offset_to_it() -> None:
    source = jpegs.with_second_image(SMALL, SECOND)

    out, notes = attach.spliced(source, markers.parse(source), LARGE)

    assert len(out) > len(source)
    assert notes == (
        f"offsets in the MPF index moved by {len(out) - len(source)} bytes",
    )
    assert out[jpegs.second_image_offset(out) :] == SECOND


def test_a_shorter_image_is_filled_up_before_its_end() -> None:
    source = jpegs.with_second_image(LARGE, SECOND)

    out, notes = attach.spliced(source, markers.parse(source), SMALL)

    assert len(out) == len(source)
    assert notes == ()
    assert out[jpegs.second_image_offset(out) :] == SECOND
    assert markers.parse(out).eoi == markers.parse(source).eoi


def test_without_a_tail_nothing_is_filled_up() -> None:
    out, _ = attach.spliced(LARGE, markers.parse(LARGE), SMALL)

    assert len(out) < len(LARGE)


@pytest.mark.parametrize("order", ["big", "little"])
def test_a_preview_found_by_an_offset_elsewhere_must_not_move(
    order: Literal["big", "little"],
) -> None:
    place = len(SMALL) + 12
    note = jpegs.app(0xE5, place.to_bytes(4, order) + b"1234")
    source = jpegs.with_segment(SMALL, note) + SECOND

    with pytest.raises(attach.OffsetError, match="found by its offset"):
        attach.spliced(source, markers.parse(source), LARGE)


def test_bytes_that_nothing_points_to_may_move() -> None:
    source = SMALL + b"a note from the camera" * 4

    out, notes = attach.spliced(source, markers.parse(source), LARGE)

    assert out.endswith(b"a note from the camera" * 4)
    assert notes == ()

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

    out = attach.spliced(source, markers.parse(source), LARGE)

    assert out.moved == len(out.data) - len(source) > 0
    assert out.notes == (f"offsets in the MPF index moved by {out.moved} bytes",)
    assert out.data[jpegs.second_image_offset(out.data) :] == SECOND


def test_a_shorter_image_is_filled_up_before_its_end() -> None:
    source = jpegs.with_second_image(LARGE, SECOND)

    out = attach.spliced(source, markers.parse(source), SMALL)

    assert len(out.data) == len(source)
    assert (out.notes, out.fill_bytes) == ((), len(LARGE) - len(SMALL))
    assert out.data[jpegs.second_image_offset(out.data) :] == SECOND
    assert markers.parse(out.data).eoi == markers.parse(source).eoi


def test_without_a_tail_nothing_is_filled_up() -> None:
    out = attach.spliced(LARGE, markers.parse(LARGE), SMALL)

    assert len(out.data) < len(LARGE)
    assert out.fill_bytes == 0


@pytest.mark.parametrize(("before", "after"), [(SMALL, LARGE), (LARGE, SMALL)])
def test_what_was_attached_is_detached(before: bytes, after: bytes) -> None:
    source = jpegs.with_second_image(before, SECOND)
    structure = markers.parse(source)
    new = jpegs.with_second_image(after, SECOND)
    index = new.index(b"MPF\0")
    # The index as the source has it.
    length = structure.segments[0].length - 4
    new = new[:index] + source[index : index + length] + new[index + length :]

    out = attach.attached(source, structure, new)

    assert out.data != new
    assert attach.detached(out) == new


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

    out = attach.spliced(source, markers.parse(source), LARGE)

    assert out.data.endswith(b"a note from the camera" * 4)
    assert out.notes == ()

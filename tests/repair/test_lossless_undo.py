"""What is kept of an original gives it back, to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jpegs
from hotpixeld.defect import Defect
from hotpixeld.errors import RefusedError
from hotpixeld.repair import lossless, reencode

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

FRAME = jpegs.planted(jpegs.planted(jpegs.scene(95, 141), 20, 24), 70, 100)
DEFECTS = [Defect(20, 24), Defect(70, 100)]
SECOND = jpegs.jpeg(jpegs.scene(8, 16))


def dark(level: int) -> bytes:
    """Return a photo whose one defect hides under `level` before its repair."""
    frame = np.full((48, 64, 3), 60, np.uint8)
    frame[20, 24] = level
    return jpegs.jpeg(frame, "4:2:0", trailing=b"trailer")


@st.composite
def photos(draw: DrawFn) -> bytes:
    """Draw a coding, and what follows the image."""
    data = jpegs.jpeg(
        FRAME,
        draw(st.sampled_from(["4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey"])),
        quality=draw(st.integers(40, 98)),
        optimise=draw(st.booleans()),
        restart_blocks=draw(st.sampled_from([0, 0, 1, 5])),
    )
    if draw(st.booleans()):
        return jpegs.with_second_image(data, SECOND)
    return data + draw(st.binary(max_size=40))


@given(photos())
@settings(max_examples=100, deadline=None)
def test_a_copy_leads_back_to_its_original(data: bytes) -> None:
    try:
        repaired = lossless.repaired(data, DEFECTS)
    except RefusedError:  # bytes behind the image happen to look like an offset
        return
    way = lossless.way_back(repaired)
    if way is None:  # the tables lack a code
        assert repaired.notes
        return

    assert repaired.data != data
    assert lossless.original(repaired.data, way) == data


def test_fill_bytes_and_moved_offsets_are_led_back() -> None:
    fills, moves = set(), set()
    for level in range(62, 256, 3):
        frame = np.random.default_rng(level).integers(50, 70, (48, 64, 3), np.uint8)
        frame[20, 24] = level
        data = jpegs.with_second_image(jpegs.jpeg(frame, "4:2:0"), SECOND)
        repaired = lossless.repaired(data, DEFECTS[:1], fill="neighbours")
        if repaired.patch is None:
            continue
        fills.add(repaired.patch.fill_bytes)
        moves.add(repaired.patch.moved)
        way = lossless.way_back(repaired)

        assert way is not None
        assert lossless.original(repaired.data, way) == data

    assert max(fills) > 0
    assert max(moves) > 0


def test_a_photo_without_a_visible_defect_is_its_own_original() -> None:
    data = dark(60)
    repaired = lossless.repaired(data, DEFECTS[:1])

    assert repaired.data == data
    assert lossless.way_back(repaired) == b""
    assert lossless.original(data, b"") == data


def test_scans_that_were_coded_anew_cannot_be_led_back() -> None:
    progressive = jpegs.jpeg(FRAME, progressive=True)

    assert lossless.way_back(lossless.repaired(progressive, DEFECTS)) is None
    assert lossless.way_back(reencode.reencoded(jpegs.jpeg(FRAME), DEFECTS)) is None


def test_what_does_not_belong_together_is_refused() -> None:
    repaired = lossless.repaired(jpegs.jpeg(FRAME), DEFECTS)
    way = lossless.way_back(repaired)
    assert way is not None

    for damaged in (way[:3], way[:20], way[:-1]):
        with pytest.raises(RefusedError, match="damaged"):
            lossless.original(repaired.data, damaged)
    with pytest.raises(RefusedError, match="damaged"):
        lossless.original(repaired.data[:200], way)


def test_a_block_costs_less_than_a_hundred_bytes() -> None:
    repaired = lossless.repaired(jpegs.jpeg(FRAME), DEFECTS)

    assert len(lossless.way_back(repaired) or b"") < 100 * repaired.blocks

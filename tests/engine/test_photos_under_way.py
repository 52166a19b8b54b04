"""The memory limit: what has room beside what, and frames whose memory is used again."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

import jpegs
from hotpixeld.engine import photos_under_way
from hotpixeld.engine.photos_under_way import Frames, Memory
from hotpixeld.jpeg import markers

if TYPE_CHECKING:
    import numpy as np


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_the_memory_of_a_frame_is_used_again_once_nothing_refers_to_it() -> None:
    frames = Frames()
    first = frames.take(5, 7)
    place = address(first)
    part = first[2:, :, 1].reshape(-1)
    del first
    gc.collect()
    second = frames.take(5, 7)
    assert address(second) != place, "a part of the first is still in use"
    del part

    assert address(frames.take(5, 7)) == place


def test_a_frame_of_another_size_has_the_size_it_was_asked_for() -> None:
    frames = Frames()
    frames.take(50, 70)[:] = 1  # given back at once
    frame = frames.take(5, 7)

    assert frame.shape == (5, 7, 3)
    assert frame.flags.writeable
    assert frame.flags.c_contiguous


def test_a_first_photo_always_has_room_and_others_as_far_as_the_limit_goes() -> None:
    bytes_left = Memory(photos_under_way.BASE + 100)
    assert bytes_left.has_room(1000)
    bytes_left.take(60)

    assert bytes_left.has_room(40)
    assert not bytes_left.has_room(41)
    bytes_left.reserve_for_map(pixels=3, frames=1)  # 33 bytes
    assert not bytes_left.has_room(40)
    assert bytes_left.is_within_limit()
    bytes_left.keep_states(pixels=1)
    assert not bytes_left.is_within_limit()


def test_a_first_state_always_has_room_and_others_leave_some_to_work_in() -> None:
    pixels = 1000
    limit = Memory(photos_under_way.BASE + 2 * 27 * pixels + 12 * pixels)
    assert limit.has_room_for_state(10 * pixels)
    limit.keep_states(pixels)

    assert limit.has_room_for_state(pixels)
    assert not limit.has_room_for_state(pixels + 1)


@pytest.mark.parametrize(
    ("subsampling", "coefficients"),
    [("4:4:4", 3 * 64 * 48), ("4:2:2", 2 * 64 * 48), ("4:2:0", 1.5 * 64 * 48)],
)
def test_what_a_photo_takes_is_read_from_its_header(
    subsampling: jpegs.Sampling, coefficients: float
) -> None:
    data = jpegs.jpeg(jpegs.scene(48, 64), subsampling)
    structure = markers.parse(data, header_only=True)

    assert photos_under_way.frame_bytes(structure) == 48 * 64 * 3
    assert photos_under_way.state_bytes(structure) == 48 * 64 * 27
    assert photos_under_way.coefficient_bytes(structure) == 2 * coefficients

from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jpegs
from hotpixeld.jpeg import markers

WHOLE = jpegs.jpeg(jpegs.scene(24, 40), "4:2:2", restart_blocks=2)


def test_size_sampling_and_coding_are_read() -> None:
    structure = markers.parse(WHOLE)

    assert (structure.width, structure.height, structure.precision) == (40, 24, 8)
    assert [(c.h, c.v) for c in structure.components] == [(2, 1), (1, 1), (1, 1)]
    assert not structure.progressive
    assert not structure.arithmetic
    assert structure.restart_interval == 2
    assert structure.blocks(structure.components[0]) == (3, 5)
    assert structure.blocks(structure.components[1]) == (3, 3)
    assert structure.plane(structure.components[1]) == (24, 20)


def test_progressive_scans_are_told_apart() -> None:
    data = jpegs.jpeg(jpegs.scene(24, 40), progressive=True)

    structure = markers.parse(data)

    assert structure.progressive
    assert len(structure.scans) > 3
    ends = [scan.end for scan in structure.scans]
    assert ends == sorted(ends)


def test_the_header_alone_is_enough_for_the_size() -> None:
    start = markers.parse(WHOLE).scans[0].start

    structure = markers.parse(WHOLE[:start], header_only=True)

    assert (structure.width, structure.height) == (40, 24)
    assert structure.scans == ()


def test_what_follows_the_image_does_not_belong_to_it() -> None:
    structure = markers.parse(WHOLE + b"\xff\xd8\xff\xd9 more")

    assert structure.eoi == len(WHOLE) - 2
    assert structure.tail == len(WHOLE)


def test_a_thumbnail_inside_a_segment_is_not_the_photo() -> None:
    thumbnail = jpegs.jpeg(jpegs.scene(8, 16))
    data = jpegs.with_segment(WHOLE, jpegs.app(0xE1, b"Exif\0\0" + thumbnail))

    assert markers.parse(data).width == 40


def test_stray_bytes_between_segments_are_passed_over() -> None:
    data = WHOLE[:2] + b"\0\0" + WHOLE[2:]

    assert markers.parse(data).width == 40


def identity(data: bytes) -> str:
    return markers.identity(data, markers.parse(data))


def test_metadata_fill_and_trailing_bytes_leave_the_identity() -> None:
    other = jpegs.with_segment(WHOLE, jpegs.app(0xED, b"rating: 5"))
    filled = other[:-2] + b"\xff\xff\xff" + other[-2:]

    assert identity(filled + b"trailing") == identity(WHOLE)


def test_another_coefficient_or_table_is_another_identity() -> None:
    scan = markers.parse(WHOLE).scans[0]
    pixel = bytearray(WHOLE)
    pixel[scan.start + 3] ^= 1

    assert len({identity(WHOLE), identity(bytes(pixel))}) == 2
    assert identity(WHOLE) != identity(jpegs.jpeg(jpegs.scene(24, 40), "4:2:2"))


def test_identity_is_the_hash_of_all_that_decides_the_pixels() -> None:
    structure = markers.parse(WHOLE)
    coded = b"".join(
        WHOLE[s.offset : s.end] for s in structure.segments if s.marker < 0xE0
    )
    scan = structure.scans[0]

    assert (
        identity(WHOLE)
        == hashlib.sha256(coded + WHOLE[scan.start : scan.end]).hexdigest()
    )


@given(st.integers(2, len(WHOLE) - 1))
def test_a_file_cut_anywhere_is_truncated(length: int) -> None:
    try:
        assert markers.parse(WHOLE[:length]).eoi is None
    except markers.TruncatedError:
        assert length < markers.parse(WHOLE).scans[0].start


@given(st.integers(2, len(WHOLE) - 1), st.binary(min_size=1, max_size=6))
def test_damage_is_an_error_or_is_parsed_but_never_more(
    place: int, damage: bytes
) -> None:
    data = WHOLE[:place] + damage + WHOLE[place + len(damage) :]
    try:
        tail = markers.parse(data).tail
    except markers.MarkerError:
        tail = 0

    assert tail <= len(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG", "not a JPEG"),
        (b"\xff\xd8\xff\xd9", "no image data"),
        (WHOLE.replace(b"\0\x18\0\x28", b"\0\0\0\x28"), "says 40x0"),
        (WHOLE[:2] + b"\xff\xe1\0\1" + WHOLE[2:], "no length"),
        (WHOLE[:-2] + WHOLE, "second image"),
    ],
    ids=["png", "nothing", "no height", "no length", "nested"],
)
def test_malformed_files_say_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(markers.MarkerError, match=message):
        markers.parse(data)


def test_a_large_scan_takes_milliseconds() -> None:
    rng = np.random.default_rng(0)
    noise = rng.bytes(4_000_000).replace(b"\xff", b"\xff\0")
    scan = markers.parse(WHOLE).scans[0]
    data = WHOLE[: scan.start] + noise + WHOLE[scan.end :]

    begin = time.perf_counter()
    structure = markers.parse(data)
    seconds = time.perf_counter() - begin

    assert structure.scans[0].end - scan.start == len(noise)
    assert seconds < 0.05


def test_quantisation_tables_come_in_the_order_of_the_block() -> None:
    found = markers.quantisation(WHOLE, markers.parse(WHOLE))[0]

    # T.81 table K.1 at quality 92: the first row of the luma table.
    assert [found[i] for i in range(4)] == [3, 2, 2, 3]
    assert found[8] == 2
    assert found[63] == 16


def test_what_only_uses_up_time_and_memory_is_refused() -> None:
    head, rest = b"\xff\xd8", b"\xff\xe0\x00\x02"
    with pytest.raises(markers.MarkerError, match="more than 20000 segments"):
        markers.parse(head + rest * 20_001)
    with pytest.raises(markers.MarkerError, match="1048577 stray bytes at byte 2"):
        markers.parse(head + bytes((1 << 20) + 1) + rest)


def test_tables_of_two_bytes_a_step_are_read_and_short_ones_refused() -> None:
    steps = np.arange(300, 364, dtype=">u2")
    wide = jpegs.with_segment(WHOLE, jpegs.app(markers.DQT, b"\x13" + steps.tobytes()))
    short = jpegs.with_segment(WHOLE, jpegs.app(markers.DQT, b"\x03" + bytes(63)))

    found = markers.quantisation(wide, markers.parse(wide))[3]

    assert [found[markers.ZIGZAG[place]] for place in range(64)] == steps.tolist()
    with pytest.raises(markers.MarkerError, match="DQT"):
        markers.quantisation(short, markers.parse(short))


def test_stray_bytes_are_left_out_and_nothing_else() -> None:
    data = WHOLE[:2] + b"\0\0" + WHOLE[2:]

    assert markers.tidied(data, markers.parse(data)) == WHOLE
    assert markers.tidied(WHOLE, markers.parse(WHOLE)) is WHOLE

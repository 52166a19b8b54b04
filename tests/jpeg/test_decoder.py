"""The strip decoder against the whole frames of libturbojpeg."""

from __future__ import annotations

import errno
import io
import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import jpegs
import libturbojpeg
from hotpixeld.jpeg import coefficients, decoder, markers
from hotpixeld.jpeg.decoder import CodecError, OverMemoryError, SideBySide, StripDecoder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEIGHT, WIDTH = 147, 61
FRAME = jpegs.scene(HEIGHT, WIDTH)
GOING_ON = np.zeros(1, np.uint32)


def in_strips(source: StripDecoder, rows: int) -> jpegs.Frame:
    frame = np.empty((*source.size, 3), np.uint8)
    for first in range(0, len(frame), rows):
        source.read(frame[first : first + rows])
    return frame


def outcome(data: bytes) -> jpegs.Frame | CodecError:
    try:
        return decoder.decode(data)
    except CodecError as error:
        return error


def outcome_whole(data: bytes) -> jpegs.Frame | CodecError:
    """Return what libturbojpeg makes of a file."""
    try:
        header = coefficients.header(data)
        return libturbojpeg.decode(data, header.width, header.height)
    except CodecError as error:
        return error


def one_block(scans: int) -> bytes:
    """Return a grey 8x8 JPEG whose components come in scans of their own, in turn."""
    table = bytes([1]) + bytes(15) + bytes([0])  # one code of one bit, for value 0
    frame = bytes([8, 0, 8, 0, 8, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    parts = [
        b"\xff\xd8",
        jpegs.app(0xDB, bytes([0]) + bytes([1] * 64)),
        jpegs.app(0xC0, frame),
        jpegs.app(0xC4, b"\x00" + table),
        jpegs.app(0xC4, b"\x10" + table),
    ]
    for scan in range(scans):
        parts += [jpegs.app(0xDA, bytes([1, scan % 3 + 1, 0, 0, 63, 0])), b"\x3f"]
    return b"".join([*parts, b"\xff\xd9"])


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """Return the descriptor of an empty file."""
    number = os.open(tmp_path / "photo.jpg", os.O_RDWR | os.O_CREAT)
    yield number
    os.close(number)


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 16, 64, 200])
def test_strips_equal_the_whole_frame_bit_for_bit(
    sampling: jpegs.Sampling, rows: int, *, progressive: bool
) -> None:
    data = jpegs.jpeg(FRAME, sampling, progressive=progressive, trailing=b"more")

    with StripDecoder(data) as source:
        frame = in_strips(source, rows)

    assert np.array_equal(frame, libturbojpeg.decode(data, WIDTH, HEIGHT))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_file_is_read_by_its_descriptor_in_pieces(
    descriptor: int, *, progressive: bool
) -> None:
    data = jpegs.jpeg(jpegs.scene(700, 801, 1), quality=99, progressive=progressive)
    os.write(descriptor, jpegs.with_segment(data, jpegs.app(0xE5, bytes(65000))))
    with StripDecoder(descriptor, os.fstat(descriptor).st_size) as source:
        frame = in_strips(source, 32)

    assert len(data) > 2 << 16
    assert np.array_equal(frame, libturbojpeg.decode(data, 801, 700))


def test_real_photos_have_the_same_outcome_as_whole(photo_sets: Path) -> None:
    """Levels, or why there are none; but for malformed headers, which `markers` words."""
    compared = 0
    for path in sorted((photo_sets / "variety").iterdir()):
        data = path.read_bytes()
        strips, whole = outcome(data), outcome_whole(data)
        if isinstance(strips, CodecError):
            assert isinstance(whole, CodecError)
            assert strips.truncated == whole.truncated
        else:
            assert not isinstance(whole, CodecError), path
            assert np.array_equal(strips, whole), path
            compared += 1

    assert compared > 60


@pytest.mark.parametrize("length", [0, 1, 3, 100, 700, -300, -3])
def test_a_truncated_file_is_an_error_and_says_so(descriptor: int, length: int) -> None:
    data = jpegs.jpeg(FRAME)
    part = data[: length if length >= 0 else len(data) + length]
    os.write(descriptor, part)

    with pytest.raises(CodecError) as caught:
        decoder.decode(part)
    assert caught.value.truncated
    with pytest.raises(CodecError) as caught:
        in_strips(StripDecoder(descriptor, len(part)), 16)
    assert caught.value.truncated


def test_a_file_truncated_while_it_is_read_is_an_error(descriptor: int) -> None:
    data = jpegs.jpeg(jpegs.scene(400, 500, 1), quality=99)
    os.write(descriptor, data)
    with StripDecoder(descriptor, len(data)) as source:
        source.read(np.empty((16, 500, 3), np.uint8))
        os.ftruncate(descriptor, 100)

        with pytest.raises(CodecError) as caught:
            source.read(np.empty((384, 500, 3), np.uint8))
    assert caught.value.truncated


def test_a_damaged_scan_is_the_same_error_as_whole() -> None:
    data = jpegs.jpeg(FRAME)
    middle = len(data) * 2 // 3
    damaged = data[:middle] + b"\xff\xd4" + data[middle + 9 :]

    found, whole = outcome(damaged), outcome_whole(damaged)

    assert isinstance(found, CodecError)
    assert found.reason.startswith("corrupt: ")
    assert str(found) == str(whole)
    assert not found.truncated


def test_after_an_error_nothing_more_is_read() -> None:
    data = jpegs.jpeg(FRAME)
    with StripDecoder(data[: len(data) // 2]) as source:
        rows = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        for _ in range(2):
            with pytest.raises(CodecError, match="truncated"):
                source.read(rows)


def test_stray_bytes_between_segments_do_no_harm() -> None:
    data = jpegs.jpeg(FRAME)
    first = jpegs.with_segment(data, jpegs.app(0xE5, b"more"))
    strays = first[:2] + b"\0\xff\0" + first[2:10] + b"\0\0" + first[10:]

    assert np.array_equal(decoder.decode(strays), decoder.decode(data))


@pytest.mark.parametrize("progressive", [False, True])
def test_stray_bytes_after_a_scan_are_damage(*, progressive: bool) -> None:
    data = jpegs.jpeg(FRAME, progressive=progressive)
    end = markers.parse(data).eoi
    assert end is not None
    strays = data[:end] + b"\0\x01\x02" * 9 + data[end:]
    found, whole = outcome(strays), outcome_whole(strays)

    assert isinstance(found, CodecError)
    assert str(found) == str(whole)


def test_cmyk_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (40, 24)).save(buffer, "JPEG")

    with pytest.raises(CodecError, match="4 colour components"):
        StripDecoder(buffer.getvalue())


def test_twelve_bits_are_refused() -> None:
    data = jpegs.jpeg(FRAME)
    place = data.index(b"\xff\xc0") + 4

    with pytest.raises(CodecError, match=r"^12 bits per sample$"):
        StripDecoder(data[:place] + b"\x0c" + data[place + 1 :])


def test_components_may_come_in_scans_of_their_own() -> None:
    data = one_block(3)
    with StripDecoder(data) as source:
        frame = in_strips(source, 8)

        assert source.coefficient_bytes == 3 * 128
    assert np.array_equal(frame, libturbojpeg.decode(data, 8, 8))


def test_a_file_of_endless_scans_is_refused() -> None:
    assert isinstance(outcome(one_block(480)), np.ndarray)
    assert isinstance(outcome_whole(one_block(600)), CodecError)
    with pytest.raises(CodecError, match="more than 500 scans"):
        decoder.decode(one_block(600))


def test_several_scans_beyond_the_memory_are_refused_before_decoding() -> None:
    data = jpegs.jpeg(jpegs.scene(400, 600), progressive=True)
    with StripDecoder(data) as source:
        needed = source.coefficient_bytes

    assert needed == 128 * (76 * 50 + 2 * 38 * 25)
    with pytest.raises(OverMemoryError, match=rf"need {needed} bytes.*{needed - 1}$"):
        StripDecoder(data, memory=needed - 1)
    assert StripDecoder(jpegs.jpeg(FRAME), memory=1).coefficient_bytes == 0


def test_libjpeg_itself_keeps_to_the_memory() -> None:
    """Room for the coefficients and nothing else is too little."""
    data = jpegs.jpeg(jpegs.scene(400, 600), progressive=True)
    with StripDecoder(data) as source:
        needed = source.coefficient_bytes
    with StripDecoder(data, memory=needed) as source, pytest.raises(OverMemoryError):
        in_strips(source, 16)
    with StripDecoder(data, memory=needed + 500_000) as source:
        in_strips(source, 16)


def test_what_cannot_be_read_tells_the_error(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(decoder.UnreadableError) as caught:
        StripDecoder(folder, 1000)
    os.close(folder)

    assert caught.value.error == errno.EISDIR


def test_rows_of_another_width_are_refused() -> None:
    with (
        StripDecoder(jpegs.jpeg(FRAME)) as source,
        pytest.raises(ValueError, match="rows are"),
    ):
        source.read(np.empty((16, WIDTH + 1, 3), np.uint8))


def test_threads_share_photos_side_by_side() -> None:
    """Each window holds the rows kept and the strip, whoever decoded it."""
    photos, kept, rows, threads = 9, 14, 32, 3
    files = [jpegs.jpeg(jpegs.scene(HEIGHT, WIDTH, seed)) for seed in range(photos)]
    want = np.stack([decoder.decode(one) for one in files])
    windows = np.zeros((photos, kept + rows, WIDTH, 3), np.uint8)
    marks = np.zeros(threads, np.uint64)
    decoders = [StripDecoder(one) for one in files]
    side = SideBySide(decoders, range(1, photos + 1), windows, kept, GOING_ON)
    for first in range(0, HEIGHT, rows):
        last = min(first + rows, HEIGHT)
        side.begin(last - first)
        crew = [
            threading.Thread(target=side.share, args=(mark.ctypes.data,))
            for mark in np.split(marks, threads)
        ]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        top = max(first - kept, 0)
        got = windows[:, kept - (first - top) : kept + last - first]

        assert np.array_equal(got, want[:, top:last])
    assert not marks.any()
    assert not side.failures()


def test_one_bad_photo_does_no_harm_to_those_beside_it() -> None:
    good = jpegs.jpeg(FRAME)
    decoders = [StripDecoder(one) for one in (good, good[:-400], good)]
    windows = np.zeros((3, HEIGHT, WIDTH, 3), np.uint8)
    side = SideBySide(decoders, [1, 2, 3], windows, 0, GOING_ON)
    side.begin(HEIGHT)
    side.share(np.zeros(1, np.uint64).ctypes.data)
    (place,) = side.failures()

    assert place == 1
    assert np.array_equal(windows[2], decoder.decode(good))


@pytest.mark.parametrize("progressive", [False, True])
def test_photos_are_given_up_when_asked_to_stop(*, progressive: bool) -> None:
    data = jpegs.jpeg(FRAME, progressive=progressive)
    decoders, stop = [StripDecoder(data), StripDecoder(data)], np.zeros(1, np.uint32)
    windows = np.zeros((2, 16, WIDTH, 3), np.uint8)
    side = SideBySide(decoders, [1, 2], windows, 0, stop)
    for asked in (0, 1):
        stop[0] = asked
        side.begin(16)
        side.share(np.zeros(1, np.uint64).ctypes.data)

        assert [str(one) for one in side.failures().values()] == [
            "given up"
        ] * asked * 2
    assert np.array_equal(windows[0], decoder.decode(data)[:16])


def test_a_mark_tells_which_photo_its_thread_is_in() -> None:
    """Also to another process: a decoder that crashes cannot tell anything."""
    data = jpegs.jpeg(jpegs.scene(400, 600))
    count = 40
    decoders = [StripDecoder(data) for _ in range(count)]
    windows = np.zeros((count, 400, 600, 3), np.uint8)
    side = SideBySide(decoders, range(1, count + 1), windows, 0, GOING_ON)
    side.begin(400)
    mark, seen = np.zeros(1, np.uint64), set[int]()
    thread = threading.Thread(target=side.share, args=(mark.ctypes.data,))
    thread.start()
    while thread.is_alive():
        seen.add(int(mark[0]))
    thread.join()

    assert seen & {*range(1, count + 1)}
    assert seen <= {*range(count + 1)}
    assert not mark[0]

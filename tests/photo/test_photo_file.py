"""Every way in which a file is no usable photo has its own error, with a reason."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import jpegs
from hotpixeld.errors import (
    PhotoError,
    PhotoGoneError,
    SkippedPhotoError,
    TruncatedPhotoError,
)
from hotpixeld.jpeg import markers
from hotpixeld.photo import photo_file

if TYPE_CHECKING:
    from pathlib import Path

FRAME = jpegs.scene(24, 40)
WHOLE = jpegs.jpeg(FRAME, quality=95)
MOST = 10**6


def examined(
    folder: Path, data: bytes, max_bytes: int = MOST, max_pixels: int = MOST
) -> photo_file.Photo:
    path = folder / "a.jpg"
    path.write_bytes(data)
    return photo_file.examine(path, max_bytes, max_pixels)


def cmyk() -> bytes:
    buffer = io.BytesIO()
    Image.new("CMYK", (40, 24)).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_photo_is_examined_as_it_stands_and_left_alone(tmp_path: Path) -> None:
    photo = examined(tmp_path, WHOLE)
    status = photo.path.stat()

    assert photo.data == WHOLE == photo.path.read_bytes()
    assert photo.identity == markers.identity(WHOLE, markers.parse(WHOLE))
    assert (photo.metadata.width, photo.metadata.height) == (40, 24)
    assert photo.signature[:3] == (status.st_ino, len(WHOLE), status.st_mtime_ns)


@pytest.mark.parametrize(
    ("data", "error", "reason"),
    [
        (b"", TruncatedPhotoError, "empty"),
        (WHOLE[:100], TruncatedPhotoError, "truncated: the file ends before"),
        (WHOLE[:-2], TruncatedPhotoError, "truncated: the image data has no end"),
        (b"\x89PNG", PhotoError, "not a usable JPEG: not a JPEG file"),
    ],
    ids=["empty", "no image", "no end", "png"],
)
def test_what_is_no_whole_jpeg_says_why(
    tmp_path: Path, data: bytes, error: type[PhotoError], reason: str
) -> None:
    with pytest.raises(error) as caught:
        examined(tmp_path, data)

    assert type(caught.value) is error
    assert caught.value.path == tmp_path / "a.jpg"
    assert caught.value.reason.startswith(reason)


def test_limits_are_named(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=f"{len(WHOLE)} bytes, limit is 99"):
        examined(tmp_path, WHOLE, max_bytes=99)
    with pytest.raises(PhotoError, match="40x24 is 960 pixels, limit is 959"):
        examined(tmp_path, WHOLE, max_pixels=959)


def test_what_is_gone_or_no_file_is_not_a_bad_photo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")

    with pytest.raises(PhotoGoneError):
        photo_file.examine(tmp_path / "gone.jpg", MOST, MOST)
    with pytest.raises(SkippedPhotoError, match="a named pipe, not a file"):
        photo_file.examine(tmp_path / "pipe.jpg", MOST, MOST)


def test_damaged_and_unsupported_coded_data_is_refused(tmp_path: Path) -> None:
    start = markers.parse(WHOLE).scans[0].start
    damaged = WHOLE[: start + 30] + WHOLE[-2:]

    with pytest.raises(PhotoError, match="cannot be decoded"):
        photo_file.cut_out(examined(tmp_path, damaged), (), MOST)
    with pytest.raises(PhotoError, match="4 colour components, not 1 or 3"):
        photo_file.cut_out(examined(tmp_path, cmyk()), (), MOST)

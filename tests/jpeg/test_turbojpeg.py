from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import jpegs
from hotpixeld.jpeg import coefficients, markers, turbojpeg
from hotpixeld.jpeg.coefficients import Area

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.jpeg.dct_blocks import Coefficients

FRAME = jpegs.scene(47, 61)


def by_pillow(data: bytes) -> jpegs.Frame:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey"])
@pytest.mark.parametrize("progressive", [False, True])
def test_decoding_equals_pillow_bit_for_bit(
    sampling: jpegs.Sampling, *, progressive: bool
) -> None:
    data = jpegs.jpeg(FRAME, sampling, progressive=progressive, trailing=b"more")

    assert np.array_equal(turbojpeg.decode(data, 61, 47), by_pillow(data))


def test_real_photos_decode_as_by_pillow(photo_sets: Path) -> None:
    for path in (
        photo_sets / "fuji-a200" / "DSCF0011.JPG",
        photo_sets / "canon-t5i-2592" / "IMG_1751.JPG",
    ):
        data = path.read_bytes()
        structure = markers.parse(data, header_only=True)

        frame = turbojpeg.decode(data, structure.width, structure.height)
        assert np.array_equal(frame, by_pillow(data))


def test_another_size_is_refused_and_never_scaled() -> None:
    with pytest.raises(turbojpeg.CodecError, match="61x47, not 122x94"):
        turbojpeg.decode(jpegs.jpeg(FRAME), 122, 94)


def test_a_truncated_file_is_an_error_and_says_so() -> None:
    data = jpegs.jpeg(FRAME)

    for length in (100, len(data) // 2, len(data) - 3):
        with pytest.raises(turbojpeg.CodecError) as caught:
            turbojpeg.decode(data[:length], 61, 47)
        assert caught.value.truncated


def test_a_damaged_scan_is_an_error() -> None:
    data = jpegs.jpeg(FRAME)
    middle = len(data) * 2 // 3

    with pytest.raises(turbojpeg.CodecError) as caught:
        turbojpeg.decode(data[:middle] + b"\xff\xd4" + data[middle + 9 :], 61, 47)

    assert caught.value.reason.startswith("corrupt: ")
    assert not caught.value.truncated


def test_stray_bytes_between_segments_do_no_harm() -> None:
    data = jpegs.jpeg(FRAME)

    frame = turbojpeg.decode(data[:2] + b"\0\0" + data[2:], 61, 47)

    assert np.array_equal(frame, turbojpeg.decode(data, 61, 47))


def test_cmyk_is_refused() -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (40, 24)).save(buffer, "JPEG")

    with pytest.raises(turbojpeg.CodecError, match="CMYK"):
        turbojpeg.decode(buffer.getvalue(), 40, 24)


def test_a_missing_library_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turbojpeg, "SONAME", "libturbojpeg-not-here.so.0")
    turbojpeg._library.cache_clear()
    try:
        assert not turbojpeg.available()
        with pytest.raises(turbojpeg.MissingLibraryError, match="libturbojpeg0"):
            turbojpeg.decode(jpegs.jpeg(FRAME), 61, 47)
    finally:
        monkeypatch.undo()
        turbojpeg._library.cache_clear()
    assert turbojpeg.available()


def test_threads_decode_side_by_side() -> None:
    data = jpegs.jpeg(FRAME)
    want = turbojpeg.decode(data, 61, 47)
    equal: list[bool] = []

    def work() -> None:
        equal.extend(
            np.array_equal(turbojpeg.decode(data, 61, 47), want) for _ in range(20)
        )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert equal == [True] * 80


def test_an_edit_changes_its_block_and_no_other() -> None:
    data = jpegs.jpeg(FRAME, "4:2:0")
    places = np.array([[0, 1, 2], [0, 1, 3], [0, 2, 4], [1, 0, 0], [1, 0, 1]])

    def edit(found: Coefficients) -> Coefficients:
        out = found.copy()
        out[2, 0, 0] += 7
        out[4, 3, 4] -= 2
        return out

    new = coefficients.rewrite(data, places, edit)

    structure = markers.parse(data)
    whole = [
        Area(i, 0, 0, *structure.blocks(c)) for i, c in enumerate(structure.components)
    ]
    before, after = coefficients.read(data, whole), coefficients.read(new, whole)
    difference = [b.astype(int) - a for a, b in zip(before, after, strict=True)]
    assert difference[0][2, 4, 0, 0] == 7
    assert difference[1][0, 1, 3, 4] == -2
    assert [np.count_nonzero(part) for part in difference] == [1, 1, 0]


def test_an_error_in_the_edit_reaches_the_caller() -> None:
    def edit(_: Coefficients) -> Coefficients:
        raise RuntimeError("from the edit")

    with pytest.raises(RuntimeError, match="from the edit"):
        coefficients.rewrite(jpegs.jpeg(FRAME), np.zeros((1, 3), int), edit)


def test_an_area_outside_the_plane_touches_no_memory() -> None:
    with pytest.raises(IndexError, match="outside the plane"):
        coefficients.read(jpegs.jpeg(FRAME), [Area(0, 0, 7, 1, 9)])

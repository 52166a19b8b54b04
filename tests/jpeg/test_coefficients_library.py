from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import jpegs
from hotpixeld.jpeg import coefficients, markers
from hotpixeld.jpeg.coefficients import Area

if TYPE_CHECKING:
    from hotpixeld.jpeg.dct_blocks import Coefficients

FRAME = jpegs.scene(47, 61)


def by_pillow(data: bytes) -> jpegs.Frame:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def test_a_missing_library_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coefficients, "SONAME", "libturbojpeg-not-here.so.0")
    coefficients._library.cache_clear()
    try:
        with pytest.raises(coefficients.MissingLibraryError, match="libturbojpeg0"):
            coefficients.read(jpegs.jpeg(FRAME), [])
    finally:
        monkeypatch.undo()
        coefficients._library.cache_clear()
    assert coefficients.read(jpegs.jpeg(FRAME), []) == []


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

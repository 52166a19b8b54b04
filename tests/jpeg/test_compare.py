from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import jpegs
from hotpixeld.defect import Defect
from hotpixeld.jpeg import attach, coefficients, compare, markers
from hotpixeld.repair import lossless

if TYPE_CHECKING:
    from hotpixeld.jpeg.dct_blocks import Coefficients

PHOTO = jpegs.jpeg(jpegs.planted(jpegs.scene(47, 61), 20, 24), "4:2:0", trailing=b"+")


def with_change(component: int, row: int, column: int) -> bytes:
    def edit(found: Coefficients) -> Coefficients:
        new = found.copy()
        new[0, 1, 2] += 3
        return new

    place = np.array([[component, row, column]])
    coded = coefficients.rewrite(PHOTO, place, edit)
    return attach.spliced(PHOTO, markers.parse(PHOTO), coded).data


def test_a_changed_block_is_named_with_its_pixels() -> None:
    found = compare.compare(PHOTO, with_change(1, 1, 2))

    assert found.blocks == (
        compare.DifferentBlock(
            "Cb", 1, 2, x=32, y=16, width=16, height=16, coefficients=1
        ),
    )
    assert found.is_repair
    assert found.total == 6 * 8 + 2 * 3 * 4
    assert "Cb   block 2,1: x 32-47, y 16-31; 1 of 64" in compare.text(found)
    assert compare.text(found).endswith("everything else is identical")


def test_a_photo_is_no_different_from_itself() -> None:
    found = compare.compare(PHOTO, PHOTO)

    assert (found.blocks, found.notes, found.others) == ((), (), ())


def test_a_repair_is_recognised() -> None:
    repaired = lossless.repaired(PHOTO, [Defect(20, 24)])

    found = compare.compare(PHOTO, repaired.data)

    assert found.is_repair
    assert len(found.blocks) == repaired.blocks > 0
    assert repaired.patch
    assert (found.bits, found.fill_bytes) == (
        repaired.patch.bits,
        repaired.patch.fill_bytes,
    )


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (PHOTO[:-1], "the bytes after the image differ"),
        (
            jpegs.with_segment(PHOTO, jpegs.app(0xE1, b"http://rating")),
            "the metadata segments differ",
        ),
        (
            jpegs.jpeg(jpegs.scene(47, 61), "4:2:0", quality=80, trailing=b"+"),
            "the quantisation tables differ",
        ),
        (
            jpegs.jpeg(jpegs.scene(47, 61), progressive=True, trailing=b"+"),
            "one is progressive",
        ),
        (jpegs.jpeg(jpegs.scene(47, 61), "4:2:2"), "size or components differ"),
        (jpegs.jpeg(jpegs.scene(48, 61), "4:2:0"), "size or components differ"),
    ],
    ids=["tail", "metadata", "tables", "progressive", "sampling", "size"],
)
def test_what_no_repair_does_is_named(other: bytes, what: str) -> None:
    found = compare.compare(PHOTO, other)

    assert not found.is_repair
    assert any(part.startswith(what) for part in found.others)
    assert "NOT a repair" in compare.text(found)


def test_a_re_encode_shows_as_many_blocks() -> None:
    with Image.open(io.BytesIO(PHOTO)) as image:
        frame = np.asarray(image) + np.uint8(1)
    again = jpegs.jpeg(frame, "4:2:0", trailing=b"+")

    found = compare.compare(PHOTO, again)

    assert [block.component for block in found.blocks] == ["Y"] * 48
    assert "48 of 72 blocks differ" in compare.text(found)


def test_files_that_cannot_be_decoded_are_an_error() -> None:
    with pytest.raises(compare.DifferenceError, match="cannot compare"):
        compare.compare(PHOTO, PHOTO[:-200])
    with pytest.raises(compare.DifferenceError, match="not a JPEG"):
        compare.compare(PHOTO, b"GIF89a")

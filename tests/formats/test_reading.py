"""What is read from lists of other programs, and what is said of those that cannot be."""

from __future__ import annotations

import datetime as dt
import io
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hotpixeld.camera import Camera
from hotpixeld.defect import Defect, Kind
from hotpixeld.errors import HotpixeldError, PixelListError
from hotpixeld.formats.known_forms import FORMS, recognised

if TYPE_CHECKING:
    from hotpixeld.formats.form import ReadPixel

CAMERA = Camera("Maker", "Model One", "0123", 40, 30)
FILE = Path("list")


def read(name: str, content: str | bytes, camera: Camera = CAMERA) -> list[ReadPixel]:
    data = content.encode() if isinstance(content, str) else content
    return FORMS[name].read(data, camera, FILE)


def defects(name: str, content: str | bytes) -> list[Defect]:
    return [one.defect for one in read(name, content)]


def refusal(name: str, content: str | bytes) -> tuple[str, ...]:
    with pytest.raises(PixelListError) as caught:
        read(name, content)
    return caught.value.problems


def at(x: int, y: int, **said: object) -> Defect:
    return replace(Defect.at(x, y), **said)  # type: ignore[arg-type]  # any field


def test_rawtherapees_number_in_the_first_line_is_added_to_all_others() -> None:
    assert defects("rawtherapee", "4\n12 7\n\n0 1  # by eye\n") == [
        at(16, 11),
        at(4, 5),
    ]
    assert refusal("rawtherapee", "12 7\n4\n1 2 3\n") == (
        "list:2: '4' is not `x y`, two whole numbers",
        "list:3: '1 2 3' is not `x y`, two whole numbers",
    )
    assert refusal("rawtherapee", "# mine\n4\n12 7\n") == (
        "list:2: '4' is not `x y`, two whole numbers",
    )


def test_dcraws_time_is_local_and_0_is_always() -> None:
    when = dt.datetime(2024, 5, 3, 12)

    assert defects("dcraw", f"# mine\n12 7 {int(when.timestamp())}\n1 2 0\n") == [
        at(12, 7, by=when),
        at(1, 2),
    ]


def test_what_dcraw_skips_in_silence_is_told() -> None:
    assert refusal("dcraw", "1 2\n3 4 0\nfive\n") == (
        "list:1: '1 2' is not `column row time`, three whole numbers",
        "list:3: 'five' is not `column row time`, three whole numbers",
    )


def test_sirils_cold_pixels_are_dead_and_its_columns_no_pixels() -> None:
    assert defects("siril", "P 12 7 H\nP 1 2 C\nP 3 4\n") == [
        at(12, 7),
        at(1, 2, kind=Kind.DEAD),
        at(3, 4),
    ]
    assert refusal("siril", "C 7 0\nL 9 0 H\nQ 1 2\n") == (
        "list:1: 'C 7 0' is a whole column, not a pixel: take it out",
        "list:2: 'L 9 0 H' is a whole line, not a pixel: take it out",
        "list:3: 'Q 1 2' is not `P x y H` or `P x y C`",
    )


@pytest.mark.parametrize(
    ("line", "place", "radius"),
    [
        ("12,7", (12, 7), None),
        ("12,7,1", (12, 7), None),
        ("12,7,3", (13, 8), 1),
        ("V:12,7,3,5  # by eye", (13, 9), 2),
        ("0,0,2,2  # 0,0", (0, 0), 1),
        ("37,28,3,2  # 38,29", (38, 29), 1),
        ("12,7,2", (12, 7), 1),
        ("12,7,3  # 90,90", (13, 8), 1),
    ],
)
def test_the_middle_of_jpegpixis_block_is_the_defect(
    line: str, place: tuple[int, int], radius: int | None
) -> None:
    assert defects("jpegpixi", line) == [at(*place, radius=radius)]


def test_blocks_in_percent_or_as_large_as_a_photo_are_told() -> None:
    assert refusal("jpegpixi", "50%,50%,1\n0,0,400\n") == (
        "list:1: '50%,50%,1' is no block: X,Y or X,Y,SIZE or X,Y,WIDTH,HEIGHT in pixels",
        "list:2: '0,0,400': a block is of 1 to 33 pixels each way",
    )


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "RGBA", "P", "LA", "I;16"])
def test_the_brightest_of_a_mask_is_bad_whatever_kind_of_png(mode: str) -> None:
    levels = np.zeros((30, 40), np.uint8)
    levels[7, 12] = levels[2, 1] = 255
    mask = Image.fromarray(levels)
    if mode == "I;16":
        mask = Image.fromarray(levels.astype(np.uint16) * 257)
    elif mode != "L":
        mask = mask.convert(mode)

    assert defects("png", png(mask)) == [at(1, 2), at(12, 7)]


def test_a_mask_without_white_is_an_empty_list() -> None:
    assert defects("png", png(Image.new("L", (40, 30)))) == []


def test_a_mask_of_another_size_or_of_all_pixels_or_a_torn_one_is_told() -> None:
    assert refusal("png", png(Image.new("L", (30, 40)))) == (
        f"list: a list for photos of 30 x 40; those of {CAMERA.id} are 40 x 30",
    )
    (torn,) = refusal("png", png(Image.new("L", (40, 30)))[:50])
    assert "no PNG that can be read" in torn
    large = Camera("Maker", "Model One", "0123", 400, 300)
    with pytest.raises(PixelListError, match="120000 white pixels"):
        read("png", png(Image.new("L", (400, 300), 255)), large)


def test_x_and_y_are_enough_of_a_csv() -> None:
    assert defects("csv", "note,x,y\nby eye,12,7\n,1,2\n") == [at(12, 7), at(1, 2)]
    assert refusal("csv", "col,row\n1,2\n") == (
        "list:1: no columns x and y: the first line names the columns",
    )
    assert refusal("csv", "x,y,kind\n1,2,hot\n1.5,2,hot\n,2,hot\n1,2,warm\n") == (
        "list:3: x must be a whole number, not '1.5'",
        "list:4: x and y must be whole numbers",
        "list:5: kind must be hot, stuck, dead, not 'warm'",
    )


def test_of_several_cameras_in_a_file_the_one_that_is_meant_is_read() -> None:
    other = Camera("Maker", "Model Two", "", 40, 30)
    rows = f"camera,x,y\n{other.id},1,2\n{CAMERA.id},12,7\n"
    two = "cameras:\n" + "".join(
        f"  - {{model: {one.model}, size: [40, 30], pixels: [[{x}, 7]]}}\n"
        for one, x in ((other, 1), (CAMERA, 12))
    )

    assert defects("csv", rows) == [at(12, 7)]
    assert defects("yaml", two) == [at(12, 7)]
    stranger = Camera("Maker", "Model Three", "", 40, 30)
    for name, content in (("csv", rows), ("yaml", two)):
        with pytest.raises(PixelListError, match="no list of maker-model-three"):
            read(name, content, stranger)


def test_a_list_of_one_other_camera_is_taken_as_told_if_its_photos_are_as_large() -> (
    None
):
    camera = {"id": "another", "width": 40, "height": 30, "pixels": [{"x": 12, "y": 7}]}
    content = json.dumps({"cameras": [camera]})

    assert defects("json", content) == [at(12, 7)]
    assert refusal("json", content.replace("40", "44")) == (
        f"list: a list for photos of 44 x 30; those of {CAMERA.id} are 40 x 30",
    )


def test_faults_of_json_have_their_place() -> None:
    camera = {"id": "a", "width": 40, "height": 30}
    a_date = "must be a date such as 2009-05-01 or 2009-05-01T14:30:00, local time"
    pixels = [
        {"x": 1, "y": "2"},
        {"x": 1, "y": 2, "until": "soon"},
        7,
        {"x": 1, "y": 2},
    ]

    assert refusal("json", json.dumps({"cameras": [camera | {"pixels": pixels}]})) == (
        "list: cameras[0].pixels[0]: x and y must be whole numbers",
        f"list: cameras[0].pixels[1]: {a_date}",
        "list: cameras[0].pixels[2]: must be a mapping with x and y",
    )
    assert refusal("json", '{"cameras":\n [}') == (
        "list:2: not valid JSON: Expecting value",
    )
    assert "not what `map --format json` writes" in refusal("json", "{}")[0]


def test_faults_of_yaml_are_told_as_those_of_a_configuration() -> None:
    assert refusal("yaml", "cameras:\n  - {model: Model One, pixels: [[1, -2]]}\n") == (
        "list:2: cameras[0].pixels[0]: y must be at least 0, not -2",
    )
    (place,) = read("yaml", "cameras:\n  - pixels:\n      - [1, 2]\n")
    assert place.where == "3"


def test_the_first_photo_of_a_detected_pixel_is_no_date_but_a_users_since_is() -> None:
    since = "2009-05-01T00:00:00"
    detected = f"{{x: 1, y: 2, score: 9.5, since: {since}}}"
    by_hand = f"{{x: 3, y: 4, since: {since}}}"
    when = dt.datetime(2009, 5, 1)

    assert defects("yaml", f"cameras: [{{pixels: [{detected}, {by_hand}]}}]") == [
        at(1, 2, score=9.5),
        at(3, 4, by=when),
    ]
    rows = f"x,y,by,source\n1,2,{since},detected\n3,4,{since},configured\n"
    assert defects("csv", rows) == [at(1, 2), at(3, 4, by=when)]


def test_a_list_that_is_no_text_is_told() -> None:
    for name in FORMS:
        if name != "png":
            assert "list:1: byte 0xff is not UTF-8" in refusal(name, b"1\xff")


LISTS = st.text('0123456789 ,#PHCV:-\n{}[]"xycameras.\0\r').map(str.encode)


@given(st.one_of(st.binary(), LISTS))
def test_whatever_a_file_holds_it_is_a_list_or_told(content: bytes) -> None:
    with suppress(HotpixeldError):
        recognised(content, "list")
    for name in FORMS:
        with suppress(PixelListError):
            read(name, content)


def test_what_is_nested_or_long_beyond_reason_is_told() -> None:
    assert "not what `map --format json` writes" in refusal("json", "[" * 100_000)[0]
    assert "not valid CSV" in refusal("csv", f"x,y\n{'1' * 200_000},2\n")[0]

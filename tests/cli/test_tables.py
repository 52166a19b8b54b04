"""Tables of pixels: what a line says on a terminal, in a pipe, and of one pixel."""

from __future__ import annotations

import datetime as dt

import pytest

from hotpixeld.camera import Camera
from hotpixeld.cli import tables
from hotpixeld.cli.tables import CameraPixels
from hotpixeld.defect import Appearance, Defect, Kind, Law, Strength
from hotpixeld.errors import HotpixeldError
from hotpixeld.formats.form import CameraMap
from hotpixeld.repair.pixel_list import ListedPixel, Source
from hotpixeld.store.images import CameraRecord

RECORD = CameraRecord(
    Camera("Canon", "Canon EOS 1100D", "123", 4272, 2848),
    sequence=0,
    generation=0,
    folded_to=0,
    photos=1234,
    weight=1.0,
    mapped=0,
    scenes=30.0,
    pass_photos=0,
)
NOON = dt.datetime(2009, 5, 1, 12)
STRENGTHS = (
    Strength((1 / 3200, 0.01), (100, 800), 0.4, 30),
    Strength((0.25, 2.0), (800, 800), 30.0, 9),
    Strength(None, None, 9.0, 1),
)
DEFECTS = (
    Defect(
        *(7, 5, Kind.HOT, 1, 9.0, (3.0, 28.4, 1.0)),
        by=NOON,
        appearance=Appearance(1004, 1205, STRENGTHS),
        law=Law(0.0, 9e-5, 0.3),
    ),
    Defect(
        *(1271, 1500, Kind.STUCK, 1, 8.0, (-60.0, -5.0, -2.0)),
        after=NOON - dt.timedelta(days=3),
        by=NOON,
        until=NOON + dt.timedelta(days=400),
        appearance=Appearance(9, 9, STRENGTHS),
    ),
    Defect(2847, 4271, focal=(4.3, 5.0)),
)
LISTED = [
    ListedPixel(DEFECTS[0], ignored=True),
    ListedPixel(DEFECTS[1]),
    ListedPixel(DEFECTS[2], Source.CONFIGURED),
]
CAMERA = CameraPixels(CameraMap(RECORD, LISTED), "Canon EOS 1100D", {(5, 7): 1003})


@pytest.mark.parametrize("columns", [60, 80])
def test_a_table_fits_the_terminal_and_loses_no_word(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = tables.text([CAMERA], is_terminal=True)
    words = text.replace("\n", " ").replace("/", " ").split()

    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text
    for word in ("1100D:", "defect", "1,234", "ignored", "5,7"):
        assert word in words
    for word in ("+28", "1,004", "1,205", "1,003", "1500,1271", "-60", "yours"):
        assert word in words


def test_where_there_is_room_each_pixel_is_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    lines = tables.text([CAMERA], is_terminal=True).splitlines()

    assert len(lines) == 2 + len(LISTED)
    assert "from 1/4 s at ISO 800" in lines[2]
    assert "28 Apr - 1 May 2009 until 5 Jun 2010" in lines[3]


def test_in_a_pipe_it_is_fields_between_tabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    head, first, second, last = tables.text([CAMERA], is_terminal=False).splitlines()

    assert head.split("\t") == list(tables.FIELDS)
    assert first.split("\t")[1:] == [
        *("5", "7", "hot", "+28", "from 1/4 s at ISO 800", "1004", "1205", "1003"),
        *("", NOON.isoformat(), "", "ignored"),
    ]
    assert second.split("\t")[9:12] == [
        "2009-04-28T12:00:00",
        "2009-05-01T12:00:00",
        "2010-06-05T12:00:00",
    ]
    assert last.split("\t")[4:9] == ["", "at 4.3-5 mm", "", "", "0"]


def test_of_one_pixel_all_is_told_as_photographers_write_it() -> None:
    text = tables.details([CAMERA], "5,7")

    assert text.splitlines() == [
        "5,7 of Canon EOS 1100D: hot",
        "  levels     red +3, green +28, blue +1",
        "  shows      from 1/4 s at ISO 800; photographed between 1/3200 and 2 s",
        "  seen       in 1,004 of 1,205 photos that could tell",
        "  repaired   in 1,003 copies",
        "  since      the first photo",
        "  listed     and ignored, as you said",
        "  exposures  1/3200-1/100 s at ISO 100-800: +0 levels in 30 photos",
        "             1/4-2 s at ISO 800: +30 levels in 9 photos",
        "             unknown: +9 levels in 1 photo",
    ]


def test_a_place_without_a_pixel_is_said_to_be_one() -> None:
    with pytest.raises(HotpixeldError, match="no pixel is listed at 6,7"):
        tables.details([CAMERA], "6,7")


def test_no_camera_says_what_to_do() -> None:
    assert "hotpixeld run" in tables.text([], is_terminal=True)
    assert tables.text([], is_terminal=False) == "\t".join(tables.FIELDS) + "\n"

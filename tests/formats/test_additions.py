"""What a list adds to a configuration: the same list for every form, and nothing twice."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from hotpixeld.camera import Camera
from hotpixeld.config.load import parse
from hotpixeld.config.model import Pixel, Point
from hotpixeld.defect import Defect, Kind
from hotpixeld.errors import HotpixeldError, PixelListError
from hotpixeld.formats.additions import Additions, added, additions, sound
from hotpixeld.formats.form import CameraMap, ReadPixel, moved
from hotpixeld.formats.known_forms import FORMS, recognised, written
from hotpixeld.repair.pixel_list import ListedPixel, Source
from hotpixeld.store.images import CameraRecord

CAMERA = Camera("NIKON CORPORATION", "NIKON D80", "0123", 40, 30)
RECORD = CameraRecord(CAMERA, 0, 0, 0, 0.0, 0, 0, 0.0, 0)
AFTER, BY, UNTIL = (dt.datetime(2024, 5, day, 12) for day in (1, 3, 9))
LISTED = [
    ListedPixel(Defect(0, 0, radius=1, score=9.0, by=AFTER)),
    ListedPixel(Defect(0, 39, Kind.DEAD, score=7.0, after=AFTER, by=BY)),
    ListedPixel(Defect(7, 9, radius=2, score=7.0, after=AFTER, by=BY, until=UNTIL)),
    ListedPixel(Defect(8, 9, radius=2)),
    ListedPixel(Defect(20, 21), ignored=True),
    ListedPixel(Defect(29, 39, Kind.STUCK, radius=3, by=BY), Source.CONFIGURED),
]
TO_REPAIR = [(0, 0), (39, 0), (9, 7), (9, 8), (39, 29)]
CARRIES = {
    "json": "everything",
    "yaml": "everything",
    "csv": "everything",
    "dcraw": "begin",
    "siril": "dead",
}
"""What a form has beside places."""


def pixel(x: int, y: int, **said: object) -> tuple[ReadPixel, Pixel]:
    return ReadPixel("1", Defect.at(x, y)), Pixel.model_validate(
        {"x": x, "y": y, **said}
    )


@pytest.mark.parametrize("offset", [(0, 0), (12, 4)])
@pytest.mark.parametrize("name", FORMS)
def test_import_of_every_export_gives_the_same_list(
    name: str, offset: tuple[int, int]
) -> None:
    form = FORMS[name]
    content = written(form, [CameraMap(RECORD, LISTED)], offset)
    read = recognised(content, "list").read(content, CAMERA, Path("list"))
    if form.is_raw:
        read = [
            replace(one, defect=moved(one.defect, -offset[0], -offset[1]))
            for one in read
        ]
    new = additions(sound(read, CAMERA, Path("list")), [], [])
    text = added("", Path("hotpixeld.yaml"), CAMERA, None, new)
    (entry,) = parse(text, Path("hotpixeld.yaml")).cameras

    assert [(one.x, one.y) for one in entry.pixels] == TO_REPAIR
    assert entry.matches(CAMERA)
    carried = CARRIES.get(name)
    kinds = [str(one.kind) for one in entry.pixels]
    begins = [one.since.start if one.since else None for one in entry.pixels]
    ignored = [(one.x, one.y) for one in entry.ignore]
    if carried == "everything":
        assert kinds == ["hot", "dead", "hot", "hot", "stuck"]
        assert [one.radius for one in entry.pixels] == [1, None, 2, 2, 3]
        assert [one.until for one in entry.pixels] == [None, None, UNTIL, None, None]
        assert ignored == [(21, 20)]
    else:
        is_dead = carried == "dead"
        assert kinds == ["hot", "dead" if is_dead else "hot", "hot", "hot", "hot"]
        assert ignored == []
    dated = carried in {"everything", "begin"}
    assert begins == ([None, BY, BY, None, BY] if dated else [None] * 5)


def test_a_place_outside_the_frame_is_told_with_its_line() -> None:
    read = [
        ReadPixel("3", Defect.at(40, 29)),
        ReadPixel("4", Defect.at(39, 29)),
        ReadPixel("cameras[0].pixels[7]", Defect.at(0, -1)),
    ]

    with pytest.raises(PixelListError) as caught:
        sound(read, CAMERA, Path("my.lst"))
    frame = f"the 40 x 30 frame of {CAMERA.id}"
    assert caught.value.problems == (
        f"my.lst:3: 40,29 is outside {frame}",
        f"my.lst: cameras[0].pixels[7]: 0,-1 is outside {frame}",
    )


def test_what_the_configuration_could_not_say_is_told() -> None:
    read = [ReadPixel("3", Defect(7, 9, radius=40))]

    with pytest.raises(PixelListError, match=r"my.csv:3: 9,7: radius: .* 16"):
        sound(read, CAMERA, Path("my.csv"))


def test_a_pixel_that_is_listed_is_not_added_nor_one_that_is_ignored() -> None:
    read = [pixel(1, 1), pixel(2, 2), pixel(3, 3), pixel(3, 3)]
    (listed, again), ignored = pixel(1, 1, kind="stuck"), (2, 2)
    new = additions(read, [again], [ignored])

    assert [(one.x, one.y) for one in new.pixels] == [(3, 3)]
    assert new.known == [Point(x=1, y=1), Point(x=3, y=3)]
    assert new.opposite == [Point(x=2, y=2)]
    assert listed.defect.x == 1


def test_another_life_of_a_listed_pixel_is_added() -> None:
    (_, first), later = pixel(1, 1, until="2011-03-01"), pixel(1, 1, since="2012-01-01")

    assert additions([later], [first], []).pixels == [later[1]]
    (_, still) = pixel(1, 1, since="2011-12-01")
    assert additions([later], [still], []).pixels == []


def test_a_pixel_to_ignore_is_left_out_where_it_is_listed() -> None:
    read = [
        (ReadPixel("1", Defect.at(x, 1), ignored=True), pixel(x, 1)[1])
        for x in (1, 2, 2)
    ]
    new = additions(read, [pixel(1, 1)[1]], [])

    assert new == Additions([], [Point(x=2, y=1)], [Point(x=2, y=1)], [Point(x=1, y=1)])


def test_a_configuration_that_cannot_be_added_to_is_told_with_what_to_add() -> None:
    text = "cameras:\n  - &a {model: NIKON D80, size: [40, 30], pixels: &p [[1, 1]]}\n"
    text += "  - {model: NIKON D70, size: [40, 30], pixels: *p}\n"
    new = Additions([pixel(9, 7)[1]])

    with pytest.raises(HotpixeldError, match="by hand") as refusal:
        added(text, Path("hotpixeld.yaml"), CAMERA, 0, new)
    assert "\n  - {x: 9, y: 7, kind: hot}" in str(refusal.value)

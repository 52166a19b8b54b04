"""The formats of `map --format`, from the same two cameras."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path

import pytest

from hotpixeld.camera import Camera
from hotpixeld.config.load import parse
from hotpixeld.defect import Appearance, Defect, Kind, Law, Strength
from hotpixeld.formats import map_formats
from hotpixeld.formats.map_formats import FORMATS
from hotpixeld.repair.pixel_list import ListedPixel, Source
from hotpixeld.store.images import CameraRecord

AFTER, BY = dt.datetime(2024, 5, 1, 12), dt.datetime(2024, 5, 3, 12)
CAMERA = Camera("Maker", "Model One", "0123", 40, 30)
OTHER = Camera("Maker", "Model Two", "", 40, 30)
DATED = Defect(
    7,
    9,
    radius=2,
    score=8.126,
    amplitude=(10.006, 11.0, 12.0),
    after=AFTER,
    by=BY,
)
IN_THE_CORNER = Defect(0, 0, Kind.STUCK)


def record(camera: Camera) -> CameraRecord:
    return CameraRecord(camera, 0, 0, 0, 0.0, 0, 0, 0.0, 0)


LISTED = [
    ListedPixel(DATED),
    ListedPixel(IN_THE_CORNER, Source.CONFIGURED),
    ListedPixel(Defect(20, 21), ignored=True),
]
MAPS = [(record(CAMERA), LISTED), (record(OTHER), [])]


def test_csv_has_a_line_for_each_pixel_and_nothing_for_what_is_unknown() -> None:
    first, second, third = csv.DictReader(io.StringIO(FORMATS["csv"](MAPS)))

    assert first == {
        "camera": CAMERA.id,
        "x": "9",
        "y": "7",
        "kind": "hot",
        "score": "8.13",
        "after": AFTER.isoformat(),
        "by": BY.isoformat(),
        "until": "",
        "source": "detected",
        "ignored": "",
    }
    assert (second["x"], second["y"], second["kind"]) == ("0", "0", "stuck")
    assert second["score"] == second["after"] == second["by"] == ""
    assert second["source"] == "configured"
    assert (third["source"], third["ignored"]) == ("detected", "yes")


def test_dcraw_has_the_onset_as_unix_time_and_0_for_always() -> None:
    lines = FORMATS["dcraw"](MAPS).splitlines()

    assert lines == [
        f"# {CAMERA.id}",
        f"9 7 {int(BY.timestamp())}",
        "0 0 0",
        f"# {OTHER.id}",
    ]


def test_jpegpixi_has_squares_of_the_defects_size_that_begin_inside_the_photo() -> None:
    lines = FORMATS["jpegpixi"](MAPS).splitlines()

    assert lines == [f"# {CAMERA.id}", "7,5,5", "0,0,3", f"# {OTHER.id}"]


def test_yaml_is_a_configuration_with_the_same_pixels() -> None:
    config = parse(FORMATS["yaml"](MAPS), Path("/map.yaml"))

    assert {(pixel.x, pixel.y) for pixel in config.cameras[0].pixels} == {
        (9, 7),
        (0, 0),
    }
    assert [(point.x, point.y) for point in config.cameras[0].ignore] == [(21, 20)]
    assert config.cameras[0].serial == "0123"


def test_json_rounds_to_hundredths() -> None:
    cameras = json.loads(FORMATS["json"](MAPS))["cameras"]
    first, second, third = cameras[0]["pixels"]

    assert [camera["id"] for camera in cameras] == [CAMERA.id, OTHER.id]
    assert (first["score"], first["amplitude"]) == (8.13, [10.01, 11.0, 12.0])
    assert first["since"] == {"after": AFTER.isoformat(), "by": BY.isoformat()}
    assert (first["source"], first["ignored"]) == ("detected", False)
    assert (second["source"], third["ignored"]) == ("configured", True)
    assert map_formats.life(ListedPixel(DATED))["exposures"] == []
    assert (first["law"], first["conditions"]) == (None, "")


def test_json_tells_the_law_of_a_hot_pixel_and_when_it_shows() -> None:
    shown = Appearance(9, 9, (Strength((0.01, 0.5), (100, 800), 30.0, 9),))
    defect = Defect(9, 5, law=Law(0.123456, 0.0, 0.3), appearance=shown)
    told = map_formats.pixel(ListedPixel(defect))

    assert told["law"] == {"offset": 0.1235, "dark": 0.0, "scatter": 0.3, "drift": 0.0,
                           "celsius": None, "doubling": 10.0}  # fmt: skip
    assert told["conditions"] == "shows always, photographed between 1/100 and 0.5 s"


@pytest.mark.parametrize("name", FORMATS)
def test_no_camera_yet_is_a_whole_file(name: str) -> None:
    text = FORMATS[name]([])

    assert text.endswith("\n")
    assert "Model" not in text

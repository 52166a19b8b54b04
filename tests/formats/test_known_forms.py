"""What `map --format` writes, in every form, and how a file's form is known."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hotpixeld.camera import Camera
from hotpixeld.config.load import parse
from hotpixeld.defect import Appearance, Defect, Kind, Law, Strength
from hotpixeld.detection import suspects
from hotpixeld.errors import HotpixeldError
from hotpixeld.formats import json_map
from hotpixeld.formats.form import CameraMap
from hotpixeld.formats.known_forms import FORMS, files, recognised, written
from hotpixeld.repair.pixel_list import ListedPixel, Source
from hotpixeld.store.images import CameraRecord

AFTER, BY = dt.datetime(2024, 5, 1, 12), dt.datetime(2024, 5, 3, 12)
CAMERA = Camera("NIKON CORPORATION", "NIKON D80", "0123", 40, 30)
OTHER = Camera("Maker", "Model Two", "", 40, 30)
DATED = Defect(
    7,
    9,
    radius=2,
    score=8.126,
    amplitude=(10.006, 11.0, 12.0),
    after=AFTER,
    by=BY,
    focal=(4.3, 5.0),
    law=Law(0.123456, 0.0, 0.3),
)
IN_THE_CORNER = Defect(0, 0, Kind.STUCK)


def record(camera: Camera) -> CameraRecord:
    return CameraRecord(camera, 0, 0, 0, 0.0, 0, 0, 0.0, 0)


LISTED = [
    ListedPixel(DATED),
    ListedPixel(IN_THE_CORNER, Source.CONFIGURED),
    ListedPixel(Defect(20, 21), ignored=True),
    ListedPixel(Defect(29, 38, Kind.DEAD, by=BY)),
]
MAPS = [CameraMap(record(CAMERA), LISTED), CameraMap(record(OTHER), [])]
ONE = MAPS[:1]
KNOW_NO_CAMERAS = [name for name, form in FORMS.items() if not form.knows_cameras]


def text(name: str, *, of_all: bool = False) -> str:
    return written(FORMS[name], MAPS if of_all else ONE).decode()


def test_csv_has_all_that_is_known_of_a_pixel_in_columns() -> None:
    first, second, third, fourth = csv.DictReader(io.StringIO(text("csv", of_all=True)))

    assert {key: value for key, value in first.items() if value} == {
        "camera": CAMERA.id,
        "x": "9",
        "y": "7",
        "kind": "hot",
        "score": "8.13",
        "after": AFTER.isoformat(),
        "by": BY.isoformat(),
        "source": "detected",
        "radius": "2",
        "red": "10.01",
        "green": "11.0",
        "blue": "12.0",
        "focal_from": "4.3",
        "focal_to": "5.0",
        "offset": "0.1235",
        "dark": "0.0",
        "scatter": "0.3",
        "drift": "0.0",
        "doubling": "10.0",
        "certain": "yes",
    }
    assert (second["x"], second["y"], second["kind"]) == ("0", "0", "stuck")
    assert second["score"] == second["after"] == second["by"] == second["red"] == ""
    assert second["source"] == "configured"
    assert (third["source"], third["ignored"]) == ("detected", "yes")
    assert (fourth["kind"], fourth["by"]) == ("dead", BY.isoformat())


def test_dcraw_has_the_onset_as_unix_time_and_0_for_always() -> None:
    assert text("dcraw").splitlines() == [
        f"# {CAMERA.id}: column row time",
        f"9 7 {int(BY.timestamp())}",
        "0 0 0",
        "38 29 0",
    ]


def test_rawtherapee_has_places_and_nothing_else() -> None:
    assert text("rawtherapee") == "9 7\n0 0\n38 29\n"


def test_siril_says_which_are_cold() -> None:
    assert text("siril").splitlines() == [
        f"# {CAMERA.id}",
        "P 9 7 H",
        "P 0 0 H",
        "P 38 29 C",
    ]


def test_jpegpixi_has_squares_of_the_defects_size_cut_to_the_photo() -> None:
    assert text("jpegpixi").splitlines() == [
        f"# {CAMERA.id}",
        "7,5,5",
        "0,0,2,2  # 0,0",
        "37,28,3,2  # 38,29",
    ]


def test_a_mask_is_white_at_defects_and_nearly_so_in_their_footprints() -> None:
    content = written(FORMS["png"], ONE)
    with Image.open(io.BytesIO(content)) as image:
        mask = np.asarray(image)

    assert mask.shape == (30, 40)
    assert np.argwhere(mask == 255).tolist() == [[0, 0], [7, 9], [29, 38]]
    assert np.count_nonzero(mask == 254) == (5 * 5 - 1) + (2 * 2 - 1) + (2 * 3 - 1)
    assert np.count_nonzero(mask) == 25 + 4 + 6


def test_raw_converters_get_the_places_in_the_raw_frame() -> None:
    assert written(FORMS["rawtherapee"], ONE, (12, 4)) == b"21 11\n12 4\n50 33\n"
    assert b"\n12 4 0\n" in written(FORMS["dcraw"], ONE, (12, 4))
    assert b"\nP 12 4 H\n" in written(FORMS["siril"], ONE, (12, 4))


def test_a_place_with_two_lives_is_one_pixel_from_its_first_life_on() -> None:
    again = Defect(7, 9, after=dt.datetime(2025, 1, 1), by=dt.datetime(2025, 1, 2))
    twice = [CameraMap(record(CAMERA), [*LISTED[:1], ListedPixel(again)])]

    for name in KNOW_NO_CAMERAS:
        assert written(FORMS[name], twice) == written(
            FORMS[name], [CameraMap(record(CAMERA), LISTED[:1])]
        )


@pytest.mark.parametrize("name", KNOW_NO_CAMERAS)
def test_two_cameras_in_one_file_are_refused_where_it_cannot_tell_them_apart(
    name: str,
) -> None:
    with pytest.raises(HotpixeldError, match="does not say which camera") as refusal:
        written(FORMS[name], MAPS)
    assert "--camera" in str(refusal.value)
    assert "--output DIR/" in str(refusal.value)
    assert OTHER.id in str(refusal.value)
    with pytest.raises(HotpixeldError, match="no camera is known yet"):
        written(FORMS[name], [])


@pytest.mark.parametrize("name", FORMS)
def test_there_is_a_file_for_each_camera(name: str) -> None:
    form = FORMS[name]
    found = files(form, MAPS)

    assert len(found) == 2
    assert list(found.values()) == [written(form, [one]) for one in MAPS]
    for file in found:
        assert file.endswith(form.suffix)


def test_rawtherapees_file_has_the_name_that_it_looks_for() -> None:
    assert list(files(FORMS["rawtherapee"], MAPS)) == [
        "Nikon D80 0123.badpixels",
        "Maker Model Two.badpixels",
    ]


def test_of_a_body_at_two_sizes_raw_converters_get_the_larger() -> None:
    half = Camera(*CAMERA.body, 20, 15)
    maps = [CameraMap(record(half), LISTED), *MAPS]

    for name in ("dcraw", "rawtherapee", "siril"):
        assert files(FORMS[name], maps) == files(FORMS[name], MAPS)
    assert len(files(FORMS["csv"], maps)) == 3


def test_two_bodies_that_rawtherapee_would_take_for_one_are_refused() -> None:
    twin = Camera("Nikon", CAMERA.model, CAMERA.serial, 40, 30)

    with pytest.raises(HotpixeldError, match=r"'Nikon D80 0123\.badpixels'"):
        files(FORMS["rawtherapee"], [*MAPS, CameraMap(record(twin), [])])


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_recognised_by_what_is_in_it(name: str) -> None:
    assert recognised(written(FORMS[name], ONE), "list").name == name


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("4\n12 7", "rawtherapee"),
        ("# by hand\n\n12 7", "rawtherapee"),
        ("12 7 0", "dcraw"),
        ("P 12 7", "siril"),
        ("C 12 0", "siril"),
        ("12,7", "jpegpixi"),
        ("V:12,7,3", "jpegpixi"),
        ("x,y,note", "csv"),
        ('"","y","x"', "csv"),
        ("cameras:", "yaml"),
        ('{"cameras": []}', "json"),
    ],
)
def test_lists_of_others_are_recognised(line: str, name: str) -> None:
    assert recognised(line.encode(), "list.txt").name == name


def test_a_list_of_nothing_is_known_by_its_name_and_a_letter_by_nothing() -> None:
    assert recognised(b"", "Nikon D80.badpixels").name == "rawtherapee"
    with pytest.raises(
        HotpixeldError, match="say what it is with --format, one of json"
    ):
        recognised(b"Dear Anna,", "letter.txt")


def test_yaml_is_a_configuration_with_the_same_pixels() -> None:
    config = parse(text("yaml", of_all=True), Path("/map.yaml"))

    assert {(pixel.x, pixel.y) for pixel in config.cameras[0].pixels} == {
        (9, 7),
        (0, 0),
        (38, 29),
    }
    assert [(point.x, point.y) for point in config.cameras[0].ignore] == [(21, 20)]
    assert config.cameras[0].serial == "0123"


@pytest.mark.parametrize("name", FORMS)
def test_what_is_not_certain_yet_is_repaired_by_nobody_else(name: str) -> None:
    """Spreadsheets and scripts are told of it; lists that others repair by leave it out."""
    weak = ListedPixel(Defect(11, 21, score=suspects.CERTAIN - 0.5, by=BY))
    maps = [CameraMap(record(CAMERA), [*LISTED, weak])]
    with_weak = FORMS[name].write(maps)

    found = FORMS[name].read(with_weak, CAMERA, Path("list"))

    places = [(one.defect.row, one.defect.col) for one in found]
    assert ((11, 21) in places) == (name in {"json", "csv"})
    if name == "json":
        told = json.loads(with_weak)["cameras"][0]["pixels"]
        assert [one["certain"] for one in told] == [*[True] * len(LISTED), False]
    elif name == "yaml":
        assert "# not certain yet:\n      # - {x: 21, y: 11," in with_weak.decode()
    elif name != "csv":
        assert with_weak == FORMS[name].write(ONE)


def test_json_rounds_to_hundredths() -> None:
    cameras = json.loads(text("json", of_all=True))["cameras"]
    first, second, third, _ = cameras[0]["pixels"]

    assert [camera["id"] for camera in cameras] == [CAMERA.id, OTHER.id]
    assert (first["score"], first["amplitude"]) == (8.13, [10.01, 11.0, 12.0])
    assert first["since"] == {"after": AFTER.isoformat(), "by": BY.isoformat()}
    assert (first["source"], first["ignored"]) == ("detected", False)
    assert (second["source"], third["ignored"]) == ("configured", True)
    assert json_map.life(ListedPixel(DATED))["exposures"] == []
    assert (second["law"], first["conditions"]) == (None, "")


def test_json_tells_the_law_of_a_hot_pixel_and_when_it_shows() -> None:
    shown = Appearance(9, 9, (Strength((0.01, 0.5), (100, 800), 30.0, 9),))
    defect = Defect(9, 5, law=Law(0.123456, 0.0, 0.3), appearance=shown)
    told = json_map.pixel(ListedPixel(defect))

    assert told["law"] == {"offset": 0.1235, "dark": 0.0, "scatter": 0.3, "drift": 0.0,
                           "celsius": None, "doubling": 10.0}  # fmt: skip
    assert told["conditions"] == "shows always, photographed between 1/100 and 0.5 s"


@pytest.mark.parametrize("name", ["json", "yaml", "csv"])
def test_no_camera_yet_is_a_whole_file(name: str) -> None:
    content = written(FORMS[name], []).decode()

    assert content.endswith("\n")
    assert "Model" not in content

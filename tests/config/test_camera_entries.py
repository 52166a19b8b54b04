from __future__ import annotations

import datetime as dt

import pytest

from hotpixeld.camera import Camera
from hotpixeld.config.model import CameraConfig, Pixel
from hotpixeld.defect import Defect, Kind

D80 = Camera("NIKON CORPORATION", "NIKON D80", "3012345", 3872, 2592)


def day(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def pixel(**keys: object) -> Pixel:
    return Pixel.model_validate({"x": 4, "y": 6} | keys)


def test_x_is_the_column_and_y_the_row() -> None:
    assert pixel().defect() == Defect(row=6, col=4)
    assert Pixel.model_validate((4, 6)) == pixel()


def test_all_that_is_known_of_a_pixel_reaches_the_defect() -> None:
    known = pixel(
        kind="stuck",
        radius=2,
        score=9.5,
        amplitude=(8.0, 7.5, 1.0),
        since={"after": "2009-05-01T10:00:00", "by": "2009-05-02T11:30:15"},
        until="2011-03-01",
    )

    assert known.defect() == Defect(
        row=6,
        col=4,
        kind=Kind.STUCK,
        radius=2,
        score=9.5,
        amplitude=(8.0, 7.5, 1.0),
        after=day("2009-05-01T10:00:00"),
        by=day("2009-05-02T11:30:15"),
        until=day("2011-03-01"),
    )


@pytest.mark.parametrize(
    ("keys", "when", "is_there"),
    [
        ({}, "2000-01-01", True),
        ({"since": "2009-05-01"}, "2009-04-30T23:59:59", False),
        ({"since": "2009-05-01"}, "2009-05-01", True),
        ({"until": "2011-03-01"}, "2011-02-28T23:59:59", True),
        ({"until": "2011-03-01"}, "2011-03-01", False),
        ({"since": "2009-05-01", "until": "2011-03-01"}, "2010-01-01", True),
        ({"since": {"after": "2009-05-01", "by": "2009-05-09"}}, "2009-05-05", False),
        ({"since": {"after": "2009-05-01", "by": "2009-05-09"}}, "2009-05-09", True),
        ({"since": {"after": "2009-05-01"}}, "2009-05-05", True),
    ],
)
def test_a_pixel_is_there_within_its_dates(
    keys: dict[str, object], when: str, is_there: bool
) -> None:
    assert pixel(**keys).is_there(day(when)) is is_there


@pytest.mark.parametrize(
    ("keys", "is_there"),
    [({}, True), ({"since": "2009-05-01"}, True), ({"until": "2011-03-01"}, False)],
)
def test_a_photo_without_capture_time_counts_as_taken_now(
    keys: dict[str, object], is_there: bool
) -> None:
    assert pixel(**keys).is_there(None) is is_there


@pytest.mark.parametrize(
    "entry",
    [
        CameraConfig(),
        CameraConfig(model="nikon d80"),
        CameraConfig(make="Nikon  Corporation ", model="NIKON D80"),
        CameraConfig(serial="3012345"),
        CameraConfig(serial="0003012345"),
        CameraConfig(model="NIKON D80", size=(3872, 2592)),
    ],
)
def test_an_entry_matches_by_what_it_says(entry: CameraConfig) -> None:
    assert entry.matches(D80)


@pytest.mark.parametrize(
    "entry",
    [
        CameraConfig(make="Canon"),
        CameraConfig(model="NIKON D8"),
        CameraConfig(serial="3012346"),
        CameraConfig(serial=""),
        CameraConfig(model="NIKON D80", size=(2592, 3872)),
    ],
)
def test_an_entry_that_says_otherwise_does_not_match(entry: CameraConfig) -> None:
    assert not entry.matches(D80)


def test_an_empty_text_matches_photos_that_carry_none() -> None:
    silent = Camera("Vivo", "V2", "", 40, 30)

    assert CameraConfig(serial="").matches(silent)
    assert not CameraConfig(serial="1").matches(silent)


def test_a_serial_of_zeros_is_a_serial() -> None:
    assert not CameraConfig(serial="0000").matches(Camera("", "", "", 40, 30))
    assert CameraConfig(serial="0000").matches(Camera("", "", "0000", 40, 30))


def test_an_entry_makes_the_camera_of_photos_without_identity() -> None:
    webcam = CameraConfig(name="porch")
    anna = CameraConfig(name="anna", make="NIKON", model="NIKON D80", serial="7")

    assert webcam.camera(40, 30) == Camera("", "porch", "", 40, 30)
    assert anna.camera(40, 30) == Camera("NIKON", "NIKON D80", "7", 40, 30)

"""x, y and row, column."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from hotpixeld.camera import Camera
from hotpixeld.defect import Appearance, Defect, Law, Strength, conditions

DAY = Strength((1 / 3200, 1 / 100), (100, 400), 0.3, 40)
NIGHT = Strength((1 / 4, 2.0), (800, 800), 30.0, 9)


def test_x_is_the_column_and_y_the_row() -> None:
    defect = Defect.at(x=7, y=3)

    assert (defect.row, defect.col) == (3, 7)
    assert (defect.x, defect.y) == (7, 3)
    assert Defect.parse(" 7,3 ") == defect


@pytest.mark.parametrize("text", ["", "7", "7;3", "7,3,1", "-7,3", "7.5,3", "x,y"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not X,Y"):
        Defect.parse(text)


def test_a_cameras_id_is_a_slug_and_tells_bodies_and_sizes_apart() -> None:
    one = Camera("NIKON CORPORATION", "NIKON D80", "3012345", 3872, 2592)
    others = [
        Camera("NIKON CORPORATION", "NIKON D80", "3012346", 3872, 2592),
        Camera("NIKON CORPORATION", "NIKON D80", "3012345", 2592, 3872),
        Camera("NIKON-CORPORATION", "NIKON D80", "3012345", 3872, 2592),
    ]

    assert one.id.startswith("nikon-d80-3012345-3872x2592-")
    assert len({one.id, *(other.id for other in others)}) == 4


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "\x00", "é" * 200, "\t"])
def test_no_name_in_exif_can_lead_out_of_the_state_folder(name: str) -> None:
    found = Camera(name, name, name, 70, 50).id

    assert "/" not in found
    assert not found.startswith(".")
    assert len(found) < 100


def shown(law: Law, *photographed: Strength) -> str:
    """Return the conditions of a hot pixel of this law, in photos of these exposures."""
    appearance = Appearance(9, 9, photographed)
    return conditions(Defect(5, 7, law=law, appearance=appearance))


def test_conditions_are_told_from_where_on_it_shows() -> None:
    warm = Law(0.0, 8e-5, 0.3)

    told = "shows from 1/3 s at ISO 800, photographed between 1/3200 and 2 s"
    assert shown(warm, DAY, NIGHT) == told


def test_where_only_one_side_was_photographed_no_limit_is_told() -> None:
    warm = Law(0.0, 8e-5, 0.3)

    assert shown(warm, DAY) == ""
    assert shown(warm, NIGHT).startswith("shows from 1/3 s at ISO 800")
    assert shown(Law(0.0, 8e-4, 0.3), NIGHT) == (
        "shows always, photographed between 1/4 and 2 s"
    )


def test_what_shows_whatever_the_exposure_is_told_as_such() -> None:
    told = "shows always, photographed between 1/3200 and 2 s"
    assert shown(Law(0.1, 0.0, 0.3), DAY, NIGHT) == told


def test_dates_are_told_instead_of_conditions() -> None:
    when = dt.datetime(2024, 3, 1)
    appearance = Appearance(9, 9, (DAY, NIGHT))
    defect = Defect(5, 7, after=when, by=when, law=Law(0.1, 0, 0.3))

    assert conditions(replace(defect, appearance=appearance)) == ""
    assert conditions(Defect(5, 7, law=defect.law)) == "", "no photo is known"

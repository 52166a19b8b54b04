"""x, y and row, column."""

from __future__ import annotations

import pytest

from hotpixeld.camera import Camera
from hotpixeld.defect import Defect


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

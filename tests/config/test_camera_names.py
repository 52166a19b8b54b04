"""What cameras are called, and which one a name means."""

from __future__ import annotations

import pytest

from hotpixeld.camera import Camera
from hotpixeld.config.camera_names import meant, names, only
from hotpixeld.config.model import CameraConfig, Config
from hotpixeld.errors import HotpixeldError

ONE, TWO = (Camera("NIKON", "D90", serial, 40, 30) for serial in ("1001", "2002"))
SMALL = Camera("NIKON", "D90", "2002", 20, 15)
OTHER = Camera("Canon", "Canon EOS 1100D", "", 40, 30)
ALL = (ONE, TWO, SMALL, OTHER)
ANNA = Config(cameras=(CameraConfig(name="anna", serial="2002"),))


def test_cameras_have_the_names_that_people_use() -> None:
    assert names([ONE, TWO, OTHER], Config()) == {
        ONE.id: "NIKON D90 (1001, 40 x 30)",
        TWO.id: "NIKON D90 (2002, 40 x 30)",
        OTHER.id: "Canon EOS 1100D",
    }
    assert names([ONE, TWO], ANNA)[TWO.id] == "anna"


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (OTHER.id, [OTHER]),
        ("canon", [OTHER]),
        ("eos", [OTHER]),
        ("EOS 1100d", [OTHER]),
        ("1001", [ONE]),
        ("2002", [TWO, SMALL]),
        ("anna", [TWO, SMALL]),
        ("NIKON D90 (1001, 40 x 30)", [ONE]),
    ],
)
def test_a_camera_is_meant_by_id_beginning_model_serial_or_name(
    named: str, found: list[Camera]
) -> None:
    config = ANNA if named == "anna" else Config()

    assert meant(ALL, config, named) == found


def test_a_part_of_several_means_none_and_they_are_named() -> None:
    with pytest.raises(HotpixeldError, match="'d90' may be any of 3 cameras: nikon-d"):
        meant(ALL, Config(), "d90")
    with pytest.raises(HotpixeldError, match="no camera 'sony'; known: "):
        meant(ALL, Config(), "sony")


def test_a_command_about_one_camera_takes_the_only_one_or_asks_which() -> None:
    assert only([OTHER], None) == OTHER
    with pytest.raises(HotpixeldError, match="name a camera; known: none yet"):
        only([], None)
    with pytest.raises(HotpixeldError, match="'2002' names 2 cameras, say which: "):
        only([TWO, SMALL], "2002")

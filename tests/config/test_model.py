from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from hotpixeld.camera import Camera
from hotpixeld.config.model import (
    CameraConfig,
    Config,
    Folder,
    Pixel,
    Point,
    is_largest,
)
from hotpixeld.errors import SkippedPhotoError

if TYPE_CHECKING:
    from hotpixeld.defect import Defect

FULL = Camera("Canon", "Canon A1", "7", 60, 40)
HALF = Camera("Canon", "Canon A1", "7", 30, 20)


def places(defects: list[Defect]) -> list[tuple[int, int]]:
    return [(defect.row, defect.col) for defect in defects]


def test_a_configuration_cannot_be_changed_and_can_be_compared() -> None:
    config = Config()

    with pytest.raises(ValidationError):
        config.state = Path("/elsewhere")
    assert config == Config()
    assert hash(config) == hash(Config())


def test_copies_go_below_the_folder_at_the_same_relative_path() -> None:
    folder = Folder(path=Path("/import"))

    assert folder.copy_path(Path("/import/2009/DSC_1.JPG")) == Path(
        "/import/repaired/2009/c_DSC_1.JPG"
    )


def test_a_photo_may_have_the_template_in_its_name() -> None:
    folder = Folder(path=Path("/import"), repaired=Path("/out"), name="x{name}")

    assert folder.copy_path(Path("/import/{name}{0}.jpg")) == Path(
        "/out/x{name}{0}.jpg"
    )


def test_a_path_that_is_not_utf_8_is_a_path() -> None:
    folder = Folder(path=Path("/import/\udce9t\udce9"))

    assert folder.repaired == Path("/import/\udce9t\udce9/repaired")


def test_a_photo_belongs_to_the_folder_that_holds_it() -> None:
    one, two = Folder(path=Path("/a")), Folder(path=Path("/ab"))
    config = Config(folders=(one, two))

    assert config.folder_of(Path("/ab/c/d.jpg")) == two
    with pytest.raises(SkippedPhotoError, match="in no folder of the configuration"):
        config.folder_of(Path("/b/d.jpg"))


def test_entries_about_a_camera_add_up() -> None:
    model = CameraConfig(model="Canon A1", size=(60, 40), pixels=(Pixel(x=9, y=1),))
    body = CameraConfig(serial="7", pixels=(Pixel(x=5, y=0), Pixel(x=9, y=1, radius=2)))
    other = CameraConfig(serial="8", pixels=(Pixel(x=1, y=1),))
    config = Config(cameras=(model, body, other))

    assert config.camera_entries(FULL) == (model, body)
    found = config.configured_defects(FULL, None, largest=True)
    assert places(found) == [(0, 5), (1, 9)]
    assert found[1].radius is None  # the first entry in the file


def test_pixels_without_size_are_about_the_largest_photos_only() -> None:
    entry = CameraConfig(pixels=(Pixel(x=5, y=9),), ignore=(Point(x=3, y=4),))
    config = Config(cameras=(entry,))

    assert places(config.configured_defects(FULL, None, largest=True)) == [(9, 5)]
    assert config.configured_defects(HALF, None, largest=False) == []
    assert config.ignored(FULL, largest=True) == {(4, 3)}
    assert config.ignored(HALF, largest=False) == set()
    assert config.camera_entries(HALF) == (entry,)


def test_pixels_without_size_are_warned_of() -> None:
    pixels = (Pixel(x=5, y=9),)
    cameras = (
        CameraConfig(model="A", pixels=pixels),
        CameraConfig(model="B", size=(60, 40), pixels=pixels),
        CameraConfig(model="C"),
        CameraConfig(model="D", ignore=(Point(x=1, y=2),)),
    )
    advice = (
        "pixels without `size` are taken for the largest photos of the camera;"
        " add size: [width, height]"
    )

    assert Config(cameras=cameras).warnings() == [
        f"cameras[0]: {advice}",
        f"cameras[3]: {advice}",
    ]


def test_a_pixel_outside_the_photo_is_left_out() -> None:
    pixels = (Pixel(x=59, y=39), Pixel(x=60, y=1), Pixel(x=1, y=40))
    config = Config(cameras=(CameraConfig(pixels=pixels),))

    assert places(config.configured_defects(FULL, None, largest=True)) == [(39, 59)]


def test_only_pixels_of_the_photos_date_are_listed() -> None:
    before = Pixel.model_validate({"x": 1, "y": 2, "until": "2010-01-01"})
    after = Pixel.model_validate({"x": 3, "y": 4, "since": "2010-01-01"})
    config = Config(cameras=(CameraConfig(pixels=(before, after)),))

    def listed(when: dt.datetime | None) -> list[tuple[int, int]]:
        return places(config.configured_defects(FULL, when, largest=True))

    assert listed(dt.datetime.fromisoformat("2009-12-31")) == [(2, 1)]
    assert listed(dt.datetime.fromisoformat("2010-01-01")) == [(4, 3)]
    assert listed(None) == [(4, 3)]


def test_the_last_service_counts() -> None:
    first, last = (dt.datetime(year, 3, 1) for year in (2011, 2015))
    config = Config(
        cameras=(
            CameraConfig(model="Canon A1", serviced=last),
            CameraConfig(serial="7", serviced=first),
            CameraConfig(serial="8"),
        )
    )

    assert config.serviced(HALF) == last
    assert Config().serviced(HALF) is None


def test_a_folder_names_the_camera_of_photos_without_identity() -> None:
    porch, plain = Folder(path=Path("/a"), camera="porch"), Folder(path=Path("/b"))
    entry = CameraConfig(name="porch", size=(60, 40), pixels=(Pixel(x=1, y=2),))
    config = Config(folders=(porch, plain), cameras=(entry,))
    nobody = Camera("", "", "", 60, 40)
    camera = config.camera_of(porch, nobody)

    assert camera == Camera("", "porch", "", 60, 40)
    assert config.camera_of(plain, nobody) == nobody
    assert config.camera_entries(camera) == (entry,)
    assert config.camera_entries(FULL) == ()  # it is about that folder's photos only


D80 = Camera("NIKON CORPORATION", "NIKON D80", "", 60, 40)


def bodies() -> Config:
    """Return two bodies of one model without serial, each with a folder of its own."""
    cameras = (
        CameraConfig(name="anna", model="nikon d80", pixels=(Pixel(x=1, y=2),)),
        CameraConfig(name="ben", model="NIKON D80", pixels=(Pixel(x=3, y=4),)),
        CameraConfig(name="carla", model="NIKON D80", serial="77"),
        CameraConfig(model="NIKON D80", ignore=(Point(x=9, y=9),)),
    )
    folders = tuple(
        Folder(path=Path(f"/{name}"), camera=name) for name in ("anna", "ben", "carla")
    )
    return Config(folders=folders, cameras=cameras)


def test_folders_tell_bodies_of_one_model_apart_that_have_no_serial() -> None:
    config = bodies()
    anna, ben, carla = (config.camera_of(folder, D80) for folder in config.folders)
    general = config.cameras[3]

    assert [one.serial for one in (anna, ben, carla)] == ["anna", "ben", "77"]
    assert len({anna.id, ben.id, carla.id, D80.id}) == 4
    assert config.bodies == {"anna", "ben"}
    assert config.camera_entries(anna) == (config.cameras[0], general)
    assert config.camera_entries(ben) == (config.cameras[1], general)
    assert config.camera_entries(carla)[-2:] == (config.cameras[2], general)


def test_a_folder_does_not_overrule_what_a_photo_says() -> None:
    config = bodies()
    anna = config.folders[0]
    theirs = replace(D80, serial="5"), replace(D80, model="NIKON D90")

    assert [config.camera_of(anna, one) for one in theirs] == list(theirs)


def test_the_map_of_such_a_body_can_be_copied_into_the_configuration() -> None:
    config = bodies()
    anna = config.camera_of(config.folders[0], D80)
    entry = CameraConfig(
        make=anna.make, model=anna.model, serial=anna.serial, size=(60, 40)
    )
    config = config.model_copy(update={"cameras": (*config.cameras, entry)})

    assert entry in config.camera_entries(anna)


def test_an_entry_without_identity_that_no_folder_names_is_about_all() -> None:
    entry = CameraConfig(name="mine", pixels=(Pixel(x=1, y=2),))

    assert Config(cameras=(entry,)).camera_entries(FULL) == (entry,)


def test_the_largest_size_is_that_of_the_body() -> None:
    other = Camera("Canon", "Canon A1", "8", 600, 400)
    upright = Camera("Canon", "Canon A1", "7", 40, 60)
    known = [HALF, upright, FULL, other]

    assert [is_largest(camera, known) for camera in known] == [False, False, True, True]


def test_an_entry_that_names_nothing_is_about_every_camera() -> None:
    entry = CameraConfig(pixels=(Pixel(x=3, y=2),))
    config = Config(folders=(Folder(path=Path("/a")),), cameras=(entry,))

    assert places(config.configured_defects(FULL, None, largest=True)) == [(2, 3)]
    assert places(config.configured_defects(HALF, None, largest=True)) == [(2, 3)]

"""What one size of a body has from the list of another."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import jpegs
from hotpixeld.camera import Camera
from hotpixeld.config.model import CameraConfig, Config, Pixel, Point
from hotpixeld.defect import Defect, Kind
from hotpixeld.engine import bodies
from hotpixeld.photo import metadata
from hotpixeld.store.images import Taken
from hotpixeld.store.ledger import Ledger
from sensor import Sensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hotpixeld.photo.metadata import Metadata

LARGE = Camera("NIKON CORPORATION", "NIKON D80", "3012345", 600, 400)
SMALL = dataclasses.replace(LARGE, width=300, height=200)
BEGUN = dt.datetime(2009, 5, 3)
DEFECT = Defect(100, 201, Kind.HOT, score=1e6)
"""Expected at 49.75, 100.25 in the small size."""
_identities = itertools.count()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(tmp_path / "ledger.sqlite3")
    yield found
    found.close()


def know(
    ledger: Ledger,
    camera: Camera,
    defects: Sequence[Defect] = (),
    photos: int = 16,
    scenes: float = 12.0,
) -> None:
    """Have a camera in the ledger, with a map of so many photos; 0 is none."""
    with ledger.transaction():
        identity = f"{next(_identities):064x}"
        ledger.images.admit(identity, camera, Taken(), 1e9)
        ledger.defects.replace(camera.id, list(defects))
        ledger.images.set_mapped(camera.id, photos, scenes, "contrast")


def expected(
    ledger: Ledger, camera: Camera = SMALL, config: Config | None = None
) -> list[tuple[int, int]]:
    found = bodies.priors(ledger, config or Config(), camera)
    return [(one.row, one.col) for one in found]


def taken(when: dt.datetime) -> Metadata:
    about = metadata.read(jpegs.jpeg(Sensor(48, 64).frame(0)), Path("a.jpg"))
    return dataclasses.replace(about, captured=when)


def test_a_new_size_expects_what_the_other_one_lists(ledger: Ledger) -> None:
    unsure = Defect(20, 30, score=5.0)
    know(ledger, LARGE, [DEFECT, unsure])
    know(ledger, SMALL, photos=0)
    (one,) = bodies.priors(ledger, Config(), SMALL)

    assert (one.row, one.col, one.kind, one.source) == (50, 100, Kind.HOT, "600x400")
    assert set(one.places) == {(49, 100), (49, 101), (50, 100), (50, 101)}
    assert expected(ledger, LARGE) == []


def test_of_several_sizes_the_largest_that_has_a_map_says_what_is_expected(
    ledger: Ledger,
) -> None:
    know(ledger, dataclasses.replace(LARGE, width=450, height=300), [Defect(9, 9)])
    know(ledger, LARGE, [DEFECT])
    know(ledger, dataclasses.replace(LARGE, width=1200, height=800), photos=0)

    assert expected(ledger) == [(50, 100)]


def test_another_body_and_one_of_a_doubtful_name_say_nothing(ledger: Ledger) -> None:
    nameless = dataclasses.replace(LARGE, serial="")
    know(ledger, LARGE, [DEFECT])
    know(ledger, nameless, [DEFECT])

    assert expected(ledger, dataclasses.replace(SMALL, serial="3012346")) == []
    assert expected(ledger, dataclasses.replace(SMALL, serial="")) == []


def test_without_serial_numbers_all_photos_of_a_model_are_taken_for_one_body(
    ledger: Ledger,
) -> None:
    know(ledger, dataclasses.replace(LARGE, serial=""), [DEFECT])

    assert expected(ledger, dataclasses.replace(SMALL, serial="")) == [(50, 100)]


def test_a_serial_in_another_form_is_the_same_body(ledger: Ledger) -> None:
    know(ledger, dataclasses.replace(LARGE, serial="0003012345"), [DEFECT])

    assert expected(ledger) == [(50, 100)]


def test_what_the_own_map_lists_is_not_expected_from_elsewhere(ledger: Ledger) -> None:
    know(ledger, LARGE, [DEFECT])
    know(ledger, SMALL, [Defect(49, 101, score=1e6)], photos=6)

    assert expected(ledger) == []


@pytest.mark.parametrize(
    ("photos", "scenes", "left"),
    [(6, 12.0, 2), (16, 3.0, 2), (16, 12.0, 1)],
)
def test_an_own_map_of_enough_photos_and_scenes_drops_what_it_does_not_list(
    ledger: Ledger, photos: int, scenes: float, left: int
) -> None:
    """But for what it suspects itself: two sizes that show it are not by chance."""
    know(ledger, LARGE, [DEFECT, Defect(300, 401, score=1e6)])
    know(ledger, SMALL, [Defect(150, 200, score=5.0)], photos, scenes)

    assert len(expected(ledger)) == left


def test_what_the_configuration_says_of_a_size_holds(ledger: Ledger) -> None:
    know(ledger, LARGE, [DEFECT])
    know(ledger, SMALL, photos=0)

    def config(**keys: object) -> Config:
        entry = {"model": "NIKON D80", **keys}
        return Config(cameras=(CameraConfig.model_validate(entry),))

    point, other = Point(x=100, y=51), Point(x=201, y=100)
    small, large = (300, 200), (600, 400)
    by_hand = Pixel(x=100, y=50)

    assert expected(ledger, config=config(size=small, ignore=(point,))) == []
    assert expected(ledger, config=config(size=large, ignore=(other,))) == []
    assert expected(ledger, config=config(size=small, pixels=(by_hand,))) == []
    assert expected(ledger, config=config(size=large, ignore=(point,))) == [(50, 100)]


def test_a_photo_expects_what_was_there_when_it_was_taken(ledger: Ledger) -> None:
    begun = dataclasses.replace(DEFECT, after=BEGUN, by=BEGUN)
    know(ledger, LARGE, [begun])

    def found(when: dt.datetime) -> int:
        return len(bodies.priors(ledger, Config(), SMALL, taken(when)))

    assert found(BEGUN - dt.timedelta(days=1)) == 0
    assert found(BEGUN + dt.timedelta(days=1)) == 1


def test_what_a_crop_leaves_out_is_not_expected(ledger: Ledger) -> None:
    wide = dataclasses.replace(LARGE, width=600, height=338)
    know(ledger, LARGE, [Defect(5, 300, score=1e6), Defect(200, 300, score=1e6)])

    assert expected(ledger, wide) == [(169, 300)]

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hotpixeld.camera import Camera
from hotpixeld.config import load, map_yaml
from hotpixeld.defect import Appearance, Defect, Kind, Law, Strength
from hotpixeld.errors import ConfigError

SOURCE = Path("/state/cameras/x/map.yaml")
CAMERA = Camera("Canon", 'Canon "A1"', "0123", 60, 40)


def parsed(text: str) -> dict[Camera, tuple[Defect, ...]]:
    """Return the defects by camera that a map says in the configuration's grammar."""
    found = {}
    for entry in load.parse(text, SOURCE).cameras:
        assert entry.size is not None
        found[entry.camera(*entry.size)] = tuple(p.defect() for p in entry.pixels)
    return found


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


HOT = Defect(
    row=9,
    col=5,
    radius=1,
    score=12.34,
    amplitude=(9.96, -0.04, 1.0),
    after=moment("2009-05-01T10:00:00"),
    by=moment("2009-05-02T11:30:15"),
)
DEAD = Defect(row=3, col=50, kind=Kind.DEAD, by=moment("2009-05-01"))
HEALED = replace(DEAD, kind=Kind.STUCK, until=moment("2010-01-01T12:00:00.5"))


def test_a_map_has_one_defect_a_line_by_row_and_column() -> None:
    assert map_yaml.dump(CAMERA, [HOT, DEAD], 412) == (
        "# Maintained by hotpixeld: edits are overwritten.  To change what is repaired,"
        " copy an\n"
        "# entry into `cameras` of the configuration, and pixels there into `pixels` or"
        " `ignore`.\n"
        "cameras:\n"
        "  # canon-a1-0123-60x40-ID, from 412 photos\n"
        '  - make: "Canon"\n'
        '    model: "Canon \\"A1\\""\n'
        '    serial: "0123"\n'
        "    size: [60, 40]\n"
        "    pixels:\n"
        "      - {x: 50, y: 3, kind: dead, since: 2009-05-01T00:00:00}\n"
        "      - {x: 5, y: 9, kind: hot, radius: 1, score: 12.3,"
        " amplitude: [10.0, -0.0, 1.0],"
        " since: {after: 2009-05-01T10:00:00, by: 2009-05-02T11:30:15}}\n"
    ).replace("canon-a1-0123-60x40-ID", CAMERA.id)


def test_a_map_says_in_a_comment_when_an_undated_defect_shows() -> None:
    shown = Appearance(9, 9, (Strength((0.01, 0.5), (100, 800), 30.0, 9),))
    defect = Defect(row=9, col=5, law=Law(0.1, 0.0, 0.3), appearance=shown)
    text = map_yaml.dump(CAMERA, [defect], photos=9)

    told = "# shows always, photographed between 1/100 and 0.5 s"
    assert f"{{x: 5, y: 9, kind: hot}}  {told}\n" in text
    assert parsed(text) == {CAMERA: (Defect(row=9, col=5),)}


def test_a_map_does_not_depend_on_the_order_of_the_defects() -> None:
    lives = [HEALED, replace(HEALED, by=moment("2011-01-01"), until=None), HOT]

    assert map_yaml.dump(CAMERA, lives, 1) == map_yaml.dump(CAMERA, lives[::-1], 1)


def test_a_map_without_defects_says_so() -> None:
    text = map_yaml.dump(CAMERA, [], 1)

    assert text.endswith("    pixels: []\n")
    assert f"# {CAMERA.id}, from 1 photo\n" in text
    assert parsed(text) == {CAMERA: ()}


def test_an_entry_can_be_copied_into_a_configuration() -> None:
    other = Camera("", "porch cam", "", 30, 20)
    text = (
        "detection: {min_photos: 8}\n"
        "cameras:\n"
        "  - {model: Own, size: [60, 40], pixels: [[1, 2]]}\n"
        f"{map_yaml.entry(CAMERA, [HOT, DEAD], 412)}"
        f"{map_yaml.entry(other, [HEALED], 16)}"
    ).replace("x: 50", "x: 15")
    config = load.parse(text, SOURCE)

    listed = config.configured_defects(CAMERA, None, largest=False)
    assert [(defect.x, defect.y) for defect in listed] == [(15, 3), (5, 9)]
    assert config.camera_entries(other) == (config.cameras[2],)


def test_a_defect_comes_back_as_it_was_written() -> None:
    found = parsed(map_yaml.dump(CAMERA, [HOT, HEALED], 7))

    rounded = replace(HOT, score=12.3, amplitude=(10.0, 0.0, 1.0))
    assert found == {CAMERA: (HEALED, rounded)}


def test_a_damaged_map_is_refused_with_its_lines() -> None:
    text = map_yaml.dump(CAMERA, [HOT, DEAD], 7).replace("kind: hot", "kind: warm")

    with pytest.raises(ConfigError) as caught:
        load.parse(text, SOURCE)
    assert caught.value.problems == (
        (
            f"{SOURCE}:11: cameras[0].pixels[1]: kind must be 'hot', 'stuck' or"
            " 'dead', not 'warm'"
        ),
    )


NAMES = st.text(max_size=20).map(str.strip)  # as EXIF strings reach us
CAMERAS = st.builds(
    Camera, NAMES, NAMES, NAMES, st.integers(1, 65_535), st.integers(1, 65_535)
)
LEVELS = st.integers(-2550, 2550).map(lambda tenths: tenths / 10)
TIMES = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2090, 1, 1))


@st.composite
def defects(draw: st.DrawFn, camera: Camera) -> list[Defect]:
    """Draw defects of which some have healed and come back."""
    extent = st.tuples(
        st.integers(0, min(camera.width, 65_535) - 1),
        st.integers(0, min(camera.height, 65_535) - 1),
    ).filter(lambda place: max(place) < 65_535)
    found = []
    for x, y in draw(st.sets(extent, max_size=4)):
        times = sorted(draw(st.sets(TIMES, max_size=5)))
        lives = [times[i : i + 2] for i in range(0, len(times), 2)] or [[]]
        for life in lives:
            began, *healed = [*life, None][:2] if life else [None]
            radius = draw(st.none() | st.integers(0, 16))
            found.append(
                replace(
                    Defect.at(x, y),
                    kind=draw(st.sampled_from(Kind)),
                    radius=radius,
                    score=draw(st.none() | LEVELS),
                    amplitude=draw(st.none() | st.tuples(LEVELS, LEVELS, LEVELS)),
                    after=began and draw(st.none() | st.just(began)),
                    by=began,
                    until=healed[0] if healed else None,
                )
            )
    return found


@given(st.data(), CAMERAS, st.integers(1, 10**6))
def test_any_map_survives_the_round_trip(
    data: st.DataObject, camera: Camera, photos: int
) -> None:
    found = data.draw(defects(camera))
    text = map_yaml.dump(camera, found, photos)

    (read,) = parsed(text).items()
    assert read[0] == camera
    assert set(read[1]) == set(found)
    assert map_yaml.dump(camera, read[1], photos) == text
    assert len(yaml.safe_load(text)["cameras"][0]["pixels"]) == len(found)

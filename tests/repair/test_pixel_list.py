"""Which pixels may be repaired in a photo, and which of them it shows."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import jpegs
from hotpixeld.camera import Bin, Camera
from hotpixeld.config.model import (
    CameraConfig,
    Config,
    Pixel,
    Point,
    Repair,
    Since,
)
from hotpixeld.defect import Defect, Kind, Law, Prior
from hotpixeld.detection.explanation import Pull
from hotpixeld.detection.lens_correction import NONE, Correction, Corrections
from hotpixeld.photo import metadata
from hotpixeld.repair import pixel_list
from hotpixeld.repair.pixel_list import ListedPixel, PixelList, Source
from hotpixeld.repair.shape import Exposure, Footprints, Shape, Shapes, Shown

CAMERA = Camera("NIKON CORPORATION", "NIKON D80", "3012345", 60, 40)
LISTED = Config(
    cameras=(CameraConfig(model="NIKON D80", size=(60, 40), pixels=(Pixel(x=9, y=1),)),)
)


def frame(texture: float, seed: int = 0) -> np.ndarray:
    """Return a slanted plane of light with noise of this standard deviation."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:40, :60]
    light = 60 + 0.7 * x + 0.4 * y
    levels = light[..., None] + rng.normal(scale=texture, size=(40, 60, 3))
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)


def is_visible(photo: np.ndarray, defect: Defect) -> bool:
    """Return whether a photo shows a defect of which no law is known."""
    return pixel_list.visible(photo, [defect]) == (defect,)


def test_a_defect_in_smooth_light_is_visible_and_measured() -> None:
    photo = frame(0.7)
    photo[20, 30] += 25
    above, spread = pixel_list.prominence(photo, Defect(row=20, col=30))

    assert is_visible(photo, Defect(row=20, col=30))
    np.testing.assert_allclose(above, 25, atol=3)
    assert (spread < 2).all()


def test_a_slope_alone_is_no_defect() -> None:
    photo = frame(0.0)
    places = [(20, 30), (0, 0), (39, 59), (0, 30), (20, 59)]

    assert not any(is_visible(photo, Defect(row=row, col=col)) for row, col in places)


def test_texture_hides_what_smooth_light_shows() -> None:
    shown = [frame(texture, seed=3) for texture in (0.7, 15.0)]
    for photo in shown:
        photo[20, 30] += 12
    seen = [is_visible(photo, Defect(row=20, col=30)) for photo in shown]

    assert seen == [True, False]


@pytest.mark.parametrize(
    ("kind", "level", "visible"),
    [
        (Kind.HOT, 200, True),
        (Kind.HOT, 0, False),
        (Kind.DEAD, 0, True),
        (Kind.DEAD, 200, False),
        (Kind.STUCK, 200, True),
        (Kind.STUCK, 0, True),
    ],
)
def test_the_sign_must_be_that_of_the_kind(
    kind: Kind, level: int, *, visible: bool
) -> None:
    photo = frame(0.7)
    photo[20, 30] = level

    assert is_visible(photo, Defect(row=20, col=30, kind=kind)) is visible


def test_a_single_colour_is_enough() -> None:
    photo = frame(0.7)
    photo[20, 30, 2] += 40

    assert is_visible(photo, Defect(row=20, col=30))


def test_what_a_photo_shows_does_not_move_with_the_measured_footprint() -> None:
    photo = frame(8.0, seed=5)
    seen = []
    for level in range(0, 60, 4):
        photo[20, 30] = 90 + level
        measured = (Defect(row=20, col=30, radius=radius) for radius in (None, 0, 1, 3))
        seen.append({is_visible(photo, one) for one in measured})

    assert all(len(each) == 1 for each in seen)
    assert {True} in seen
    assert {False} in seen


def test_a_defect_outside_the_frame_is_not_visible() -> None:
    inside = Defect(row=20, col=30)
    photo = frame(0.7)
    photo[20, 30] = 255

    assert pixel_list.visible(photo, [inside, Defect(row=40, col=3)]) == (inside,)


def day(number: int) -> dt.datetime:
    return dt.datetime(2009, 5, number)


def detected(**known: Any) -> Defect:
    return dataclasses.replace(Defect(row=20, col=30, score=1e6), **known)


def repairable(
    defects: list[Defect],
    when: dt.datetime | None = None,
    focal: float | None = None,
    config: Config = LISTED,
) -> pixel_list.PixelList:
    taken = dataclasses.replace(
        metadata.read(jpegs.jpeg(frame(1.0)), Path("a.jpg")),
        captured=when,
        focal_mm=focal,
    )
    return pixel_list.repairable(config, CAMERA, [CAMERA], defects, taken)


@pytest.mark.parametrize(
    ("defect", "number", "listed"),
    [
        (detected(after=day(3), by=day(5)), 2, False),
        (detected(after=day(3), by=day(5)), 4, True),
        (detected(until=day(9)), 8, True),
        (detected(until=day(9)), 9, False),
        (detected(until=day(9)), None, False),
        (detected(after=day(3)), None, True),
    ],
)
def test_a_detected_defect_is_repaired_from_its_begin_to_its_end(
    defect: Defect, number: int | None, *, listed: bool
) -> None:
    pixels = repairable([defect], None if number is None else day(number))

    assert pixels.detected == ((defect,) if listed else ())
    assert pixels.configured == (Defect.at(9, 1),)


def test_a_weak_defect_or_one_of_another_focal_length_is_not_repaired() -> None:
    moved = detected(focal=(17.0, 20.0))

    assert repairable([detected(score=0.1)]).detected == ()
    assert repairable([moved], focal=55.0).detected == ()
    assert repairable([moved], focal=18.0).detected == (moved,)


@pytest.mark.parametrize(
    ("which", "configured", "found"),
    [("both", 1, 1), ("configured", 1, 0), ("detected", 0, 1)],
)
def test_the_configuration_chooses_which_list_counts(
    which: Literal["both", "configured", "detected"], configured: int, found: int
) -> None:
    config = Config(cameras=LISTED.cameras, repair=Repair(pixels=which))
    pixels = repairable([detected()], config=config)

    assert (len(pixels.configured), len(pixels.detected)) == (configured, found)


def test_the_version_follows_the_list_and_not_the_scores() -> None:
    version = pixel_list.version(LISTED, CAMERA, [CAMERA], [detected()])

    assert (
        pixel_list.version(LISTED, CAMERA, [CAMERA], [detected(score=2e6)]) == version
    )
    others = [
        pixel_list.version(LISTED, CAMERA, [CAMERA], []),
        pixel_list.version(LISTED, CAMERA, [CAMERA], [detected(until=day(9))]),
        pixel_list.version(Config(), CAMERA, [CAMERA], [detected()]),
    ]
    assert len({version, *others}) == 4


IGNORING = Config(cameras=(CameraConfig(ignore=(Point(x=31, y=22),)),))


def expecting(law: Law | None, amplitude: float = 12.0) -> Shown:
    """Return that a photo of 1 s at ISO 100 shows the pixel 30,20 by some law."""
    flat = Shape(3, (amplitude,) * 49, (), 1.0)
    shapes = Shapes(20, 30, 16, amplitude, law, (flat,) * 3)
    return Shown(Footprints(None, (shapes,)), Exposure(1.0, 100))


@pytest.mark.parametrize(
    ("added", "texture", "law", "is_repaired"),
    [
        (12, 15.0, Law(0.07, 0, 0.3), True),
        (12, 15.0, Law(0, 0.0007, 0.3), True),
        (12, 15.0, None, False),
        (12, 15.0, Law(0.01, 0, 0.3), False),
        (0, 0.7, Law(0.07, 0, 0.1), False),
    ],
    ids=["hidden", "by exposure", "no law", "hardly there", "not there"],
)
def test_what_its_law_expects_is_repaired_where_texture_hides_it(
    added: int, texture: float, law: Law | None, *, is_repaired: bool
) -> None:
    photo = frame(texture, seed=3)
    photo[20, 30] += added
    one = Defect(row=20, col=30)

    assert pixel_list.visible(photo, [one]) == ()
    seen = pixel_list.visible(photo, [one], expecting(law))
    assert seen == ((one,) if is_repaired else ())


@pytest.mark.parametrize(
    ("added", "constant", "is_repaired"),
    [(16, 106.0, True), (-16, 74.0, True), (-16, 106.0, False), (16, 91.0, False)],
    ids=["adds", "takes away", "the other way", "too little to be seen"],
)
def test_what_draws_a_stuck_pixel_is_expected_where_texture_hides_it(
    added: int, constant: float, *, is_repaired: bool
) -> None:
    """At 20,30 of the photo the surroundings are of level 89."""
    photo = frame(8.0, seed=3)
    photo[20, 30] = 89 + added
    one = Defect(row=20, col=30, kind=Kind.STUCK)
    by_site = expecting(None).footprints.by_site[20, 30]
    drawn = dataclasses.replace(by_site, pull=Pull(constant, -1.0, 0.3, 20))
    shown = Shown(Footprints(None, (drawn,)))

    assert pixel_list.visible(photo, [one]) == ()
    assert pixel_list.visible(photo, [one], shown) == ((one,) if is_repaired else ())


def test_a_defect_is_placed_by_where_it_lies_in_its_pixel() -> None:
    wide, tele = (Bin("", focal) for focal in (16.0, 50.0))
    corrections = Corrections(wide, {wide: NONE, tele: Correction(2.0)})
    row, col = CAMERA.height // 2, CAMERA.width // 2 + 4
    one = Defect(row, col, aside=(-0.375, 0.25))
    shapes = dataclasses.replace(
        expecting(None).footprints.defects[0], row=row, col=col
    )
    shown = Shown(Footprints(None, (shapes,)))
    listed = PixelList((), (one,), shown=shown)
    about = metadata.read(jpegs.jpeg(frame(0.0)), Path("a.jpg"))
    taken = dataclasses.replace(about, lens="", focal_mm=50.0)

    found = pixel_list.placed(listed, CAMERA, corrections, taken)

    (exact,) = Correction(2.0).places(np.array([one.exactly]), (40, 60))
    place = tuple(np.rint(exact).astype(int).tolist())
    assert [(each.row, each.col) for each in found.detected] == [place]
    (moved,) = found.shown.footprints.defects
    assert (moved.row, moved.col) == place
    assert moved.shift == pytest.approx(exact - place, abs=0.13)


def test_the_version_follows_what_is_expected_of_the_defects() -> None:
    versions = {
        pixel_list.version(LISTED, CAMERA, [CAMERA], [detected()], shown.footprints)
        for shown in (
            *(expecting(Law(0.07, 0, 0.3), amplitude) for amplitude in (12.0, 13.0)),
            *(expecting(None, amplitude) for amplitude in (12.0, 13.0)),
            expecting(Law(0.08, 0, 0.3)),
        )
    }

    assert len(versions) == 3


def test_what_is_ignored_is_not_repaired_and_changes_the_version() -> None:
    near, other = detected(), detected(row=3, col=4)
    pixels = repairable([near, other], config=IGNORING)

    assert pixels.detected == (other,)
    assert pixel_list.version(IGNORING, CAMERA, [CAMERA], [near]) == (
        pixel_list.version(Config(), CAMERA, [CAMERA], [])
    ), "as if it had not been detected"


def test_the_listing_says_where_a_pixel_comes_from() -> None:
    near, by_hand = detected(), Defect.at(9, 1)
    both = detected(row=1, col=9)

    def listed(config: Config, *defects: Defect) -> list[pixel_list.ListedPixel]:
        return pixel_list.listing(config, CAMERA, [CAMERA], list(defects))

    assert listed(LISTED, near) == [
        ListedPixel(by_hand, Source.CONFIGURED),
        ListedPixel(near, Source.DETECTED),
    ]
    assert listed(LISTED, both) == [ListedPixel(both, Source.BOTH)]
    assert listed(IGNORING, near) == [ListedPixel(near, ignored=True)]
    assert pixel_list.counts([*listed(LISTED, near), *listed(IGNORING, near)]) == {
        "defects": 1,
        "configured": 1,
        "ignored": 1,
        "prior": 0,
        "primed": 0,
        "unsure": 0,
    }


def test_a_pixel_by_hand_keeps_its_dates_beside_those_of_another_life() -> None:
    dated = Pixel(x=9, y=1, since=Since(by=day(2)), until=day(5))
    config = Config(cameras=(CameraConfig(pixels=(dated,)),))
    later = detected(row=1, col=9, after=day(7), by=day(8))
    same = detected(row=1, col=9, by=day(1))
    apart = pixel_list.listing(config, CAMERA, [CAMERA], [later])
    (both,) = pixel_list.listing(config, CAMERA, [CAMERA], [same])

    assert [one.source for one in apart] == [Source.CONFIGURED, Source.DETECTED]
    assert pixel_list.counts(apart)["defects"] == 1
    assert both.source == Source.BOTH
    assert (both.defect.by, both.defect.until) == (day(2), day(5))
    assert both.defect.score == same.score


def prior(kind: Kind = Kind.HOT) -> Prior:
    """Return what another size expects at one of nine pixels around (20, 30)."""
    nine = tuple((row, col) for row in (19, 20, 21) for col in (29, 30, 31))
    return Prior(20, 30, kind, source="120x80", places=nine)


@pytest.mark.parametrize(("kind", "level"), [(Kind.HOT, 25), (Kind.DEAD, -25)])
def test_a_defect_of_another_size_is_found_where_this_photo_shows_it(
    kind: Kind, level: int
) -> None:
    photo = frame(0.7)
    at = photo[21, 29].astype(int) + level
    photo[21, 29] = at

    assert pixel_list.visible(photo, [prior(kind)]) == (Defect(21, 29, kind),)
    assert pixel_list.visible(frame(0.7), [prior(kind)]) == ()


def test_what_stands_out_beside_the_pixels_of_another_sizes_defect_is_not_it() -> None:
    photo = frame(0.7)
    photo[20, 32] += 60
    photo[20, 31] += 40  # the strongest of the nine, beside what is stronger

    assert pixel_list.visible(photo, [prior()]) == ()


def test_at_the_edge_of_a_photo_a_defect_of_another_size_is_looked_for_as_well() -> (
    None
):
    photo = frame(0.7)
    photo[0, 59] += 40
    corner = Prior(0, 59, places=((0, 58), (0, 59), (1, 58), (1, 59)))

    assert pixel_list.visible(photo, [corner]) == (Defect(0, 59),)


def test_noise_passes_for_one_of_nine_pixels_as_rarely_as_for_a_known_one() -> None:
    rng = np.random.default_rng(8)
    photo = np.clip(np.rint(rng.normal(110, 6, (800, 800, 1))), 0, 255)
    photo = np.repeat(photo.astype(np.uint8), 3, axis=2)
    sites = [(row, col) for row in range(8, 792, 14) for col in range(8, 792, 14)]
    known = [Defect(row, col) for row, col in sites]
    loose = [
        Prior(
            *(row, col),
            places=tuple((row + i, col + j) for i in (-1, 0, 1) for j in (-1, 0, 1)),
        )
        for row, col in sites
    ]
    shares = [
        len(pixel_list.visible(photo, one)) / len(sites) for one in (known, loose)
    ]

    # 3 sigmas are 0.0013; the spread of 144 pixels is itself 8 % uncertain.
    assert all(share < 0.006 for share in shares), shares


def test_the_listing_says_which_pixels_are_from_another_size() -> None:
    own, other = detected(row=5), prior()
    found = pixel_list.listing(Config(), CAMERA, [CAMERA], [own], [other])

    assert [one.prior for one in found] == ["", "120x80"]
    assert pixel_list.counts(found) == {
        "defects": 1,
        "configured": 0,
        "ignored": 0,
        "prior": 1,
        "primed": 0,
        "unsure": 0,
    }


def test_a_configured_pixel_is_repaired_where_a_photo_shows_it_and_not_elsewhere() -> (
    None
):
    """At a focal length of which nothing is known, it is where it is listed."""
    wide, tele, unknown = (Bin("", focal) for focal in (16.0, 50.0, 85.0))
    moved = Correction(2.0)
    corrections = Corrections(wide, {wide: NONE, tele: moved})
    size = CAMERA.height, CAMERA.width
    centre, corner = (size[0] // 2, size[1] // 2 + 4), (0, 0)
    listed = PixelList(tuple(Defect(*site) for site in (centre, corner)), ())

    def sites(where: Bin) -> list[tuple[int, int]]:
        about = metadata.read(jpegs.jpeg(frame(0.0)), Path("a.jpg"))
        taken = dataclasses.replace(about, lens=where.lens, focal_mm=where.focal_mm)
        found = pixel_list.placed(listed, CAMERA, corrections, taken)
        return [(one.row, one.col) for one in found.configured]

    assert sites(wide) == sites(unknown) == [centre, corner]
    (place,) = moved.places(np.array([centre]), size)
    assert sites(tele) == [tuple(np.rint(place).astype(int).tolist())]

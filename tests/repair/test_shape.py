from __future__ import annotations

import dataclasses
import itertools
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import jpegs
import libturbojpeg
from hotpixeld.defect import Defect
from hotpixeld.repair import lossless, shape, stacking
from hotpixeld.repair.field import Subsampling
from hotpixeld.repair.shape import Exposure, Footprints, Shown
from hotpixeld.repair.stacking import Stacks
from repair.test_footprint import PLACES, WIDE_HERE, cut, learned
from repair.test_footprint import mean as mean_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZE = 96, 112
SITE = Defect(51, 60)
PEAK = np.array([70.0, -6.0, 24.0])
"""Of Y, Cb and Cr."""


def added() -> np.ndarray:
    """Return what a defect adds to red, green and blue, (H, W, 3) at an amplitude of 1.

    In luma two pixels with a dark ring, in chroma a smear 11 pixels wide.
    """
    rows, columns = np.indices(SIZE) - np.array([SITE.row, SITE.col])[:, None, None]
    near = rows**2 + (columns - 0.5) ** 2
    luma = 1.25 * np.exp(-near / 1.0) - 0.25 * np.exp(-near / 5.0)
    chroma = np.exp(-near / 12.0)
    planes = np.stack([luma, chroma, chroma], axis=-1) * PEAK / PEAK[0]
    return np.asarray(planes @ np.linalg.inv(shape.COMPONENTS).T)


def image(amplitude: float, seed: int = 1, noise: float = 0.4) -> np.ndarray:
    rows, columns = np.indices(SIZE)
    slant = (70 + 0.2 * rows + 0.1 * columns)[..., None] * np.array([1.0, 0.9, 0.8])
    grain = np.random.default_rng(seed).normal(0, noise, (*SIZE, 3))
    return np.asarray(slant + grain + amplitude * added())


def learned_from(
    *photos: np.ndarray, sites: list[Defect] | None = None, alive: Sequence[bool] = ()
) -> Footprints:
    places = [(one.row, one.col) for one in sites or [SITE]]
    stacks = Stacks(places, *photos[0].shape[:2])
    for photo, is_alive in itertools.zip_longest(photos, alive, fillvalue=True):
        assert isinstance(photo, np.ndarray)
        levels = [photo[cut(one)] for one in stacks.windows()]
        stacks.add(levels, np.full(len(places), is_alive))
    return stacking.learn(stacks, "basis")


def footprints() -> Footprints:
    return learned_from(image(70.0))


def test_each_component_is_learned_as_wide_as_it_is() -> None:
    (found,) = footprints().defects
    luma, _, red = found.components

    assert (found.row, found.col) == (SITE.row, SITE.col)
    assert luma.half < red.half
    assert red.half >= 5
    for number, one in enumerate(found.components):
        near = slice(SITE.row - one.half, SITE.row + one.half + 1)
        across = slice(SITE.col - one.half, SITE.col + one.half + 1)
        exact = 70 * (added()[near, across] @ shape.COMPONENTS[number])
        seen = np.array(one.levels).reshape(exact.shape)
        assert np.abs(seen - exact).max() < 1.5


def test_a_defect_that_does_not_stand_out_is_not_learned() -> None:
    assert learned_from(image(0.0)) == Footprints(basis="basis")


def test_defects_close_together_are_not_told_apart() -> None:
    other = Defect(SITE.row + 6, SITE.col)

    assert learned_from(image(70.0), sites=[SITE, other]).defects == ()


def test_at_the_frames_edge_what_is_inside_is_learned() -> None:
    corner = image(70.0)[SITE.row :, SITE.col :]
    (found,) = learned_from(corner, sites=[Defect(0, 0)]).defects

    luma, half = np.array(found.components[0].levels), found.components[0].half
    exact = 70 * (added()[SITE.row, SITE.col] @ shape.COMPONENTS[0])
    centre = luma.reshape(2 * half + 1, 2 * half + 1)[half, half]
    assert abs(centre - exact) < 3
    assert not np.isnan(luma).any()


def test_a_photo_that_shows_little_weighs_little() -> None:
    """Another scene, far rougher, and one after the defect's end."""
    rough, gone = image(70.0, 2, noise=40.0), image(0.0)
    both = learned_from(image(70.0), rough, gone, alive=(True, True, False))

    assert [one.photos for one in both.defects] == [2]
    (alone,) = footprints().defects
    assert np.abs(peaks(both) - peaks(footprints())).max() < 0.1 * alone.amplitude


EXPOSURES = [Exposure(seconds, 100) for seconds in (0.1, 0.2, 0.4, 0.8)]


def by_exposure() -> Footprints:
    """Return what photos teach that show more of a defect the longer they are."""
    stacks = Stacks([(SITE.row, SITE.col)], *SIZE)
    for number, exposure in enumerate(EXPOSURES * 3):
        photo = image(100 * (exposure.seconds or 0), number)
        levels = [photo[cut(one)] for one in stacks.windows()]
        stacks.add(levels, np.ones(1, bool), exposure)
    return stacking.learn(stacks, "")


def test_a_law_says_how_strongly_a_photo_shows_it() -> None:
    (found,) = by_exposure().defects
    level = float(image(0.0)[SITE.row, SITE.col] @ shape.COMPONENTS[0])
    seen = [
        shape.expected(found, level, exposure, 0).mean
        for exposure in (*EXPOSURES, Exposure(0.3, 100), Exposure(0.15, 200))
    ]

    centre = float(added()[SITE.row, SITE.col] @ shape.COMPONENTS[0])
    exact = centre * np.array([10, 20, 40, 80, 30, 30])
    assert np.abs(np.array(seen) / exact - 1).max() < 0.25
    unknown = shape.expected(found, level, Exposure(), 0)
    assert unknown.mean == 0
    assert unknown.deviation > found.amplitude


def textured(amplitude: float, seed: int, roughness: float) -> tuple[bytes, bytes]:
    """Return a photo with the defect in texture, and its clean twin."""
    grain = np.random.default_rng(seed).normal(0, roughness, (*SIZE, 1))
    texture = sum(np.roll(grain, (down, right), (0, 1)) for down, right in CORNERS) / 2
    clean = image(0.0) + texture
    photo, twin = (
        jpegs.jpeg(np.clip(np.rint(one), 0, 255).astype(np.uint8), "4:2:2", quality=95)
        for one in (clean + amplitude * added(), clean)
    )
    return photo, twin


CORNERS = [(0, 0), (0, 1), (1, 0), (1, 1)]


def error_to(twin: bytes, photo: bytes) -> float:
    """Return the mean error around the site."""
    one, other = (libturbojpeg.decode(data, *SIZE[::-1]) for data in (photo, twin))
    near = slice(SITE.row - 3, SITE.row + 4), slice(SITE.col - 3, SITE.col + 4)
    return float(np.abs(one.astype(int) - other)[near].mean())


def test_texture_hides_less_of_a_defect_whose_law_is_known() -> None:
    errors = []
    for seed in range(6):
        photo, twin = textured(15.0, seed, 8.0)
        copies = [
            lossless.repaired(photo, [SITE], shown=Shown(by_exposure(), exposure)).data
            for exposure in (Exposure(), Exposure(0.15, 100))
        ]
        errors.append([error_to(twin, one) for one in (photo, *copies)])

    before, broad, lawful = np.mean(errors, axis=0)
    assert broad < 0.7 * before
    assert lawful < 0.92 * broad


def test_a_photo_that_does_not_show_what_was_expected_is_believed() -> None:
    photo, twin = textured(0.0, 0, 0.0)
    known = Shown(by_exposure(), Exposure(0.8, 100))

    assert error_to(twin, lossless.repaired(photo, [SITE], shown=known).data) < 0.5


def peaks(found: Footprints) -> np.ndarray:
    (one,) = found.defects
    return np.array([max(part.levels, key=abs) for part in one.components])


def test_what_more_photos_taught_is_kept_where_they_are_gone() -> None:
    before = learned_from(image(70.0), image(70.0, 2))
    now = learned_from(image(70.0, 3))

    assert now.or_better(before).defects == before.defects
    assert before.or_better(now) == before
    assert Footprints().or_better(before).defects == before.defects


STUCK_AT = 150.0
AROUND = (25, 60, 95, 130, 170, 205, 235, 245)
"""Levels of photos: a stuck pixel takes away from as many as it adds to."""


def stuck(level: float, seed: int, roughness: float = 0.4) -> tuple[bytes, bytes]:
    """Return a photo of a level with a pixel that is stuck, and its clean twin."""
    grain = np.random.default_rng(seed).normal(0, roughness, (*SIZE, 1))
    clean = np.full((*SIZE, 3), level) + grain
    photo = clean.copy()
    photo[SITE.row, SITE.col] = STUCK_AT
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = photo[SITE.row + down, SITE.col + right]
        beside += 0.3 * (STUCK_AT - beside)
    shown, twin = (
        jpegs.jpeg(np.clip(np.rint(one), 0, 255).astype(np.uint8), "4:4:4", quality=97)
        for one in (photo, clean)
    )
    return shown, twin


def of_stuck(*, is_known: bool) -> Footprints:
    """Return what photos of many levels teach of a pixel that is known to be stuck."""
    sites = [(SITE.row, SITE.col)]
    stacks = Stacks(sites, *SIZE, sites if is_known else ())
    for seed, level in enumerate(AROUND * 2):
        photo = libturbojpeg.decode(stuck(level, seed)[0], *SIZE[::-1])
        levels = [photo[cut(one)] for one in stacks.windows()]
        stacks.add(levels, np.ones(1, np.bool_))
    return stacking.learn(stacks, "basis")


def test_what_draws_a_stuck_pixel_is_learned_though_it_adds_nothing_in_the_mean() -> (
    None
):
    (found,) = of_stuck(is_known=True).defects

    assert found.law is None
    for level in AROUND:
        mean = shape.expected(found, level, Exposure(), 0).mean
        assert mean == pytest.approx(STUCK_AT - level, abs=6)
    luma = np.array(found.components[0].levels).reshape(7, 7) / found.amplitude
    assert luma[3, 3] == pytest.approx(1, abs=0.1)
    assert luma[3, 2] == pytest.approx(0.3, abs=0.1)
    assert abs(luma[0]).max() < 0.05


@pytest.mark.parametrize("level", [90, 190])
def test_a_stuck_pixel_is_repaired_in_texture_whether_it_adds_or_takes(
    level: float,
) -> None:
    known = Shown(of_stuck(is_known=True))
    errors = []
    for seed in range(6):
        photo, twin = stuck(level, 100 + seed, 12.0)
        copies = [
            lossless.repaired(photo, [SITE], shown=shown).data
            for shown in (shape.AS_USUAL, known)
        ]
        errors.append([error_to(twin, one) for one in (photo, *copies)])

    before, usual, drawn = np.mean(errors, axis=0)
    assert drawn < 0.7 * before
    assert drawn < 0.9 * usual


def between(down: float, right: float, seed: int) -> tuple[bytes, bytes]:
    """Return a photo that shows the defect between pixels, as one resampled would."""
    clean = image(0.0, seed)
    peak = np.pad(70 * added(), ((1, 1), (1, 1), (0, 0)))
    rows, columns = (np.arange(1, size + 1) for size in SIZE)
    moved = np.zeros((*SIZE, 3))
    for y, x in CORNERS:
        part = abs(1 - y - down) * abs(1 - x - right)
        moved += part * peak[np.ix_(rows - y, columns - x)]
    photo, twin = (
        jpegs.jpeg(np.clip(np.rint(one), 0, 255).astype(np.uint8), "4:4:4", quality=97)
        for one in (clean + moved, clean)
    )
    return photo, twin


def test_where_in_its_pixel_a_photo_shows_a_defect_shifts_its_footprint() -> None:
    """Learned from photos that show it in the middle, and a third of a pixel off it."""
    stacks = Stacks([(SITE.row, SITE.col)], *SIZE)
    for seed, down in enumerate((0.0, 0.33) * 4):
        seen = libturbojpeg.decode(between(down, 0.0, seed)[0], *SIZE[::-1])
        levels = [seen[cut(one)] for one in stacks.windows()]
        aside = np.array([[down, 0.0]])
        stacks.add(levels, np.ones(1, np.bool_), aside=aside)
    (one,) = stacking.learn(stacks, "").defects
    assert one.aside == pytest.approx((0.165, 0), abs=0.02)

    here = one.shown_at(SITE.row + 0.45, SITE.col + 0.45)
    assert (here.row, here.col, here.shift) == (SITE.row, SITE.col, (0.25, 0.5))
    photo, twin = between(0.45, 0.45, 20)
    fixed, moved = (
        error_to(twin, lossless.repaired(photo, [SITE], shown=Shown(known)).data)
        for known in (Footprints(None, (one,)), Footprints(None, (here,)))
    )
    assert moved < 0.8 * fixed


def test_the_text_form_keeps_all() -> None:
    (one,), (stuck_one,) = footprints().defects, of_stuck(is_known=True).defects
    aside = dataclasses.replace(one, row=3, aside=(0.25, -0.12))
    known = Footprints(learned(), (aside, stuck_one, one), "basis")

    assert Footprints.from_json(known.to_json()) == known


def test_the_file_of_version_0_1_is_read() -> None:
    assert Footprints.from_json(learned().to_json()) == Footprints(learned())


def broken(**changed: object) -> str:
    content = json.loads(footprints().to_json())
    content["defects"][0]["components"][0] |= changed
    return json.dumps(content)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 3, "camera": null, "defects": []}',
        '{"format": 2, "camera": null, "defects": [{}]}',
        broken(half=2),
        broken(levels=[0]),
        broken(ways=[[0]]),
        broken(half=9, levels=[0] * 361, ways=[]),
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"footprint|Expecting|shape"):
        Footprints.from_json(text)


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_pooled_samples_are_those_that_the_photo_stores(
    sampling: jpegs.Sampling,
) -> None:
    """A footprint seen in decoded pixels, and in the stored chroma samples."""
    pixels = np.clip(np.rint(128 + 40 * added()), 0, 255).astype(np.uint8)
    frame = libturbojpeg.decode(jpegs.jpeg(pixels, sampling, quality=100), *SIZE[::-1])
    found = learned_from(frame).defects[0]
    step = Subsampling(*{"4:4:4": (1, 1), "4:2:2": (1, 2), "4:2:0": (2, 2)}[sampling])
    place = SITE.row % step.down, SITE.col % step.across
    known = shape.known(found, 2).known(step, *place)

    exact = 40 * (added() @ shape.COMPONENTS[2])
    down, across = step
    stored = exact.reshape(SIZE[0] // down, down, SIZE[1] // across, across).mean(
        (1, 3)
    )
    strongest = np.abs(stored).max()
    seen = found.amplitude * known.levels
    assert abs(np.abs(seen).max() / strongest - 1) < 0.1


def test_a_smear_of_a_known_defect_is_taken_away_where_photos_have_less_of_it() -> None:
    twin = jpegs.jpeg(np.clip(np.rint(image(0.0)), 0, 255).astype(np.uint8), "4:2:2")
    hot = np.clip(np.rint(image(30.0)), 0, 255).astype(np.uint8)
    data = jpegs.jpeg(hot, "4:2:2")
    clean = libturbojpeg.decode(twin, *SIZE[::-1]).astype(int)

    def error(known: Footprints) -> float:
        copy = lossless.repaired(data, [SITE], shown=Shown(known)).data
        frame = libturbojpeg.decode(copy, *SIZE[::-1]).astype(int)
        near = slice(SITE.row - 7, SITE.row + 8), slice(SITE.col - 7, SITE.col + 8)
        return float(np.abs((frame - clean)[near]).mean())

    assert error(footprints()) < 0.6 * error(shape.USUAL)


def test_known_and_unknown_defects_that_overlap_are_repaired_together() -> None:
    other = Defect(SITE.row, SITE.col + 8)
    seen = image(60.0)
    seen[other.row, other.col] += 80
    data = jpegs.jpeg(np.clip(np.rint(seen), 0, 255).astype(np.uint8), "4:4:4")
    copy = lossless.repaired(data, [SITE, other], shown=Shown(footprints())).data
    frame = libturbojpeg.decode(copy, *SIZE[::-1]).astype(float)

    plain = image(0.0)
    near = slice(SITE.row - 3, SITE.row + 4), slice(SITE.col - 3, SITE.col + 12)
    before = np.abs(seen - plain)[near].mean()
    assert np.abs(frame - plain)[near].mean() < 0.35 * before


def test_all_that_defects_share_is_learned_with_each() -> None:
    found = learned_from(mean_of(WIDE_HERE), sites=PLACES)

    assert found.camera == learned()
    assert len(found.defects) > 0

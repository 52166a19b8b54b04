"""Scenes made to fool the detection: it lists the two real defects in them, or nothing.

Every trap is photos of one sensor, as JPEGs, through state, suspects, samples and
verdicts. The sensor has two hot pixels where the scenes vary, so no trap is passed by
being blind.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import whole_frames
from hotpixeld.detection import evidence, lives, suspects
from hotpixeld.detection.evidence import EvidenceTable, SampledPhoto
from sensor import FOOTPRINTS, START, Planted, Sensor, exposed
from whole_frames import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sensor import Frame

    Burn = Callable[[Frame, int], Frame]

HEIGHT, WIDTH = 200, 280
NOISE = 1.5
HOT = (Planted(60, 90, 70), Planted(140, 190, 90))
BOTH = {(one.row, one.col) for one in HOT}
PHOTOS = 24


@functools.cache
def scenes() -> tuple[np.ndarray, ...]:
    """Return the light of `PHOTOS` different scenes, (H, W, 3) float each."""
    camera = Sensor(HEIGHT, WIDTH, seed=31)
    return tuple(camera.scene(number) for number in range(PHOTOS))


def jpeg(frame: Frame, quality: int = 92, subsampling: int = 1) -> Frame:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(
        buffer, "JPEG", quality=quality, subsampling=subsampling
    )
    with Image.open(buffer) as image:
        return np.asarray(image)


def unmarked(frame: Frame, _: int) -> Frame:
    return frame


def photos(lights: Iterable[np.ndarray], burn: Burn = unmarked) -> list[Frame]:
    """Return the JPEGs that the sensor with `HOT` takes; `burn` marks them before."""
    return [
        jpeg(
            burn(exposed(light, np.random.default_rng((31, index)), NOISE, HOT), index)
        )
        for index, light in enumerate(lights)
    ]


def learned(frames: list[Frame]) -> tuple[State, EvidenceTable]:
    """Return what photos leave behind: the state, and the evidence of its suspects."""
    state = State.empty(HEIGHT, WIDTH, traced=True)
    for frame in frames:
        state.fold(frame)
    assert state.trace is not None
    sites = suspects.nominated(state, state.trace)
    sampled_at = np.concatenate([sites, evidence.controls(HEIGHT, WIDTH)])
    samples = np.stack([whole_frames.sample(frame, sampled_at) for frame in frames])
    at_suspects, controls = np.split(samples, [len(sites)], axis=1)
    taken = [
        SampledPhoto(index, START, 0.01, 200, 35.0, None, "", 1, row)
        for index, row in enumerate(samples)
    ]
    return state, EvidenceTable(sites, at_suspects, controls, taken)


def listed(frames: list[Frame]) -> set[tuple[int, int]]:
    """Return the places that the map of these photos lists."""
    state, grid = learned(frames)
    return {(one.row, one.col) for one in lives.defects(state, grid)}


def with_points(light: np.ndarray, excess: float, seed: int = 1) -> np.ndarray:
    """Return a scene with 30 points in it, as small as hot pixels."""
    rng = np.random.default_rng((31, 9, seed))
    out = light.copy()
    for row, col in rng.integers(5, (HEIGHT - 5, WIDTH - 5), (30, 2)).tolist():
        spot = out[row - 1 : row + 2, col - 1 : col + 2]
        spot += excess * FOOTPRINTS[1][..., None]
    return out


def test_ordinary_photos_show_the_defects() -> None:
    assert listed(photos(scenes())) == BOTH


def test_a_tripod_series_gives_no_verdict() -> None:
    fixed = with_points(scenes()[0], 60)

    assert listed(photos([fixed] * PHOTOS)) == set()


def test_points_of_a_tripod_series_among_other_photos_are_no_defects() -> None:
    fixed = with_points(scenes()[0], 60)

    assert listed(photos([fixed] * PHOTOS + list(scenes()[1:16]))) == BOTH


def starry() -> np.ndarray:
    """Return a black sky with stars."""
    return with_points(np.full((HEIGHT, WIDTH, 3), 12.0), 120)


def test_stars_of_a_tripod_series_give_no_verdict() -> None:
    assert listed(photos([starry()] * PHOTOS)) == set()


def test_stars_of_a_tripod_series_among_other_photos_are_no_defects() -> None:
    assert listed(photos([starry()] * PHOTOS + list(scenes()[:16]))) == BOTH


def bursts(count: int, length: int) -> list[Frame]:
    """Return photos of `count` scenes, each with points of its own, `length` of each."""
    lights = [
        with_points(scene, 60, number) for number, scene in enumerate(scenes()[:count])
    ]
    return photos(light for light in lights for _ in range(length))


def test_six_bursts_give_no_verdict() -> None:
    assert listed(bursts(6, 5)) == set()


def test_points_in_bursts_are_no_defects() -> None:
    assert listed(bursts(12, 3)) == BOTH


def test_a_fixed_camera_in_changing_light_gives_no_verdict() -> None:
    """From dusk to noon, with the light and its shadows from another side each time."""
    fixed = with_points(scenes()[0], 60)
    sides = np.linspace(-1, 1, PHOTOS)
    slope = np.linspace(-0.4, 0.4, WIDTH)[:, None]
    lights = [fixed * (1.1 - 0.9 * abs(side)) * (1 + side * slope) for side in sides]

    assert listed(photos(lights)) == set()


def test_the_border_of_a_copy_stand_shows_no_defects() -> None:
    """Sheets change on a table with specks."""
    table = with_points(scenes()[-1], 80)
    lights = [table.copy() for _ in range(PHOTOS)]
    for light, scene in zip(lights, scenes(), strict=True):
        light[20:180, 30:250] = scene[20:180, 30:250]

    assert listed(photos(lights)) == BOTH


def stamped(frame: Frame, text: str, *, bar: bool) -> Frame:
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    if bar:
        draw.rectangle((0, HEIGHT - 16, WIDTH, HEIGHT), fill=(0, 0, 0))
    font = ImageFont.load_default_imagefont()
    draw.text((6, HEIGHT - 14), text, fill=(255, 160, 40), font=font)
    return np.asarray(image)


@pytest.mark.skipif(
    not hasattr(ImageFont, "load_default_imagefont"),
    reason="this Pillow has no font of its own to burn in",
)
@pytest.mark.parametrize("bar", [False, True])
def test_burned_in_text_shows_no_defects(bar: bool) -> None:
    """A caption that changes now and then, over the scene or on a bar."""

    def burn(frame: Frame, index: int) -> Frame:
        text = f"2024-03-{1 + index // 9:02} {12 + index // 3:02}:{index % 3}7  {index // 5:3}C"
        return stamped(frame, text, bar=bar)

    assert listed(photos(scenes(), burn)) == BOTH


def test_black_borders_show_no_defects() -> None:
    """With rounded corners, and grain that noise reduction left."""

    def burn(frame: Frame, _: int) -> Frame:
        mask = Image.new("L", (WIDTH, HEIGHT))
        ImageDraw.Draw(mask).rounded_rectangle(
            (13, 9, WIDTH - 14, HEIGHT - 10), 12, fill=255
        )
        return np.where(np.asarray(mask)[..., None] > 0, frame, 0).astype(np.uint8)

    assert listed(photos(scenes(), burn)) == BOTH


@pytest.mark.parametrize(
    "sharpness",
    [1.0, 4.0],
)
def test_dark_corners_show_no_defects(sharpness: float) -> None:
    """Soft ones, and those of a lens hood."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    fall = 1 / (1 + np.hypot(x, y) ** (4 * sharpness))

    assert listed(photos(scene * fall[..., None] for scene in scenes())) == BOTH


def test_clipped_skies_show_no_defects() -> None:
    """White in nearly all photos, down to a horizon with a tower that stays."""
    lights = [scene.copy() for scene in scenes()]
    for light in lights[2:]:
        light[:40] += 400
        light[30:44, 200:202] = 60
        light[20, 100] = 200

    assert listed(photos(lights)) == BOTH


def test_moire_shows_no_defects() -> None:
    """Fabric in every photo: a fine pattern, finer than two pixels and a half."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    rng = np.random.default_rng(5)
    lights = []
    for scene in scenes():
        angle, phase = rng.uniform(0.2, 0.5), rng.uniform(0, 2 * np.pi)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / 2.3 + phase)
        lights.append(scene + 15 * (wave * (y > HEIGHT // 3))[..., None])

    assert listed(photos(lights)) == BOTH


def test_the_grid_of_jpeg_chroma_shows_no_defects() -> None:
    """One place of each block is off by 3.5 levels, in red or blue, in all photos."""
    bias = np.zeros((HEIGHT, WIDTH, 3))
    bias[3::8, 4::8] = (3.5, 0, -3.5)
    bias[7::8, 7::8] = (-3.5, 0, 3.5)
    coarse = [
        jpeg(exposed(scene, np.random.default_rng(index), NOISE, HOT), 75, 2)
        for index, scene in enumerate(scenes())
    ]
    frames = [
        np.clip(frame + bias, 0, 255).round().astype(np.uint8) for frame in coarse
    ]

    assert listed(frames) == BOTH


def test_dust_casts_no_defects() -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    shade = np.ones((HEIGHT, WIDTH, 1))
    for row, col in ((50, 200), (120, 60), (170, 240)):
        far = np.hypot(y - row, x - col)
        shade[..., 0] -= 0.25 / (1 + np.exp((far - 10) / 3))

    assert listed(photos(scene * shade for scene in scenes())) == BOTH


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_a_line_across_all_photos_shows_no_defects(slope: float) -> None:
    """A column of the sensor that adds a little, or a hair on it that shines."""

    def with_line(frame: Frame, _: int) -> Frame:
        out = frame.astype(np.int16)
        rows = np.arange(HEIGHT)
        out[rows, (120 + slope * rows).astype(int)] += 14
        return np.clip(out, 0, 255).astype(np.uint8)

    assert listed(photos(scenes(), with_line)) == BOTH

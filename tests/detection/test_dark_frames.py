from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.defect import Appearance, Defect, Primed, Strength
from hotpixeld.detection import dark_frames, evidence
from hotpixeld.detection.dark_frames import DarkFrames, Exposure, Outcome, why_not_dark
from hotpixeld.detection.evidence import EvidenceTable, SampledPhoto
from sensor import Planted, Sensor, exposed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensor import Frame

HEIGHT, WIDTH = 200, 328
SHORT, LONG = Exposure(0.01, 200), Exposure(10.0, 800)
HOT = (Planted(30, 51, 25), Planted(120, 300, 60), Planted(0, 0, 40))


def dark(
    seed: int, defects: Sequence[Planted] = (), *, level: float = 3, noise: float = 2
) -> Frame:
    light = np.full((HEIGHT, WIDTH, 3), level)
    return exposed(light, np.random.default_rng(seed), noise, defects)


def found(frames: Sequence[Frame], exposures: Sequence[Exposure]) -> list[Primed]:
    own = DarkFrames()
    for frame, exposure in zip(frames, exposures, strict=True):
        own.add(frame, exposure)
    return own.hot_pixels(own.sites(), frames)


def places(pixels: Sequence[Defect]) -> set[tuple[int, int]]:
    return {(one.row, one.col) for one in pixels}


def test_a_dark_frame_is_known_with_its_hot_pixels_and_its_glow() -> None:
    glowing = dark(1, HOT, level=5) + np.linspace(0, 10, WIDTH)[:, None].astype(
        np.uint8
    )

    assert why_not_dark(dark(1, HOT)) == ""
    assert why_not_dark(glowing) == ""


@pytest.mark.parametrize("index", range(3))
def test_photos_are_none(index: int) -> None:
    photo = Sensor(HEIGHT, WIDTH).frame(index)
    dim = (photo * 0.08).astype(np.uint8)

    assert "not dark" in why_not_dark(photo)
    assert "not a lens-cap frame" in why_not_dark(dim)


def test_a_black_photo_with_one_lamp_is_none() -> None:
    night = dark(1)
    night[40:80, 100:140] = 200

    assert "not dark: its blocks reach level" in why_not_dark(night)


@pytest.mark.parametrize("count", [1, 3])
def test_hot_pixels_are_found_and_nothing_else(count: int) -> None:
    frames = [dark(seed, HOT) for seed in range(count)]

    assert places(found(frames, [LONG] * count)) == places_of(HOT)


def places_of(planted: Sequence[Planted]) -> set[tuple[int, int]]:
    return {(one.row, one.col) for one in planted}


@pytest.mark.parametrize("noise", [0.0, 1.0, 4.0])
def test_noise_is_not_listed(noise: float) -> None:
    lists = [
        found(
            [dark(10 * seed + number, noise=noise) for number in range(count)],
            [LONG] * count,
        )
        for seed in range(4)
        for count in (1, 2)
    ]

    assert sum(map(len, lists)) == 0


def test_the_hit_of_a_particle_is_told_by_a_second_frame() -> None:
    hit = Planted(77, 200, 150, radius=0)
    hit_one, clean = dark(1, [*HOT, hit]), dark(2, HOT)

    assert (77, 200) in places(found([hit_one], [LONG]))
    assert places(found([hit_one, clean], [LONG, LONG])) == places_of(HOT)


def test_a_bright_column_is_not_a_hot_pixel() -> None:
    frames = [dark(seed, HOT) for seed in range(2)]
    for frame in frames:
        frame[:, 160] = np.minimum(frame[:, 160].astype(int) + 30, 255)

    assert places(found(frames, [LONG, LONG])) == places_of(HOT)


def test_frames_are_not_changed_and_strengths_are_told_by_exposure() -> None:
    weak = [Planted(30, 51, 25)]
    strong = [Planted(30, 51, 80)]
    frames = [dark(1, weak), dark(2, strong), dark(3, strong)]
    before = [one.copy() for one in frames]
    (pixel,) = found(frames, [SHORT, LONG, LONG])

    assert all(map(np.array_equal, before, frames))
    assert pixel.appearance is not None
    assert [one.photos for one in pixel.appearance.strengths] == [1, 2]
    first, second = (one.amplitude for one in pixel.appearance.strengths)
    assert first == pytest.approx(25, abs=5)
    assert second == pytest.approx(80, abs=5)


def primed(amplitude: float, exposure: Exposure) -> Primed:
    seconds, iso = exposure.seconds or 1.0, exposure.iso or 100
    strength = Strength((seconds, seconds), (iso, iso), amplitude, 2)
    return Primed(
        30, 51, appearance=Appearance(2, 2, (strength,)), places=((30, 51),), frame=(30, 51)
    )  # fmt: skip


def test_a_photo_shows_it_surely_by_half_and_less_at_shorter_exposures() -> None:
    one = primed(60, SHORT)

    assert 22 < dark_frames.surely(one, 2.0, 60) < 30
    assert dark_frames.surely(one, 200.0, 60) == dark_frames.surely(one, 2.0, 60)
    assert dark_frames.surely(one, 0.2, 60) < 4
    assert dark_frames.surely(one, 0.0, 60) == 0


def test_the_least_exposure_is_the_one_at_which_it_is_just_seen() -> None:
    one = primed(60, LONG)
    least = dark_frames.least_exposure(one)

    assert 0 < least < 8000
    assert dark_frames.surely(one, least, 100) == pytest.approx(3.0)
    assert dark_frames.least_exposure(primed(1, LONG)) == float("inf")


def table(
    peaks: Sequence[float], exposure: float, spread: float = 1.0
) -> EvidenceTable:
    """Return evidence of photos at 1 s, ISO `exposure`, which show so many levels there."""
    samples = np.zeros((len(peaks), 1), evidence.SAMPLE)
    samples["spread"], samples["level"] = spread, 90
    samples["peak"] = np.array(peaks)[:, None, None]
    photos = [
        SampledPhoto(number, None, 1.0, round(exposure), None, None, "", 1, samples[0])
        for number in range(len(peaks))
    ]
    return EvidenceTable(np.array([[30, 51]]), samples, samples[:, :0], photos)


def judged(
    shown: EvidenceTable, own: Sequence[Defect] = (), *, may_deny: bool = True
) -> Outcome:
    return dark_frames.outcome(
        primed(40, Exposure(1.0, 100)), shown, own, may_deny=may_deny
    )


def test_photos_that_should_show_it_and_do_not_deny_it() -> None:
    assert judged(table([0] * 16, 100)) is Outcome.DROPPED


def test_nothing_is_denied_before_there_are_photos_for_a_map() -> None:
    assert judged(table([0] * 16, 100), may_deny=False) is Outcome.OPEN


def test_four_photos_do_not_deny_it() -> None:
    assert judged(table([0] * 4, 100)) is Outcome.LONGER


def test_photos_of_short_exposures_or_of_foliage_deny_nothing() -> None:
    assert judged(table([0] * 64, 1)) is Outcome.LONGER
    assert judged(table([0] * 16, 100, spread=30)) is Outcome.LONGER


def test_photos_that_show_it_keep_it_and_the_map_confirms_it() -> None:
    assert judged(table([30] * 16, 100)) is Outcome.OPEN
    assert judged(table([30] * 16, 100), [Defect(30, 52, score=9)]) is Outcome.CONFIRMED
    assert judged(table([30] * 16, 100), [Defect(30, 52, score=4)]) is Outcome.OPEN

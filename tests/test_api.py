"""As a library: the same numbers as the daemon's, callers' arrays untouched, faults said."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld import api
from hotpixeld.cli.main import main
from hotpixeld.jpeg.decoder import decode
from sensor import Sensor, scattered

if TYPE_CHECKING:
    from pathlib import Path

HEIGHT, WIDTH = 88, 120
SENSOR = Sensor(HEIGHT, WIDTH, defects=scattered(3, HEIGHT, WIDTH, levels=(70, 90)))
SITES = {(one.col, one.row) for one in SENSOR.defects}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return SENSOR.write(tmp_path_factory.mktemp("photos"), 20)


def test_what_arrays_teach_is_what_the_daemon_learns_from_their_files(
    photos: list[Path], tmp_path: Path
) -> None:
    state = str(tmp_path / "state")
    assert main(["run", "--once", "-q", "--state", state, str(photos[0].parent)]) == 0
    frames = [decode(path.read_bytes()) for path in photos]
    learned = api.Learned(HEIGHT, WIDTH, memory=100)
    for frame in frames:
        learned.fold(frame)
    with api.open_state(state) as reader:
        (camera,) = reader.cameras()
        mean, m2 = reader.mean(camera.id), reader.m2(camera.id)
        listed = reader.defects(camera.id)
        with pytest.raises(KeyError):
            reader.mean("another")
    found = api.find_defects(frames)

    assert (camera.width, camera.height, camera.photos) == (WIDTH, HEIGHT, 20)
    assert camera.weight == learned.weight == 20
    assert np.array_equal(mean, learned.mean)
    assert np.array_equal(m2, learned.m2)
    assert not mean.flags.writeable
    assert {(one.x, one.y) for one in found} == SITES
    assert {(one.x, one.y) for one in listed} == SITES
    shown = np.var(np.stack(frames).astype(float), axis=0, ddof=1)
    np.testing.assert_allclose(learned.variance(), shown, rtol=1e-4, atol=1e-3)


def test_what_is_given_stays_as_it_is_and_what_is_returned_is_ones_own() -> None:
    frame = SENSOR.frame(0)
    before = frame.copy()
    learned = api.Learned(HEIGHT, WIDTH)
    assert np.isnan(learned.variance()).all()
    learned.fold(frame)
    mean = learned.mean
    kept = mean.copy()
    learned.fold(SENSOR.frame(1))
    api.repair_frame(frame, list(SITES))

    assert np.array_equal(frame, before)
    assert np.array_equal(mean, kept)


def test_nothing_is_found_where_there_is_no_defect_or_one_scene_only() -> None:
    sound = Sensor(HEIGHT, WIDTH, defects=())

    assert api.find_defects([sound.frame(number) for number in range(20)]) == []
    assert api.find_defects([SENSOR.frame(0)] * 20) == []


@pytest.mark.parametrize("fill", ["adaptive", "neighbours"])
def test_only_what_is_around_a_pixel_is_repaired(fill: str) -> None:
    frame = SENSOR.frame(0)
    x, y = min(SITES)
    clean = api.repair_frame(frame, [(x, y)], fill=fill)  # type: ignore[arg-type] # one of the two
    rows, columns = np.nonzero((clean != frame).any(axis=2))

    assert len(rows)
    assert np.abs(rows - y).max() <= 8
    assert np.abs(columns - x).max() <= 8
    assert np.array_equal(api.repair_frame(frame, []), frame)


def test_a_file_is_repaired_as_by_the_program(
    photos: list[Path], tmp_path: Path
) -> None:
    data, (x, y) = photos[0].read_bytes(), min(SITES)
    target, photo = tmp_path / "out", str(photos[0])
    by_hand = ["--pixel", f"{x},{y}", "--output", str(target)]
    assert main(["repair", photo, *by_hand, "--state", str(tmp_path / "none")]) == 0
    (copy,) = target.iterdir()

    assert api.repair_jpeg(data, [(x, y)]) == copy.read_bytes() != data
    found = [api.Defect.at(x, y)]
    assert api.repair_jpeg(data, found) == copy.read_bytes()


def test_what_cannot_be_is_said(photos: list[Path], tmp_path: Path) -> None:
    frame = SENSOR.frame(0)
    with pytest.raises(ValueError, match=r"frame is \(88, 120, 3\) float64, not "):
        api.Learned(HEIGHT, WIDTH).fold(frame.astype(float))
    with pytest.raises(ValueError, match=r"not \(88, 120, 3\) uint8"):
        api.Learned(HEIGHT, WIDTH).fold(frame[:80])
    with pytest.raises(ValueError, match="have no neighbourhoods"):
        api.Learned(6, 120)
    with pytest.raises(ValueError, match="3 photos, and 4 are needed"):
        api.find_defects([frame] * 3)
    with pytest.raises(ValueError, match="pixel 120,5 is outside 120x88"):
        api.repair_frame(frame, [(120, 5)])
    with pytest.raises(api.RefusedError, match="pixel 500,5 is outside"):
        api.repair_jpeg(photos[0].read_bytes(), [(500, 5)])
    with pytest.raises(api.RefusedError, match="truncated"):
        api.repair_jpeg(photos[0].read_bytes()[:2000], [(5, 5)])
    with (
        pytest.raises(api.LedgerError, match="no such state yet"),
        api.open_state(tmp_path),
    ):
        pass


def test_what_is_promised_is_all_of_it() -> None:
    own = {
        name
        for name, value in vars(api).items()
        if getattr(value, "__module__", "") == api.__name__ and name[0] != "_"
    }

    assert own <= set(api.__all__)
    assert all(hasattr(api, name) for name in api.__all__)
    assert dataclasses.is_dataclass(api.Defect)

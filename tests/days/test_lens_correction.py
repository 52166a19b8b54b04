"""A camera that corrects its lens: a defect lies elsewhere at each focal length."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hotpixeld.cli import cameras
from hotpixeld.cli.main import main
from hotpixeld.detection.lens_correction import NONE, Correction
from hotpixeld.jpeg import decoder
from sensor import START, Planted, Sensor, scattered, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZE = (400, 560)
ZOOM = {16.0: NONE, 50.0: Correction(1.03, -0.08, -0.01)}
COUNT = 14


@dataclass(frozen=True)
class Work:
    """Where photos and state are, and where each photo shows the defects."""

    photos: Path
    state: str
    shown: dict[str, list[tuple[int, int]]]


def shot(folder: Path, defects: tuple[Planted, ...], photos: int) -> dict[str, Any]:
    """Take photos at two focal lengths in turn; return where they show the defects."""
    folder.mkdir(parents=True)
    sites, shown = np.array([(one.row, one.col) for one in defects]), {}
    for number in range(photos):
        focal = 50.0 if number % 5 in {1, 3} else 16.0
        places = np.rint(ZOOM[focal].places(sites.reshape(-1, 2), SIZE)).astype(int)
        there = [
            replace(one, row=row, col=col)
            for one, (row, col) in zip(defects, places.tolist(), strict=True)
            if 0 <= row < SIZE[0] and 0 <= col < SIZE[1]
        ]
        frame = Sensor(*SIZE, seed=5, defects=tuple(there)).frame(number)
        path = folder / f"IMG_{number:04d}.JPG"
        taken = START + dt.timedelta(minutes=number)
        write_jpeg(path, frame, taken, focal=focal)
        shown[path.name] = [(one.row, one.col) for one in there]
    return shown


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Work:
    root = tmp_path_factory.mktemp("zoom")
    defects = scattered(COUNT, *SIZE, seed=8, levels=(50, 80))
    shown = shot(root / "import", defects, 30)
    state = str(root / "state")
    assert main(["run", str(root / "import"), "--once", "--state", state, "-q"]) == 0
    return Work(root / "import", state, shown)


@pytest.fixture
def told(worked: Work, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def command(*arguments: str) -> Any:
        assert main([*arguments, "--state", worked.state]) == 0
        return json.loads(capsys.readouterr().out)

    return command


def test_each_defect_is_listed_once_and_at_its_sensor_site(
    told: Callable[..., Any],
) -> None:
    (camera,) = told("map", "--format", "json")["cameras"]

    wanted = {
        (one.row, one.col) for one in scattered(COUNT, *SIZE, seed=8, levels=(50, 80))
    }
    found = {(one["y"], one["x"]) for one in camera["pixels"]}
    near = [min(max(abs(r - y), abs(c - x)) for y, x in wanted) for r, c in found]
    assert max(near) <= 1
    assert len(found) >= COUNT - 1
    assert all(one["focal"] is None for one in camera["pixels"])


def test_cameras_tells_what_is_known_of_each_focal_length(
    told: Callable[..., Any],
) -> None:
    (camera,) = told("cameras", "--json")["cameras"]

    wide, tele = camera["bins"]
    assert camera["corrected"]
    assert (wide["focal"], wide["photos"], wide["reference"]) == (16.0, 18, True)
    assert (tele["focal"], tele["photos"], tele["locked"]) == (50.0, 12, True)
    found = Correction(**tele["correction"])
    assert found.moves_by(ZOOM[50.0], SIZE) < 3


def test_every_photo_is_repaired_where_it_shows_the_defects(
    worked: Work, told: Callable[..., Any]
) -> None:
    wrong = good = 0
    for name, places in worked.shown.items():
        before = decoder.decode((worked.photos / name).read_bytes()).astype(int)
        copy = worked.photos / "repaired" / f"c_{name}"
        after = decoder.decode(copy.read_bytes()).astype(int)
        changed = np.argwhere((before != after).any(axis=2))
        there = np.array(places)
        near = np.abs(changed[:, None] - there).max(axis=2).min(axis=1)
        wrong += int((near > 20).sum())
        good += sum(
            before[row, col, 1] - after[row, col, 1] > 15 for row, col in places
        )
    assert wrong == 0
    assert good > 0.9 * sum(map(len, worked.shown.values()))

    found = told(
        "map", "--photo", str(worked.photos / "IMG_0001.JPG"), "--format", "json"
    )
    done = {(one["y"], one["x"]) for one in found["pixels"] if one["repaired"]}
    shown = worked.shown["IMG_0001.JPG"]
    assert found["corrected"]
    assert len(done) >= COUNT - 3
    assert all(min(max(abs(r - y), abs(c - x)) for y, x in shown) <= 1 for r, c in done)
    likely = [one["probability"] for one in found["pixels"] if one["repaired"]]
    assert np.median([one for one in likely if one is not None]) > 0.9


def test_a_camera_with_too_few_defects_keeps_one_place_for_all_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot(tmp_path / "import", (Planted(200, 280, 90.0),), 20)
    state = str(tmp_path / "state")
    assert (
        main(["run", str(tmp_path / "import"), "--once", "--state", state, "-q"]) == 0
    )
    capsys.readouterr()

    assert main(["cameras", "--json", "--state", state]) == 0
    (camera,) = json.loads(capsys.readouterr().out)["cameras"]
    assert not camera["corrected"]
    assert [one["locked"] for one in camera["bins"]] in ([True, False], [False, False])

    text = cameras.text({"cameras": [camera]}, is_terminal=True)
    words = " ".join(text.split())
    assert "every photo is taken to show a defect at the same place: too few" in words
    assert "50 mm 8 too few defects show" in words

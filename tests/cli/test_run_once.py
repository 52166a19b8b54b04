"""``run --once`` from photos to map and copies."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

import sensor as sensor_module
from hotpixeld.cli import commands
from hotpixeld.cli.main import main
from hotpixeld.cli.run_once import REPORT, Ran, _shown, run_once, summary
from hotpixeld.config.load import for_folders
from hotpixeld.defect import Appearance, Defect, Law, Strength
from hotpixeld.errors import ExitCode
from hotpixeld.repair.pixel_list import ListedPixel
from hotpixeld.repair.shape import Footprints
from hotpixeld.watch.walk import Closed

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.config.model import Config
    from sensor import Sensor


def outcomes_of(config: Config, state: Path, jobs: int) -> Counter[str]:
    return run_once(config, state, jobs).outcomes


def found(state: Path, config: Config) -> set[tuple[int, int]]:
    maps = commands.camera_maps(state, config, None, None)
    return {
        (one.defect.row, one.defect.col) for of_one in maps for one in of_one.pixels
    }


def test_defects_are_found_and_repaired(
    sensor: Sensor, folder: Path, tmp_path: Path, config: Config
) -> None:
    photos = sensor.write(folder / "day1", 32)
    state = tmp_path / "state"
    outcomes = outcomes_of(config, state, 2)
    copies = sorted((folder / "repaired" / "day1").iterdir())

    assert outcomes["folded"] == 32
    assert found(state, config) == {(one.row, one.col) for one in sensor.defects}
    assert [copy.name for copy in copies] == [f"c_{path.name}" for path in photos]
    assert (next(state.glob("cameras/*/map.yaml"))).is_file()


def test_a_second_run_does_nothing_twice(
    sensor: Sensor, folder: Path, tmp_path: Path, config: Config
) -> None:
    sensor.write(folder, 18)
    state = tmp_path / "state"
    run_once(config, state, 2)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.JPG")}
    outcomes = outcomes_of(config, state, 1)
    status = commands.status(state)

    assert sum(outcomes.values()) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.JPG")} == before
    assert status["photos"]["folded"] == status["cameras"][0]["photos"] == 18
    assert status["photos"]["duplicate"] == 0


def test_a_perfect_sensor_gets_no_map_and_no_copies(
    folder: Path, tmp_path: Path, config: Config, sensor: Sensor
) -> None:
    type(sensor)(height=200, width=280, seed=7).write(folder, 18)
    run_once(config, tmp_path / "state", 2)

    assert found(tmp_path / "state", config) == set()
    assert not (folder / "repaired").exists()


def test_a_copy_that_is_moved_into_the_folder_is_not_folded(
    sensor: Sensor, folder: Path, tmp_path: Path, config: Config
) -> None:
    sensor.write(folder, 32)
    run_once(config, tmp_path / "state", 2)
    shutil.copy(folder / "repaired" / "c_IMG_0003.JPG", folder / "back.jpg")
    outcomes = outcomes_of(config, tmp_path / "state", 2)

    assert outcomes == {"skipped": 1}


def test_a_pixel_list_alone_repairs_the_first_photo(
    sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    sensor.write(folder, 1)
    defect = sensor.defects[0]
    entry = {"model": "Model One", "pixels": ({"x": defect.col, "y": defect.row},)}
    config = for_folders([folder])
    config = type(config).model_validate(
        {**config.model_dump(), "cameras": (entry,)}, strict=False
    )
    run_once(config, tmp_path / "state", 1)

    assert (folder / "repaired" / "c_IMG_0000.JPG").is_file()


def test_a_truncated_photo_has_failed_at_once(
    sensor: Sensor, folder: Path, tmp_path: Path, config: Config
) -> None:
    (photo,) = sensor.write(folder, 1)
    photo.write_bytes(photo.read_bytes()[:-300])
    outcomes = outcomes_of(config, tmp_path / "state", 1)
    (problem,) = commands.status(tmp_path / "state")["problems"]

    assert outcomes == {"failed": 1}
    assert problem["path"] == str(photo)
    assert problem["reason"].startswith("truncated")


def test_a_missing_folder_does_not_keep_the_others_waiting(
    sensor: Sensor, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sensor.write(folder, 2)
    missing = tmp_path / "none"
    run = ["run", str(missing), str(folder), "--once", "--state", str(tmp_path / "s")]

    assert main([*run, "--quiet"]) == ExitCode.PARTLY
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"hotpixeld: {missing}: No such file or directory: check the spelling, or plug"
        " in or mount what it is on\n"
    )
    status = commands.status(tmp_path / "s")
    assert status["photos"]["pending"] == 2


def test_a_run_in_which_every_photo_failed_is_no_success(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.jpg").write_bytes(b"no photo")
    run = ["run", str(folder), "--once", "--state", str(tmp_path / "s")]

    assert main(run) == ExitCode.PARTLY
    assert (
        "the only new photo cannot be used: `hotpixeld status` says why"
        in capsys.readouterr().err
    )
    assert main([*run, "-q"]) == ExitCode.OK
    assert capsys.readouterr() == ("", "")


def test_copies_that_cannot_be_written_are_counted_and_said_once(
    sensor: Sensor, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sensor.write(folder, 32)
    (folder / "repaired").write_text("a file where the copies belong")
    run = ["run", str(folder), "--once", "--state", str(tmp_path / "s")]

    assert main(run) == ExitCode.PARTLY
    out, err = capsys.readouterr()
    assert "copies: none written; 0 copies in all" in out
    assert (
        f"hotpixeld: {folder / 'repaired'}: 32 copies waiting: a link or a file where a"
        " folder belongs: move it away, or name another"
    ) in err
    (folder / "repaired").unlink()
    assert main(run) == ExitCode.OK
    assert "copies: 32 written; 32 copies in all" in capsys.readouterr().out


def test_what_a_run_did_and_found_takes_at_most_15_lines(tmp_path: Path) -> None:
    ran = Ran(
        outcomes=Counter(folded=60, failed=4000, skipped=9, pending=3, duplicate=2),
        copies=Counter(written=60, foreign=1),
        written=60,
        former=[f"7 copies at a former place: /old/{n}" for n in range(3)],
        places=[tmp_path / "one", tmp_path / "two", tmp_path / "three"],
        cameras=[f"Model {n}: 40 photos, 3 hot pixels" for n in range(30)],
        unused=[("failed", f"reason {kind}: x", b"/a.jpg") for kind in "abcdefghi"],
        links=[Closed(f"/link/{n}", "a link, not followed") for n in range(5)],
        next=REPORT,
    )
    lines = summary(ran, " --state there").splitlines()

    assert len(lines) <= 14, "the state is a line, too"
    assert lines[0] == (
        "photos: 60 folded, 2 duplicate, 3 pending, 4,000 failed, 9 skipped"
    )
    assert lines[1].endswith(
        f"60 copies in all, in {tmp_path / 'one'} and 2 other folders"
    )
    assert "and 27 more cameras: `hotpixeld status` tells of them" in lines
    assert "5 links not followed: `hotpixeld status` tells of them" in lines
    assert "1 failed (a.jpg): reason a" in lines
    assert lines[-2].startswith("next: `hotpixeld report --state there` shows")


@pytest.mark.parametrize(
    ("called", "on_path", "named"),
    [
        (".venv/bin/hotpixeld", False, ".venv/bin/hotpixeld"),
        ("/opt/my tools/hotpixeld", False, "'/opt/my tools/hotpixeld'"),
        ("/opt/hotpixeld/bin/hotpixeld", True, "hotpixeld"),
        ("pytest", False, "hotpixeld"),
    ],
)
def test_the_next_command_is_one_that_a_shell_finds(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    called: str,
    on_path: bool,
    named: str,
) -> None:
    if on_path:
        (tmp_path / "hotpixeld").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [called])

    last = summary(Ran(next=REPORT)).splitlines()[-1]
    assert last.startswith(f"next: `{named} report` shows")


def defect(x: int, after: float | None = None, score: float = 99.0) -> ListedPixel:
    """Return a hot pixel that shows always, or from some exposure on."""
    short = Strength((0.001, 0.01), (100, 100), 40.0 if after is None else 0.0, 30)
    long = Strength((after or 1.0, 2.0), (100, 100), 40.0, 9)
    law = Law(0.5, 0.0, 0.1) if after is None else Law(0.0, 0.0187 / after / 100, 0.1)
    shown = Appearance(9, 9, (short, long))
    return ListedPixel(Defect(5, 10 * x, score=score, law=law, appearance=shown))


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ([], "0 defects"),
        ([defect(1)], "1 hot pixel, always visible"),
        ([defect(1), defect(2)], "2 hot pixels, all always visible"),
        (
            [defect(1), defect(2, 0.5), defect(3, score=0.1)],
            "3 hot pixels: 1 always visible, 1 only from 0.5 s at ISO 100, 1 not certain",
        ),
        (
            [defect(1), defect(2, 0.25), defect(3, 0.5)],
            "3 hot pixels: 1 always visible, 2 only at longer exposures or higher ISO",
        ),
    ],
)
def test_a_camera_is_told_with_when_its_defects_show(
    listed: list[ListedPixel], words: str
) -> None:
    assert _shown(listed).startswith(words)


def test_a_configured_report_is_written_by_a_run_or_said_to_be_missing(
    sensor: Sensor, folder: Path, tmp_path: Path, config: Config
) -> None:
    pytest.importorskip("matplotlib", reason="hotpixeld[report] is not installed")
    sensor.write(folder, 4)
    page, taken = tmp_path / "report.html", tmp_path / "taken.html"
    taken.write_text("mine")
    with_page = config.model_copy(update={"report": page})
    ran = run_once(with_page, tmp_path / "state", 1)
    refused = run_once(
        config.model_copy(update={"report": taken}), tmp_path / "state", 1
    )

    assert page.read_text().startswith("<!DOCTYPE html>")
    assert f"report: {page}: open it in a browser" in summary(ran)
    assert taken.read_text() == "mine"
    (fault,) = refused.undone
    assert fault.startswith(f"the report is not made: {taken}: is no report of hotpix")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least", "most_false", "min_photos"),
    [
        ("canon-t5i-2592", 9, 2, 16),
        # Warm pixels that nobody listed: 3 to 10 spreads above their surroundings in
        # nearly each of its eight longer exposures, and in none of the short ones.
        ("fuji-a200", 2, 7, 16),
        ("canon-1100d", 3, 1, 16),  # scenes that repeat
        ("canon-450d", 0, 0, 4),
        ("panasonic-zx3", 0, 0, 16),
        ("reconyx-trailcam", 0, 0, 16),
    ],
)
def test_real_cameras(
    photo_sets: Path,
    tmp_path: Path,
    name: str,
    least: int,
    most_false: int,
    min_photos: int,
) -> None:
    """The real defects of real cameras are found, and nothing else."""
    folder = tmp_path / name
    shutil.copytree(photo_sets / name, folder)
    config = for_folders([folder])
    detection = config.detection.model_copy(update={"min_photos": min_photos})
    config = config.model_copy(update={"detection": detection})
    run_once(config, tmp_path / "state", 2)
    truth = json.loads((folder / "truth.json").read_text())["defects"]
    listed = found(tmp_path / "state", config)

    def near(one: dict[str, int], place: tuple[int, int], reach: int) -> bool:
        return max(abs(one["y"] - place[0]), abs(one["x"] - place[1])) <= reach

    certain = [one for one in truth if one.get("certain", True)]
    hits = [one for one in certain if any(near(one, place, 2) for place in listed)]
    false = [place for place in listed if not any(near(one, place, 4) for one in truth)]

    assert len(hits) >= least
    assert len(false) <= most_false


def test_an_unusual_footprint_is_learned_and_kept(
    folder: Path, tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera whose defects are long streaks."""
    streak = np.zeros((5, 5))
    streak[2] = 0.7, 0.9, 1.0, 0.9, 0.7
    monkeypatch.setitem(sensor_module.FOOTPRINTS, 2, streak)
    places = [(40 * row + 30, 60 * col + 30) for row in range(4) for col in range(4)]
    defects = tuple(
        sensor_module.Planted(row, col, 90.0, radius=2) for row, col in places
    )
    sensor_module.Sensor(height=200, width=280, texture=0.0, defects=defects).write(
        folder, 32
    )
    run_once(config, tmp_path / "state", 2)
    (learned,) = (tmp_path / "state").glob("cameras/*/footprint.json")

    footprints = Footprints.from_json(learned.read_text())
    assert footprints.camera
    assert footprints.camera.count >= 4
    assert len(footprints.defects) >= 4
    assert len(list((folder / "repaired").iterdir())) == 32

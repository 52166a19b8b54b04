"""The command line: output, files and exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hotpixeld.cli.main import main
from hotpixeld.cli.status_text import size
from hotpixeld.errors import ExitCode
from hotpixeld.store import disk_room
from hotpixeld.store.ledger import Ledger
from hotpixeld.store.state_folder import footprint_file
from sensor import Sensor, scattered

if TYPE_CHECKING:
    from pathlib import Path


class Work(NamedTuple):
    """A folder that was worked off, and where its state is."""

    folder: Path
    state: str
    sensor: Sensor


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Return a folder of 32 photos after `run --once`."""
    root = tmp_path_factory.mktemp("worked")
    defects = scattered(3, 200, 280, levels=(60, 90))
    sensor = Sensor(height=200, width=280, defects=defects)
    sensor.write(root / "import", 32)
    state = str(root / "state")
    assert main(["run", str(root / "import"), "--once", "--state", state]) == 0
    return Work(root / "import", state, sensor)


def test_run_once_tells_what_it_did(
    folder: Path, tmp_path: Path, sensor: Sensor, capsys: pytest.CaptureFixture[str]
) -> None:
    sensor.write(folder, 4)
    code = main(["run", str(folder), "--once", "--state", str(tmp_path / "s")])
    out, err = capsys.readouterr()

    assert code == 0
    assert "photos: 4 folded" in out
    assert "4 of 16 photos needed for a map" in out
    assert f"state: {tmp_path / 's'}" in err
    assert "folding: 4 of 4" in err


def test_check_config_says_that_a_report_cannot_be_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    config = tmp_path / "hotpixeld.yaml"
    config.write_text(f"folders: [{{path: {folder}}}]\nreport: file/report.html\n")

    assert main(["check-config", str(config)]) == ExitCode.PARTLY
    err = capsys.readouterr().err
    assert f"{tmp_path}/file/report.html: the report cannot be written: " in err


def test_run_without_a_folder_says_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run"]) == ExitCode.USAGE
    assert "no folder to watch" in capsys.readouterr().err


def test_the_map_as_json_has_the_promised_fields(
    worked: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["map", "--format", "json", "--state", worked.state]) == 0
    (camera,) = json.loads(capsys.readouterr().out)["cameras"]

    assert (camera["make"], camera["model"]) == ("Maker", "Model One")
    assert (camera["serial"], camera["photos"]) == ("0123456", 32)
    assert (camera["width"], camera["height"]) == (280, 200)
    assert {(one["x"], one["y"]) for one in camera["pixels"]} == {
        (one.col, one.row) for one in worked.sensor.defects
    }
    for one in camera["pixels"]:
        assert one["kind"] == "hot"
        assert one["score"] > 4
        assert set(one["since"]) == {"after", "by"}
        assert "until" in one


def test_the_map_comes_in_every_format(
    worked: Work, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outputs = {}
    for format_ in ("table", "yaml", "csv", "jpegpixi", "dcraw"):
        assert main(["map", "--format", format_, "--state", worked.state]) == 0
        outputs[format_] = capsys.readouterr().out
    first = min(worked.sensor.defects, key=lambda one: (one.row, one.col))
    rows = list(csv.DictReader(io.StringIO(outputs["csv"])))

    assert (rows[0]["x"], rows[0]["y"]) == (str(first.col), str(first.row))
    assert f"{first.col} {first.row} 0" in outputs["dcraw"]
    assert f"{first.col - 1},{first.row - 1},3" in outputs["jpegpixi"]
    assert str(first.col) in outputs["table"]
    config = tmp_path / "pasted.yaml"
    config.write_text(outputs["yaml"])
    assert main(["check-config", str(config)]) == 0


def test_a_map_can_be_made_by_either_method_now(
    worked: Work, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    output = tmp_path / "out" / "map.json"
    base = ["--state", worked.state, "--output"]
    for method, count in (("contrast", 3), ("variance", 10)):
        code = main(["map", "--method", method, "--format", "json", *base, str(output)])
        (camera,) = json.loads(output.read_text())["cameras"]

        assert code == 0
        assert len(camera["pixels"]) == count
    assert capsys.readouterr().out == ""


def test_status_agrees_with_the_state(
    worked: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--json", "--state", worked.state]) == 0
    found = json.loads(capsys.readouterr().out)

    assert {"folded", "duplicate", "skipped", "failed", "waiting", "pending"} <= set(
        found["photos"]
    )
    assert found["photos"]["folded"] == found["cameras"][0]["photos"] == 32
    assert main(["status", "--state", worked.state]) == 0
    shown = capsys.readouterr().out
    assert "32 photos folded" in shown
    assert "on disk: " in shown
    taken = found["cameras"][0]["folder_bytes"]
    assert f"32 photos, 3 defects, {size(taken)} on disk\n" in shown
    assert found["cameras"][0]["folder_bytes"] < found["state_bytes"]
    assert not found["cameras"][0]["dropped"]


def test_a_run_without_room_for_a_pass_says_how_much_and_loses_nothing(
    folder: Path,
    tmp_path: Path,
    sensor: Sensor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sensor.write(folder, 4)
    command = ["run", str(folder), "--once", "--state", str(tmp_path / "s")]
    with monkeypatch.context() as patch:
        disk = SimpleNamespace(f_bavail=1000, f_frsize=1)
        patch.setattr(os, "statvfs", lambda _: disk)
        assert main(command) == ExitCode.STATE
    shown = capsys.readouterr().err
    needed = disk_room.needed(200, 280)
    assert f"{tmp_path / 's'}: no room for the next generation" in shown
    assert f"{needed} bytes needed, 1000 bytes free: free some space there" in shown
    assert main(command) == 0

    assert "photos: 4 earlier ones folded" in capsys.readouterr().out


def test_history_shows_the_lives(
    worked: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", "--json", "--state", worked.state]) == 0
    (camera,) = json.loads(capsys.readouterr().out)["cameras"]
    assert len(camera["pixels"]) == 3
    names = (camera["id"], camera["id"][:9], camera["serial"], camera["model"].lower())
    for name in names:
        assert main(["history", name, "--state", worked.state]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 1 + 3
    place = "{x},{y}".format(**camera["pixels"][0])
    assert main(["history", place, "--state", worked.state]) == 0
    assert f"{place} of Maker Model One" in capsys.readouterr().out
    assert main(["history", "nobody's", "--state", worked.state]) == ExitCode.FAULT
    assert camera["id"] in capsys.readouterr().err


def test_repair_by_hand_and_diff(
    worked: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = worked.folder / "IMG_0000.JPG"
    defect = worked.sensor.defects[0]
    pixel = f"{defect.col},{defect.row}"
    output = ["--output", str(tmp_path / "out")]
    code = main(["repair", str(photo), "--pixel", pixel, *output])
    out = capsys.readouterr().out
    copy = tmp_path / "out" / "c_IMG_0000.JPG"

    assert code == 0
    assert str(copy) in out
    assert copy.stat().st_mtime_ns == photo.stat().st_mtime_ns
    assert main(["diff", str(photo), str(copy)]) == 0
    assert "identical but for " in capsys.readouterr().out
    assert main(["diff", str(photo), str(worked.folder / "IMG_0001.JPG")]) == (
        ExitCode.DIFFERENT
    )


def a_copy(worked: Work, tmp_path: Path) -> tuple[Path, Path]:
    """Return a copy of the daemon's, moved and renamed, and its original."""
    first = min((worked.folder / "repaired").iterdir())
    moved = tmp_path / "moved" / "anything.jpg"
    moved.parent.mkdir()
    shutil.copy2(first, moved)
    return moved, worked.folder / first.name.removeprefix("c_")


def test_undo_gives_back_the_original_wherever_the_copy_is(
    worked: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, original = a_copy(worked, tmp_path)
    assert main(["diff", str(original), str(copy)]) == 0
    assert main(["undo", str(copy), "--state", worked.state]) == 0
    back = copy.with_name(original.name)

    assert back.read_bytes() == original.read_bytes() != copy.read_bytes()
    assert str(back) in capsys.readouterr().out
    output = ["--output", str(tmp_path / "back.jpg")]
    assert main(["undo", str(copy), "--state", worked.state, *output]) == 0
    assert (tmp_path / "back.jpg").read_bytes() == original.read_bytes()


def test_diff_names_the_file_that_is_no_photo(
    worked: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, _ = a_copy(worked, tmp_path)
    (text := tmp_path / "list.txt").write_text("no photo")

    assert main(["diff", str(copy), str(text)]) != 0
    assert f"{text}: cannot compare: not a JPEG file" in capsys.readouterr().err


def test_undo_overwrites_nothing(
    worked: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, original = a_copy(worked, tmp_path)
    copy.with_name(original.name).write_bytes(b"mine")
    code = main(["undo", str(copy), "--state", worked.state])

    assert code == ExitCode.PHOTO
    assert "is there already: name another file with --output" in (
        capsys.readouterr().err
    )
    assert copy.with_name(original.name).read_bytes() == b"mine"


def test_undo_says_why_nothing_leads_back(
    worked: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, original = a_copy(worked, tmp_path)
    rated = copy.with_name("rated.jpg")
    data = copy.read_bytes()
    rated.write_bytes(data[:2] + b"\xff\xfe\x00\x06good" + data[2:])
    text = copy.with_name("text.jpg")
    text.write_bytes(b"no photo")
    for path, reason in (
        (rated, "changed since it was written"),
        (original, "is older than the last 8 versions"),
        (text, "is older than the last 8 versions"),
        (tmp_path, "a folder, not a file"),
    ):
        assert main(["undo", str(path), "--state", worked.state]) == ExitCode.PHOTO
        assert reason in capsys.readouterr().err
    assert sorted(copy.parent.iterdir()) == sorted([copy, rated, text])


def test_undo_checks_the_original_before_it_writes(
    worked: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, _ = a_copy(worked, tmp_path)
    state = tmp_path / "state"
    shutil.copytree(worked.state, state)
    ledger = Ledger(state / "ledger.sqlite3")
    ledger.connection.execute("UPDATE undo SET original = zeroblob(32)")
    ledger.close()

    assert main(["undo", str(copy), "--state", str(state)]) == ExitCode.PHOTO
    assert "does not give it back: nothing written" in capsys.readouterr().err
    assert list(copy.parent.iterdir()) == [copy]

    ledger = Ledger(state / "ledger.sqlite3")
    ledger.connection.execute("DELETE FROM undo")
    ledger.close()

    assert main(["undo", str(copy), "--state", str(state)]) == ExitCode.PHOTO
    assert "`copies: {undo: false}`" in capsys.readouterr().err


def test_repair_from_the_map_needs_no_pixels(
    worked: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "IMG_0099.JPG"
    shutil.copy(worked.folder / "IMG_0005.JPG", photo)
    assert main(["repair", str(photo), "--state", worked.state]) == 0

    assert "pixels " in capsys.readouterr().out
    assert (tmp_path / "repaired" / "c_IMG_0099.JPG").is_file()


def test_repair_says_what_is_wrong_and_goes_on(
    worked: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = worked.folder / "IMG_0000.JPG", tmp_path / "bad.jpg"
    bad.write_bytes(b"no photo")
    arguments = ["--pixel", "9,9", "--output", str(tmp_path / "out")]
    code = main(["repair", str(bad), str(good), *arguments])

    assert code == ExitCode.PHOTO
    assert f"{bad}: not a usable JPEG" in capsys.readouterr().err
    assert (tmp_path / "out" / "c_IMG_0000.JPG").is_file()
    assert main(["repair", str(good), "--pixel", "9;9"]) == ExitCode.USAGE
    assert main(["repair", str(good), "--pixel", "999,9"]) == ExitCode.PHOTO


def test_forget_ends_the_map_and_never_folds_again(
    worked: Work, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    shutil.copytree(worked.state, state)
    assert main(["status", "--json", "--state", str(state)]) == 0
    (camera,) = json.loads(capsys.readouterr().out)["cameras"]
    base = ["forget", camera["id"], "--state", str(state)]
    assert main([*base, "--dry-run"]) == 0
    assert "to be forgotten: 32 photos" in capsys.readouterr().out
    footprint = footprint_file(state, camera["id"])
    footprint.write_text("learned of the photos that are forgotten now")
    assert main([*base, "--since", "2024-03-01T12:20:00", "--yes"]) == 0
    assert not footprint.exists()
    assert "forgot 12 photos" in capsys.readouterr().out
    run = ["run", str(worked.folder), "--once", "--state", str(state)]
    assert main(run) == 0
    capsys.readouterr()
    assert main(["status", "--json", "--state", str(state)]) == 0
    found = json.loads(capsys.readouterr().out)

    assert found["cameras"][0]["photos"] == 20
    assert found["photos"]["forgotten"] == 12
    assert main(["forget", "nobody's", "--state", str(state)]) == ExitCode.FAULT


def test_a_state_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--state", str(tmp_path / "none")]) == ExitCode.STATE
    assert "no such state yet" in capsys.readouterr().err


def test_a_faulty_configuration_is_named_fault_by_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "hotpixeld.yaml"
    config.write_text("detection: {min_photo: 4}\nrepair: {fill: soft}\n")
    assert main(["check-config", str(config)]) == ExitCode.CONFIG
    err = capsys.readouterr().err

    assert "min_photos" in err
    assert "repair: fill must be" in err


def test_state_folder_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "given"))
    assert main(["status"]) == ExitCode.STATE

    assert f"state: {tmp_path / 'given'}" in capsys.readouterr().err


def test_every_command_takes_config_and_state(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in [
        "run",
        "status",
        "map",
        "history",
        "repair",
        "diff",
        "undo",
        "forget",
        "relearn",
        "import",
        "check-config",
    ]:
        assert main([command, "--help"]) == 0
        out = capsys.readouterr().out
        assert "--config" in out
        assert "--state" in out

"""Commands on a camera that corrects its lens: places of a photo, of a bin, of the list."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.shell_completion import ShellComplete
from PIL import Image

from hotpixeld.cli import commands, photo_defects, tables
from hotpixeld.cli.main import main, program
from hotpixeld.config.model import Config
from hotpixeld.detection.evidence import none_taken
from hotpixeld.detection.explanation import FEWEST, Pull
from hotpixeld.errors import ExitCode, HotpixeldError
from hotpixeld.jpeg import decoder
from sensor import write_jpeg
from zoom import COUNT, SIZE, ZOOM, focal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoom import Zoomed

TELE = "IMG_0001.JPG"
"""A photo at 50 mm; the reference is 16 mm."""


class Said:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def camera(self) -> dict[str, Any]:
        """Return the camera of a map in JSON."""
        (camera,) = json.loads(self.out)["cameras"]
        return dict(camera)


@pytest.fixture
def run(
    zoomed: Zoomed, capsysbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Said]:
    def command(*arguments: object) -> Said:
        code = main([*map(str, arguments), "--state", zoomed.state])
        out, err = capsysbinary.readouterr()
        return Said(code, out.decode("latin-1"), err.decode())

    return command


def places(camera: dict[str, Any]) -> set[tuple[int, int]]:
    return {(one["x"], one["y"]) for one in camera["pixels"]}


def outside(camera: dict[str, Any]) -> tuple[int, int]:
    """Return the one site that lies outside of the frame."""
    (one,) = [(x, y) for x, y in places(camera) if x < 0]
    return one


def test_map_counts_the_copies_that_a_lens_correction_moved(
    run: Callable[..., Said], zoomed: Zoomed
) -> None:
    """Told by the field `repaired`, and by `history` of one place."""
    lines = [line.split("\t") for line in run("map").out.splitlines()]
    number = {name: place for place, name in enumerate(lines[0])}
    repaired = {
        (int(line[number["x"]]), int(line[number["y"]])): int(line[number["repaired"]])
        for line in lines[1:]
    }
    tele = sum(focal_of(number) == 50 for number in range(len(zoomed.shown)))
    x, y = outside(run("map", "--format", "json").camera)

    assert repaired.pop((x, y)) == tele
    assert min(repaired.values()) > len(zoomed.shown) - tele
    assert f"repaired   in {tele} copies" in run("history", f"{x},{y}").out


@pytest.mark.parametrize("before", [(), ("Model One",), ("--",)])
def test_history_takes_a_place_outside_of_the_frame_for_one(
    run: Callable[..., Said], zoomed: Zoomed, before: tuple[str, ...]
) -> None:
    x, y = outside(run("map", "--format", "json").camera)
    assert x < 0
    code = main(["history", "--state", zoomed.state, *before, f"{x},{y}"])

    assert code == ExitCode.OK


def test_what_is_no_place_is_an_option_or_a_camera(run: Callable[..., Said]) -> None:
    assert run("history", "-55").code == ExitCode.USAGE
    assert run("history", "--jsno").code == ExitCode.USAGE
    said = run("history", "-55,-1636")
    assert said.code == ExitCode.FAULT
    assert "no pixel is listed at -55,-1636" in said.err


def test_json_has_the_bins_the_reference_and_whose_places_they_are(
    run: Callable[..., Said],
) -> None:
    camera = run("map", "--format", "json").camera
    life = json.loads(run("history", "--json").out)["cameras"][0]
    (known,) = json.loads(run("cameras", "--json").out)["cameras"]

    assert camera["reference"] == camera["bin"] == {"lens": "", "focal": 16.0}
    assert camera["bins"] == life["bins"] == known["bins"]
    assert [one["name"] for one in camera["bins"]] == ["16 mm", "50 mm"]
    assert [one["reference"] for one in camera["bins"]] == [True, False]


@pytest.mark.parametrize("named", ["50 mm", "50mm", "50", " 50 MM"])
def test_a_bin_is_named_as_cameras_prints_it_or_by_its_focal_length(
    run: Callable[..., Said], named: str
) -> None:
    said = run("map", "--format", "json", "--bin", named)

    assert said.camera["bin"] == {"lens": "", "focal": 50.0}
    assert said.camera["reference"] == {"lens": "", "focal": 16.0}


def test_places_of_a_bin_are_those_that_its_photos_show(
    run: Callable[..., Said], zoomed: Zoomed
) -> None:
    camera = run("map", "--format", "json", "--bin", "50mm").camera
    truth = zoomed.shown[TELE]

    assert len(places(camera)) >= COUNT
    for x, y in places(camera):
        assert min(max(abs(x - col), abs(y - row)) for row, col in truth) <= 2
    assert places(camera) != places(run("map", "--format", "json").camera)


def test_every_form_has_the_places_of_the_bin(
    run: Callable[..., Said], tmp_path: Path
) -> None:
    wanted = places(run("map", "--format", "json", "--bin", "50mm").camera)
    rows = csv.DictReader(io.StringIO(run("map", "--format", "csv", "--bin", "50").out))
    siril = run("map", "--format", "siril", "--raw-offset", "0,0", "--bin", "50").out
    table = run("map", "--bin", "50").out.splitlines()[1:]
    mask = tmp_path / "mask.png"
    run("map", "--format", "png", "--bin", "50", "--output", mask)
    with Image.open(mask) as image:
        white = np.argwhere(np.asarray(image) == 255)

    assert {(int(row["x"]), int(row["y"])) for row in rows} == wanted
    lines = [line.split() for line in siril.splitlines() if line.startswith("P")]
    assert {(int(x), int(y)) for _, x, y, _ in lines} == wanted
    fields = [line.split("\t") for line in table]
    assert {(int(one[1]), int(one[2])) for one in fields} == wanted
    assert {(int(col), int(row)) for row, col in white} == wanted


def test_what_the_frame_does_not_show_is_left_out_and_counted(
    run: Callable[..., Said],
) -> None:
    told = "1 pixel lies outside of the frame of photos at 16 mm, left out"
    every = run("map", "--format", "json")
    chosen = run("map", "--format", "json", "--bin", "16mm")
    exported = run("map", "--format", "csv")

    assert told not in every.err
    assert told in chosen.err
    assert told in exported.err
    assert places(every.camera) - places(chosen.camera) == {outside(every.camera)}
    assert "left out" not in run("map", "--format", "csv", "--bin", "50mm").err


def test_a_bin_that_is_none_is_refused_with_those_there_are(
    run: Callable[..., Said],
) -> None:
    said = run("map", "--bin", "85mm")

    assert said.code == ExitCode.FAULT
    assert "'85mm' names no lens and focal length of: 16 mm; 50 mm" in said.err
    assert run("map", "--bin", "50mm", "--show").code == ExitCode.USAGE
    assert run("map", "--bin", "50mm", "--photo", "a.jpg").code == ExitCode.USAGE


def test_a_table_names_whose_places_it_has(zoomed: Zoomed) -> None:
    folder = Path(zoomed.state)
    reference, tele = (
        tables.text(
            commands.camera_pixels(folder, Config(), None, bin_=named), is_terminal=True
        )
        for named in (None, "50mm")
    )

    assert "from 30 photos; x,y at 16 mm" in " ".join(reference.split())
    assert "from 30 photos; x,y at 50 mm" in " ".join(tele.split())


def test_a_list_in_json_is_imported_without_what_lies_outside(
    run: Callable[..., Said], tmp_path: Path
) -> None:
    config = tmp_path / "hotpixeld.yaml"
    whole, tele = tmp_path / "whole.json", tmp_path / "tele.json"
    run("map", "--format", "json", "--output", whole)
    run("map", "--format", "json", "--bin", "50mm", "--output", tele)
    to = "--camera", "Model One", "--config", config
    said = run("import", whole, *to)
    refused = run("import", tele, *to)

    assert said.code == ExitCode.OK
    assert said.out.count("- {x: ") + said.out.count("- [") >= COUNT - 1
    assert refused.code != ExitCode.OK
    assert "leave --bin out of `map`" in refused.err


def of_photo(run: Callable[..., Said], path: Path, *more: object) -> dict[str, Any]:
    found = run("map", "--photo", path, "--format", "json", *more)
    assert found.code == ExitCode.OK
    return dict(json.loads(found.out))


def test_a_photo_shows_each_at_an_exact_place(
    run: Callable[..., Said], zoomed: Zoomed
) -> None:
    found = of_photo(run, zoomed.photos / TELE)
    exact = [(one["exact"]["x"], one["exact"]["y"]) for one in found["pixels"]]
    listed = np.array(
        [(one["listed"]["y"], one["listed"]["x"]) for one in found["pixels"]]
    )
    truth = ZOOM[50.0].places(listed, SIZE)

    for (x, y), one, (row, col) in zip(exact, found["pixels"], truth, strict=True):
        assert (one["x"], one["y"]) == (round(x), round(y))
        assert abs(x - col) < 2
        assert abs(y - row) < 2
    assert any(x != round(x) for x, _ in exact)


def test_what_the_frame_of_a_photo_does_not_show_has_a_place_and_a_reason(
    run: Callable[..., Said], zoomed: Zoomed
) -> None:
    found = of_photo(run, zoomed.photos / "IMG_0000.JPG")
    (one,) = [one for one in found["pixels"] if one["listed"]["x"] < 0]

    assert (one["x"], one["y"], one["repaired"]) == (None, None, False)
    assert abs(one["exact"]["x"] - one["listed"]["x"]) < 0.5
    assert (one["left"], one["why"]) == ("outside", "outside of the frame")
    assert {tuple(each) for each in found["pixels"]} == {tuple(one)}, "one set of keys"


def test_a_photo_that_is_not_there_is_said_to_be_none(run: Callable[..., Said]) -> None:
    said = run("map", "--photo", "no.jpg")

    assert said.code == ExitCode.PHOTO
    assert "no.jpg: no such file: check the spelling" in said.err


def test_a_focal_length_that_was_never_seen_is_told_as_such(
    run: Callable[..., Said], zoomed: Zoomed, tmp_path: Path
) -> None:
    frame = decoder.decode((zoomed.photos / TELE).read_bytes())
    write_jpeg(tmp_path / "new.jpg", frame, focal=85.0)
    found = of_photo(run, tmp_path / "new.jpg")

    assert {one["left"] for one in found["pixels"]} == {"unknown place"}
    assert {one["exact"] for one in found["pixels"]} == {None}


def test_a_photo_s_defects_are_fields_in_a_pipe_and_a_table_on_a_terminal(
    run: Callable[..., Said], zoomed: Zoomed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = of_photo(run, zoomed.photos / TELE)
    head, *lines = run("map", "--photo", zoomed.photos / TELE).out.splitlines()
    table = photo_defects.text(found, is_terminal=True)

    assert head.split("\t") == list(photo_defects.FIELDS)
    assert len(lines) == len(found["pixels"])
    for line, one in zip(lines, found["pixels"], strict=True):
        told = dict(zip(photo_defects.FIELDS, line.split("\t"), strict=True))
        assert (told["x"], told["y"]) == (str(one["x"]), str(one["y"]))
        assert told["listed_x"] == str(one["listed"]["x"])
        assert told["repaired"] == ("yes" if one["repaired"] else "no")
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in table
    assert table.count("repaired") >= COUNT - 2


def test_what_a_date_leaves_and_what_a_setting_leaves_are_told_apart(
    run: Callable[..., Said], zoomed: Zoomed, tmp_path: Path
) -> None:
    setting, dated = tmp_path / "setting.yaml", tmp_path / "dated.yaml"
    setting.write_text("repair: {pixels: configured}\n")
    x, y = 300, 150
    dated.write_text(
        "cameras: [{model: Model One, size: [560, 400],"
        f" pixels: [{{x: {x}, y: {y}, since: 2031-05-01}}]}}]\n"
    )
    shown = zoomed.photos / TELE
    by_setting = of_photo(run, shown, "--config", setting)["pixels"]
    by_date = of_photo(run, shown, "--config", dated)["pixels"]

    assert {one["left"] for one in by_setting} == {"setting"}
    assert by_setting[0]["why"] == "left by `repair: {pixels: configured}`"
    late = [one for one in by_date if one["left"] == "date"]
    assert [one["listed"] for one in late] == [{"x": x, "y": y}]
    assert late[0]["why"] == "began after this photo: 1 May 2031"


def test_a_bin_without_a_correction_is_refused_with_the_reason(
    zoomed: Zoomed, tmp_path: Path
) -> None:
    """A photo at a focal length that was never learned from has a bin of its own."""
    state = tmp_path / "state"
    shutil.copytree(zoomed.state, state)
    with closing(sqlite3.connect(state / "ledger.sqlite3")) as ledger, ledger:
        ledger.execute("UPDATE images SET focal_mm = 85 WHERE id = 1")

    with pytest.raises(HotpixeldError, match="where photos at 85 mm show the defects"):
        commands.camera_maps(state, Config(), None, None, "85mm")


def test_what_draws_a_stuck_or_dead_site_is_found_whatever_scenes_do() -> None:
    rng = np.random.default_rng(3)
    samples = none_taken(60)
    level = rng.uniform(20, 220, 60)
    samples["level"], samples["clipped"], samples["spread"] = level, 0, 1.5
    added = 180 - level + rng.normal(0, 1.5, 60)
    added[:6] += rng.normal(0, 80, 6)
    samples["peak"] = added[:, None]
    pull = Pull.of(samples)

    assert pull is not None
    assert abs(pull.slope + 1) < 0.05
    assert abs(pull.constant - 180) < 5
    assert pull.visibility(60, 1.5, 3.0) > 0.95
    assert pull.visibility(180, 1.5, 3.0) < 0.2, "as bright as its surroundings"
    assert Pull.of(samples[: FEWEST - 1]) is None
    assert Pull.of(none_taken(60)) is None


def test_a_shell_is_offered_the_focal_lengths(zoomed: Zoomed, tmp_path: Path) -> None:
    shell = ShellComplete(program, {}, "hotpixeld", "_HOTPIXELD_COMPLETE")

    def offered(state: object, begun: str = "") -> list[str]:
        line = ["map", "--state", str(state), "--bin"]
        return [one.value for one in shell.get_completions(line, begun)]

    assert offered(zoomed.state) == ["16mm", "50mm"]
    assert offered(zoomed.state, "5") == ["50mm"]
    assert offered(tmp_path) == []


def test_what_lies_outside_of_the_frame_can_be_ignored(
    run: Callable[..., Said], zoomed: Zoomed, tmp_path: Path
) -> None:
    x, y = outside(run("map", "--format", "json").camera)
    config = tmp_path / "hotpixeld.yaml"
    config.write_text(
        f"cameras: [{{model: Model One, size: [560, 400], ignore: [[{x}, {y}]]}}]\n"
    )
    camera = run("map", "--format", "json", "--config", config).camera
    shown = of_photo(run, zoomed.photos / TELE, "--config", config)["pixels"]

    ignored = [(one["x"], one["y"]) for one in camera["pixels"] if one["ignored"]]
    assert ignored == [(x, y)]
    assert [one["listed"] for one in shown if one["left"] == "ignored"] == [
        {"x": x, "y": y}
    ]

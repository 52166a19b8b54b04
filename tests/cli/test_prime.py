"""`prime`: what it says, refuses and writes, as a user sees it."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.cli.main import main
from hotpixeld.engine import priming
from hotpixeld.errors import ExitCode
from hotpixeld.store import ledger as ledger_file
from sensor import START, Planted, exposed, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

SIZE = 96, 128
HOT = (Planted(20, 33, 80), Planted(71, 90, 60))


class Said:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def problems(self) -> list[str]:
        """Return the lines about what went wrong."""
        lines = self.err.splitlines()
        return [line for line in lines if line.startswith("hotpixeld: ")]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def command(*arguments: str | Path) -> Said:
        state = str(tmp_path / "state")
        code = main([*map(str, arguments), "--state", state])
        return Said(code, *capfd.readouterr())

    return command


@pytest.fixture
def cap(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of lens-cap frames: of a level, defects, and what `write_jpeg` takes."""
    made = iter(range(100))

    def frame(level: float = 3.0, hot: tuple[Planted, ...] = HOT, **said: Any) -> Path:
        number = next(made)
        light = np.full((*said.pop("size", SIZE), 3), level)
        path = tmp_path / f"CAP_{number:04d}.JPG"
        levels = exposed(light, np.random.default_rng(number), 1.5, list(hot))
        write_jpeg(path, levels, START + dt.timedelta(minutes=number), **said)
        return path

    return frame


def listed(run: Callable[..., Said]) -> set[tuple[int, int]]:
    (camera,) = json.loads(run("map", "--format", "json").out)["cameras"]
    assert {one["source"] for one in camera["pixels"]} == {"primed"}
    return {(one["x"], one["y"]) for one in camera["pixels"]}


def test_it_says_what_it_lists(
    run: Callable[..., Said], cap: Callable[..., Path]
) -> None:
    said = run("prime", cap(), cap())
    first, *pixels, last = said.out.splitlines()

    assert said.code == ExitCode.OK
    assert first.endswith(": 2 hot pixels in 2 lens-cap frames")
    assert [line.split()[0] for line in pixels] == ["33,20", "90,71"]
    assert all(line.endswith("levels, in 2 of 2 frames") for line in pixels)
    assert last.startswith("primed 2 pixels: looked for in every photo")
    assert listed(run) == {(33, 20), (90, 71)}


def test_of_one_frame_it_says_that_a_second_one_tells(
    run: Callable[..., Said], cap: Callable[..., Path]
) -> None:
    said = run("prime", cap())

    assert said.code == ExitCode.OK
    assert "may be the hit of a particle: a second one tells" in said.out


def test_frames_that_show_nothing_list_nothing(
    run: Callable[..., Said], cap: Callable[..., Path]
) -> None:
    said = run("prime", cap(hot=()), cap(hot=()))

    assert said.code == ExitCode.OK
    assert ": 0 hot pixels in 2 lens-cap frames" in said.out
    assert "primed 0 pixels" in said.out


def test_a_dry_run_makes_no_state(
    run: Callable[..., Said], cap: Callable[..., Path], tmp_path: Path
) -> None:
    said = run("prime", "--dry-run", cap(), cap())

    assert said.code == ExitCode.OK
    assert ": 2 hot pixels in 2 lens-cap frames" in said.out
    assert "primed" not in said.out
    assert not (tmp_path / "state").exists()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "bright": ({"level": 120.0}, "not dark: its blocks reach level 120"),
    "small": ({"size": (48, 128), "hot": HOT[:1]}, "too small: lens-cap frames have"),
    "edited": ({"software": "GIMP 2.10.34"}, "GIMP"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_frame_that_is_none_is_refused_with_the_reason(
    run: Callable[..., Said], cap: Callable[..., Path], why: str, tmp_path: Path
) -> None:
    said_of_it, reason = REFUSED[why]
    bad = cap(**said_of_it)
    said = run("prime", bad)
    (problem,) = said.problems

    assert said.code == ExitCode.PHOTO
    assert problem.startswith(f"hotpixeld: {bad}: ")
    assert reason in problem
    assert said.out == ""
    assert not (tmp_path / "state").exists()


def test_what_is_no_file_or_no_jpeg_is_refused_and_the_others_count(
    run: Callable[..., Said], cap: Callable[..., Path], tmp_path: Path
) -> None:
    text, cut = tmp_path / "notes.txt", tmp_path / "cut.jpg"
    text.write_text("lens cap on")
    whole = cap()
    cut.write_bytes(whole.read_bytes()[:900])
    missing = tmp_path / "none.jpg"
    said = run("prime", text, cut, missing, tmp_path, whole, cap())
    bad = text, cut, missing, tmp_path

    assert said.code == ExitCode.PHOTO
    for path, line in zip(bad, said.problems, strict=True):
        assert line.startswith(f"hotpixeld: {path}: ")
    assert listed(run) == {(33, 20), (90, 71)}


@pytest.mark.parametrize(
    "other",
    [{"serial": "7654321"}, {"model": "Model Two"}, {"size": (128, 96)}],
    ids=["another body", "another model", "another size"],
)
def test_frames_of_another_camera_are_looked_at_by_themselves(
    run: Callable[..., Said], cap: Callable[..., Path], other: dict[str, Any]
) -> None:
    """A hit in the only frame of one is no hot pixel of the other."""
    hit = (Planted(50, 40, 90),)
    said = run("prime", cap(), cap(), cap(hot=hit, **other))
    heads = [line for line in said.out.splitlines() if "lens-cap frame" in line]

    assert said.code == ExitCode.OK
    assert sorted(line.split(": ")[1] for line in heads) == [
        "1 hot pixel in 1 lens-cap frame",
        "2 hot pixels in 2 lens-cap frames",
    ]


def test_frames_of_no_known_body_are_refused(
    run: Callable[..., Said], cap: Callable[..., Path]
) -> None:
    said = run("prime", cap(make="", model="", serial=""))

    assert said.code == ExitCode.PHOTO
    assert "camera" in said.err


def test_more_than_ten_are_too_many(
    run: Callable[..., Said], cap: Callable[..., Path], tmp_path: Path
) -> None:
    said = run("prime", *[cap()] * (priming.MOST + 1))

    assert said.code == ExitCode.USAGE
    assert "11 frames: name 10 at most" in said.err
    assert not (tmp_path / "state").exists()


def test_none_at_all_is_a_fault_of_the_call(run: Callable[..., Said]) -> None:
    said = run("prime")

    assert said.code == ExitCode.USAGE
    assert "FRAME ..." in said.err


def test_a_state_that_is_held_is_left_alone_but_for_a_dry_run(
    run: Callable[..., Said], cap: Callable[..., Path], tmp_path: Path
) -> None:
    frames = cap(), cap()
    assert run("prime", frames[0]).code == ExitCode.OK
    with ledger_file.held(tmp_path / "state"):
        said = run("prime", *frames)
        dry = run("prime", "--dry-run", *frames)

    assert said.code == ExitCode.STATE
    assert "stop" in said.err
    assert said.out == ""
    assert dry.code == ExitCode.OK
    assert ": 2 hot pixels in 2 lens-cap frames" in dry.out

"""Pictures of defects: on a terminal two pixels a character, and as files."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from hotpixeld.cli import commands, pictures
from hotpixeld.cli.main import main
from hotpixeld.cli.pictures import HalfBlocks
from hotpixeld.config.model import Config
from hotpixeld.errors import ExitCode, HotpixeldError
from hotpixeld.report.crops import SIDE
from sensor import Sensor, scattered

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the state of a folder of a camera with three strong hot pixels."""
    root = tmp_path_factory.mktemp("pictures")
    defects = scattered(3, 88, 120, levels=(70, 90))
    Sensor(height=88, width=120, defects=defects).write(root / "import", 18)
    run = ["run", str(root / "import"), "--once", "--state", str(root / "state")]
    assert main(run) == 0
    return root / "state"


def terminal(**how: object) -> Console:
    options = {"force_terminal": True, "color_system": "truecolor", "width": 80}
    encoded = io.TextIOWrapper(io.BytesIO(), "utf-8")
    return Console(**{"file": encoded, **options, **how})  # type: ignore[arg-type]


def drawn(state: Path, console: Console) -> str:
    with console.capture() as captured, commands.opened(state) as ledger:
        records = commands.chosen(ledger, Config(), None)
        pictures.show(ledger, Config(), records, console)
    return captured.get()


def test_a_character_is_two_pixels_one_above_the_other() -> None:
    picture = np.array([[[1, 2, 3]], [[4, 5, 6]], [[7, 8, 9]]], np.uint8)
    console = terminal()
    with console.capture() as captured:
        console.print(HalfBlocks(picture))
    first, second = captured.get().splitlines()

    assert "38;2;1;2;3" in first
    assert "48;2;4;5;6" in first
    assert "38;2;7;8;9" in second
    assert "48;2;7;8;9" in second


def test_a_dark_crop_has_an_edge() -> None:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[SIDE // 2, SIDE // 2] = 255
    shown = pictures._middle(picture)

    assert shown.shape == (pictures.SHOWN, pictures.SHOWN, 3)
    edges = shown[0], shown[-1], shown[:, 0], shown[:, -1]
    assert all((edge == pictures.FRAME).all() for edge in edges)
    assert shown[pictures.SHOWN // 2, pictures.SHOWN // 2].tolist() == [255] * 3
    assert (shown[1:-1, 1:-1] == 255).sum() == 3


@pytest.mark.parametrize("width", [60, 80])
def test_each_defect_is_drawn_before_and_after_within_the_width(
    state: Path, width: int
) -> None:
    shown = drawn(state, terminal(width=width))
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in shown.splitlines()]

    assert max(map(len, lines)) <= width
    assert sum(line.count(" hot, +") for line in lines) == 3
    rows = -(-pictures.SHOWN // 2)
    assert shown.count("▀") == 3 * 2 * rows * pictures.SHOWN
    assert "IMG_00" in shown


@pytest.mark.parametrize(
    "how",
    [
        {"force_terminal": False},
        {"no_color": True},
        {"color_system": "standard"},
        {"file": io.TextIOWrapper(io.BytesIO(), "ascii")},
    ],
)
def test_where_no_picture_can_be_shown_files_are_named_instead(
    state: Path, how: dict[str, object]
) -> None:
    with pytest.raises(HotpixeldError, match="name a folder for PNG files"):
        drawn(state, terminal(**how))


def test_where_there_is_nothing_to_draw_it_is_said(state: Path, tmp_path: Path) -> None:
    Sensor(height=88, width=120).write(tmp_path / "import", 4)
    run = ["run", str(tmp_path / "import"), "--once", "--state", str(tmp_path / "s")]
    assert main(run) == 0

    assert "no hot pixel is known yet" in drawn(tmp_path / "s", terminal())
    assert "no hot pixel is known yet" not in drawn(state, terminal())


def test_files_hold_before_and_after_side_by_side(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "pictures"
    show = ["map", "--show", "--state", str(state)]
    assert main([*show, "--output", str(output)]) == 0
    assert f"{output}: 3 pictures" in capsys.readouterr().out
    files = sorted(output.iterdir())
    assert len(files) == 3
    with Image.open(files[0]) as image:
        pixels = np.asarray(image.convert("L")).astype(int)
    side = SIDE * pictures.ENLARGED

    assert pixels.shape == (side, 2 * side + pictures.GAP)
    before, after = pixels[:, :side], pixels[:, side + pictures.GAP :]
    middle = side // 2
    assert before[middle, middle] > after[middle, middle] + 30
    assert main([*show, "--method", "variance"]) == ExitCode.USAGE

"""`map --format` into files, and `import`: output, files and exit codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from days.world import Body
from hotpixeld.cli.main import main
from hotpixeld.errors import ExitCode
from hotpixeld.formats.known_forms import FORMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RAW = [name for name, form in FORMS.items() if form.is_raw]
KNOW_NO_CAMERAS = [name for name, form in FORMS.items() if not form.knows_cameras]


@dataclass(frozen=True)
class Work:
    """The state of two bodies of one model, and where their defects are."""

    state: str
    defects: dict[str, set[tuple[int, int]]]


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Work:
    root = tmp_path_factory.mktemp("worked")
    defects = {}
    for seed, serial in enumerate(("0123456", "0123457")):
        body = Body(serial=serial, seed=seed)
        body.shoot(root / "import" / serial, 16)
        defects[serial] = body.xy
    state = str(root / "state")
    assert main(["run", str(root / "import"), "--once", "--state", state, "-q"]) == 0
    return Work(state, defects)


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(worked: Work, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def command(*arguments: str | Path) -> Said:
        code = main([*map(str, arguments), "--state", worked.state])
        return Said(code, *capfd.readouterr())

    return command


@pytest.mark.parametrize("name", KNOW_NO_CAMERAS)
def test_two_cameras_on_standard_output_or_in_one_file_are_refused(
    name: str, run: Callable[..., Said], tmp_path: Path
) -> None:
    for output in ((), ("--output", tmp_path / "list")):
        said = run("map", "--format", name, *output)

        assert said.code == ExitCode.FAULT
        assert said.out == ""
        assert f"{name} does not say which camera a pixel is of" in said.err
        assert not (tmp_path / "list").exists()
    one = run(
        "map", "--format", name, "--camera", "0123456", "--output", tmp_path / "a"
    )
    assert one.code == 0
    assert (tmp_path / "a").stat().st_size > 0


@pytest.mark.parametrize("name", FORMS)
def test_a_folder_gets_a_file_for_each_camera(
    name: str, run: Callable[..., Said], tmp_path: Path
) -> None:
    new = f"{tmp_path}/lists/"
    said = run("map", "--format", name, "--output", new)
    written = sorted(tmp_path.glob("lists/*"))

    assert said.code == 0
    assert sorted(said.out.splitlines()) == list(map(str, written))
    assert len(written) == 2
    again = run("map", "--format", name, "--output", tmp_path / "lists")
    assert again.out == said.out
    for path in written:
        assert path.name.endswith(FORMS[name].suffix)


def test_a_table_is_for_one_file(run: Callable[..., Said], tmp_path: Path) -> None:
    said = run("map", "--output", f"{tmp_path}/")

    assert said.code == ExitCode.FAULT
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", RAW)
def test_raw_converters_want_to_know_the_border(
    name: str, run: Callable[..., Said], tmp_path: Path
) -> None:
    export = (
        "map",
        "--format",
        name,
        "--camera",
        "0123456",
        "--output",
        tmp_path / "list",
    )
    assert "--raw-offset X,Y" in run(*export).err
    plain = (tmp_path / "list").read_text()
    said = run(*export, "--raw-offset", "9,4")

    assert said.code == 0
    assert "--raw-offset" not in said.err
    assert (tmp_path / "list").read_text() != plain


def test_a_border_that_makes_no_sense_is_refused(run: Callable[..., Said]) -> None:
    said = run("map", "--format", "csv", "--raw-offset", "9,4")
    assert said.code == ExitCode.USAGE
    assert "--raw-offset is for dcraw, rawtherapee, siril" in said.err

    said = run("map", "--format", "siril", "--raw-offset", "9")
    assert said.code == ExitCode.USAGE
    assert "'9' is not X,Y" in said.err


def test_a_mask_is_not_printed_on_a_terminal(
    worked: Work, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["map", "--format", "png", "--camera", "0123456", "--state", worked.state]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    assert main(command) == ExitCode.USAGE
    assert "name a file with --output" in capfd.readouterr().err

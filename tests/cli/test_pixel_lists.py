"""`map --format` into files, and `import`: output, files and exit codes."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from days.world import HEIGHT, WIDTH, Body
from hotpixeld.cli.main import main
from hotpixeld.config.load import load
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


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "hotpixeld.yaml"
    path.write_text(
        "# ours\ncameras:\n  - name: anna\n"
        f'    serial: "0123456"   # a gift\n    size: [{WIDTH}, {HEIGHT}]\n'
    )
    return path


def listed(path: Path, index: int = 0) -> set[tuple[int, int]]:
    return {(one.x, one.y) for one in load(path).cameras[index].pixels}


@pytest.mark.parametrize("name", FORMS)
def test_a_list_goes_out_and_comes_in_again(
    name: str, worked: Work, run: Callable[..., Said], tmp_path: Path, config: Path
) -> None:
    offset = ("--raw-offset", "9,4") if name in RAW else ()
    out = "map", "--format", name, "--output", f"{tmp_path}/lists/", *offset
    assert run(*out, "--camera", "0123456").code == 0
    (file,) = tmp_path.glob("lists/*")
    before = config.read_text()
    command = "import", file, "--camera", "anna", "--config", config, *offset
    shown = run(*command)

    assert shown.code == 0
    assert shown.out.startswith(f"--- {config}\n+++ {config}\n@@ ")
    assert "3 pixels to add" in shown.err
    assert "not changed: --write does it" in shown.err
    assert config.read_text() == before
    written = run(*command, "--write")
    assert (written.code, written.out) == (0, shown.out)
    assert config.read_text().startswith(before)
    assert listed(config) == worked.defects["0123456"]
    assert list(config.parent.glob(".*")) == []
    again = run(*command, "--write")
    assert (again.code, again.out) == (0, "")
    assert "3 pixels listed already" in again.err
    assert "nothing to change" in again.err


def test_an_import_keeps_the_files_mode_and_what_links_to_it(
    run: Callable[..., Said], tmp_path: Path, config: Path
) -> None:
    config.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(config.name)
    (tmp_path / "list").write_text("1 2\n")
    options = "--format", "rawtherapee", "--raw-offset", "0,0", "--write"
    said = run(
        "import", tmp_path / "list", "--camera", "anna", "--config", link, *options
    )

    assert said.code == 0
    assert link.is_symlink()
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert listed(config) == {(1, 2)}


def test_a_camera_without_an_entry_gets_one(
    worked: Work, run: Callable[..., Said], tmp_path: Path, config: Path
) -> None:
    (tmp_path / "list.txt").write_text("1,2\n")
    said = run(
        "import",
        tmp_path / "list.txt",
        "--camera",
        "0123457",
        "--config",
        config,
        "--write",
    )

    assert said.code == 0
    entry = load(config).cameras[1]
    assert (entry.serial, entry.size) == ("0123457", (WIDTH, HEIGHT))
    assert (listed(config), listed(config, 1)) == (set(), {(1, 2)})


def test_an_entry_of_all_bodies_of_a_model_gets_no_pixels_of_one(
    run: Callable[..., Said], tmp_path: Path, config: Path
) -> None:
    config.write_text("cameras: [{model: NIKON D80, ignore: [[7, 9]]}]\n")
    (tmp_path / "list.txt").write_text("1,2\n7,9\n")
    said = run(
        "import",
        tmp_path / "list.txt",
        "--camera",
        "0123457",
        "--config",
        config,
        "--write",
    )

    assert said.code == 0
    assert (
        "1 pixel to add, the configuration says the opposite, and is left so: 7,9"
        in said.err
    )
    assert (listed(config), listed(config, 1)) == (set(), {(1, 2)})


def test_a_configuration_that_is_not_there_is_made(
    run: Callable[..., Said], tmp_path: Path
) -> None:
    (tmp_path / "list.lst").write_text("P 1 2 H\n")
    new = tmp_path / "new.yaml"
    command = "import", tmp_path / "list.lst", "--camera", "0123456", "--config", new
    assert run(*command, "--raw-offset", "0,0").code == 0
    assert not new.exists()
    assert run(*command, "--raw-offset", "0,0", "--write").code == 0

    assert listed(new) == {(1, 2)}


def test_a_place_outside_the_frame_is_told_and_nothing_written(
    run: Callable[..., Said], tmp_path: Path, config: Path
) -> None:
    (tmp_path / "list.lst").write_text(f"# mine\nP 1 2 H\nP {WIDTH} 2 H\n")
    before = config.read_text()
    command = "import", tmp_path / "list.lst", "--camera", "anna", "--config", config
    said = run(*command, "--write")

    assert said.code == ExitCode.FAULT
    assert f"list.lst:3: {WIDTH},2 is outside the 120 x 88 frame" in said.err
    assert config.read_text() == before
    moved = run(*command, "--raw-offset", "4,4", "--write")
    assert "list.lst:2: -3,-2 is outside" in moved.err


def test_what_cannot_be_imported_is_told(
    run: Callable[..., Said], tmp_path: Path, config: Path
) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Anna,\n")
    into = "--config", config
    for arguments, code, words in (
        ((letter, "--camera", "anna"), 2, "name the configuration to change"),
        ((letter, "--camera", "anna", *into), 1, "looks like no pixel list"),
        ((letter, "--camera", "ben", *into), 1, "no camera 'ben'; known: "),
        ((letter, "--camera", "NIKON D80", *into), 1, "may be any of 2 cameras"),
        ((tmp_path / "none", "--camera", "anna", *into), 1, "check the spelling"),
        ((tmp_path, "--camera", "anna", *into), 1, "a folder, not a file"),
    ):
        said = run("import", *arguments)
        assert (said.code, said.out) == (code, "")
        assert words in said.err

    config.write_text("cameras: [{model: NIKON D80, size: [120, 88]}]\n")
    letter.write_text("1,2\n")
    said = run("import", letter, "--camera", "NIKON D80", *into)
    assert "may be any of 2 cameras" in said.err
    said = run("import", letter, "--camera", "0123456", *into, "--raw-offset", "9,4")
    assert said.code == ExitCode.FAULT
    assert "counts in the photo, not in a raw frame" in said.err


def test_a_list_can_be_imported_before_the_first_photo(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], config: Path
) -> None:
    (tmp_path / "list.txt").write_text("1,2\n")
    command = ["import", str(tmp_path / "list.txt"), "--state", str(tmp_path / "none")]
    command += ["--config", str(config), "--write", "--camera"]
    assert main([*command, "anna"]) == 0
    assert listed(config) == {(1, 2)}
    assert main([*command, "ben"]) == ExitCode.FAULT
    assert "no camera 'ben' yet: `run` on some of its photos" in capfd.readouterr().err
    config.write_text("cameras: [{name: anna}]\n")

    assert main([*command, "anna"]) == ExitCode.FAULT
    assert "cameras[0]: the frame is not known yet" in capfd.readouterr().err


def test_a_mask_is_not_printed_on_a_terminal(
    worked: Work, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["map", "--format", "png", "--camera", "0123456", "--state", worked.state]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    assert main(command) == ExitCode.USAGE
    assert "name a file with --output" in capfd.readouterr().err

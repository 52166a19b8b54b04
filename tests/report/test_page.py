"""The report by what is in the file: parsed, never looked at by eye."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hotpixeld.cli.main import main
from hotpixeld.config import load
from hotpixeld.config.model import Config
from hotpixeld.errors import ExitCode
from hotpixeld.report import page as page_module
from hotpixeld.report.crops import SIDE, data_uri
from hotpixeld.report.findings import collect
from hotpixeld.store.ledger import Ledger
from report.conftest import EVIL, EVIL_MODEL, ONSET, PHOTOS, Page, made

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from report.conftest import World


def crop(uri: str) -> np.ndarray:
    """Return the pixels of a picture in a page."""
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)))


def test_it_begins_with_what_a_person_would_say(page: Page) -> None:
    assert page.said("h1") == (
        "Your Maker Model One has 3 hot pixels, 1 of them new since March 2024;"
        f" {PHOTOS} photos were repaired, 1 could not be."
    )


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    links = [
        one.attributes[name]
        for one in page.elements
        for name in ("src", "href", "xlink:href", "srcset", "action", "poster", "data")
        if name in one.attributes
    ]

    assert links
    assert [link for link in links if not link.startswith(("data:image/", "#"))] == []
    assert page.all("link") == page.all("iframe") == page.all("object") == []
    assert "@import" not in page.text
    assert "url(http" not in page.text
    policy = next(one for one in page.all("meta") if "http-equiv" in one.attributes)
    assert "default-src 'none'" in policy.attributes["content"]


def test_every_defect_has_three_real_photos_before_and_after(
    page: Page, world: World
) -> None:
    for article in page.all("article"):
        images = [one for one in page.all("img") if one in article]
        before, after = images[:3], images[3:]

        assert len(before) == len(after) == 3
        for one, other in zip(before, after, strict=True):
            first, second = crop(one.attributes["src"]), crop(other.attributes["src"])
            middle = first[SIDE // 2, SIDE // 2].astype(int)
            assert first.shape == second.shape == (SIDE, SIDE, 3)
            assert int(one.attributes["width"]) == 8 * SIDE
            assert (middle > second[SIDE // 2, SIDE // 2] + 20).all()
            # One stretch for both: away from the defect they are the same.
            np.testing.assert_array_equal(first[0], second[0])
            assert one.attributes["alt"].startswith("Before: pixels around")
    assert len(page.all("article")) == len(world.defects)


def test_a_dot_on_the_sensor_leads_to_its_strip(page: Page, world: World) -> None:
    (sensor,) = (one for one in page.all("svg") if "sensor" in one.within[-1].classes)
    ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    dots = [one for one in page.all("circle", "dot") if one in sensor]
    places = {(int(one.attributes["cx"]), int(one.attributes["cy"])) for one in dots}
    links = [one for one in page.all("a") if one in sensor]
    rings = [one for one in page.all("circle", "ring") if one in sensor]

    assert places == {(one.col, one.row) for one in world.defects}
    assert all(one.attributes["href"][1:] in ids for one in links)
    assert sensor.attributes["viewbox"] == "0 0 280 200"
    (new,) = (one for one in world.defects if one.onset == ONSET)
    assert [int(one.attributes["cx"]) for one in rings] == [new.col]
    assert len(ids) == len(set(ids))


def test_the_json_in_it_is_that_of_history(
    page: Page, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    (script,) = (one for one in page.all("script") if one.attributes.get("id"))
    told = json.loads("".join(script.text))
    capsys.readouterr()
    assert main(["history", "--json", "--state", str(world.state)]) == 0
    history = json.loads(capsys.readouterr().out)

    assert told["cameras"] == history["cameras"]
    assert told["status"]["photos"]["folded"] == PHOTOS


def test_names_of_files_and_cameras_are_never_obeyed(page: Page) -> None:
    assert [one for one in page.all("img") if "onerror" in one.attributes] == []
    assert page.all("b") == []
    assert len(page.all("script")) == 2
    assert "alert(1)>" not in page.text
    assert "<script>alert" not in page.text
    told = "".join(page.all("body")[0].text)
    assert EVIL in told
    assert EVIL_MODEL in told
    assert "b<b>old.jpg" in told


def test_what_to_write_for_a_spot_of_the_scene_is_a_configuration(
    page: Page, tmp_path: Path
) -> None:
    written = "".join(page.all("pre")[0].text).replace("X, Y", "7, 9")
    (entry,) = load.parse(written, tmp_path).cameras
    size = entry.size

    assert entry.model
    assert size is not None
    assert [(one.x, one.y) for one in entry.ignore] == [(7, 9)]


def test_what_was_not_used_is_told_with_what_to_do(page: Page) -> None:
    (reasons,) = page.all("ul", "reasons")
    told = " ".join("".join(reasons.text).split())

    assert "1 failed: cut off: the end is missing. Copy from the card again." in told
    assert "1 skipped: saved by an editor, which may have moved pixels. Put" in told
    assert "half.jpg" in told


def test_each_figure_says_what_it_shows_and_what_to_do(page: Page) -> None:
    (onsets, laws) = page.all("figure", "plot")
    for figure in (onsets, laws):
        (drawing,) = (one for one in page.all("svg") if one in figure)

        assert drawing.attributes["aria-label"]
        assert [one for one in page.all("p", "todo") if one in figure]
        assert [one for one in page.all("text") if one in drawing]
        assert "font-family" not in page.text[page.text.index("<svg") :]
    assert "var(--accent)" in page.text
    assert page.text.count("<style>") == 1


def test_originals_and_copies_stay_as_they_are(world: World, tmp_path: Path) -> None:
    def seen() -> dict[Path, tuple[bytes, int]]:
        files = (one for one in world.folder.rglob("*") if one.is_file())
        return {one: (one.read_bytes(), one.stat().st_mtime_ns) for one in files}

    before = seen()
    made(world.state, tmp_path / "report.html")

    assert seen() == before


def test_photos_that_are_gone_are_said_so(world: World, tmp_path: Path) -> None:
    away = world.folder.with_name("away")
    world.folder.rename(away)
    try:
        page = made(world.state, tmp_path / "report.html")
    finally:
        away.rename(world.folder)

    assert page.all("img") == []
    gone = ["".join(one.text) for one in page.all("span", "gone")]
    assert gone
    assert set(gone) == {"it is not there any more, or its drive is not plugged in"}
    assert len(page.all("article")) == len(world.defects)


def test_a_copy_that_was_edited_is_not_shown_as_ours(
    world: World, tmp_path: Path
) -> None:
    repaired = world.folder / "repaired"
    shutil.copytree(repaired, tmp_path / "kept")
    try:
        for copy in repaired.iterdir():
            copy.write_bytes(copy.read_bytes() + b"rated")
        page = made(world.state, tmp_path / "report.html")
    finally:
        shutil.rmtree(repaired)
        (tmp_path / "kept").rename(repaired)

    told = {"".join(one.text) for one in page.all("p", "none")}
    assert told == {"After: its copy was changed since it was written."}
    assert page.all("button", "switch") == []


def test_what_was_not_repaired_in_a_copy_has_no_after(
    world: World, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    shutil.copytree(world.state, state)
    ledger = Ledger(state / "ledger.sqlite3")
    ledger.connection.execute("UPDATE copies SET pixels = '[]'")
    ledger.close()
    page = made(state, tmp_path / "report.html")

    told = ["".join(one.text) for one in page.all("p", "none")]
    assert told == ["After: it was not repaired here."] * len(world.defects)
    assert len(page.all("img")) == 3 * len(world.defects)
    assert page.all("button") == []


def test_of_one_camera_alone(world: World, tmp_path: Path) -> None:
    page = made(world.state, tmp_path / "report.html", "--camera", "maker-model-one")

    assert EVIL_MODEL not in "".join(page.all("body")[0].text)
    assert len(page.all("article")) == len(world.defects)


def test_before_there_is_a_map_it_says_how_many_photos_are_needed(
    world: World, tmp_path: Path
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for number in range(3):
        shutil.copy(world.folder / f"IMG_{number:04d}.JPG", few)
    state = tmp_path / "state"
    assert main(["run", "--once", "-q", str(few), "--state", str(state)]) == 0
    page = made(state, tmp_path / "report.html")

    assert page.said("h1") == (
        "Your Maker Model One has 3 of the 16 photos needed to find defects."
    )


def test_a_name_that_is_no_page_is_refused(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.jpg"
    code = main(["report", "--state", str(world.state), "--output", str(target)])

    assert code == ExitCode.USAGE
    assert "must end in .html" in capsys.readouterr().err
    assert not target.exists()


def test_a_report_that_cannot_be_written_leaves_the_former_one(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "report.html"
    target.mkdir()
    code = main(["report", "--state", str(world.state), "--output", str(target)])

    assert code == ExitCode.FAULT
    assert "report.html" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [target]


def test_another_page_in_its_place_is_left_alone(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "index.html"
    target.write_text("<!DOCTYPE html><title>My photos</title>")
    code = main(["report", "--state", str(world.state), "--output", str(target)])

    assert code == ExitCode.FAULT
    assert "is no report of hotpixeld's: move it away" in capsys.readouterr().err
    assert "My photos" in target.read_text()
    target.write_text("")
    made(world.state, target)
    made(world.state, target)


def test_what_is_not_installed_is_named_with_the_command(
    world: World, tmp_path: Path
) -> None:
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from hotpixeld.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    target = tmp_path / "report.html"
    arguments = ["report", "--state", str(world.state), "--output", str(target)]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == ExitCode.FAULT
    assert "the report needs jinja2, which is not installed" in done.stderr
    assert "pip install '.[report]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_shares_are_fair_and_bounded(world: World) -> None:
    shares = page_module._shares

    ledger = Ledger(world.state / "ledger.sqlite3", read_only=True)
    with contextlib.closing(ledger):
        (about, *_) = collect(ledger, Config(), list(ledger.images.cameras())).cameras
    assert shares([about, about], 100) == [3, 3]
    assert shares([about, about], 5) == [3, 2]


def test_a_hundred_defects_stay_below_two_megabytes() -> None:
    """Pictures are what is large: of noise, which no PNG makes smaller."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    pictures = page_module.MOST_STRIPS * 3 * 2 * len(data_uri(noise))
    words = page_module.MOST_STRIPS * 3000

    assert pictures + words < 1_500_000, "the rest is for figures, words and JSON"


def test_ten_thousand_photos_ask_no_more_of_the_ledger(
    world: World, tmp_path: Path
) -> None:
    """The number of queries, and of files read, does not grow with that of the photos."""
    counts = []
    for extra in (0, 10_000):
        state = tmp_path / f"state-{extra}"
        shutil.copytree(world.state, state)
        ledger = Ledger(state / "ledger.sqlite3")
        record = next(one for one in ledger.images.cameras() if one.mapped)
        with ledger.transaction():
            ledger.connection.execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                " WHERE i < ?2) INSERT INTO images (identity, camera, sequence,"
                " outcome, captured) SELECT randomblob(32), ?1, 10000 + i, 'folded',"
                " '2024-03-01T12:00:00' FROM n WHERE ?2 > 0",
                (record.camera.id, extra),
            )
        asked: list[str] = []
        ledger.connection.set_trace_callback(asked.append)
        found = collect(ledger, Config(), [record])
        page_module._part(ledger, Config(), found.cameras[0], "c1", 3, 48)
        counts.append(len(asked))
        ledger.close()

    assert counts[0] == counts[1]
    assert counts[1] < 400

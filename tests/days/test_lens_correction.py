"""A camera that corrects its lens: a defect lies elsewhere at each focal length."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import zoom
from hotpixeld.cli import cameras, commands
from hotpixeld.cli.main import main
from hotpixeld.config.model import Config
from hotpixeld.detection.lens_correction import Correction
from hotpixeld.engine import bodies
from hotpixeld.jpeg import decoder
from hotpixeld.photo import metadata
from hotpixeld.store.ledger import Ledger
from sensor import START, Planted, exposed, write_jpeg
from zoom import COUNT, DEFECTS, SIZE, ZOOM, focal_of, shot

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoom import Zoomed


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Zoomed:
    return zoom.worked(tmp_path_factory.mktemp("zoom"), DEFECTS)


@pytest.fixture
def told(worked: Zoomed, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def command(*arguments: str) -> Any:
        assert main([*arguments, "--state", worked.state]) == 0
        return json.loads(capsys.readouterr().out)

    return command


def test_each_defect_is_listed_once_and_at_its_sensor_site(
    told: Callable[..., Any],
) -> None:
    (camera,) = told("map", "--format", "json")["cameras"]

    wanted = {(one.row, one.col) for one in DEFECTS}
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
    sites = np.array([(one.row, one.col) for one in DEFECTS])
    apart = found.places(sites, SIZE) - ZOOM[50.0].places(sites, SIZE)
    assert np.hypot(*apart.T).max() < 0.5
    assert found.moves_by(ZOOM[50.0], SIZE) < 5, "at the corner, where no defect tells"


def test_every_photo_is_repaired_where_it_shows_the_defects(
    worked: Zoomed, told: Callable[..., Any]
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


def test_a_stuck_pixel_is_told_though_its_place_moves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck = Planted(90, 130, 200.0, "stuck")
    worked = zoom.worked(tmp_path, (*DEFECTS, stuck))

    assert main(["map", "--format", "json", "--state", worked.state]) == 0
    (camera,) = json.loads(capsys.readouterr().out)["cameras"]
    kinds = {(one["y"], one["x"]): one["kind"] for one in camera["pixels"]}
    assert kinds.pop((90, 130)) == "stuck"
    assert set(kinds.values()) == {"hot"}


def primed(root: Path, state: Path, sites: np.ndarray) -> list[tuple[int, int]]:
    """Prime with lens-cap frames of 50 mm; return where they show sensor sites."""
    there = np.rint(ZOOM[50.0].places(sites, SIZE)).astype(int).tolist()
    places = [(row, col) for row, col in there if row < SIZE[0] and col < SIZE[1]]
    frames = [str(root / f"CAP_{number}.JPG") for number in range(2)]
    for number, name in enumerate(frames):
        dark = np.full((*SIZE, 3), 3.0)
        rng = np.random.default_rng(number)
        hot = [Planted(row, col, 80.0) for row, col in places]
        frame = exposed(dark, rng, 1.5, hot)
        write_jpeg(Path(name), frame, START - dt.timedelta(days=1), focal=50.0)
    assert main(["prime", *frames, "--state", str(state)]) == 0
    return places


def test_lens_cap_frames_show_hot_pixels_where_photos_of_their_focal_length_do(
    worked: Zoomed, told: Callable[..., Any], tmp_path: Path
) -> None:
    """Taken at 50 mm, of a place apart from all that photos show."""
    site = np.array([[310, 60]])
    assert min(max(abs(310 - one.row), abs(60 - one.col)) for one in DEFECTS) > 12
    state = shutil.copytree(worked.state, tmp_path / "state")
    ((row, col),) = primed(tmp_path, state, site)

    for name, place in (("IMG_0000.JPG", site[0]), ("IMG_0001.JPG", (row, col))):
        photo = worked.photos / name
        about = Ledger(state / "ledger.sqlite3")
        (record,) = about.images.cameras()
        taken = metadata.read(photo.read_bytes(), photo)
        (found,) = bodies.priors(about, Config(), record.camera, taken)
        about.close()
        assert max(abs(found.row - place[0]), abs(found.col - place[1])) <= 1


def test_primed_before_any_photo_is_confirmed_once_the_lens_is_known(
    tmp_path: Path,
) -> None:
    """Nobody knew at first that photos of 16 mm show it elsewhere."""
    state = tmp_path / "state"
    sites = np.array([(one.row, one.col) for one in DEFECTS] + [(310, 60)])
    places = primed(tmp_path, state, sites)
    with commands.opened(state) as ledger:
        (record,) = ledger.images.cameras()
        known = ledger.primed.of(record.camera.id)
        assert sorted(one.pixel.frame for one in known) == sorted(places)
    photos, later = tmp_path / "import", tmp_path / "later"
    names = sorted(shot(later, DEFECTS, 30))
    photos.mkdir()
    for some in (names[:24], names[24:]):
        for name in some:
            (later / name).rename(photos / name)
        assert main(["run", str(photos), "--once", "--state", str(state), "-q"]) == 0

    with commands.opened(state) as ledger:
        after = ledger.primed.of(record.camera.id)
        assert ledger.samples.suspects(record.camera.id).corrections.move
    outcomes = {one.pixel.frame: str(one.outcome) for one in after}
    assert outcomes.pop(places[-1]) == "dropped"
    assert set(outcomes.values()) == {"confirmed"}


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


def test_copies_of_forgotten_photos_stay_as_they_are(tmp_path: Path) -> None:
    world = zoom.worked(tmp_path, DEFECTS)
    forgotten = [world.photos / f"IMG_{number:04d}.JPG" for number in range(24, 30)]
    with commands.opened(Path(world.state)) as ledger:
        before = [ledger.copies.find(path) for path in forgotten]
    since = (START + dt.timedelta(minutes=24)).isoformat()
    for command in (
        ["forget", "--since", since, "--yes"],
        ["run", str(world.photos), "--once", "-q"],
    ):
        assert main([*command, "--state", world.state]) == 0

    with commands.opened(Path(world.state)) as ledger:
        after = [ledger.copies.find(path) for path in forgotten]
    assert [focal_of(number) for number in range(24, 30)].count(50.0) == 2
    for one, two in zip(before, after, strict=True):
        assert one
        assert two
        assert len(one.pixels) > COUNT - 3
        assert two.pixels == one.pixels


def test_the_same_photos_give_the_same_map_and_copies_again(tmp_path: Path) -> None:
    """Their corrections are looked for afresh: former ones would pull the next ones on."""
    world = zoom.worked(tmp_path, DEFECTS[:7])

    def now() -> tuple[object, ...]:
        with commands.opened(Path(world.state)) as ledger:
            (camera,) = (one.camera for one in ledger.images.cameras())
            known = ledger.samples.suspects(camera.id).corrections
            copies = [ledger.copies.find(world.photos / name) for name in world.shown]
            return known, ledger.defects.of(camera.id), copies

    before = now()
    again = ["run", str(world.photos), "--once", "-q", "--state", world.state]
    assert main(again) == 0
    assert now() == before

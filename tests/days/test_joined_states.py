"""Two machines learned of the same cameras; what they know becomes one state."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest

from days.world import Body, Home
from hotpixeld.store import generation_files, state_folder
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from days.world import Json
    from faults.hotpixel import Zygote
    from hotpixeld.statistics.generation import State


def machine(root: Path, name: str, programs: Zygote) -> Home:
    """Return a machine with a folder and a state of its own."""
    return Home(root / name, programs)


def generation(state: Path, number: int = 0) -> State:
    """Return the state that the newest generation of a camera holds."""
    ledger = Ledger(state_folder.ledger_file(state), read_only=True)
    record = list(ledger.images.cameras())[number]
    ledger.close()
    folder = state_folder.camera_folder(state, record.camera.id)
    return generation_files.opened(
        generation_files.folder_of(folder, record.generation)
    )


def told(home: Home, state: Path, *command: str) -> Json:
    """Return what a command says of another state, as JSON."""
    config = home.system / "other.yaml"
    config.write_text(f"state: {state}\n")
    return home.hotpixeld(*command, "--config", config).json


def merged(home: Home, first: Path, second: Path, code: int = 0) -> tuple[str, Path]:
    """Merge two states; return what was said, and where the third is."""
    output = home.root / "merged"
    answer = home.hotpixeld(
        "state", "merge", first, second, "--output", output, code=code
    )
    return answer.out + answer.err, output


@pytest.fixture
def two(tmp_path: Path, programs: Zygote) -> tuple[Home, Home]:
    return machine(tmp_path, "field", programs), machine(tmp_path, "archive", programs)


def test_photos_of_two_machines_become_one_state(two: tuple[Home, Home]) -> None:
    field, archive = two
    body = Body()
    body.shoot(field.photos, 24)
    body.shoot(archive.photos, 20)
    field.once()
    archive.once()
    said, output = merged(archive, field.state, archive.state)
    assert "24 and 20 photos: 44" in said
    both = generation(output)
    assert both.photos == 44
    whole = machine(archive.root, "whole", archive._programs)
    Body().shoot(whole.photos, 44)
    whole.once()
    one = generation(whole.state)
    assert both.weight == one.weight
    np.testing.assert_allclose(both.mean, one.mean, rtol=1e-4)
    np.testing.assert_allclose(both.m2, one.m2, rtol=1e-3, atol=0.5)
    (camera,) = told(archive, output, "map", "--format", "json")["cameras"]
    assert {(one["x"], one["y"]) for one in camera["pixels"]} == body.xy
    status = told(archive, output, "status", "--json")
    assert status["photos"]["folded"] == 44
    assert status["photos"]["pending"] == 0


def learn_12_of_48_both(field: Home, archive: Home) -> None:
    """Let the first machine learn 36 photos, and the other the last 24."""
    photos = Body().shoot(field.photos, 48)
    for photo in photos[24:]:
        shutil.copy2(photo, archive.photos)
    for photo in photos[36:]:
        photo.unlink()
    field.once()
    archive.once()


def test_a_third_of_the_photos_that_both_have_counts_once(
    two: tuple[Home, Home],
) -> None:
    field, archive = two
    learn_12_of_48_both(field, archive)
    said, output = merged(archive, field.state, archive.state)
    assert "36 and 24 photos, 12 in both: 48, 12 of them folded anew" in said
    status = told(archive, output, "status", "--json")
    assert status["photos"]["folded"] == 48
    assert generation(output).photos == 48


def test_shared_photos_whose_files_are_gone_are_refused(
    two: tuple[Home, Home],
) -> None:
    field, archive = two
    learn_12_of_48_both(field, archive)
    shutil.rmtree(field.photos)
    shutil.rmtree(archive.photos)
    said, output = merged(archive, field.state, archive.state, code=4)
    assert "both states have folded the same 12 photos" in said
    assert "24 of the first, or 12 of the second" in said
    assert not output.exists()
    assert not list(output.parent.glob(".merged*"))


def test_a_state_that_knows_nothing_new_adds_nothing(two: tuple[Home, Home]) -> None:
    field, archive = two
    photos = Body().shoot(field.photos, 32)
    for photo in photos[:20]:
        shutil.copy2(photo, archive.photos)
    field.once()
    archive.once()
    shutil.rmtree(archive.photos)  # no file is needed
    shutil.rmtree(field.photos)
    for first, second in ((field, archive), (archive, field)):
        _, output = merged(archive, first.state, second.state)
        one, whole = generation(output), generation(field.state)
        np.testing.assert_array_equal(one.mean, whole.mean)
        np.testing.assert_array_equal(one.m2, whole.m2)
        assert told(archive, output, "status", "--json")["photos"]["folded"] == 32
        shutil.rmtree(output)


def test_other_cameras_and_sizes_are_not_merged(two: tuple[Home, Home]) -> None:
    field, archive = two
    Body().shoot(field.photos, 16)
    Body(serial="7777777", seed=3).shoot(archive.photos, 16)
    field.once()
    archive.once()
    said, _ = merged(archive, field.state, archive.state, code=4)
    assert "no camera in common" in said
    assert "`hotpixeld state import" in said
    small = machine(archive.root, "small", archive._programs)
    Body(height=72, width=96).shoot(small.photos, 16)
    small.once()
    said, _ = merged(archive, field.state, small.state, code=4)
    assert "the same body" in said
    assert "another image size" in said


def test_what_is_no_state_and_other_versions_are_refused(
    two: tuple[Home, Home],
) -> None:
    field, archive = two
    Body().shoot(field.photos, 4)
    field.once()
    said, _ = merged(archive, field.state, archive.photos, code=4)
    assert "no state folder" in said
    archive.once()
    for version, advice in ((1, "hotpixeld run"), (10_000, "upgrade hotpixeld")):
        with contextlib.closing(
            sqlite3.connect(state_folder.ledger_file(archive.state))
        ) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        said, _ = merged(archive, field.state, archive.state, code=4)
        assert advice in said


def test_an_exported_state_is_the_state_elsewhere(two: tuple[Home, Home]) -> None:
    field, archive = two
    body = Body()
    body.shoot(field.photos, 20)
    daemon = field.daemon().idle()
    before = field.status()
    output = archive.root / "exported"
    field.hotpixeld("state", "export", "--output", output)
    daemon.stop()
    assert told(field, output, "status", "--json")["photos"] == before["photos"]
    maps = field.maps()
    assert told(field, output, "map", "--format", "json")["cameras"] == maps
    np.testing.assert_array_equal(generation(output).mean, generation(field.state).mean)
    # The same photos, watched by the exported state: all are known, nothing is learned anew.
    field.configure(state=str(output))
    field.state = output
    copies = field.written()
    field.once()
    assert field.status()["photos"] == before["photos"]
    assert field.written() == copies


def test_an_import_adds_cameras_and_photos_to_a_running_archive(
    two: tuple[Home, Home],
) -> None:
    field, archive = two
    body, other = Body(), Body(serial="7777777", seed=3)
    body.shoot(archive.photos, 16)
    archive.once()
    body.shoot(field.photos, 16)
    other.shoot(field.photos, 18, name="OTHER_{:03d}.JPG")
    field.once()
    daemon = archive.daemon()
    refused = archive.hotpixeld("state", "import", field.state, code=4)
    assert "stop it first" in refused.err
    daemon.stop()
    answer = archive.hotpixeld("state", "import", field.state)
    assert "16 and 16 photos: 32" in answer.out
    assert archive.listed() == body.xy | other.xy
    assert archive.status()["photos"]["folded"] == 50
    again = archive.hotpixeld("state", "import", field.state)
    assert "32 and 16 photos, 16 in both: 32" in again.out
    assert archive.status()["photos"]["folded"] == 50


def test_pending_photos_come_along(two: tuple[Home, Home]) -> None:
    field, archive = two
    body = Body()
    body.shoot(archive.photos, 16)
    archive.once()
    body.shoot(field.photos, 3)
    field.once()
    shutil.rmtree(field.photos)  # they are in its spool
    archive.hotpixeld("state", "import", field.state)
    photos = archive.status()["photos"]
    assert photos["folded"] + photos["pending"] == 19
    body.shoot(archive.photos, 16)
    archive.once()
    photos = archive.status()["photos"]
    assert (photos["folded"], photos["pending"]) == (35, 0)
    assert "lost" not in photos or not photos["lost"]

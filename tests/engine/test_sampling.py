"""Evidence as photos come in, and again from their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import steps
from hotpixeld.detection import evidence, suspects
from hotpixeld.detection.evidence import NOT_SAMPLED
from hotpixeld.engine import decode_trial
from hotpixeld.engine.sampling import JUDGED, evidence_of, sample
from hotpixeld.photo import photo_file
from sensor import write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.engine.session import Session
    from sensor import Sensor


def fold(session: Session, photos: list[Path]) -> Camera:
    """Take photos and fold them; return their camera."""
    for _ in session.take(photos, once=True):
        pass
    (record,) = session.ledger.images.cameras()
    steps.fold(session, record.camera.id)
    return record.camera


@pytest.mark.parametrize("progressive", [False, True])
def test_a_file_is_sampled_as_its_whole_frame_is(
    sensor: Sensor, folder: Path, *, progressive: bool
) -> None:
    path = folder / "photo.jpg"
    write_jpeg(path, sensor.frame(0), progressive=progressive, subsampling="4:2:0")
    photo = photo_file.examine(path, 10**9, 10**9)
    frame = photo_file.decode(photo)
    height, width, _ = frame.shape
    corners = np.array([(0, 0), (0, width - 1), (height - 1, 5)], np.intp)
    sites = np.concatenate([corners, evidence.controls(height, width)])

    np.testing.assert_array_equal(sample(photo, sites), evidence.sample(frame, sites))


def test_photos_are_sampled_once_there_are_suspects(
    open_session: Callable[..., Session], sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 24)
    session = open_session()
    camera = fold(session, photos[:16])
    assert session.ledger.samples.newest(camera.id, 99) == []
    steps.make_map(session, camera.id, 10)
    assert len(session.ledger.samples.newest(camera.id, 99)) == 10
    fold(session, photos[16:])
    grid = evidence_of(session.ledger, camera)
    places = {(row, col) for row, col in grid.sites.tolist()}

    assert len(grid.photos) == 18
    assert {(one.row, one.col) for one in sensor.defects} <= places
    assert grid.suspects.shape == (18, len(grid.sites))
    assert (grid.suspects["clipped"] < NOT_SAMPLED).any()
    np.testing.assert_allclose(grid.conditions.exposure, 2.0)
    np.testing.assert_allclose(grid.conditions.focal, 35.0)


def test_what_was_sampled_at_another_list_keeps_what_both_have(
    open_session: Callable[..., Session], sensor: Sensor, folder: Path
) -> None:
    session = open_session()
    camera, tables = fold(session, sensor.write(folder, 16)), session.ledger.samples
    steps.make_map(session, camera.id, 16)
    before = evidence_of(session.ledger, camera)
    places = {(row, col) for row, col in before.sites.tolist()}
    new = next((row, 0) for row in range(200) if (row, 0) not in places)
    moved = np.concatenate([[new], before.sites[::-1]])
    tables.list_suspects(camera.id, moved)
    after = evidence_of(session.ledger, camera)

    assert (after.suspects["clipped"][:, 0] == NOT_SAMPLED).all()
    np.testing.assert_array_equal(after.suspects[:, 1:], before.suspects[:, ::-1])
    np.testing.assert_array_equal(after.controls, before.controls)


def test_a_photo_whose_file_is_gone_is_passed_over(
    open_session: Callable[..., Session], sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 16)
    session = open_session()
    camera = fold(session, photos)
    photos[3].unlink()
    photos[5].write_bytes(photos[6].read_bytes())
    steps.make_map(session, camera.id, JUDGED)

    assert len(evidence_of(session.ledger, camera).photos) == 14


def test_a_photo_that_a_decoder_died_of_is_not_sampled_again(
    open_session: Callable[..., Session],
    sensor: Sensor,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = sensor.write(folder, 16)
    session = open_session()
    camera = fold(session, photos)
    bad, *_ = session.ledger.images.newest(camera.id, 1)
    with session.ledger.transaction():
        session.ledger.connection.execute(
            "INSERT INTO hazards VALUES (?, '')", (bytes.fromhex(bad.identity),)
        )
    monkeypatch.setattr(decode_trial, "reason", lambda _: "crashes the decoder")
    steps.make_map(session, camera.id, JUDGED)
    sampled = {photo.image for photo in evidence_of(session.ledger, camera).photos}

    assert len(sampled) == 15
    assert bad.id not in sampled


def test_a_row_takes_as_many_bytes_as_promised() -> None:
    most = suspects.BY_TRACE + suspects.BY_MEAN + len(evidence.controls(200, 280))

    assert evidence.SAMPLE.itemsize * most < 14_500

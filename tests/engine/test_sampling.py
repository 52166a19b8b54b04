"""Evidence as photos come in, and again from their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.detection import evidence, suspects
from hotpixeld.detection.evidence import NOT_SAMPLED
from hotpixeld.engine import decode_trial
from hotpixeld.engine.sampling import evidence_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from hotpixeld.engine.session import Session
    from sensor import Sensor


def test_photos_are_sampled_once_there_are_suspects(
    open_session: Callable[..., Session], sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 24)
    session = open_session()
    for _ in session.take(photos[:16], once=True):
        pass
    (record,) = session.ledger.images.cameras()
    camera = record.camera
    assert session.ledger.samples.newest(camera.id, 99) == []
    session.make_map(camera, most=10)
    assert len(session.ledger.samples.newest(camera.id, 99)) == 10
    for _ in session.take(photos[16:], once=True):
        pass
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
    for _ in session.take(sensor.write(folder, 16), once=True):
        pass
    (record,) = session.ledger.images.cameras()
    camera, tables = record.camera, session.ledger.samples
    session.make_map(camera, most=16)
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
    for _ in session.take(photos, once=True):
        pass
    photos[3].unlink()
    photos[5].write_bytes(photos[6].read_bytes())
    (record,) = session.ledger.images.cameras()
    session.make_map(record.camera, most=99)

    assert len(evidence_of(session.ledger, record.camera).photos) == 14


def test_a_photo_that_a_decoder_died_of_is_not_sampled_again(
    open_session: Callable[..., Session],
    sensor: Sensor,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = sensor.write(folder, 16)
    session = open_session()
    for _ in session.take(photos, once=True):
        pass
    (record,) = session.ledger.images.cameras()
    bad, *_ = session.ledger.images.newest(record.camera.id, 1)
    with session.ledger.transaction():
        session.ledger.connection.execute(
            "INSERT INTO hazards VALUES (?, '')", (bytes.fromhex(bad.identity),)
        )
    monkeypatch.setattr(decode_trial, "reason", lambda _: "crashes the decoder")
    session.make_map(record.camera, most=99)
    sampled = {
        photo.image for photo in evidence_of(session.ledger, record.camera).photos
    }

    assert len(sampled) == 15
    assert bad.id not in sampled


def test_a_row_takes_as_many_bytes_as_promised() -> None:
    most = suspects.BY_TRACE + suspects.BY_MEAN + len(evidence.controls(200, 280))

    assert evidence.SAMPLE.itemsize * most < 14_500

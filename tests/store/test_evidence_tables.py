"""The ledger's samples: packed rows that come back, and no more than are needed."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.camera import Camera
from hotpixeld.detection.evidence import SAMPLE, SampledPhoto
from hotpixeld.store import evidence_tables
from hotpixeld.store.images import Taken
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CAMERA = Camera("Maker", "One", "7", 70, 50)
NOON = dt.datetime(2024, 3, 1, 12)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    with ledger.transaction():
        for number in range(1, 9):
            ledger.images.admit(f"{number:064x}", CAMERA, Taken(NOON), 9.0)
    yield ledger
    ledger.close()


def sampled_photo(image: int, version: int = 1, minutes: int = 0) -> SampledPhoto:
    packed = np.zeros(5, SAMPLE)
    packed["level"] = image
    when = NOON + dt.timedelta(minutes=minutes)
    return SampledPhoto(image, when, 0.01, 200, 35.0, 31.0, "", version, packed)


def test_suspects_have_versions(ledger: Ledger) -> None:
    tables = ledger.samples
    assert tables.suspects(CAMERA.id).version == 0
    first = tables.list_suspects(CAMERA.id, np.array([[1, 2], [3, 4]]))
    tables.record(CAMERA.id, sampled_photo(1, first.version))
    second = tables.list_suspects(CAMERA.id, np.array([[5, 6]]))

    assert (first.version, second.version) == (1, 2)
    np.testing.assert_array_equal(tables.suspects(CAMERA.id).sites, [[5, 6]])
    np.testing.assert_array_equal(tables.suspects(CAMERA.id, 1).sites, [[1, 2], [3, 4]])


def test_lists_that_no_row_needs_are_dropped(ledger: Ledger) -> None:
    tables = ledger.samples
    for _ in range(3):
        tables.list_suspects(CAMERA.id, np.array([[1, 2]]))

    assert tables.suspects(CAMERA.id).version == 3
    assert len(tables.suspects(CAMERA.id, 1).sites) == 0


def test_photos_come_back_by_capture_time(ledger: Ledger) -> None:
    for image, minutes in ((1, 9), (2, 3), (3, 6)):
        ledger.samples.record(CAMERA.id, sampled_photo(image, minutes=minutes))
    newest = ledger.samples.newest(CAMERA.id, 9)

    assert [one.image for one in newest] == [2, 3, 1]
    assert newest[0].exposure_seconds == 0.01
    assert newest[0].iso == 200
    assert newest[0].focal_mm == 35.0
    assert newest[0].celsius == 31.0
    assert newest[0].captured == NOON + dt.timedelta(minutes=3)
    assert (newest[0].samples["level"] == 2).all()
    assert [one.image for one in ledger.samples.newest(CAMERA.id, 2)] == [2, 3]


def test_a_photo_has_one_row_and_the_oldest_are_dropped(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_tables, "KEPT", 3)
    for image in (1, 2, 2, 3, 4, 5):
        ledger.samples.record(CAMERA.id, sampled_photo(image, minutes=image))

    assert [one.image for one in ledger.samples.newest(CAMERA.id, 9)] == [3, 4, 5]


def test_forgetting_drops_all(ledger: Ledger) -> None:
    ledger.samples.list_suspects(CAMERA.id, np.array([[1, 2]]))
    ledger.samples.record(CAMERA.id, sampled_photo(1))
    ledger.samples.forget(CAMERA.id)

    assert ledger.samples.newest(CAMERA.id, 9) == []
    assert ledger.samples.suspects(CAMERA.id).version == 0

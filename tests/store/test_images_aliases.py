"""A serial that appears or changes its form goes on with the same state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hotpixeld.camera import Camera
from hotpixeld.store.images import Taken
from hotpixeld.store.ledger import Ledger
from sensor import write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hotpixeld.engine.session import Session
    from sensor import Sensor

BODY = Camera("Canon", "EOS", "0560018150", 70, 50)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def admit(ledger: Ledger, camera: Camera, number: int) -> None:
    with ledger.transaction():
        ledger.images.admit(f"{number:064x}", camera, Taken(), 9.0)


def test_another_form_of_the_serial_is_the_same_body(ledger: Ledger) -> None:
    admit(ledger, BODY, 1)
    other = replace(BODY, serial="560018150")

    assert ledger.aliases.resolve(other, may_appear=True) == BODY
    assert ledger.aliases.resolve(other, may_appear=False) == BODY  # remembered
    assert ledger.aliases.resolve(BODY, may_appear=True) == BODY


def test_a_serial_that_appears_goes_on_with_the_only_body_known(
    ledger: Ledger,
) -> None:
    nameless = replace(BODY, serial="")
    admit(ledger, nameless, 1)

    assert ledger.aliases.resolve(BODY, may_appear=False) == BODY
    assert ledger.aliases.resolve(BODY, may_appear=True) == nameless
    assert ledger.aliases.resolve(nameless, may_appear=True) == nameless


def test_two_bodies_stay_two(ledger: Ledger) -> None:
    admit(ledger, BODY, 1)
    second = replace(BODY, serial="0560018151")
    nameless = replace(BODY, serial="")

    assert ledger.aliases.resolve(second, may_appear=True) == second
    assert ledger.aliases.resolve(nameless, may_appear=True) == nameless
    admit(ledger, nameless, 2)
    assert ledger.aliases.resolve(second, may_appear=True) == second


def test_another_size_or_model_is_another_camera(ledger: Ledger) -> None:
    admit(ledger, replace(BODY, serial=""), 1)

    for other in (replace(BODY, width=140), replace(BODY, model="EOS R")):
        assert ledger.aliases.resolve(other, may_appear=True) == other


def test_photos_of_both_forms_make_one_state(
    open_session: Callable[..., Session], sensor: Sensor, folder: Path
) -> None:
    photos = sensor.write(folder, 4)
    for index in range(4, 8):
        photos.append(folder / f"z{index}.jpg")
        write_jpeg(photos[-1], sensor.frame(index), serial="123456")
    session = open_session()
    for _ in session.take(photos, once=True):
        pass
    assert len(list(session.learning.all_at_once())) == 8
    (record,) = session.ledger.images.cameras()

    assert record.camera.serial == "0123456"
    assert record.photos == 8

"""The status says what the next map really needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hotpixeld.service.status_file import status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hotpixeld.config.model import Config
    from hotpixeld.engine.session import Session
    from sensor import Sensor


@pytest.mark.parametrize(("min_photos", "needed"), [(5, 5), (8, 8), (30, 8)])
def test_no_more_scenes_are_needed_than_a_map_asks_for(
    open_session: Callable[..., Session],
    sensor: Sensor,
    folder: Path,
    config: Config,
    min_photos: int,
    needed: int,
) -> None:
    detection = config.detection.model_copy(update={"min_photos": min_photos})
    session = open_session(config.model_copy(update={"detection": detection}))
    for _ in session.take(sensor.write(folder, 5), once=True):
        pass
    (camera,) = status(session.ledger, session.config)["cameras"]

    assert camera["scenes_needed"] == needed
    assert camera["pending"] + camera["folded"] == 5

"""Steps of learning that are taken at once, in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotpixeld.engine.repair_pass import Done
    from hotpixeld.engine.session import Session


def fold(session: Session, camera_id: str) -> list[Done]:
    """Fold a camera's pending photos in one pass, now, however few there are."""
    learning, record = session.learning, session.ledger.images.camera(camera_id)
    if record is None or not learning.schedule.may_fold(record):
        return []
    learning._begin_pass(record, 128)
    return learning._finish()


def make_map(session: Session, camera_id: str, look_back: int) -> None:
    """Make a camera's map now."""
    if record := session.ledger.images.camera(camera_id):
        session.learning._begin_map(record, look_back)
        session.learning._finish()

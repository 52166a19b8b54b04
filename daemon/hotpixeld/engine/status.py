"""The status of a state folder, ready for JSON: what `status` and the daemon say."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from hotpixeld.detection.lives import scenes_needed

if TYPE_CHECKING:
    from hotpixeld.config.model import Config
    from hotpixeld.store.ledger import Ledger

PROBLEMS = 1000
"""At most so many photos are named one by one in a status."""

Json = dict[str, Any]


def status(ledger: Ledger, config: Config) -> Json:
    """Return the status of a state folder, ready for JSON.

    Parameters
    ----------
    config : Config
        Says how many scenes the next map needs.
    """
    needed = scenes_needed(config.detection.min_photos)
    cameras = []
    for record in ledger.images.cameras():
        counts = ledger.images.counts(record.camera.id)
        cameras.append(
            {
                "id": record.camera.id,
                **dataclasses.asdict(record.camera),
                "photos": record.photos,
                "weight": record.checkpoint.weight if record.checkpoint else 0.0,
                **counts,
                "mapped": record.mapped,
                "scenes": round(record.scenes, 1),
                "scenes_needed": needed,
                "defects": len(ledger.defects.of(record.camera.id)),
            }
        )
    problems = [
        {"path": str(path.path), "outcome": path.outcome, "reason": path.reason}
        for path in ledger.paths.with_reason(PROBLEMS)
    ]
    copies = [
        {"path": str(copy.target), "condition": copy.condition, "notes": copy.notes}
        for copy in ledger.copies.with_notes(PROBLEMS)
    ]
    return {
        "cameras": cameras,
        "photos": {**ledger.images.counts(), **ledger.paths.counts()},
        "copies": ledger.copies.counts(),
        "problems": problems,
        "copy_problems": copies,
    }

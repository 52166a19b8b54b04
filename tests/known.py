"""What a state knows, in words that do not depend on who learned it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hotpixeld.store import generation_files, state_folder
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.statistics.generation import State


@dataclass
class Known:
    """What a state knows, in words that do not depend on who learned it."""

    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    images: dict[str, tuple[object, ...]] = field(default_factory=dict)
    cameras: dict[str, tuple[object, ...]] = field(default_factory=dict)
    defects: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    sampled: dict[str, int] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)


def known(state: Path) -> Known:
    """Return what a state knows."""
    ledger, found = Ledger(state_folder.ledger_file(state), read_only=True), Known()
    run = ledger.connection.execute
    for folder, name, outcome, reason, identity in run(
        "SELECT folder, name, paths.outcome, reason, hex(identity) FROM paths"
        " LEFT JOIN images ON images.id = image"
    ):
        path = os.fsdecode(folder) + "/" + os.fsdecode(name)
        found.files[path] = (outcome, reason, identity)
    for identity, *rest in run(
        # A photo that turned out to be bad leaves a gap in the numbers.
        "SELECT hex(identity), camera, rank() OVER (PARTITION BY camera ORDER BY sequence),"
        " outcome, captured FROM images"
    ):
        found.images[identity] = tuple(rest)
    for record in ledger.images.cameras():
        id_, newest = record.camera.id, record.generation
        found.cameras[id_] = record.photos, record.mapped, round(record.weight, 3)
        found.defects[id_] = sorted((one.x, one.y) for one in ledger.defects.of(id_))
        found.sampled[id_] = len(ledger.samples.newest(id_, 128))
        if newest:
            folder = state_folder.camera_folder(state, id_)
            place = generation_files.folder_of(folder, newest)
            found.states[id_] = generation_files.opened(place)
    ledger.close()
    return found


def check_same(one: Known, other: Known) -> None:
    """Check that two states know the same, and list the same defects."""
    check_same_photos(one, other)
    assert one.defects == other.defects


def check_same_photos(one: Known, other: Known) -> None:
    """Check that two states know the same of photos."""
    assert one.files == other.files
    assert one.images == other.images
    assert one.cameras == other.cameras
    assert one.sampled == other.sampled

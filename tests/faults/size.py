"""A ledger of a million photos: how long start, rescan, status and a reminder take."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from hotpixeld import commands, repairable, report
from hotpixeld.camera import Camera
from hotpixeld.configfile import for_folders
from hotpixeld.ledger import Ledger
from hotpixeld.session import Session
from hotpixeld.settle import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.crash import Table

CAMERAS = 4
A_FOLDER = 200
"""Photos in a folder."""
BOUNDS = {"start": 2.0, "rescan of 20,000 files": 0.3, "status": 1.0}


def _identity(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def _rows(photos: int, ids: list[str]) -> Iterator[tuple[object, ...]]:
    for number in range(photos):
        yield (number + 1, _identity(number), ids[number % len(ids)], number + 1)


def fill(state: Path, folder: Path, photos: int) -> None:
    """Write a ledger of so many folded photos, each with its copy."""
    state.mkdir(parents=True)
    ledger = Ledger(state / "ledger.sqlite3")
    ledger.connection.execute("PRAGMA cache_size = -1000000")  # 1 GB, to be done soon
    cameras = [Camera("Maker", "One", str(n), 160, 120) for n in range(CAMERAS)]
    run = ledger.connection.executemany
    with ledger.transaction():
        for number, camera in enumerate(cameras):
            ledger.images.admit(_identity(-number - 1).hex(), camera, None)
        ledger.connection.execute("DELETE FROM images")
        run(
            "INSERT INTO images (id, identity, camera, sequence, outcome)"
            " VALUES (?, ?, ?, ?, 'folded')",
            _rows(photos, [camera.id for camera in cameras]),
        )
        config = for_folders([folder])
        versions = [repairable.version(config, camera, []) for camera in cameras]
        run(
            "INSERT INTO paths VALUES (?, ?, ?, ?, ?, ?, 1000, 1, 2, ?)",
            (
                (
                    str(folder / str(number // A_FOLDER)).encode(),
                    f"IMG_{number:07d}.JPG".encode(),
                    "image" if number % 50 else "failed",
                    "" if number % 50 else "corrupt",
                    number + 1 if number % 50 else None,
                    number,
                    versions[number % len(cameras)],
                )
                for number in range(photos)
            ),
        )
        run(
            "INSERT INTO copies (source, target, condition, sha256, identity, pixels,"
            " method) VALUES (?, ?, 'written', ?, ?, '[[1, 2]]', 'lossless')",
            (
                (
                    str(folder / str(number // A_FOLDER) / str(number)).encode(),
                    str(folder / "repaired" / str(number)).encode(),
                    _identity(number),
                    _identity(number + photos),
                )
                for number in range(photos)
            ),
        )
    ledger.close()


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds, by the clock and of the processor, that work takes."""
    wall, own = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - own


def measured(root: Path, photos: int = 1_000_000) -> dict[str, float]:
    """Return how many seconds each takes with a ledger of so many photos."""
    state, folder = root / "state", root / "import"
    folder.mkdir(parents=True)
    fill(state, folder, photos)
    config = for_folders([folder])
    opened: list[Session] = []

    def start() -> None:
        opened.append(Session(config, state, 1, time.monotonic, lambda: None))
        opened[0].states.recover()

    found = {"start": _timed(start)[0]}
    session = opened[0]
    seen = [
        (
            folder / str(number // A_FOLDER) / f"IMG_{number:07d}.JPG",
            Signature(number, 1000, 1, 2),
        )
        for number in range(min(20_000, photos))
    ]
    unknown: list[Path] = []
    _, own = _timed(lambda: unknown.extend(session.unknown(seen)))
    if unknown:
        raise AssertionError(f"{len(unknown)} unknown")
    found["rescan of 20,000 files"] = own
    found["status"] = _timed(lambda: commands.status(state))[0]
    found["status, published"] = _timed(lambda: report.status(session.ledger))[0]
    found["what is unrepaired"] = _timed(session.unrepaired)[0]
    session.close()
    return found


def of_a_million(root: Path, table: Table) -> dict[str, float]:
    """Hold the times to their bounds."""
    found = measured(root)
    for name, bound in BOUNDS.items():
        late = [f"{found[name]:.2f} s"] if found[name] > bound else []
        table.note(f"a million photos: {name} under {bound} s", late)
    return found

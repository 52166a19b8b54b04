"""A ledger of a million photos: how long start, walk, status and a reminder take."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from hotpixeld.camera import Camera
from hotpixeld.config.load import for_folders
from hotpixeld.engine.intake import Intake
from hotpixeld.engine.session import Session
from hotpixeld.repair import pixel_list
from hotpixeld.store.images import Taken
from hotpixeld.store.ledger import Ledger
from hotpixeld.watch import walk
from hotpixeld.watch.survey import ImportFolder, Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.crash import Table
    from hotpixeld.files import Signature
    from hotpixeld.watch.survey import Hint

CAMERAS = 4
A_FOLDER = 200
"""Photos in a folder."""
FILES = 20_000
"""How many of the photos are there."""
START = "start until it watches"
WALK = "processor time of a walk of 20,000 files"
STATUS = "status --json beside it"
BOUNDS = {START: 2.0, WALK: 0.3, STATUS: 1.0}


def _identity(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def _rows(photos: int, ids: list[str]) -> Iterator[tuple[object, ...]]:
    for number in range(photos):
        yield (number + 1, _identity(number), ids[number % len(ids)], number + 1)


def _path(folder: Path, number: int) -> Path:
    return folder / str(number // A_FOLDER) / f"IMG_{number:07d}.JPG"


def _copy(folder: Path, number: int) -> Path:
    photo = _path(folder, number)
    repaired = folder / "repaired" / photo.relative_to(folder)
    return repaired.with_name(f"c_{photo.name}")


def placed(folder: Path, count: int) -> list[Signature]:
    """Put so many files where the ledger says; return their signatures."""
    seen = []
    for number in range(count):
        path = _path(folder, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"known")
        signature = walk.stat_photo(path)
        seen += [signature] if signature else []
    return seen


def fill(state: Path, folder: Path, photos: int, seen: list[Signature]) -> None:
    """Write a ledger of so many folded photos, each with its copy."""
    state.mkdir(parents=True)
    ledger = Ledger(state / "ledger.sqlite3")
    ledger.connection.execute("PRAGMA cache_size = -1000000")  # 1 GB, to be done soon
    cameras = [Camera("Maker", "One", str(n), 160, 120) for n in range(CAMERAS)]
    run = ledger.connection.executemany
    with ledger.transaction():
        for number, camera in enumerate(cameras):
            ledger.images.admit(_identity(-number - 1).hex(), camera, Taken(), 0.0)
        ledger.connection.execute("DELETE FROM images")
        run(
            "INSERT INTO images (id, identity, camera, sequence, outcome)"
            " VALUES (?, ?, ?, ?, 'folded')",
            _rows(photos, [camera.id for camera in cameras]),
        )
        config = for_folders([folder])
        versions = [pixel_list.version(config, one, cameras, []) for one in cameras]
        run(
            "INSERT INTO paths VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    os.fsencode(_path(folder, number).parent),
                    os.fsencode(_path(folder, number).name),
                    "image" if number % 50 else "failed",
                    "" if number % 50 else "corrupt",
                    number + 1 if number % 50 else None,
                    *(seen[number] if number < len(seen) else (number, 1000, 1, 2)),
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
                    os.fsencode(_path(folder, number)),
                    os.fsencode(_copy(folder, number)),
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


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "hotpixeld", *map(str, arguments)]


def _walk_again(session: Session, folder: Path) -> None:
    """Do all that a walk does to find that there is nothing new."""
    intake = Intake(session)

    def deliver(hints: list[Hint]) -> bool:
        intake.note(hints, time.monotonic())
        return True

    findings = Survey(
        folder=ImportFolder(folder, 2.0),
        before=None,
        events=None,
        wanted=False,
        renew=False,
        parts=("",),
        sink=lambda _kind, _path: None,
        deliver=deliver,
        attached=lambda: None,
        wall=time.time,
    ).run()
    if findings.offline or len(intake):
        raise AssertionError(f"{findings.offline} {len(intake)} taken for new")


def _compile(folder: Path) -> None:
    """Have the program's bytecode ready, as it is where it was installed."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
    subprocess.run(_command("--version"), check=True, capture_output=True)


@contextlib.contextmanager
def _daemon(state: Path, folder: Path) -> Iterator[None]:
    """Run the daemon; the block begins when it watches."""
    command = _command("run", folder, "--state", state)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
        if not any("watching" in line for line in daemon.stderr or ()):
            raise AssertionError("the daemon did not start")
        try:
            yield
        finally:
            daemon.terminate()


def _status(state: Path) -> None:
    command = _command("status", "--json", "--state", state)
    done = subprocess.run(command, check=True, capture_output=True)
    if not json.loads(done.stdout)["daemon"]:
        raise AssertionError("the status knows of no daemon")


def measured(root: Path, photos: int = 1_000_000) -> dict[str, float]:
    """Return how many seconds each takes with a ledger of so many photos."""
    state, folder = root / "state", root / "import"
    _compile(root / "bytecode")
    fill(state, folder, photos, placed(folder, min(FILES, photos)))
    os.environ["RUNTIME_DIRECTORY"] = str(root / "runtime")
    began = time.perf_counter()
    with _daemon(state, folder):
        found = {START: time.perf_counter() - began}
        found[STATUS] = _timed(lambda: _status(state))[0]
    with Session(for_folders([folder]), state, 1, lambda: None) as session:
        _walk_again(session, folder)  # the page cache is warm in a daemon's life
        found[WALK] = _timed(lambda: _walk_again(session, folder))[1]
        if due := session.unrepaired():
            raise AssertionError(f"{len(due)} photos due for repair, of none")
        found["what is unrepaired"] = _timed(session.unrepaired)[0]
    return found


def of_a_million(root: Path, table: Table) -> dict[str, float]:
    """Hold the times to their bounds."""
    found = measured(root)
    for name, bound in BOUNDS.items():
        late = [f"{found[name]:.2f} s"] if found[name] > bound else []
        table.note(f"a million photos: {name} under {bound} s", late)
    return found

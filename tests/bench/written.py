#!/usr/bin/env python3
"""Measure what is written to disk: a first import, and days of photos that come one by one.

    python tests/bench/written.py FOLDER [--photos N] [--day N] [--before N]

FOLDER holds photos of one camera.  They are imported by `run --once`; then a day of others
comes to a daemon, each once the ledger has the one before: for a camera that is new, and for
one that has `--before` photos already.  The configuration is the default one, but for the
time that a photo must be still.  Counted is what the kernel gave the disk for the process
(``write_bytes``), which a tmpfs has none of.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import idle
import material

from hotpixeld.statistics.generation import generation_bytes
from hotpixeld.store import state_folder
from hotpixeld.store.ledger import Ledger

MOST_SECONDS = 120.0
"""A photo that is not in the ledger by then never will be."""
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """What was written for so many photos, in bytes.

    `generations` is their part, by count and size; `copies` is the size of the repaired copies
    that are there in the end, `originals` that of the photos, of which pending ones are kept.
    """

    what: str
    photos: int
    written: int
    generations: int
    copies: int
    originals: int

    def text(self) -> str:
        """Return a line of the table, in MB a photo."""
        parts = self.written, self.generations, self.copies, self.originals
        cells = (f"{part / self.photos / 1e6:12.1f}" for part in parts)
        return f"{self.what:36}{''.join(cells)}"


def _size(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


class World:
    """A watched folder and a state, with what the two hold so far."""

    def __init__(self, root: Path) -> None:
        self.watched, self.state = root / "import", root / "state"
        self.watched.mkdir(parents=True)
        config = root / "hotpixeld.yaml"
        config.write_text(f"folders: [{{path: {self.watched}, settle_seconds: 0.1}}]\n")
        program = [sys.executable, "-m", "hotpixeld", "run", "--config", str(config)]
        self.command = [*program, "--state", str(self.state)]

    def once(self) -> int:
        """Take what is there; return the bytes that were written."""
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen(
            [*self.command, "--once"], stdout=nowhere, stderr=nowhere
        )
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        written = int(idle.counters(process.pid)["write_bytes"])
        if process.wait():
            raise SystemExit(f"run --once: status {process.returncode}")
        return written

    def day(self, photos: list[Path]) -> int:
        """Move the photos in one by one, under a daemon; return what that wrote."""
        nowhere = subprocess.DEVNULL
        with subprocess.Popen(self.command, stdout=nowhere, stderr=nowhere) as process:
            try:
                idle.wait_until_quiet(process.pid)
                before = idle.counters(process.pid)["write_bytes"]
                for photo in photos:
                    self._bring(photo)
                idle.wait_until_quiet(process.pid)
                return int(idle.counters(process.pid)["write_bytes"] - before)
            finally:
                process.terminate()

    def _bring(self, photo: Path) -> None:
        wanted, end = self.images() + 1, time.monotonic() + MOST_SECONDS
        shutil.copyfile(photo, self.watched / photo.name)
        while self.images() < wanted:
            if time.monotonic() > end:
                raise SystemExit(f"{photo.name}: not taken after {MOST_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def images(self) -> int:
        """Return how many images the ledger has."""
        path = state_folder.ledger_file(self.state)
        if not path.exists():
            return 0
        ledger = Ledger(path, read_only=True)
        try:
            return sum(ledger.images.counts().values())
        finally:
            ledger.close()

    def generations(self) -> int:
        """Return the bytes of all generations that were ever made."""
        path = state_folder.ledger_file(self.state)
        if not path.exists():
            return 0
        ledger = Ledger(path, read_only=True)
        try:
            return sum(
                one.generation * generation_bytes(one.camera.height, one.camera.width)
                for one in ledger.images.cameras()
            )
        finally:
            ledger.close()

    def copies(self) -> int:
        """Return the bytes of the copies that are there."""
        folder = self.watched / "repaired"
        return _size(material.photos_in(folder)) if folder.is_dir() else 0


def first_import(root: Path, photos: list[Path]) -> Row:
    """Return what a first import writes."""
    world = World(root)
    for photo in photos:
        shutil.copy2(photo, world.watched / photo.name)
    written, what = world.once(), f"first import of {len(photos)}"
    parts = world.generations(), world.copies(), _size(photos)
    return Row(what, len(photos), written, *parts)


def a_day(root: Path, before: list[Path], photos: list[Path]) -> Row:
    """Return what a day writes for a camera that has the photos `before`."""
    world = World(root)
    for photo in before:
        shutil.copy2(photo, world.watched / photo.name)
    if before:
        world.once()
    had, copies = world.generations(), world.copies()
    written = world.day(photos)
    parts = world.generations() - had, world.copies() - copies, _size(photos)
    what = f"a day of {len(photos)}, {len(before)} before"
    return Row(what, len(photos), written, *parts)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=128, help="of the first import")
    parser.add_argument("--day", type=int, default=200)
    parser.add_argument("--before", type=int, default=400)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hotpixeld-bench-") as temporary:
        root, day, before = Path(temporary), arguments.day, arguments.before
        most = max(arguments.photos, before + day)
        photos = material.copies(arguments.folder, root / "photos", most)
        heads = ("written", "generations", "copies", "originals")
        print(f"{'MB a photo':36}{''.join(f'{head:>10}' for head in heads)}")
        row = first_import(root / "first", photos[: arguments.photos])
        print(row.text(), flush=True)
        for name, had in (("new", 0), ("old", before)):
            row = a_day(root / name, photos[:had], photos[had : had + day])
            print(row.text(), flush=True)


if __name__ == "__main__":
    main()

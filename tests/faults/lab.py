"""A laboratory for files that are truncated, corrupt or absurd: no crash, hang, or flood."""

from __future__ import annotations

import multiprocessing as mp
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from faults.bombs import bombs
from hotpixeld.config.model import Limits, Repair
from hotpixeld.defect import Defect
from hotpixeld.engine import copy_writer
from hotpixeld.errors import PhotoError
from hotpixeld.photo import edit_detection, metadata, photo_file
from hotpixeld.repair.pixel_list import PixelList

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from faults.crash import Table

SECONDS = 10.0
"""The longest that one file may take, of the processor; six times that by the clock."""
MEMORY = 900 << 20
"""The most that one file may take, in bytes, in a process with one worker."""


def _work(path: Path) -> None:
    """Do with a file all that the daemon does with it."""
    limits = Limits()
    metadata.origin(path)
    try:
        found = photo_file.examine(path, limits.max_bytes, limits.max_pixels)
        edit_detection.why_edited(found.metadata)
        photo_file.camera(found)
        photo_file.cut_out(found, (), MEMORY)
        size = found.structure
        defect = Defect.at(size.width // 2, size.height // 2)
        listed = PixelList((defect,), (), "")
        copy_writer.repair(found, None, listed, None, Repair())
    except PhotoError as error:
        if not error.reason:
            raise AssertionError("no reason") from error


def _worker(pipe: Connection, folder: Path) -> None:
    path = folder / "photo.jpg"
    while data := pipe.recv_bytes():
        path.write_bytes(data)
        try:
            _work(path)
            pipe.send("")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            pipe.send(repr(error))


class Lab:
    """A process to look at hostile files in, replaced when it dies or hangs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._start()

    def _start(self) -> None:
        context = mp.get_context("fork")
        self._pipe, other = context.Pipe()
        arguments = (other, self._folder)
        self._process = context.Process(target=_worker, args=arguments, daemon=True)
        self._process.start()
        other.close()

    def look(self, data: bytes) -> list[str]:
        """Return what is wrong with how a file is taken."""
        if not data:
            return []  # an empty message ends the worker
        self._pipe.send_bytes(data)
        if not self._answers():
            self.close()
            self._start()
            return [f"hangs over {SECONDS:.0f} s"]
        try:
            answer = self._pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._start()
            return [f"died: {code}"]
        return [answer] if answer else []

    def _answers(self) -> bool:
        """Wait for an answer, or for the process's end; return whether it came."""
        ends, most = time.monotonic() + 6 * SECONDS, self._used() + SECONDS
        while not self._pipe.poll(0.2):
            if time.monotonic() > ends or self._used() > most:
                return False
        return True

    def _used(self) -> float:
        """Return the seconds of the processor that the process has used."""
        text = Path(f"/proc/{self._process.pid}/stat").read_text()
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def peak(self) -> int:
        """Return the most memory that the process has had, in bytes."""
        with open(f"/proc/{self._process.pid}/status") as status:  # noqa: PTH123 - proc
            (line,) = (line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def truncated(data: bytes, count: int) -> Iterator[bytes]:
    """Yield a file cut at `count` places, evenly spread."""
    for number in range(count):
        yield data[: len(data) * number // count]


def corrupted(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Yield a file with a few bytes changed, most of them in its head."""
    random_ = random.Random(seed)  # noqa: S311 - places, not secrets
    for _ in range(count):
        bad = bytearray(data)
        reach = len(bad) if random_.random() < 0.4 else min(len(bad), 2048)
        for _ in range(random_.choice((1, 1, 2, 8))):
            place = random_.randrange(reach) if reach else 0
            bad[place : place + 1] = bytes([random_.choice((0, 0xFF, 0xD9, 0xC2,
                                                            random_.randrange(256)))])  # fmt: skip
        yield bytes(bad)


def variety(folder: Path, scratch: Path, table: Table, cuts: int, bad: int,
            every: int = 1) -> None:  # fmt: skip
    """Cut and corrupt each real file."""
    lab = Lab(scratch)
    for number, path in enumerate(sorted(folder.iterdir())[::every]):
        if not path.is_file():
            continue
        data = path.read_bytes()
        table.note("variety: whole", lab.look(data), path.name)
        for cut in truncated(data, cuts):
            table.note("variety: truncated", lab.look(cut), path.name)
        for changed in corrupted(data, bad, number):
            table.note("variety: corrupt", lab.look(changed), path.name)
    _bounded(lab, table, "variety: memory")


def _bounded(lab: Lab, table: Table, what: str) -> None:
    peak = lab.peak()
    wrong = [f"{peak >> 20} MiB"] if peak > MEMORY else []
    table.note(what, wrong)
    table.peaks[what] = peak
    lab.close()


def bombed(scratch: Path, table: Table) -> None:
    """Look at each bomb."""
    lab = Lab(scratch)
    slowest = 0.0
    for name, data in bombs().items():
        began = time.monotonic()
        table.note("bombs and absurd sizes", lab.look(data), name)
        slowest = max(slowest, time.monotonic() - began)
    table.remarks.append(f"slowest bomb: {slowest:.1f} s")
    _bounded(lab, table, "bombs: memory")

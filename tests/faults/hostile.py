"""Files made to do harm: truncated, corrupt, absurd, not files, or with evil names."""

from __future__ import annotations

import io
import multiprocessing as mp
import os
import random
import shutil
import socket
import struct
import time
from typing import TYPE_CHECKING

from PIL import Image

from faults.world import World
from hotpixeld import markers, metadata, photo, repairs
from hotpixeld.config import Limits, Repair
from hotpixeld.errors import PhotoError
from hotpixeld.ledger import Ledger
from hotpixeld.pixels import Defect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from faults.crash import Table
    from faults.hotpixel import Zygote

SECONDS = 10.0
"""The longest that one file may take."""
MEMORY = 900 << 20
"""The most that one file may take, in bytes, in a process with one worker."""


def _work(path: Path) -> None:
    """Do with a file all that the daemon does with it."""
    limits = Limits()
    metadata.origin(path)
    try:
        found = photo.examine(path, limits.max_bytes, limits.most_pixels)
        metadata.edit(found.metadata)
        photo.camera(found)
        frame = photo.decode(found)
        defect = Defect.at(frame.shape[1] // 2, frame.shape[0] // 2)
        listed = repairs.PixelList((defect,), (), "")
        repairs.mend(found, frame, listed, None, Repair())
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
        if not self._pipe.poll(SECONDS):
            self.close()
            self._start()
            return [f"hangs over {SECONDS:.0f} s"]
        try:
            told = self._pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._start()
            return [f"died: {code}"]
        return [told] if told else []

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


def _jpeg(width: int, height: int, *, progressive: bool) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("RGB", (width, height), (90, 90, 90))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", "Bomb"
    image.save(buffer, "JPEG", quality=30, progressive=progressive, exif=exif)
    return buffer.getvalue()


def _sized(data: bytes, width: int, height: int) -> bytes:
    """Return a photo whose header says another size."""
    frame = next(
        one for one in markers.parse(data).segments if one.marker in markers.FRAMES
    )
    size = struct.pack(">HH", height, width)
    return data[: frame.offset + 5] + size + data[frame.offset + 9 :]


def _scans(data: bytes, count: int) -> bytes:
    """Return a progressive photo whose last scan comes `count` times."""
    found = markers.parse(data)
    last = found.scans[-1]
    scan = data[last.header.offset : last.end]
    return data[: last.end] + scan * count + data[last.end :]


def bombs() -> dict[str, bytes]:
    """Return files that are small and ask for much, or large and say nothing."""
    small, progressive = (
        _jpeg(64, 48, progressive=False),
        _jpeg(640, 480, progressive=True),
    )
    head = b"\xff\xd8"
    frame = small[2:]
    return {
        "65500x65500": _sized(small, 65500, 65500),
        "24 MP in 2 kB": _sized(small, 6000, 4000),
        "24 MP progressive in 2 kB": _sized(progressive, 6000, 4000),
        "24 MP of nothing": _jpeg(6000, 4000, progressive=False),
        "24 MP of nothing, progressive": _jpeg(6000, 4000, progressive=True),
        "200 MP of nothing": _jpeg(16000, 12500, progressive=False),
        "10,000 scans": _scans(progressive, 10_000),
        "a million segments": head + b"\xff\xe0\x00\x02" * 1_000_000 + frame,
        "50 MB of fill bytes": small[:-2] + b"\xff" * 50_000_000 + b"\xff\xd9",
        "50 MB of fill bytes in front": head + b"\xff" * 50_000_000 + frame,
        "50 MB of nothing": head + bytes(50_000_000),
        "50 MB of comments": head + (b"\xff\xfe\xff\xff" + bytes(65533)) * 760 + frame,
        "0x0": _sized(small, 0, 0),
        "1x65500": _sized(small, 1, 65500),
    }


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
    table.told.append(f"slowest bomb: {slowest:.1f} s")
    _bounded(lab, table, "bombs: memory")


def _plant(world: World, elsewhere: Path) -> int:
    """Put everything that is no photo where photos are; return how many are."""
    folder = world.folders[0] / "day0"
    photos = [world.put(index) for index in (0, 1, 3, 4, 6, 7, 9, 10)]
    day1 = world.folders[0] / "day1"
    os.mkfifo(folder / "fifo.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "up").symlink_to(world.folders[0])
    (folder / "device.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(folder / "socket.jpg"))
    elsewhere.mkdir()
    shutil.copy(photos[0], elsewhere / "outside.jpg")
    (folder / "out.jpg").symlink_to(elsewhere / "outside.jpg")
    # Two names of one file are one image; names are anything but "/" and NUL.
    evil = (
        b"new\nline.jpg", b"esc\x1b[2J\x07.jpg", b"caf\xe9.jpg", b"-rf.jpg",
        b"x" * 251 + b".jpg", "\u202egpj.exe.jpg".encode(), b"%s%n{name}$(id).jpg",
    )  # fmt: skip
    for number, name in enumerate(evil):
        os.link(photos[number], os.fsencode(day1) + b"/" + name)
    return len(photos)


def planted(zygote: Zygote, root: Path, table: Table) -> None:
    """Run on a folder full of what is no photo."""
    world = World.new(root)
    (world.folders[0] / "day1").mkdir()
    count = _plant(world, root / "elsewhere")
    arguments = ("run", "--jobs", "2", "--config", world.config)
    daemon = zygote.start(*arguments, log=world.log)

    def done() -> bool:
        counts = world.counts()
        copied = counts.get("lossless", 0) + counts.get("refused", 0)
        return copied + counts.get("withdrawn", 0) >= count + 7

    wrong = [] if daemon.until(done, 20.0) else [f"{world.counts()} {daemon.text()}"]
    wrong += [f"exit code {code}"] if (code := daemon.stop()) else []
    text = daemon.text()
    if any(bad in text for bad in ("\x1b", "\x07", "\u202e", "Traceback")):
        wrong.append("the log holds control characters, or a traceback")
    lines = [
        line for line in text.splitlines() if not line.startswith(("20", "state:"))
    ]
    wrong += [f"forged line: {lines[0]!r}"] if lines else []
    ledger = Ledger(world.state / "ledger.sqlite3", read_only=True)
    if (
        ledger.images.counts()["folded"] != count
        or ledger.paths.counts()["duplicate"] != 7
    ):
        wrong.append(f"{ledger.images.counts()} {ledger.paths.counts()}")
    ledger.close()
    table.note("no photos, evil names, links", wrong)


def raced(zygote: Zygote, root: Path, table: Table, seconds: float = 3.0) -> None:
    """Exchange the folder of copies for a link to elsewhere, while copies are written."""
    world = World.new(root)
    precious = root / "precious"
    precious.mkdir()
    arguments = ("run", "--jobs", "1", "--config", world.config)
    daemon = zygote.start(*arguments, log=world.log)
    repaired = world.roots[1]
    ends, index = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        if index < 60:
            world.put(index)
            index += 1
        for target in (repaired, repaired / "day0", repaired / "day1"):
            try:
                target.rename(target.with_name(f"{target.name}.away"))
                target.symlink_to(precious)
                time.sleep(0.005)
                target.unlink()
                target.with_name(f"{target.name}.away").rename(target)
            except OSError:  # it won the race for now
                continue
    wrong = [f"wrote {path}" for path in precious.rglob("*")]
    wrong += [f"exit code {code}"] if (code := daemon.stop()) else []
    table.note("symlink race in the output", wrong)


def changing(zygote: Zygote, root: Path, table: Table, seconds: float = 3.0) -> None:
    """Change, shrink and remove photos while they are read."""
    world = World.new(root)
    arguments = ("run", "--jobs", "2", "--config", world.config)
    daemon = zygote.start(*arguments, log=world.log)
    random_ = random.Random(0)  # noqa: S311 - moments, not secrets
    photos = [world.put(index) for index in range(12)]
    whole = {path: path.read_bytes() for path in photos}
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        path = random_.choice(photos)
        data = whole[path]
        choice = random_.random()
        if choice < 0.3:
            path.unlink(missing_ok=True)
        elif choice < 0.6:
            path.write_bytes(data[: random_.randrange(len(data))])
        else:
            path.write_bytes(data)
        time.sleep(0.01)
    for path, data in whole.items():
        path.write_bytes(data)

    def done() -> bool:
        counts = world.counts()
        return counts.get("folded", 0) + counts.get("pending", 0) == 12

    wrong = [] if daemon.until(done, 20.0) else [f"{world.counts()}"]
    time.sleep(0.5)
    wrong += [f"exit code {code}"] if (code := daemon.stop()) else []
    if "Traceback" in daemon.text():
        wrong.append(daemon.text()[-500:])
    table.note("photos that change while they are read", wrong)

"""A folder made to do harm: no files, evil names, files and folders that change."""

from __future__ import annotations

import os
import random
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from faults.bombs import bombs
from faults.world import World
from hotpixeld.cli import commands
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.crash import Table
    from faults.hotpixel import Zygote


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
    bad = world.folders[0] / "bad"
    bad.mkdir()
    for number, data in enumerate(_bad(photos[0].read_bytes())):
        (bad / f"{number}.jpg").write_bytes(data)
    return len(photos)


def _bad(data: bytes) -> Iterator[bytes]:
    """Yield what bears the name of a photo, but is none that can be used."""
    yield from (b"", b"no photo", data[:2], data[:500], data[:-2000], data[:-2])
    yield from (bombs()[name] for name in ("65500x65500", "10,000 scans", "0x0"))
    yield data.replace(b"\xff\xda", b"\xff\xd9")  # no scan


def _without_reason(world: World) -> list[str]:
    """Return the bad files of `_plant` of which the status does not say why."""
    problems = commands.status(world.state)["problems"]
    explained = {Path(one["path"]) for one in problems if one["reason"]}
    names = ("fifo.jpg", "loop.jpg", "device.jpg", "socket.jpg", "out.jpg")
    bad = [world.folders[0] / "day0" / name for name in names]
    bad += (world.folders[0] / "bad").iterdir()
    return [f"no reason: {path}" for path in bad if path not in explained]


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

    wrong = [] if daemon.until(done) else [f"{world.counts()} {daemon.text()}"]
    daemon.until(lambda: not _without_reason(world))
    wrong += [f"exit code {code}"] if (code := daemon.stop()) else []
    text = daemon.text()
    if any(bad in text for bad in ("\x1b", "\x07", "\u202e", "Traceback")):
        wrong.append("the log holds control characters, or a traceback")
    lines = [
        line for line in text.splitlines() if not line.startswith(("20", "state:"))
    ]
    wrong += [f"forged line: {lines[0]!r}"] if lines else []
    wrong += _without_reason(world)
    ledger = Ledger(world.state / "ledger.sqlite3", read_only=True)
    images, paths = ledger.images.counts(), ledger.paths.counts()
    # A slow machine may have folded some of them meanwhile.
    if images["folded"] + images["pending"] != count or paths["duplicate"] != 7:
        wrong.append(f"{images} {paths}")
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

    wrong = [] if daemon.until(done) else [f"{world.counts()}"]
    time.sleep(0.5)
    wrong += [f"exit code {code}"] if (code := daemon.stop()) else []
    if "Traceback" in daemon.text():
        wrong.append(daemon.text()[-500:])
    table.note("photos that change while they are read", wrong)

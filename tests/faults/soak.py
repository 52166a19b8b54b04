"""A long life in a short time: 20,000 photos, bad ones, doubles, folders that come and go."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import re
import shutil
import signal
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from faults.world import World
from hotpixeld.cli import commands
from hotpixeld.store.ledger import Ledger
from sensor import START

if TYPE_CHECKING:
    from faults.crash import Table
    from faults.hotpixel import Process, Zygote

_PHOTO = re.compile(r"/set\d+/(\w+\.JPG)")
CHUNK = 500
"""Photos between two looks at the daemon."""


@dataclass
class Looks:
    """What the daemon uses, from look to look."""

    memory: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    def look(self, pid: int) -> None:
        """Look once."""
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        self.memory.append(int(fields["VmRSS"].split()[0]) << 10)
        self.threads.append(int(fields["Threads"]))
        self.descriptors.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))

    def figures(self) -> dict[str, str]:
        """Return what was seen, at some ten moments evenly spread."""
        step = max(len(self.memory) // 10, 1)
        memory = [one >> 20 for one in self.memory]
        return {
            name: " ".join(map(str, found[::step]))
            for name, found in (
                ("memory in MiB", memory),
                ("descriptors", self.descriptors),
                ("threads", self.threads),
            )
        }

    def wrong(self) -> list[str]:
        """Return what grew after the warm-up, the first quarter."""
        start = max(len(self.memory) // 4, 1)
        wrong = []
        early, late = self.memory[start], self.memory[-1]
        if late > early * 1.10 + (8 << 20):
            wrong.append(f"memory grew from {early >> 20} to {late >> 20} MiB")
        for name, found in (
            ("descriptors", self.descriptors),
            ("threads", self.threads),
        ):
            # A pass holds its photos open, and its threads: what is left beside it counts.
            half = (start + len(found)) // 2
            early, late = min(found[start:half]), min(found[half:])
            if late > early + 4:
                wrong.append(f"{name}: {found[start:]}")
        return wrong


def _taken(number: int) -> bytes:
    """Return when a photo was taken, as EXIF has it: one a second."""
    when = START.replace(hour=0, minute=0) + dt.timedelta(seconds=number)
    return f"{when:%Y:%m:%d %H:%M:%S}".encode()


def _arrive(world: World, random_: random.Random, numbers: range) -> dict[str, int]:
    """Let photos arrive, some twice, some broken; return how many of which."""
    came = {"distinct": 0, "duplicate": 0, "bad": 0}
    template, taken = world.put(0).read_bytes(), _taken(0)
    if taken not in template:
        raise AssertionError("the template was not taken when it should have been")
    folder = world.folders[0] / f"set{numbers.start // 2000}"
    folder.mkdir(exist_ok=True)
    for number in numbers:
        # Another image each, cheap to make: another quantisation table, and another time,
        # or it would be a version of the first.
        text = f"{number:08d}".encode()
        quantised = bytearray(template.replace(taken, _taken(number)))
        place = quantised.rindex(b"\xff\xdb") + 5
        table = quantised[place : place + 64]
        table[-3:] = bytes(1 + digit % 250 for digit in (
            number % 240, number // 240 % 240, number // 57600))  # fmt: skip
        quantised[place : place + 64] = table
        chance = random_.random()
        path = folder / f"IMG_{text.decode()}.JPG"
        if chance < 0.03:
            path.write_bytes(quantised[: len(quantised) // 2] + b"\xff\xd9")
            came["bad"] += 1
            continue
        path.write_bytes(quantised)
        came["distinct"] += 1
        if chance > 0.95:
            shutil.copy(path, folder / f"twin_{text.decode()}.JPG")
            came["duplicate"] += 1
    return came


def _come_and_go(world: World, round_: int) -> None:
    """Rename a watched folder away and back."""
    folder = world.folders[1]
    away = folder.with_name("away")
    with contextlib.suppress(OSError):
        (away if round_ % 2 else folder).rename(folder if round_ % 2 else away)


def soak(zygote: Zygote, root: Path, table: Table, photos: int = 20_000) -> Looks:
    """Feed a daemon so many photos and watch what it uses."""
    world, looks = World.new(root), Looks()
    random_ = random.Random(0)  # noqa: S311 - a mixture, not secrets
    arguments = ("run", "--jobs", "2", "--config", world.config)
    daemon = zygote.start(*arguments, log=world.log, patch={})
    total = {"distinct": 1, "duplicate": 0, "bad": 0}
    wrong = []
    for round_, start in enumerate(range(1, photos + 1, CHUNK)):
        came = _arrive(world, random_, range(start, min(start + CHUNK, photos + 1)))
        total = {name: total[name] + count for name, count in came.items()}
        if round_ % 3 == 0:
            os.kill(daemon.pid, signal.SIGHUP)
            _come_and_go(world, round_ // 3)
        wanted = sum(total.values())
        if not daemon.until(partial(_knows, world, wanted), 120.0):
            wrong.append(f"stuck at {_known(world)} of {total}")
            break
        looks.look(daemon.pid)
    wrong += _end(world, daemon, total) + looks.wrong()
    table.note(f"soak of {photos} photos", wrong)
    return looks


def _knows(world: World, photos: int) -> bool:
    return _known(world) >= photos


def _known(world: World) -> int:
    """Return how many paths have an outcome."""
    with (
        contextlib.suppress(Exception),
        contextlib.closing(
            Ledger(world.state / "ledger.sqlite3", read_only=True)
        ) as ledger,
    ):
        run = ledger.connection.execute
        query = "SELECT total(count) FROM tallies WHERE kind = 'path'"
        return int(run(query).fetchone()[0])
    return 0


def _end(world: World, daemon: Process, total: dict[str, int]) -> list[str]:
    code = daemon.stop()
    wrong = [f"exit code {code}: {daemon.text()[-500:]}"] if code else []
    found = commands.status(world.state)["photos"]
    # A photo that is cut off is told bad when it is decoded: it may be pending yet.
    known = found["folded"] + found["pending"] + found["failed"]
    wanted = total["distinct"] + total["bad"]
    if (known, found["duplicate"]) != (wanted, total["duplicate"]):
        wrong.append(f"{total}, but {found}")
    lines = daemon.text().splitlines()
    arrived = [line for line in lines if " failed " not in line]
    logged = Counter(name for line in arrived for name in _PHOTO.findall(line))
    if twice := [name for name, count in logged.items() if count > 1]:
        wrong.append(f"logged twice: {twice[:4]}")
    # And of other things now and then: passes, maps, reloads, folders that went.
    if len(lines) > sum(total.values()) * 1.2 + 50:
        wrong.append(f"{len(lines)} lines of log for {total}")
    return wrong

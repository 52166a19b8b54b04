"""Kill at every call that changes a file; fail at every one of them."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from faults.hotpixel import Fault, Mode
from faults.world import SIZE, World, in_the_end, right_after

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from faults.hotpixel import Process, Zygote
    from hotpixeld.jpeg.decoder import Size

T = TypeVar("T")
PHOTOS = 12
"""Of two cameras, 8 and 4: checkpoints of both, two generations of one, and its map."""


class Table:
    """Tries and losses, a row a fault."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.tries: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.remarks: list[str] = []
        self.peaks: dict[str, int] = {}

    def spread(self, fault: str, calls: Sequence[T], most: int) -> Sequence[T]:
        """Return the calls that are tried: all, or `most` of them, evenly spread."""
        self.calls[fault] = len(calls)
        if len(calls) <= most:
            return calls
        return [calls[index * len(calls) // most] for index in range(most)]

    def note(self, fault: str, wrong: list[str], what: str = "") -> None:
        """Count one try."""
        self.tries[fault] += 1
        if wrong:
            self.losses[fault] += 1
            self.remarks.append(f"{fault} {what}: " + "; ".join(wrong[:4]))

    def markdown(self) -> str:
        """Return the table as the README shows it."""
        rows = [f"| {name} | {self.calls.get(name, '')} | {count} | {self.losses[name]} |"
                for name, count in self.tries.items()]  # fmt: skip
        head = ["| fault | calls | tries | losses |", "|---|---|---|---|"]
        return "\n".join([*head, *rows])


def once(zygote: Zygote, world: World, fault: Fault | None = None) -> int:
    """Run `hotpixeld run --once`; return its exit code."""
    arguments = ("run", "--once", "--jobs", "1", "--config", world.config)
    return zygote.start(*arguments, log=world.log, fault=fault).wait()


def after_a_last_run(zygote: Zygote, world: World) -> list[str]:
    """Return what is wrong once what a daemon left pending is folded."""
    code = once(zygote, world)
    return ([f"last run: exit code {code}"] if code else []) + in_the_end(world)


def calls(zygote: Zygote, world: World) -> list[str]:
    """Return the calls that a run makes, without any fault."""
    trace = world.root / "trace"
    trace.unlink(missing_ok=True)
    world.reset()
    code = once(zygote, world, Fault(roots=world.roots, trace=str(trace)))
    if code:
        raise AssertionError(world.log.read_text())
    wrong = in_the_end(world)
    if wrong:
        raise AssertionError(wrong)
    return trace.read_text().splitlines()


def filled(root: Path, photos: int = PHOTOS, size: Size = SIZE) -> World:
    """Return a world with photos in it."""
    world = World.new(root, size)
    for index in range(photos):
        world.put(index)
    return world


def retried(world: World) -> list[str]:
    """Return the syncs that were tried again on a file that was not written anew."""
    trace = world.root / "trace"
    if not trace.exists():
        return []
    return [
        line for line in trace.read_text().splitlines() if line.startswith("retried")
    ]


def name_of(mode: Mode, program: str) -> str:
    """Return what a row of the table is called."""
    names = {
        Mode.KILL: "kill -9 before",
        Mode.TORN: "kill -9 half way in",
        Mode.EIO: "EIO at",
        Mode.ENOSPC: "ENOSPC at",
    }
    call = "a write" if mode is Mode.TORN else "a call"
    return f"{names[mode]} {call}, {program}"


def places(mode: Mode, lines: list[str]) -> list[int]:
    """Return the numbers of the calls to fail.

    Half way there is in a write only: after any other call is before the next.
    """
    return [
        number
        for number, line in enumerate(lines, 1)
        if mode is not Mode.TORN or "write" in line.split()[2]
    ]


def at_every_call(
    zygote: Zygote, root: Path, table: Table, modes: Iterable[Mode], most: int
) -> None:
    """Let `run --once` die or fail at each call in turn, then run again."""
    world = filled(root)
    unharmed = calls(zygote, world)
    for mode in modes:
        row = name_of(mode, "run --once")
        for at in table.spread(row, places(mode, unharmed), most):
            world.reset()
            trace = world.root / "trace"
            trace.unlink(missing_ok=True)
            code = once(zygote, world, Fault(mode, at, at, world.roots, str(trace)))
            wrong = right_after(world) + retried(world)
            expected = (
                {-signal.SIGKILL} if mode in {Mode.KILL, Mode.TORN} else {0, 1, 4, 6}
            )
            if code not in expected:
                wrong.append(f"exit code {code}")
            if once(zygote, world):
                wrong.append("the next run failed")
            wrong += in_the_end(world)
            lines = trace.read_text().splitlines()
            where = lines[at - 1] if at <= len(lines) else ""
            table.note(row, wrong, where)


def daemon_at_every_call(
    zygote: Zygote, root: Path, table: Table, modes: Iterable[Mode], most: int
) -> None:
    """Let a call of the daemon fail: it pauses, and ends the work by itself."""
    world = filled(root)
    unharmed = calls(zygote, world)
    for mode in modes:
        row = name_of(mode, "daemon")
        for at in table.spread(row, places(mode, unharmed), most):
            world.reset()
            (world.root / "trace").unlink(missing_ok=True)
            fault = Fault(mode, at, at + 1, world.roots, str(world.root / "trace"))
            wrong = _pauses(zygote, world, fault)
            table.note(row, wrong, f"at {at}")


def daemon_killed_at_every_call(
    zygote: Zygote, root: Path, table: Table, modes: Iterable[Mode], most: int
) -> None:
    """Let the daemon die at each call of its life in turn, then start it again."""
    world = filled(root)
    trace = str(world.root / "trace")
    wrong = _lives(zygote, world, Fault(roots=world.roots, trace=trace), 0)
    table.note("no fault, daemon", wrong)
    unharmed = (world.root / "trace").read_text().splitlines()
    for mode in modes:
        row = name_of(mode, "daemon")
        for at in table.spread(row, places(mode, unharmed), most):
            world.reset()
            fault = Fault(mode, at, at, world.roots)
            wrong = _lives(zygote, world, fault, -signal.SIGKILL)
            table.note(row, wrong, unharmed[at - 1])


def _lives(zygote: Zygote, world: World, fault: Fault, expected: int) -> list[str]:
    """Return what is wrong after a daemon that meets a fault, and one that does not."""
    arguments = ("run", "--jobs", "1", "--config", world.config)
    daemon = zygote.start(*arguments, log=world.log, fault=fault)
    daemon.until(lambda: is_done(world, PHOTOS))
    code = daemon.stop()
    # Threads are never quite in step: the last calls of one life may not come in another.
    wrong = [] if code in {0, expected} else [f"exit code {code}"]
    wrong += right_after(world)
    world.log.unlink()
    daemon = zygote.start(*arguments, log=world.log)
    daemon.until(lambda: "watching" in daemon.text())
    if not daemon.until(lambda: is_done(world, PHOTOS)):
        wrong.append(f"not done: {world.counts()} {daemon.text()[-600:]}")
    wrong += [f"then exit code {code}"] if (code := daemon.stop()) else []
    return wrong + after_a_last_run(zygote, world)


def is_done(world: World, photos: int, copies: int | None = None) -> bool:
    """Return whether so many photos are known, and so many copies, else of each one."""
    counts = world.counts()
    known = counts.get("folded", 0) + counts.get("pending", 0)
    # Where a link failed, the photo is copied.
    methods = ("lossless", "link", "copy", "withdrawn")
    written = sum(counts.get(one, 0) for one in methods)
    return known == photos and written == (photos if copies is None else copies)


def _pauses(zygote: Zygote, world: World, fault: Fault) -> list[str]:
    arguments = ("run", "--jobs", "1", "--config", world.config)
    daemon = zygote.start(*arguments, log=world.log, fault=fault)
    wrong = []
    done = daemon.until(lambda: is_done(world, PHOTOS))
    if not done and not daemon.is_alive() and "watching" not in daemon.text():
        # It could not even start: whoever started it starts it again.
        daemon = zygote.start(*arguments, log=world.log)
        done = daemon.until(lambda: is_done(world, PHOTOS))
    if not done:
        wrong.append(f"not done: {world.counts()} {daemon.text()[-600:]}")
        daemon.stop(signal.SIGKILL)
    elif code := daemon.stop():
        wrong.append(f"exit code {code}: {daemon.text()[-600:]}")
    if daemon.text().count("paused") > 1 + daemon.text().count("resumed"):
        wrong.append("paused logged more than once")
    wrong += retried(world)
    return wrong + after_a_last_run(zygote, world)


def _gets_done(daemon: Process, world: World, photos: int) -> bool:
    """Return whether the daemon ends its work, however long that takes it."""

    def goes_on(before: dict[str, int]) -> bool:
        return daemon.until(lambda: world.counts() != before)

    while not is_done(world, photos):
        if not goes_on(world.counts()):
            return False
    return True


def at_random_moments(
    zygote: Zygote, root: Path, table: Table, kills: int, seed: int = 0
) -> None:
    """Kill the daemon at random moments of one long run, photos coming all the time."""
    world = World.new(root)
    random_ = random.Random(seed)  # noqa: S311 - moments, not secrets
    coming: Iterator[int] = iter(range(10**6))
    arguments = ("run", "--jobs", "2", "--config", world.config)
    photos = 0
    for _ in range(kills):
        daemon = zygote.start(*arguments, log=world.log)
        ends = time.monotonic() + random_.uniform(0.05, 1.2)
        while time.monotonic() < ends:
            if random_.random() < 0.5 and photos < 3 * kills:
                world.put(next(coming))
                photos += 1
            time.sleep(0.02)
        code = daemon.stop(signal.SIGKILL)
        wrong = right_after(world)
        if code != -signal.SIGKILL:
            wrong.append(f"exit code {code}: {daemon.text()[-600:]}")
        table.note("kill -9 at a random moment, daemon", wrong)
    world.log.unlink()
    daemon = zygote.start(*arguments, log=world.log)
    daemon.until(lambda: "watching" in daemon.text())
    done = _gets_done(daemon, world, photos)
    wrong = [] if done else [f"not done: {world.counts()} of {photos}"]
    wrong += [f"exit code {code}"] if (code := daemon.stop()) else []
    wrong += after_a_last_run(zygote, world)
    table.note("the same state in the end", wrong)

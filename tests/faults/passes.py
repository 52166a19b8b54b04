"""Learning passes that are hurt: killed at each call, lied to, or cut short again and again.

A pass folds pending photos into the next generation.  Here one is due from the start: the
cameras have two generations each, and more photos pend, in the spool.  What it makes must
be, to the bit, what it makes when nobody disturbs it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults.crash import (
    after_a_last_run,
    filled,
    is_done,
    name_of,
    once,
    places,
    retried,
)
from faults.hotpixel import PATCH, Fault, Mode
from faults.world import World, right_after
from hotpixeld.jpeg.decoder import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from faults.crash import Table
    from faults.hotpixel import Process, Zygote

FOLDED, PENDING = 24, 12
"""Photos, two of three of the first camera."""
LARGE = Size(704, 880)
"""So much that the decoder reads a photo's file in several pieces, in a pass's strips."""
PASSES = {**PATCH, "engine.learning.MOST_IN_A_PASS": 128}
NO_PASS = {
    **PATCH,
    "engine.schedule.FEWEST_NEW": 1000,
    "engine.schedule.MOST_NEW": 1000,
}
_MADE = re.compile(r"/cameras/[^/]+/\d{8}( |/|$)")
_PLANE = re.compile(r"/\d{8}/\w+\.npy$")


@dataclass(frozen=True)
class Due:
    """A world in which passes are due, as often as it is put back."""

    world: World
    pending: int

    @property
    def photos(self) -> int:
        """Return how many there are, with those that are folded."""
        return FOLDED + self.pending

    @classmethod
    def new(
        cls,
        zygote: Zygote,
        root: Path,
        pending: int = PENDING,
        patch: dict[str, Any] | None = None,
    ) -> Due:
        """Fold some photos, and let a daemon take more that it does not fold yet."""
        world = filled(root, FOLDED)
        if once(zygote, world):
            raise AssertionError(world.log.read_text())
        due = cls(world, pending)
        for index in range(FOLDED, due.photos):
            world.put(index)
        daemon = due.start(zygote, patch={**NO_PASS, **(patch or {})})
        daemon.until(lambda: is_done(world, due.photos))
        if daemon.stop() or world.counts()["pending"] != pending:
            raise AssertionError(f"{world.counts()} {daemon.text()}")
        for place in world.roots:
            due._copy(place, due._kept(place))
        return due

    def _kept(self, place: Path) -> Path:
        return self.world.root / "kept" / place.relative_to(self.world.root)

    def _copy(self, source: Path, target: Path) -> None:
        # Copies are replaced and never edited, and some are links: they stay what they are.
        how = shutil.copy2 if source.name == "state" else os.link
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, copy_function=how)

    def put_back(self) -> None:
        """Have everything as it was when the passes became due."""
        for place in self.world.roots:
            self._copy(self._kept(place), place)
        for name in ("log", "trace"):
            (self.world.root / name).unlink(missing_ok=True)

    @property
    def trace(self) -> Path:
        """Return where the calls are listed."""
        return self.world.root / "trace"

    def start(
        self,
        zygote: Zygote,
        fault: Fault | None = None,
        patch: dict[str, Any] | None = None,
    ) -> Process:
        """Start a daemon."""
        arguments = ("run", "--jobs", "1", "--config", self.world.config)
        patch = PASSES if patch is None else patch
        return zygote.start(*arguments, log=self.world.log, fault=fault, patch=patch)

    def is_folded(self) -> bool:
        """Return whether the ledger says that all photos are folded."""
        counts = self.world.counts()
        return counts.get("folded") == self.photos and not counts.get("pending")

    def states(self) -> dict[str, str]:
        """Return the bits of all planes of all cameras' newest generations."""
        return {
            f"{path.parts[-3]} {path.name}": hashlib.sha256(
                path.read_bytes()
            ).hexdigest()
            for path in self.world.state.glob("cameras/*/[0-9]*/*.npy")
        }

    def fold_all(self, zygote: Zygote, fault: Fault | None = None) -> tuple[int, str]:
        """Have a daemon make all passes, unless it ends before; its exit code and log."""
        self.world.log.unlink(missing_ok=True)
        daemon = self.start(zygote, fault)
        daemon.until(lambda: "watching" in daemon.text())
        daemon.until(lambda: self.is_folded() or _has_lost(self.world))
        return daemon.stop(), daemon.text()

    def wrong_in_the_end(
        self, zygote: Zygote, undisturbed: dict[str, str]
    ) -> list[str]:
        """Return what is wrong once all is folded and copied."""
        wrong = after_a_last_run(zygote, self.world)
        if self.states() != undisturbed:
            wrong.append("not what an undisturbed pass makes")
        return wrong

    def undisturbed(
        self, zygote: Zygote, fault: Fault
    ) -> tuple[list[str], dict[str, str]]:
        """Return the calls of passes without any fault, and the planes they make."""
        self.put_back()
        code, text = self.fold_all(zygote, fault)
        lines = self.trace.read_text().splitlines()
        wrong = after_a_last_run(zygote, self.world)
        if code or wrong:
            raise AssertionError(f"{code} {wrong} {text}")
        return lines, self.states()


def _has_lost(world: World) -> bool:
    counts = world.counts()
    return bool(counts.get("lost")) and not counts.get("pending")


def at_every_call(
    zygote: Zygote, root: Path, table: Table, modes: Iterable[Mode], most: int
) -> None:
    """Let a daemon die, or its disk fail, at each call of its passes and maps."""
    due = Due.new(zygote, root)
    listed = Fault(roots=(due.world.state,), trace=str(due.trace))
    unharmed, states = due.undisturbed(zygote, listed)
    first = next(number for number, line in enumerate(unharmed) if _MADE.search(line))
    for mode in modes:
        row = name_of(mode, "daemon's pass")
        calls = [at for at in places(mode, unharmed) if at > first]
        for at in table.spread(row, calls, most):
            due.put_back()
            roots, is_fatal = (due.world.state,), mode in {Mode.KILL, Mode.TORN}
            until = at if is_fatal else at + 1
            code, text = due.fold_all(
                zygote, Fault(mode, at, until, roots, str(due.trace))
            )
            lines = due.trace.read_text().splitlines()
            wrong = right_after(due.world) + retried(due.world)
            if code not in {0, -signal.SIGKILL if is_fatal else 0}:
                wrong.append(f"exit code {code}: {text[-600:]}")
            if code:
                code, text = due.fold_all(zygote)
                wrong += [f"then exit code {code}: {text[-600:]}"] if code else []
            wrong += due.wrong_in_the_end(zygote, states)
            where = lines[at - 1] if at <= len(lines) else "not reached"
            table.note(row, wrong, where)


def unreadable(zygote: Zygote, root: Path, table: Table, most: int) -> None:
    """Fail with EIO at each call that reads a photo, the spool, a generation, the ledger."""
    _photos_unreadable(zygote, root, table, most)
    _state_unreadable(zygote, root, table, most)


def _photos_unreadable(zygote: Zygote, root: Path, table: Table, most: int) -> None:
    world = filled(root, 12, LARGE)
    trace = root / "trace"

    def fault(mode: Mode = Mode.NONE, at: int = 0) -> Fault:
        return Fault(mode, at, at, world.folders, str(trace), reads=True)

    if once(zygote, world, fault()):
        raise AssertionError(world.log.read_text())
    unharmed = trace.read_text().splitlines()
    row = "EIO at a read of a photo, run --once"
    for at in table.spread(row, range(1, len(unharmed) + 1), most):
        world.reset()
        trace.unlink()
        code = once(zygote, world, fault(Mode.EIO, at))
        wrong = right_after(world)
        wrong += [f"exit code {code}"] if code not in {0, 1, 6} else []
        wrong += after_a_last_run(zygote, world)
        lines = trace.read_text().splitlines()
        where = lines[at - 1] if at <= len(lines) else "not reached"
        table.note(row, wrong, where)


def _state_unreadable(zygote: Zygote, root: Path, table: Table, most: int) -> None:
    due = Due.new(zygote, root)
    state = due.world.state
    for what, roots in (
        ("the spool", (state / "spool",)),
        ("a generation", (state / "cameras",)),
        ("the ledger", (state / "ledger.sqlite3", state / "ledger.sqlite3-wal")),
    ):
        listed = Fault(roots=roots, trace=str(due.trace), reads=True)
        unharmed, states = due.undisturbed(zygote, listed)
        row = f"EIO at a read of {what}, daemon's pass"
        for at in table.spread(row, range(1, len(unharmed) + 1), most):
            due.put_back()
            fault = Fault(Mode.EIO, at, at, roots, str(due.trace), reads=True)
            code, text = due.fold_all(zygote, fault)
            wrong = right_after(due.world)
            if "Traceback" in text:
                wrong.append(text[-1500:])
            if code:  # it could not even start: whoever started it starts it again
                wrong += [] if code in {1, 4} else [f"exit code {code}: {text[-600:]}"]
                code, text = due.fold_all(zygote)
                wrong += [f"then exit code {code}: {text[-600:]}"] if code else []
            wrong += due.wrong_in_the_end(zygote, states)
            lines = due.trace.read_text().splitlines()
            where = lines[at - 1] if at <= len(lines) else "not reached"
            table.note(row, wrong, where)


def _flip_end(path: Path) -> None:
    """Change the last byte of a file, where it is."""
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        (last,) = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))


def _to_be_read(lines: list[str]) -> Iterator[tuple[int, Path]]:
    """Yield the calls, with their files, after which a plane is read by a pass."""
    last = {
        line.split()[3]: number
        for number, line in enumerate(lines, 1)
        if line.split()[2].startswith("preadv")
    }
    for number, line in enumerate(lines, 1):
        path = line.split()[3]
        if _PLANE.search(path) and number <= last.get(path, 0):
            yield number, Path(path)


def damaged_while_read(zygote: Zygote, root: Path, table: Table, most: int) -> None:
    """Damage a generation while a pass reads it: refused, the one before is used."""
    due = Due.new(zygote, root)
    roots = (due.world.state / "cameras",)
    listed = Fault(roots=roots, trace=str(due.trace), reads=True)
    unharmed, states = due.undisturbed(zygote, listed)
    row = "generation damaged while a pass reads it"
    for at, path in table.spread(row, list(_to_be_read(unharmed)), most):
        due.put_back()
        fault = Fault(Mode.STOP, at, at, roots, str(due.trace), reads=True)
        daemon = due.start(zygote, fault)
        was_there = daemon.while_stopped(partial(_flip_end, path))
        wrong = [] if was_there else ["not reached"]
        daemon.until(due.is_folded)
        code, text = daemon.stop(), daemon.text()
        wrong += [f"exit code {code}: {text[-600:]}"] if code else []
        if text.count("the one before it is used") != 1:
            wrong.append(f"not said once: {text[-600:]}")
        wrong += due.wrong_in_the_end(zygote, states)
        table.note(row, wrong, unharmed[at - 1])


def _back(path: Path, data: bytes) -> Callable[[], None]:
    """Return what puts a photo where it is missing."""

    def put() -> None:
        path.write_bytes(data)

    return put


def _cut(world: World, path: Path) -> Callable[[], None]:
    data = path.read_bytes()
    os.truncate(path, len(data) // 2)
    return _back(path, data)


def _overwrite(world: World, path: Path) -> Callable[[], None]:
    data = path.read_bytes()
    path.write_bytes(world.photo(99))
    return _back(path.with_name("again.JPG"), data)


def _exchange(world: World, path: Path) -> Callable[[], None]:
    path.rename(path.with_name("aside.JPG"))
    new = path.with_name("new.JPG")
    new.write_bytes(world.photo(99))
    new.rename(path)
    return lambda: None


def _remove(world: World, path: Path) -> Callable[[], None]:
    data = path.read_bytes()
    path.unlink()
    return _back(path, data)


HARMS: tuple[tuple[str, Callable[[World, Path], Callable[[], None]]], ...] = (
    ("truncated", _cut),
    ("overwritten by another photo", _overwrite),
    ("exchanged for another photo", _exchange),
    ("removed", _remove),
)
"""What is done to a photo that is being read; returns what brings it back afterwards."""


def _changed_at(
    zygote: Zygote, world: World, fault: Fault, harm: Callable[[], Callable[[], None]]
) -> list[str]:
    """Return what is wrong after a photo was changed at one call that reads it."""
    arguments = ("run", "--once", "--jobs", "1", "--config", world.config)
    run = zygote.start(*arguments, log=world.log, fault=fault)
    back: list[Callable[[], None]] = []
    was_there = run.while_stopped(lambda: back.append(harm()))
    code, text = run.wait(), run.text()
    wrong = right_after(world) + ([] if was_there else ["not reached"])
    wrong += [f"exit code {code}"] if code not in {0, 1, 6} else []
    wrong += [text[-1500:]] if "Traceback" in text else []
    for one in back:
        one()
    return wrong + after_a_last_run(zygote, world)


def changed_while_read(zygote: Zygote, root: Path, table: Table, most: int) -> None:
    """Cut, replace or remove a photo at each call that reads it; then bring it back."""
    world = World.new(root, LARGE)
    for index in range(12):
        world.put(index)
    path = world.folders[0] / "day0" / "IMG_0003.JPG"
    trace, data = root / "trace", path.read_bytes()
    fault = Fault(roots=(path,), trace=str(trace), reads=True)
    if once(zygote, world, fault):
        raise AssertionError(world.log.read_text())
    unharmed = trace.read_text().splitlines()
    for what, harm in HARMS:
        row = f"photo {what} while it is read"
        for at in table.spread(row, range(1, len(unharmed) + 1), most):
            for name in ("again.JPG", "aside.JPG"):
                path.with_name(name).unlink(missing_ok=True)
            path.write_bytes(data)
            world.reset()
            stop = replace(fault, mode=Mode.STOP, at=at)
            wrong = _changed_at(zygote, world, stop, partial(harm, world, path))
            table.note(row, wrong, unharmed[at - 1])


SPOOLS = (("of 3 photos", [2_000_000_000, 3]), ("of 30,000 bytes", [30_000, 1000]))


def spool_full(zygote: Zygote, root: Path, table: Table) -> None:
    """Take photos while the spool has no room: their originals serve."""
    for what, bounds in SPOOLS:
        due = Due.new(zygote, root, patch={"engine.session.BOUNDS": bounds})
        kept = list((due.world.state / "spool").iterdir())
        size = sum(path.stat().st_size for path in kept)
        wrong = []
        if not kept or len(kept) > bounds[1] or size > bounds[0]:
            wrong.append(f"{len(kept)} photos, {size} bytes")
        code, text = due.fold_all(zygote)
        wrong += [f"exit code {code}: {text[-600:]}"] if code else []
        wrong += after_a_last_run(zygote, due.world)
        table.note("spool full", wrong, what)
    _spool_without_room(zygote, root, table)


def _spool_without_room(zygote: Zygote, root: Path, table: Table) -> None:
    """Have no room on the disk for the spool, from its n-th change on."""
    for at in (2, 3, 4, 5, 10, 30):  # without its folder nothing would begin
        world = filled(root, FOLDED)
        fault = Fault(Mode.ENOSPC, at, 10**6, (world.state / "spool",))
        arguments = ("run", "--jobs", "2", "--config", world.config)
        daemon = zygote.start(*arguments, log=world.log, fault=fault)
        done = daemon.until(partial(is_done, world, FOLDED))
        wrong = [] if done else [f"not done: {daemon.text()[-600:]}"]
        wrong += [f"exit code {code}"] if (code := daemon.stop()) else []
        wrong += after_a_last_run(zygote, world)
        table.note("ENOSPC at every call on the spool", wrong, f"from call {at}")


KILLS = 10


def killed_again_and_again(zygote: Zygote, root: Path, table: Table) -> None:
    """Kill ten daemons in a row after so much work that only a pass of four ends."""
    due = Due.new(zygote, root, 3 * PENDING)
    roots = (due.world.state / "spool",)
    listed = Fault(roots=roots, trace=str(due.trace), reads=True)
    unharmed, states = due.undisturbed(zygote, listed)
    # Each photo's file is opened once at the start, and read in its pass.
    reads = len(unharmed) // due.pending - 1
    due.put_back()
    wrong, folded = [], []
    for _ in range(KILLS):
        at = due.world.counts()["pending"] + 5 * reads
        fault = Fault(Mode.KILL, at, at, roots, reads=True)
        code, text = due.fold_all(zygote, fault)
        wrong += right_after(due.world)
        folded.append(due.world.counts()["folded"])
        if code != -signal.SIGKILL and not due.is_folded():
            wrong.append(f"exit code {code}: {text[-600:]}")
    if folded[-1] <= FOLDED:
        wrong.append(f"does not get on: {folded}")
    code, text = due.fold_all(zygote)
    wrong += [f"exit code {code}: {text[-600:]}"] if code else []
    wrong += due.wrong_in_the_end(zygote, states)
    table.note("ten passes killed in a row", wrong)
    table.remarks.append(f"folded after each of ten kills: {folded}")

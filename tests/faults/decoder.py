"""A photo that brings down the decoder, and with it the daemon: once, not twice."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults.crash import after_a_last_run, is_done
from faults.hotpixel import PATCH, Zygote
from faults.world import World
from hotpixeld.store.hazards import SLOT, SLOTS
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from faults.crash import Table

PHOTOS = 12
POISONED = Path(__file__).parent / "poison"


def poison(path: Path, how: str) -> None:
    """Make a photo one that the decoder does not survive."""
    data = path.read_bytes()
    text = f"POISON: {how}".encode()
    comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
    path.write_bytes(data[:2] + comment + data[2:])


def _reasons(world: World) -> dict[str, str]:
    ledger = Ledger(world.state / "ledger.sqlite3", read_only=True)
    found = {one.path.name: one.reason for one in ledger.paths.with_reason(99)}
    ledger.close()
    return found


def _is_marked(world: World) -> bool:
    """Return whether a pass is in a photo."""
    marks = world.state / "under-way"
    return marks.exists() and any(marks.read_bytes()[SLOT * SLOTS :])


def _try(zygote: Zygote, root: Path, how: str, reason: str) -> list[str]:
    world = World.new(root)
    # What hangs is to hang alone: a trial of any other photo takes its time, too.
    jobs = "1" if how == "HANG" else "2"
    arguments = ("run", "--jobs", jobs, "--config", world.config)
    patch: dict[str, Any] = {
        **PATCH,
        "engine.decode_trial.SECONDS": 5.0 if how == "HANG" else 30.0,
    }
    bad = world.put(0)
    poison(bad, how)
    for index in range(1, PHOTOS + 1):
        world.put(index)
    first = zygote.start(*arguments, log=world.log, patch=patch)
    if how == "HANG":  # the service manager's watchdog would end it
        if not first.until(lambda: _is_marked(world)):
            return [f"not hung: {first.text()[-800:]}"]
        first.stop(signal.SIGKILL)
    elif first.wait() != -signal.SIGSEGV:
        return [f"not brought down: {first.text()[-800:]}"]
    second = zygote.start(*arguments, log=world.log, patch=patch)
    # The bad one may have its copy, made of its coded data, before it is decoded.
    done = second.until(
        lambda: (
            bad.name in _reasons(world)
            and any(is_done(world, PHOTOS, copies) for copies in (PHOTOS, PHOTOS + 1))
        )
    )
    wrong = [] if done else [f"not done: {second.is_alive()} {second.text()[-800:]}"]
    twin = bad.with_name("twin.jpg")
    shutil.copy(bad, twin)
    second.until(lambda: twin.name in _reasons(world))
    wrong += [f"exit code {code}"] if (code := second.stop()) else []
    for path in (bad, twin):
        if _reasons(world).get(path.name) != reason:
            wrong.append(f"{path.name}: {_reasons(world)}")
        path.unlink(missing_ok=True)
    return wrong + after_a_last_run(zygote, world)


def both(root: Path, table: Table) -> None:
    """Bring the decoder down, and hang it."""
    path = [str(POISONED), *filter(None, [os.environ.get("PYTHONPATH")])]
    root.mkdir(parents=True, exist_ok=True)
    with Zygote(root, environment={"PYTHONPATH": ":".join(path)}) as zygote:
        crash, hang = "crashes the decoder (SIGSEGV)", "takes longer than 5 s to decode"
        table.note("decoder crashes", _try(zygote, root / "w", "CRASH", crash))
        table.note("decoder hangs", _try(zygote, root / "w", "HANG", hang))

"""Disks that are full, without inodes, or read-only: mounted for the purpose, as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from faults.crash import after_a_last_run, is_done
from faults.hotpixel import Fault, Mode
from faults.world import SIZE, World
from hotpixeld.store import disk_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faults.crash import Table
    from faults.hotpixel import Process, Zygote

PHOTOS = 12


def can_mount() -> bool:
    """Return whether this process may mount."""
    command = ["unshare", "--mount", "true"]
    return os.geteuid() == 0 and not subprocess.run(command, check=False).returncode


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Mount a small file system at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path, *, inodes: bool, leave: int) -> Callable[[], None]:
    """Use up the room in `folder` but for some bytes; return what gives it back."""
    ballast = folder / "ballast"
    ballast.mkdir()
    with contextlib.suppress(OSError):
        for number in range(100_000):
            path = ballast / str(number)
            path.touch() if inodes else path.write_bytes(bytes(4096))
            if leave and disk_room.free(folder) <= leave:
                break
    return lambda: shutil.rmtree(ballast)


def _rests(daemon: Process, world: World) -> list[str]:
    """Return what is wrong while a disk is full: said once, and no more done."""
    if not daemon.until(lambda: "paused" in daemon.text()):
        return [f"not paused: {world.counts()} {daemon.text()[-800:]}"]
    before = world.counts()
    time.sleep(1.0)  # several attempts, at the harness's pace
    wrong = [] if daemon.is_alive() else ["died"]
    if (said := daemon.text().count("paused")) != 1:
        wrong.append(f"paused logged {said} times")
    if before.get("folded", 0) > world.counts().get("folded", 0):
        wrong.append("lost while paused")
    return wrong


def _full(
    zygote: Zygote, root: Path, where: str, *, inodes: bool = False, leave: int = 0
) -> list[str]:
    """Fill a disk under a running daemon, but for some bytes, then make room."""
    world = World.new(root)
    place = world.state if where == "state" else world.roots[1]
    options = "size=40m,nr_inodes=200,mode=700" if inodes else "size=32m,mode=700"
    with mounted(place, options):
        arguments = ("run", "--jobs", "1", "--config", world.config)
        daemon = zygote.start(*arguments, log=world.log)
        for index in range(4):
            world.put(index)
        daemon.until(lambda: is_done(world, 4))
        make_room = _fill(place, inodes=inodes, leave=leave)
        for index in range(4, PHOTOS):
            world.put(index)
        wrong = _rests(daemon, world)
        if leave and "no room for the next generation" not in daemon.text():
            wrong.append(f"a pass was begun: {daemon.text()[-800:]}")
        make_room()
        if not daemon.until(lambda: is_done(world, PHOTOS)):
            wrong.append(f"not resumed: {world.counts()} {daemon.text()[-800:]}")
        wrong += [f"exit code {code}"] if (code := daemon.stop()) else []
        return wrong + after_a_last_run(zygote, world)


def _remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def _read_only_copies(zygote: Zygote, root: Path) -> list[str]:
    """Make the folder of copies read-only: photos are folded, copies come later."""
    world = World.new(root)
    place = world.roots[1]
    with mounted(place, "size=8m"):
        _remount(place, "ro")
        arguments = ("run", "--jobs", "1", "--config", world.config)
        daemon = zygote.start(*arguments, log=world.log)
        for index in range(PHOTOS):
            world.put(index)

        def folded() -> bool:
            counts = world.counts()
            return counts.get("folded", 0) + counts.get("pending", 0) == PHOTOS

        wrong = [] if daemon.until(folded) else ["not folded without copies"]
        _remount(place, "rw")
        if not daemon.until(lambda: is_done(world, PHOTOS)):
            wrong.append(
                f"no copies in the end: {world.counts()} {daemon.text()[-800:]}"
            )
        wrong += [f"exit code {code}"] if (code := daemon.stop()) else []
        return wrong + after_a_last_run(zygote, world)


def _read_only_state(zygote: Zygote, root: Path) -> list[str]:
    """Start on a state that cannot be written: refused, and nothing harmed."""
    world = World.new(root)
    with mounted(world.state, "size=32m,mode=700"):
        arguments = ("run", "--once", "--jobs", "1", "--config", world.config)
        for index in range(PHOTOS - 2):
            world.put(index)
        zygote.start(*arguments, log=world.log).wait()
        _remount(world.state, "ro")
        code = zygote.start(*arguments, log=world.log).wait()
        wrong = [] if code in {1, 4} else [f"exit code {code}"]
        _remount(world.state, "rw")
        for index in range(PHOTOS - 2, PHOTOS):
            world.put(index)
        zygote.start(*arguments, log=world.log).wait()
        return wrong + after_a_last_run(zygote, world)


def _turns_read_only(zygote: Zygote, root: Path, at: int) -> list[str]:
    """Fail all calls of a daemon on its state for a while, as a faulty disk does.

    Not mounted so: the kernel refuses while the ledger is open.
    """
    world = World.new(root)
    fault = Fault(Mode.EROFS, at, at + 12, (world.state,))
    arguments = ("run", "--jobs", "1", "--config", world.config)
    for index in range(PHOTOS):
        world.put(index)
    daemon = zygote.start(*arguments, log=world.log, fault=fault)
    wrong = _rests(daemon, world)
    if not daemon.until(lambda: is_done(world, PHOTOS)):
        wrong.append(f"not resumed: {world.counts()} {daemon.text()[-800:]}")
    wrong += [f"exit code {code}"] if (code := daemon.stop()) else []
    return wrong + after_a_last_run(zygote, world)


def all_of_them(zygote: Zygote, root: Path, table: Table, tries: int = 1) -> None:
    """Try each disk fault."""
    for number in range(tries):
        table.note("state's disk full", _full(zygote, root, "state"))
        # Also when SQLite's log is cut, as after any fault: that gives up to 4 MB back.
        too_little = disk_room.needed(*SIZE) // 4
        wrong = _full(zygote, root, "state", leave=too_little)
        table.note("no room for a pass", wrong)
        table.note("copies' disk full", _full(zygote, root, "copies"))
        table.note("no inodes for the state", _full(zygote, root, "state", inodes=True))
        table.note("copies' disk read-only", _read_only_copies(zygote, root))
        table.note("state's disk read-only", _read_only_state(zygote, root))
        wrong = _turns_read_only(zygote, root, 200 + 50 * number)
        table.note("state's disk turns read-only", wrong)

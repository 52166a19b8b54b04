"""The long form of the fault tests: every call, every file; prints the README's table.

Run ``python tests/faults/run.py [GROUP ...]``; without a name, all groups.  It needs gcc;
as root it mounts small file systems; HOTPIXELD_PHOTOS names the real photo sets.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults import crash, damage, decoder, disk, hostile, lab, passes, size, soak
from faults.crash import Table
from faults.hotpixel import Mode, Zygote

ALL = 10**9


class Run(NamedTuple):
    """Where to work, what to fill in, and how many of the calls to try of a kind."""

    root: Path
    table: Table
    most: int

    @property
    def world(self) -> Path:
        """Return where the daemon's world is."""
        return self.root / "w"


def kill(run: Run) -> None:
    """Kill at every call of a run."""
    modes = (Mode.KILL, Mode.TORN)
    with Zygote(run.root) as zygote:
        crash.at_every_call(zygote, run.world, run.table, modes, run.most)


def errors(run: Run) -> None:
    """Fail with EIO and ENOSPC at every call of a run."""
    modes = (Mode.EIO, Mode.ENOSPC)
    with Zygote(run.root) as zygote:
        crash.at_every_call(zygote, run.world, run.table, modes, run.most)


def moments(run: Run) -> None:
    """Kill a daemon at 200 random moments of a long life."""
    with Zygote(run.root) as zygote:
        crash.at_random_moments(zygote, run.world, run.table, 200)


def kill_daemon(run: Run) -> None:
    """Kill at every call of a daemon."""
    modes = (Mode.KILL, Mode.TORN)
    with Zygote(run.root) as zygote:
        crash.daemon_killed_at_every_call(zygote, run.world, run.table, modes, run.most)


def errors_daemon(run: Run) -> None:
    """Fail with EIO and ENOSPC at every call of a daemon."""
    modes = (Mode.EIO, Mode.ENOSPC)
    with Zygote(run.root) as zygote:
        crash.daemon_at_every_call(zygote, run.world, run.table, modes, run.most)


def kill_passes(run: Run) -> None:
    """Kill at every call of a daemon's passes; ten times in a row."""
    modes = (Mode.KILL, Mode.TORN)
    with Zygote(run.root) as zygote:
        passes.at_every_call(zygote, run.world, run.table, modes, run.most)
        passes.killed_again_and_again(zygote, run.world, run.table)


def errors_passes(run: Run) -> None:
    """Fail with EIO and ENOSPC at every call of a daemon's passes."""
    modes = (Mode.EIO, Mode.ENOSPC)
    with Zygote(run.root) as zygote:
        passes.at_every_call(zygote, run.world, run.table, modes, run.most)
        passes.spool_full(zygote, run.world, run.table)


def reads(run: Run) -> None:
    """Fail at every call that reads; change at each one what is read."""
    with Zygote(run.root) as zygote:
        passes.unreadable(zygote, run.world, run.table, run.most)
        passes.damaged_while_read(zygote, run.world, run.table, run.most)
        passes.changed_while_read(zygote, run.world, run.table, run.most)


def disks(run: Run) -> None:
    """Fill disks, take their inodes, make them read-only; damage checkpoints."""
    with Zygote(run.root) as zygote:
        if disk.can_mount():
            disk.all_of_them(zygote, run.world, run.table, tries=5)
        else:
            run.table.remarks.append("disks: needs root, to mount")
        damage.of_the_newest(zygote, run.world, run.table)
        damage.of_both(zygote, run.world, run.table)


def hostility(run: Run) -> None:
    """Plant bombs, pipes, evil names, and a photo that brings down the decoder."""
    lab.bombed(run.root / "bombs", run.table)
    decoder.both(run.root / "decoder", run.table)
    with Zygote(run.root) as zygote:
        hostile.planted(zygote, run.world, run.table)
        hostile.raced(zygote, run.root / "w2", run.table, 20.0)
        hostile.changing(zygote, run.world, run.table, 20.0)


def variety(run: Run) -> None:
    """Cut each real file at 50 places, and corrupt it in 200 ways."""
    if sets := os.environ.get("HOTPIXELD_PHOTOS"):
        lab.variety(Path(sets) / "variety", run.root / "lab", run.table, 50, 200)
    else:
        run.table.remarks.append("variety: needs HOTPIXELD_PHOTOS")


def life(run: Run) -> None:
    """Feed a daemon 20,000 photos."""
    with Zygote(run.root) as zygote:
        looks = soak.soak(zygote, run.world, run.table)
    for name, found in looks.figures().items():
        run.table.remarks.append(f"{name} of the soak: {found}")


def million(run: Run) -> None:
    """Measure with a ledger of a million photos."""
    found = size.of_a_million(run.root / "million", run.table)
    text = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in found.items())
    run.table.remarks.append(f"a million photos: {text}")


GROUPS = {
    one.__name__: one
    for one in (
        *(kill, errors, moments, kill_daemon, errors_daemon),
        *(kill_passes, errors_passes, reads),
        *(disks, hostility, variety, life, million),
    )
}


def main() -> int:
    """Run the groups; return 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--folder", type=Path, help="where to work; a RAM disk is fast")
    help_ = "not every call, but so many of them, evenly spread"
    parser.add_argument("--most", type=int, default=ALL, metavar="N", help=help_)
    options = parser.parse_args()
    table = Table()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):  # the table so far
        for name in options.groups or GROUPS:
            began = time.monotonic()
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                try:
                    GROUPS[name](Run(Path(folder), table, options.most))
                except (AssertionError, TimeoutError) as error:
                    table.note(name, [f"ended early: {error}"])
            seconds = time.monotonic() - began
            print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    print(table.markdown())
    print("\n".join(table.remarks))
    return int(any(table.losses.values()))


if __name__ == "__main__":
    sys.exit(main())

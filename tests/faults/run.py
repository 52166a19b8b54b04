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
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults import crash, damage, decoder, disk, hostile, size, soak
from faults.hotpixel import Mode, Zygote

if TYPE_CHECKING:
    from faults.crash import Table

Group = "Callable[[Path, Table, int], None]"


def kill(root: Path, table: Table, most: int) -> None:
    """Kill at every call of a run."""
    with Zygote(root) as zygote:
        crash.at_every_call(zygote, root / "w", table, (Mode.KILL, Mode.TORN), most)


def kill_daemon(root: Path, table: Table, most: int) -> None:
    """Kill at every call of a daemon, and at 200 random moments of a long life."""
    with Zygote(root) as zygote:
        crash.at_random_moments(zygote, root / "w", table, 200)
        modes = (Mode.KILL, Mode.TORN)
        crash.daemon_killed_at_every_call(zygote, root / "w", table, modes, most)


def errors(root: Path, table: Table, most: int) -> None:
    """Fail with EIO and ENOSPC at every call of a run."""
    with Zygote(root) as zygote:
        crash.at_every_call(zygote, root / "w", table, (Mode.EIO, Mode.ENOSPC), most)


def errors_daemon(root: Path, table: Table, most: int) -> None:
    """Fail with EIO and ENOSPC at every call of a daemon."""
    with Zygote(root) as zygote:
        modes = (Mode.EIO, Mode.ENOSPC)
        crash.daemon_at_every_call(zygote, root / "w", table, modes, most)


def disks(root: Path, table: Table, most: int) -> None:
    """Fill disks, take their inodes, make them read-only; damage checkpoints."""
    with Zygote(root) as zygote:
        if disk.can_mount():
            disk.all_of_them(zygote, root / "w", table, tries=5)
        else:
            table.told.append("disks: needs root, to mount")
        damage.of_the_newest(zygote, root / "w", table)
        damage.of_both(zygote, root / "w", table)


def files(root: Path, table: Table, most: int) -> None:
    """Read hostile files, and a photo that brings down the decoder."""
    hostile.bombed(root / "bombs", table)
    decoder.both(root / "decoder", table)
    with Zygote(root) as zygote:
        hostile.planted(zygote, root / "w", table)
        hostile.raced(zygote, root / "w2", table, 20.0)
        hostile.changing(zygote, root / "w", table, 20.0)
    if sets := os.environ.get("HOTPIXELD_PHOTOS"):
        hostile.variety(Path(sets) / "variety", root / "lab", table, 50, 200)
    else:
        table.told.append("variety: needs HOTPIXELD_PHOTOS")


def life(root: Path, table: Table, most: int) -> None:
    """Feed a daemon 20,000 photos; measure with a ledger of a million."""
    with Zygote(root) as zygote:
        looks = soak.soak(zygote, root / "w", table)
    memory = [f"{one >> 20}" for one in looks.memory[:: max(len(looks.memory) // 8, 1)]]
    table.told.append(f"memory of the soak, MiB: {' '.join(memory)}")
    found = size.of_a_million(root / "million", table)
    told = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in found.items())
    table.told.append(f"a million photos: {told}")


GROUPS = {
    one.__name__: one
    for one in (kill, kill_daemon, errors, errors_daemon, disks, files, life)
}


def main() -> int:
    """Run the groups; return 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--folder", type=Path, help="where to work; a RAM disk is fast")
    parser.add_argument(
        "--most", type=int, default=10**9, help="calls tried of a kind; all of them"
    )
    options = parser.parse_args()
    table = crash.Table()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):  # the table so far
        for name in options.groups or GROUPS:
            began = time.monotonic()
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                GROUPS[name](Path(folder), table, options.most)
            seconds = time.monotonic() - began
            print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    print(table.markdown())
    print("\n".join(table.told))
    return int(any(table.losses.values()))


if __name__ == "__main__":
    sys.exit(main())

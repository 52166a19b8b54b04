#!/usr/bin/env python3
"""Run cameras of many sizes under the kernel's limit of memory, and say what they took.

    python tests/bench/memory.py FOLDER [--sizes MP ...] [--daemon MP ...] [--cameras N]
        [--moved MP ...]

FOLDER holds photos of one camera, which are enlarged; as root, with control groups of either
version.  The program may not swap, and runs on photos that are in no cache, a few of them
progressive, with a pixel to repair in every one.  The cache of files counts within the limit,
but the kernel takes it back; a process is killed where that is not enough.

With --moved, defects are planted by the corrections of a kit zoom at eight focal lengths, and every
other photo is said to be of a millimetre more: 16 bins.  It needs `defects/plant_lens.py` beside
HOTPIXELD_PHOTOS, and scipy, which that needs.

`anon` is what belongs to no file, of all processes of the group, looked at every 20 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

import material

from control_group import Group
from hotpixeld.detection.lens_correction import NONE
from hotpixeld.store import state_folder
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 400_000_000
LOOK_SECONDS = 0.02
QUIET_SECONDS = 5.0
MOST_SECONDS = 1800.0
PHOTOS, PROGRESSIVE = 24, 3
MOVED = "moved by a lens correction, once"


@dataclass
class Measured:
    """What a run took.

    Attributes
    ----------
    anon, peak : int
        Bytes.
    kills : int
    cpu : float
        Seconds.
    status : int
        As it ended.
    """

    anon: int = 0
    peak: int = 0
    kills: int = 0
    cpu: float = 0.0
    status: int = -1
    done: threading.Event = field(default_factory=threading.Event)

    def watch(self, group: Group) -> None:
        """Look at the group until it is `done`."""
        while not self.done.wait(LOOK_SECONDS):
            self.anon = max(self.anon, group.anon())


@contextlib.contextmanager
def running(
    command: list[str], log: Path, measured: Measured, limit: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a group; after the block, wait for its end."""
    group = Group(limit)
    watcher = threading.Thread(target=measured.watch, args=(group,))
    try:
        with log.open("wb") as out:
            process = subprocess.Popen(group.command(command), stdout=out, stderr=out)
        watcher.start()
        yield process
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = measured.status = os.waitstatus_to_exitcode(status)
        measured.cpu = used.ru_utime + used.ru_stime
        measured.peak, measured.kills = group.peak(), group.kills()
    finally:
        measured.done.set()
        watcher.join()
        group.close()


def forget_cache(paths: list[Path]) -> None:
    """Have the kernel read files anew, for the group that reads them."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def program(root: Path, jobs: int | None, *more: str) -> list[str]:
    """Return the command, with a pixel to repair in every photo."""
    config = root / "config.json"
    pixels = [[200 + 300 * i, 100 + 200 * i] for i in range(8)]
    folder = {"path": str(root / "import"), "settle_seconds": 0.5}
    cameras = [{"make": None, "pixels": pixels}]
    config.write_text(json.dumps({"folders": [folder], "cameras": cameras}))
    command = [sys.executable, "-m", "hotpixeld", "run", "--config", str(config)]
    command += ["--state", str(root / "state"), *more]
    return [*command, "--jobs", str(jobs)] if jobs else command


def moved(photos: list[Path], root: Path) -> None:
    """Plant defects that a lens correction moves into photos, at 16 focal lengths."""
    place = Path(os.environ["HOTPIXELD_PHOTOS"]).parent / "defects" / "plant_lens.py"
    command = [sys.executable, place, *photos, "--out", root / "planted", "--seed", "3"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    sys.path.insert(0, str(place.parent))
    patch_focal = importlib.import_module("plant_lens").patch_focal
    told = json.loads((root / "planted" / "truth.json").read_text())
    for number, one in enumerate(told["photos"]):
        data = (root / "planted" / one["name"]).read_bytes()
        (root / "import" / one["name"]).write_bytes(
            patch_focal(data, one["focal"] + number % 2)
        )


def bins(root: Path) -> str:
    """Return how many bins are moved, of how many."""
    with contextlib.closing(Ledger(state_folder.ledger_file(root / "state"))) as ledger:
        (record,) = ledger.images.cameras()
        known = ledger.samples.suspects(record.camera.id).corrections
    count = sum(one != NONE for one in known.of.values())
    return f"{count} moved of {len(known.why)} bins"


def once(root: Path, photos: list[Path], jobs: int | None, limit: int) -> Measured:
    """Run on all photos, once."""
    forget_cache(photos)
    measured = Measured()
    with running(program(root, jobs, "--once"), root / "log", measured, limit):
        pass
    return measured


def copies(root: Path) -> int:
    """Return how many copies there are."""
    return sum(1 for _ in (root / "import" / "repaired").glob("c_*"))


def processor_time(pid: int) -> float:
    """Return the seconds that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quiet(pid: int) -> Callable[[], bool]:
    """Return what says whether a process did nothing for a while."""
    before = [0.0, time.monotonic()]

    def is_quiet() -> bool:
        now = time.monotonic()
        if (used := processor_time(pid)) > before[0] + 0.1:
            before[:] = used, now
        return now - before[1] > QUIET_SECONDS

    return is_quiet


def live(root: Path, photos: list[Path], jobs: int | None, limit: int) -> Measured:
    """Drop photos while the daemon runs: most of them at once, the last ones later."""
    measured, later = Measured(), len(photos) // 3
    made = root / "made"
    (root / "import").rename(made)
    (root / "import").mkdir()
    end = time.monotonic() + MOST_SECONDS
    with running(program(root, jobs), root / "log", measured, limit) as process:
        for part in (photos[:-later], photos[-later:]):
            for photo in part:
                shutil.copyfile(made / photo.name, root / "import" / photo.name)
            is_quiet = quiet(process.pid)
            while process.poll() is None and time.monotonic() < end and not is_quiet():
                time.sleep(LOOK_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    return measured


def outcomes(root: Path) -> str:
    """Return what became of the photos, and why some have no copy."""
    path = state_folder.ledger_file(root / "state")
    with contextlib.closing(sqlite3.connect(path)) as ledger:
        images = dict(
            ledger.execute("SELECT outcome, count(*) FROM images GROUP BY outcome")
        )
        reasons = Counter(
            reason
            for query in (
                "SELECT reason FROM paths WHERE reason != ''",
                "SELECT notes FROM copies WHERE condition = 'refused'",
            )
            for (reason,) in ledger.execute(query)
        )
        (generations,) = ledger.execute("SELECT count(*) FROM cameras").fetchone()
    parts = [f"{count} {name}" for name, count in images.items()]
    parts += [f"{generations} cameras", f"{copies(root)} copies"]
    parts += [f"{count} refused: {reason}" for reason, count in reasons.items()]
    return ", ".join(parts)


def report(name: str, root: Path, photos: int, measured: Measured) -> None:
    """Print what a run took."""
    end = "finished" if measured.status == 0 else f"ended with {measured.status}"
    if measured.kills:
        end = f"KILLED {measured.kills} times"
    print(
        f"{name}: {photos} photos, {end}; memory.peak {measured.peak / 1e6:.0f} MB,"
        f" anon {measured.anon / 1e6:.0f} MB, CPU {measured.cpu / photos:.2f} s a photo;"
        f" {outcomes(root)}",
        flush=True,
    )
    if measured.status:
        print((root / "log").read_text()[-2000:], flush=True)


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", type=float, nargs="*", default=[12, 24, 45, 100])
    parser.add_argument("--daemon", type=float, nargs="*", default=[12, 45, 100])
    parser.add_argument("--moved", type=float, nargs="*", default=[])
    parser.add_argument("--cameras", type=int, default=20, help="of 12 MP; 0 for none")
    parser.add_argument("--each", type=int, default=16, help="photos of each of those")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--photos", type=int, default=PHOTOS)
    parser.add_argument("--limit", type=int, default=LIMIT, help="in bytes")
    options = parser.parse_args()
    cases = [(f"{size:g} MP, once", size, 1, once) for size in options.sizes]
    cases += [(f"{size:g} MP, daemon", size, 1, live) for size in options.daemon]
    cases += [(f"{size:g} MP, {MOVED}", size, 1, once) for size in options.moved]
    if options.cameras:
        name = f"12 MP, {options.cameras} cameras in turn, once"
        cases.append((name, 12.0, options.cameras, once))
    for name, megapixels, cameras, run in cases:
        count = options.photos if cameras == 1 else cameras * options.each
        with tempfile.TemporaryDirectory(prefix="hotpixeld-bench-") as temporary:
            root = Path(temporary)
            photos = material.enlarged(
                options.folder,
                root / "import",
                count,
                megapixels,
                progressive=0 if MOVED in name else PROGRESSIVE * max(cameras // 4, 1),
                cameras=cameras,
            )
            if MOVED in name:
                moved(photos, root)
            measured = run(root, photos, options.jobs, options.limit)
            report(name, root, count, measured)
            if MOVED in name:
                print(bins(root), flush=True)


if __name__ == "__main__":
    main()

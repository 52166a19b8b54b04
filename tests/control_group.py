"""A control group with a limit of memory: what a container or a unit has as MemoryMax.

Not a test.  It needs root, and control groups of either version that have memory.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sensor import START, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path("/sys/fs/cgroup")
SMALL = 512 << 20
"""The memory of a small machine, in bytes."""


class Group:
    """A control group with a limit of memory, of version 2 where it has that, else 1."""

    def __init__(self, limit: int) -> None:
        self._is_new = "memory" in self._controllers()
        root = ROOT if self._is_new else ROOT / "memory"
        self.folder = root / f"hotpixeld-test-{os.getpid()}"
        self.folder.mkdir()
        if self._is_new:
            self._set("memory.swap.max", 0)
            self._set("memory.max", limit)
        else:
            self._set("memory.limit_in_bytes", limit)
            self._set("memory.memsw.limit_in_bytes", limit)

    @staticmethod
    def _controllers() -> list[str]:
        try:
            return (ROOT / "cgroup.subtree_control").read_text().split()
        except FileNotFoundError:
            return []

    def _set(self, name: str, value: int) -> None:
        (self.folder / name).write_text(str(value))

    def _table(self, name: str) -> dict[str, int]:
        lines = (self.folder / name).read_text().splitlines()
        return {line.split()[0]: int(line.split()[1]) for line in lines}

    def anon(self) -> int:
        """Return the bytes that belong to no file."""
        return self._table("memory.stat")["anon" if self._is_new else "total_rss"]

    def peak(self) -> int:
        """Return the most bytes so far, with the cache of files."""
        name = "memory.peak" if self._is_new else "memory.max_usage_in_bytes"
        return int((self.folder / name).read_text())

    def kills(self) -> int:
        """Return how many processes were killed for want of memory."""
        name = "memory.events" if self._is_new else "memory.oom_control"
        return self._table(name)["oom_kill"]

    def command(self, command: list[str]) -> list[str]:
        """Return a command that runs in the group."""
        enter = f'echo $$ >{self.folder}/cgroup.procs && exec "$@"'
        return ["/bin/sh", "-c", enter, "sh", *command]

    def close(self) -> None:
        """Remove the group; its processes have ended."""
        self.folder.rmdir()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: `kills` for want of memory, `peak` in bytes."""

    status: int
    kills: int
    peak: int
    output: str


def on_a_small_machine(
    command: list[str], limit: int = SMALL, variables: Mapping[str, str] | None = None
) -> Outcome:
    """Run a command to its end with so many bytes of memory and one processor.

    Raises
    ------
    OSError
        There are no control groups here, or they are not ours to make.
    """
    group = Group(limit)
    try:
        one = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]
        done = subprocess.run(
            group.command([*one, *command]),
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(variables or {})},
        )
        return Outcome(done.returncode, group.kills(), group.peak(), done.stdout)
    finally:
        group.close()


def write_large_photos(folder: Path, count: int) -> tuple[int, int]:
    """Write photos of 12 megapixels, each another slope of light; return a hot pixel's x, y."""
    height, width = 3000, 4000
    row, col = 1201, 1701
    slope = np.linspace(20, 90, width).astype(np.uint8)
    noise = np.random.default_rng(1).integers(0, 6, (height, width, 3), dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        frame = np.roll(slope, index * 170)[None, :, None] + noise
        frame[row - 1 : row + 2, col - 1 : col + 2] += 40
        frame[row, col] += 80
        write_jpeg(
            folder / f"IMG_{index:04d}.JPG", frame, START + dt.timedelta(days=index)
        )
    return col, row

#!/usr/bin/env python3
"""Measure what the idle daemon costs: processor time, wake-ups and writes in a minute.

    python tests/bench/idle.py [--files N] [--seconds N]

The files are small photos that it has folded before; the walks that fall into the
time belong to it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import material

QUIET_SECONDS = 5.0
MOST_SECONDS = 1800.0


def counters(pid: int) -> dict[str, float]:
    """Return processor seconds, voluntary switches of all threads, bytes and calls."""
    process = Path("/proc") / str(pid)
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    found = {"cpu": ticks / os.sysconf("SC_CLK_TCK"), "wake-ups": 0.0}
    for status in process.glob("task/*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                found["wake-ups"] += int(line.split()[1])
    for line in (process / "io").read_text().splitlines():
        name, _, value = line.partition(": ")
        if name in {"write_bytes", "syscw"}:
            found[name] = int(value)
    return found


def wait_until_quiet(pid: int) -> None:
    """Wait until the daemon has read all there is: no processor time for a while."""
    end = time.monotonic() + MOST_SECONDS
    before = -1.0
    while (now := counters(pid)["cpu"]) - before > 0.03:
        if time.monotonic() > end:
            raise SystemExit(f"the daemon is still busy after {MOST_SECONDS} s")
        before = now
        time.sleep(QUIET_SECONDS)


def idle(root: Path, files: int, seconds: float) -> dict[str, float]:
    """Return what the daemon took in `seconds` of idleness."""
    watched, state = root / "import", root / "state"
    material.tiny(watched, files)
    command = [sys.executable, "-m", "hotpixeld", "run", str(watched)]
    command += ["--state", str(state)]
    nowhere = subprocess.DEVNULL
    subprocess.run([*command, "--once"], check=True, stdout=nowhere, stderr=nowhere)
    with subprocess.Popen(command, stdout=nowhere, stderr=nowhere) as process:
        try:
            wait_until_quiet(process.pid)
            before = counters(process.pid)
            time.sleep(seconds)
            after = counters(process.pid)
        finally:
            process.terminate()
    return {name: after[name] - before[name] for name in before}


def main() -> None:
    """Print the counters."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hotpixeld-bench-") as temporary:
        took = idle(Path(temporary), arguments.files, arguments.seconds)
    print(
        f"{arguments.files} files watched, {arguments.seconds:.0f} s:"
        f" {took['cpu'] / arguments.seconds:.2%} of a core,"
        f" {took['wake-ups']:.0f} wake-ups, {took['syscw']:.0f} write calls,"
        f" {took['write_bytes']:.0f} bytes to disk"
    )


if __name__ == "__main__":
    main()

"""Goldens: what fixed photos gave, recorded once and compared ever after.

    python tests/goldens/goldens.py compare [--photos] [--faults] [CASE ...]
    python tests/goldens/goldens.py record  [--photos] [--faults] [CASE ...]

Generated photos take seconds; with ``--photos`` the real sets below HOTPIXELD_PHOTOS,
and with ``--faults`` the table of injected faults, are recorded or compared as well.
A comparison prints what differs and exits with 1.  Record anew only what is meant to
change, and say why in the commit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from goldens.cases import GENERATED, Case, of_sets
from goldens.runs import Items, RunError, observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent

Goldens = dict[str, Items]
"""What each case gave."""

FAULTS = ("kill", "errors", "kill_daemon", "errors_daemon")
"""The groups of `faults/run.py` that make as many tries each time, and take seconds."""
MOST = 3
SHOWN = 25
"""At most so many differences of a case are printed."""


def made_with() -> Items:
    """Return what floats and JPEGs may depend on besides the program."""
    libraries = {name: version(name) for name in ("numpy", "Pillow")}
    return {"python": platform.python_version(), "machine": platform.machine(),
            **libraries}  # fmt: skip


def kept(file: Path) -> tuple[Goldens, Items]:
    """Return the goldens in a file, and what they were made with."""
    found = json.loads(file.read_text())
    return found["cases"], found["made with"]


def keep(file: Path, new: Goldens) -> None:
    """Write goldens over those of the same cases in a file."""
    old = kept(file)[0] if file.exists() else {}
    found = {"made with": made_with(), "cases": {**old, **new}}
    file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def differences(expected: Items, found: Items) -> list[str]:
    """Return in a line each what is not as it was; nothing when all is.

    Of other photos nothing else is shown: their results say nothing of the program.
    """
    lines = []
    for item in sorted(expected.keys() | found.keys()):
        was, now = expected.get(item, "nothing"), found.get(item, "nothing")
        if was != now:
            lines.append(f"{item}: expected {was}, found {now}")
    photos = [line for line in lines if line.startswith("photo ")]
    return ["photos differ: cannot compare", *photos] if photos else lines


def faults() -> Items:
    """Run the short form of the fault tests; return tries and losses by fault."""
    script = HERE.parent / "faults" / "run.py"
    command = [sys.executable, str(script), *FAULTS, "--most", str(MOST)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()]
    items = {row[0]: f"{row[1]} tries, {row[2]} losses"
             for row in rows[2:] if len(row) == 3}  # fmt: skip
    return {**items, "exit code": str(done.returncode)}


def _ways(case: Case) -> Iterator[tuple[str, Callable[[], Items]]]:
    """Yield the ways to run a case, each with its name; all must give the same."""

    def run(jobs: int) -> Items:
        with tempfile.TemporaryDirectory() as folder:
            return observed(case, Path(folder), jobs)

    for jobs in case.jobs:
        yield f"--jobs {jobs}", partial(run, jobs)


def compared(case: Case, expected: Items) -> list[str]:
    """Return what a case gives otherwise than expected, in each of its ways."""
    lines = []
    for way, run in _ways(case):
        try:
            found = differences(expected, run())
        except RunError as error:
            found = [str(error)]
        lines += [f"{way}: {line}" for line in found]
    return lines


def recorded(case: Case) -> Items:
    """Return what a case gives.

    Raises
    ------
    RunError
        A command failed, or two ways to run the case do not give the same.
    """
    (_, first), *others = _ways(case)
    items = first()
    for way, run in others:
        if lines := differences(items, run()):
            raise RunError("\n".join([f"{way} gives something else:", *lines]))
    return items


def _report(name: str, lines: list[str]) -> bool:
    """Print how a case compares; return whether it is as it was."""
    print(f"{name}: {f'{len(lines)} differences' if lines else 'equal'}", flush=True)
    for line in lines[:SHOWN]:
        print(f"  {line}")
    if len(lines) > SHOWN:
        print(f"  and {len(lines) - SHOWN} more")
    return not lines


def _compare(file: Path, cases: dict[str, Case]) -> bool:
    """Compare cases with the goldens in a file; return whether all are as they were."""
    expected, recorded_with = kept(file)
    equal = True
    for name, case in cases.items():
        equal &= _report(name, compared(case, expected.get(name, {})))
    if not equal and recorded_with != made_with():
        print(f"recorded with {recorded_with}, compared with {made_with()}")
    return equal


def _record(file: Path, cases: dict[str, Case]) -> bool:
    """Record cases into a file."""
    for name, case in cases.items():
        keep(file, {name: recorded(case)})
        print(f"{name}: recorded", flush=True)
    return True


def _faults(*, compare: bool) -> bool:
    """Compare or record the table of faults; return whether it is as it was."""
    file = HERE / "faults.json"
    if compare:
        return _report("faults", differences(kept(file)[0]["faults"], faults()))
    keep(file, {"faults": faults()})
    return True


def _groups(options: argparse.Namespace) -> dict[str, dict[str, Case]]:
    """Return the cases that are asked for, by the file that keeps their goldens."""
    groups = {"generated": GENERATED}
    if options.photos:
        if not (sets := os.environ.get("HOTPIXELD_PHOTOS")):
            raise SystemExit("HOTPIXELD_PHOTOS names no folder of real photo sets")
        groups["photos"] = of_sets(Path(sets))
    known = {name for cases in groups.values() for name in cases}
    if unknown := set(options.cases) - known:
        raise SystemExit(f"no such case: {', '.join(unknown)}; known: {sorted(known)}")
    return {
        group: {name: cases[name] for name in options.cases or cases if name in cases}
        for group, cases in groups.items()
    }


def main() -> int:
    """Record or compare; return 1 if anything is not as it was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["record", "compare"])
    parser.add_argument(
        "cases", nargs="*", metavar="CASE", help="all, if none is named"
    )
    parser.add_argument("--photos", action="store_true", help="the real sets as well")
    parser.add_argument("--faults", action="store_true", help="the faults as well")
    options = parser.parse_intermixed_args()
    act = _compare if options.what == "compare" else _record
    results = [
        act(HERE / f"{group}.json", cases) for group, cases in _groups(options).items()
    ]
    if options.faults:
        results.append(_faults(compare=options.what == "compare"))
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())

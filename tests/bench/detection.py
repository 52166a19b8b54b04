"""Detection measured: plant defects into real photos, find them, print one table.

    detection.py FOLDER... [--photos N ...] [--least N] [--count N]

Needs HOTPIXELD_PHOTOS, beside which `defects/plant.py` lies. Every FOLDER is a set of
photos of one camera; `truth.json` in it lists what the camera really has, which counts
neither way. Recall and precision are for three ways: the verdicts from evidence, the
original method (as many of the lowest variance as were planted), and the plain
threshold (14 times the local scale of the mean's contrast). "limit" is the share that a
verdict confirms when it is given the place: what the suspects could reach at best. What the
verdicts list in a set as it is may be real defects that its truth.json does not know: the
first lines count them as false alarms, the planted runs neither way.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hotpixeld.detection import evidence, lives, suspects, verdict
from hotpixeld.detection.evidence import EvidenceTable, SampledPhoto
from hotpixeld.statistics import peaks
from hotpixeld.statistics.contrast import LUMA

sys.path.insert(0, str(Path(__file__).parents[1]))

import whole_frames
from whole_frames import State

if TYPE_CHECKING:
    from hotpixeld.detection.dates import Life

BINS = (3, 6, 10, 30, 1000)
LEVELS = {
    "hot 3-6": (3.5, 7.0),
    "hot 6-10": (6.5, 11.0),
    "hot 10-30": (10.0, 32.0),
    "hot 30-": (32.0, 100.0),
    "stuck, dead": (6.0, 40.0),
}
"""Levels of plantings that fill a row of the table; stuck and dead ones are in all."""
METHODS = ("evidence", "limit", "variance", "plain")
PLAIN = 14.0
Sites = Sequence[tuple[int, int]]


@dataclass(slots=True)
class Tally:
    """Counts over all runs, by bin of visible peak and by method."""

    planted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    found: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    false: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    hits: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    onsets: list[int] = field(default_factory=list)
    late: int = 0
    runs: int = 0


def interval(successes: int, trials: int) -> str:
    """Return a share with its 95 % interval (Wilson)."""
    if not trials:
        return "-"
    share, z = successes / trials, 1.96
    middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials)
    half *= (share * (1 - share) / trials + z**2 / (4 * trials**2)) ** 0.5
    low, high = max(middle - half, 0), min(middle + half, 1)
    return f"{share:.2f} ({low:.2f}-{high:.2f})"


def photos_of(folder: Path) -> list[Path]:
    """Return the JPEGs of a folder by name."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"}
    )


def decoded(path: Path) -> tuple[np.ndarray, float, float]:
    """Return a photo's frame, exposure (seconds times ISO) and focal length; 0: unknown."""
    with Image.open(path) as image:
        exif = image.getexif().get_ifd(0x8769)
        seconds, iso = exif.get(0x829A), exif.get(0x8827)
        focal = float(exif.get(0x920A) or 0)
        frame = np.asarray(image.convert("RGB"))
    if seconds is None or not isinstance(iso, int):
        return frame, 0.0, focal
    return frame, float(seconds) * iso, focal


def plain_threshold(state: State) -> np.ndarray:
    """Return the sites of the plain threshold on the contrast of the mean image."""
    luma = state.mean @ LUMA
    height, width = luma.shape
    padded = np.pad(luma, 2, mode="reflect")
    residual = np.empty_like(luma)
    for start in range(0, height, 64):
        rows = min(64, height - start)
        shifts = [
            padded[start + down : start + down + rows, right : right + width]
            for down in range(5)
            for right in range(5)
        ]
        residual[start : start + rows] = np.median(np.stack(shifts), axis=0)
    residual = luma - residual
    cells = np.abs(residual[: height // 32 * 32, : width // 32 * 32])
    scale = cells.reshape(height // 32, 32, width // 32, 32).mean(axis=(1, 3))
    scale = np.pad(scale, ((0, 1), (0, 1)), mode="edge").repeat(32, 0).repeat(32, 1)
    ratio = np.abs(residual) / (scale[:height, :width] + 0.05)
    sites = np.argwhere(ratio > PLAIN)
    order = np.argsort(-ratio[tuple(sites.T)])
    return peaks.apart(sites[order])


def near(sites: np.ndarray, row: int, col: int, reach: int) -> bool:
    """Return whether one of the (N, 2) sites lies within `reach` of a place."""
    return bool(
        len(sites)
        and (np.abs(np.asarray(sites) - (row, col)).max(axis=1) <= reach).any()
    )


def kind_bin(defect: dict[str, object]) -> str | None:
    """Return the row of the table that a planted defect belongs to."""
    peak = abs(float(str(defect["visible"])))
    if defect["kind"] != "hot":
        return "stuck, dead" if peak >= BINS[0] else None
    for low, high in itertools.pairwise(BINS):
        if low <= peak < high:
            return f"hot {low}-{high}" if high < BINS[-1] else f"hot {low}-"
    return None


def evidence_table(
    sites: np.ndarray, frames: Sequence[np.ndarray], taken: Sequence[Sequence[float]]
) -> EvidenceTable:
    """Return what frames show at sites, and how they were taken; see `decoded`."""
    height, width, _ = frames[0].shape
    asked = np.concatenate([sites, evidence.controls(height, width)])
    samples = np.stack([whole_frames.sample(frame, asked) for frame in frames])
    at_sites, controls = np.split(samples, [len(sites)], axis=1)
    # What an exposure is made of does not matter.
    photos = [
        SampledPhoto(number, None, exposure, 1, focal, None, "", 1, samples[number])
        for number, (exposure, focal) in enumerate(taken)
    ]
    return EvidenceTable(sites, at_sites, controls, photos)


def measure(folder: Path, tally: Tally, unsure: Sites = ()) -> list[tuple[int, int]]:
    """Find the defects of a set in every way, count, and return those of the verdicts."""
    truth = json.loads((folder / "truth.json").read_text())
    planted = [one for one in truth["defects"] if one.get("certain", True)]
    height, width = truth["height"], truth["width"]
    state = State.empty(height, width, traced=True)
    frames, taken = [], []
    for path in photos_of(folder):
        frame, *how = decoded(path)
        state.fold(frame)
        frames.append(frame)
        taken.append(how)
    places = np.array([(one["y"], one["x"]) for one in planted], np.intp).reshape(-1, 2)
    if state.trace is None:
        raise AssertionError("the state keeps no trace")
    sites = suspects.nominated(state, state.trace)
    everything = np.concatenate([places, sites])
    table = evidence_table(everything, frames, taken)
    verdicts = verdict.judge(
        table.suspects, table.controls, height * width, table.conditions
    )
    # A bar that a camera writes over the picture shows no defect: no credit in it.
    seen = np.append(suspects.are_seen(state, places), np.ones(len(sites), np.bool_))
    proven = [site for site in lives.proven(state, table, verdicts) if seen[site]]
    listed = np.zeros(len(everything), np.bool_)
    listed[proven] = True
    asked = lives.ask(
        table, verdicts, [one for one in proven if one >= len(places)], {}
    )
    told = dict(zip(asked.sites, asked.told.lives, strict=True))
    found = {
        "evidence": sites[listed[len(places) :]],
        "limit": places[listed[: len(places)]],
        "variance": np.array(
            [
                (d.row, d.col)
                for d in suspects.lowest_variance(state, max(len(planted), 10))
            ]
        ),
        "plain": plain_threshold(state),
    }
    more = [{"x": col, "y": row, "certain": False} for row, col in unsure]
    count(truth["defects"] + more, found, tally)
    count_onsets(planted, everything, told, tally)
    return [(int(row), int(col)) for row, col in found["evidence"]]


def count(
    truth: list[dict[str, object]], found: dict[str, np.ndarray], tally: Tally
) -> None:
    """Count hits and false alarms of every method."""
    tally.runs += 1
    rows = [int(str(one["y"])) for one in truth]
    cols = [int(str(one["x"])) for one in truth]
    known = np.stack([rows, cols], axis=1) if truth else np.empty((0, 2))
    for one, row, col in zip(truth, rows, cols, strict=True):
        name = kind_bin(one) if one.get("certain", True) else None
        if name is None:
            continue
        tally.planted[name] += 1
        for method, sites in found.items():
            hit = near(sites, row, col, 2)
            tally.found[name, method] += hit
            tally.hits[method] += hit
    for method, sites in found.items():
        tally.false[method] += sum(
            not near(known, int(row), int(col), 4) for row, col in sites
        )


def count_onsets(
    planted: list[dict[str, object]],
    sites: np.ndarray,
    told: dict[int, Life],
    tally: Tally,
) -> None:
    """Count by how many photos each found onset of a visible peak of 10 is off.

    `sites` are the planted places, then the suspects; `told` are the lives of those found.
    """
    for one in planted:
        onset = int(str(one["onset"]))
        distance = np.abs(sites[len(planted) :] - (one["y"], one["x"])).max(axis=1)
        nearest = int(distance.argmin())
        site = len(planted) + nearest
        strong = abs(float(str(one["visible"]))) >= BINS[2]
        if not (onset and strong and distance[nearest] <= 2 and site in told):
            continue
        tally.late += 1
        life = told[site]
        if life.after is not None:
            tally.onsets.append(life.first - onset)


def show(tally: Tally, title: str) -> None:
    """Print the table of one column of the measurement."""
    print(f"\n{title}: {tally.runs} runs")
    print(f"{'':14}{'n':>5}  " + "  ".join(f"{name:18}" for name in METHODS))
    for name in LEVELS:
        number = tally.planted.get(name, 0)
        cells = [interval(tally.found[name, method], number) for method in METHODS]
        print(f"{name:14}{number:5}  " + "  ".join(f"{cell:18}" for cell in cells))
    cells = [
        ""
        if method == "limit"
        else interval(tally.hits[method], tally.hits[method] + tally.false[method])
        for method in METHODS
    ]
    print(f"{'precision':19}  " + "  ".join(f"{cell:18}" for cell in cells))
    cells = ["" if one == "limit" else str(tally.false[one]) for one in METHODS]
    print(f"{'false alarms':19}  " + "  ".join(f"{cell:18}" for cell in cells))
    if tally.late:
        off = np.abs(tally.onsets)
        print(
            f"onsets: {interval(int((off <= 2).sum()), tally.late)} within 2 photos,"
            f" of {tally.late} found"
        )


def real_sets(folders: list[Path]) -> dict[Path, Sites]:
    """Print what is found in the sets as they are, and return what the verdicts list."""
    listed: dict[Path, Sites] = {}
    for folder in folders:
        if not (folder / "truth.json").exists():
            continue
        truth = json.loads((folder / "truth.json").read_text())
        sure = [
            dict(d, visible=99.0, onset=0)
            for d in truth["defects"]
            if d.get("certain", True)
        ]
        tally = Tally()
        with tempfile.TemporaryDirectory() as name:
            for path in photos_of(folder):
                (Path(name) / path.name).symlink_to(path.resolve())
            rest = [d for d in truth["defects"] if not d.get("certain", True)]
            listing = dict(truth, defects=sure + rest)
            (Path(name) / "truth.json").write_text(json.dumps(listing))
            listed[folder] = measure(Path(name), tally)
        print(
            f"{folder.name:20}"
            + "  ".join(
                f"{method} {tally.hits[method]} of {len(sure)}, false {tally.false[method]}"
                for method in METHODS
                if method != "limit"
            )
        )
    return listed


def plant(photos: list[Path], out: Path, arguments: list[str]) -> None:
    """Plant defects into `photos` with plant.py."""
    script = Path(os.environ["HOTPIXELD_PHOTOS"]).parent / "defects" / "plant.py"
    subprocess.run(
        [sys.executable, script, *photos, "--out", out, *arguments], check=True
    )


def neediest(tally: Tally) -> tuple[float, float]:
    """Return the levels to plant next: those of the bin that has the fewest."""
    counts = {levels: tally.planted.get(name, 0) for name, levels in LEVELS.items()}
    return min(counts, key=lambda levels: counts[levels])


def column(
    folders: list[Path], number: int, least: int, own: dict[Path, Sites], count: int
) -> Tally:
    """Plant into `number` photos of each set in turn until all bins hold `least`."""
    tally = Tally()
    seed = 0
    while not all(tally.planted.get(name, 0) >= least for name in LEVELS):
        seed += 1
        low, high = neediest(tally)
        for folder in folders:
            photos = photos_of(folder)
            if len(photos) < min(number, 20):
                continue
            rng = np.random.default_rng((seed, number))
            size = min(number, len(photos))
            chosen = sorted(rng.choice(len(photos), size, replace=False))
            arguments = ["--seed", str(seed), "--levels", str(low), str(high)]
            arguments += ["--onset", str(size // 3), "--count", str(count)]
            with tempfile.TemporaryDirectory() as name:
                plant([photos[i] for i in chosen], Path(name), arguments)
                measure(Path(name), tally, own.get(folder, ()))
    return tally


def main() -> int:
    """Run the measurement that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--photos", type=int, nargs="+", default=[24])
    parser.add_argument("--least", type=int, default=20, help="defects in each bin")
    parser.add_argument("--count", type=int, default=24, help="defects planted at once")
    options = parser.parse_args()
    if "HOTPIXELD_PHOTOS" not in os.environ:
        print("HOTPIXELD_PHOTOS names no folder of camera photos: nothing to measure")
        return 1
    own = real_sets(options.folders)
    for number in options.photos:
        tally = column(options.folders, number, options.least, own, options.count)
        show(tally, f"{number} photos")
    return 0


if __name__ == "__main__":
    sys.exit(main())

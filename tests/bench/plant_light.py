#!/usr/bin/env python3
"""Dates measured on real photos: plant defects by the law of light, hold what is told.

    plant_light.py FOLDER... [--photos N] [--count N] [--runs N] [--light own|drawn|both]

Needs HOTPIXELD_PHOTOS, beside which `defects/plant.py` lies: its places, footprints, tints
and encoding are used. Every FOLDER is a set of photos of one camera. Each set is first
learned from as it is: whatever it tells of a beginning, an end or a focal range is counted.
Then defects are planted whose strength follows each photo's exposure and ISO, its own or
drawn ones, which come in series and are written into its EXIF, and a gain that each series
has. Half of the defects begin at a photo, at most two at the same, every other one where a
series begins. All goes through `hotpixeld run --once` and `map --format json`.

A photo tells of a defect where the photo with it and the photo without it differ visibly
(`law.tells`). Onsets are counted of those listed that show 10 levels on average and have 4
telling photos on both sides; one that is undated is not within 2 telling photos.
"""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

sys.path.insert(0, str(Path(__file__).parents[1]))

from law import WHITE, Law, off, tells

import whole_frames
from detection import interval, photos_of
from hotpixeld.photo import metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Json = dict[str, Any]

LEVELS = (12.0, 90.0)
"""Levels over mid grey that a hot defect adds in the light of its law."""
GREY = 110.0
EXACT = 2
STRONG = 10.0
FAIR = 4
NEAR = 2
TOGETHER = 2
"""Defects that begin at the same photo at most: three are conditions."""
SERIES = (3, 9)
"""Photos of a series, from and up to."""
DRAWN = (
    ((1 / 2000, 1 / 60), (100, 200, 400)),
    ((1 / 60, 1 / 4), (400, 800, 1600)),
    ((1 / 4, 2), (800, 1600, 3200)),
)
"""Seconds and ISO that series are drawn from."""
GAIN = 0.4
"""Standard deviation of the logarithm of a series' gain."""
EXPOSURE, ISO, EXIF = 0x829A, 0x8827, 0x8769


class Steady:
    """In place of plant.py's random numbers: its hot defects keep their level."""

    def uniform(self, *_: float) -> float:
        """Return 1."""
        return 1.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A photo to plant into: when and in what light it was taken, and its series."""

    path: Path
    when: dt.datetime
    seconds: float
    iso: int
    gain: float
    series: int

    @property
    def light(self) -> float:
        """Return seconds times ISO."""
        return self.seconds * self.iso


@dataclass(slots=True)
class Defect:
    """A planted defect: what plant.py chose, its law, and where it tells.

    Attributes
    ----------
    chosen : dict
        x, y, kind, level, footprint, tint and onset, as plant.py has them.
    law : Law or None
        None for stuck and dead ones.
    telling : list of bool
        For each photo, whether it would be visible in it.
    """

    chosen: Json
    law: Law | None
    telling: list[bool] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)

    def at(self, taken: Taken, frame: NDArray[np.uint8]) -> Json:
        """Return it as it is in one photo."""
        if self.law is None:
            return self.chosen
        row, col = self.chosen["y"], self.chosen["x"]
        around = frame[max(row - 3, 0) : row + 4, max(col - 3, 0) : col + 4]
        level = float((around @ np.array([0.299, 0.587, 0.114])).mean())
        amplitude = self.law.amplitude(min(level, WHITE), taken.light, taken.gain)
        return {**self.chosen, "level": amplitude}

    def is_fair(self) -> bool:
        """Return whether its beginning can be told: enough shows, on both sides."""
        onset = self.chosen["onset"]
        before, behind = self.telling[:onset], self.telling[onset:]
        if min(sum(before), sum(behind)) < FAIR:
            return False
        shown = [
            peak for peak, tell in zip(self.peaks, self.telling, strict=True) if tell
        ]
        return float(np.mean(shown)) >= STRONG


@dataclass(slots=True)
class Tally:
    """What was told in all runs.

    Attributes
    ----------
    offs : list of int or None
        Telling photos by which the beginning of each fair defect is off; None: undated.
    others : list of int
        The same of beginnings that were told of all others.
    always, invented : int
        Listed defects that were always there, and those with a beginning; `ends` and
        `focal` are counted of all listed ones.
    shown, found : int
        Planted defects that tell in `FAIR` photos, and those of them that are listed.
    """

    offs: list[int | None] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    always: int = 0
    invented: int = 0
    listed: int = 0
    ends: int = 0
    focal: int = 0
    shown: int = 0
    found: int = 0

    def show(self, title: str) -> None:
        """Print it."""
        close = sum(one is not None and abs(one) <= EXACT for one in self.offs)
        undated = sum(one is None for one in self.offs)
        others = sum(abs(one) <= EXACT for one in self.others)
        print(f"\n{title}")
        print(f"  listed of those shown in {FAIR} photos: {self.found} of {self.shown}")
        print(
            f"  onsets within {EXACT} telling photos: {interval(close, len(self.offs))}"
            f" of {len(self.offs)}, undated {undated},"
            f" off {sorted(one for one in self.offs if one and abs(one) > EXACT)}"
        )
        print(f"  of weaker or rarer ones: {others} of {len(self.others)} dates")
        print(
            f"  invented: {self.invented} beginnings of {self.always} always there;"
            f" {self.ends} ends, {self.focal} focal ranges of {self.listed} listed"
        )


@functools.cache
def planter() -> Any:
    """Return plant.py as a module."""
    script = Path(os.environ["HOTPIXELD_PHOTOS"]).parent / "defects" / "plant.py"
    spec = importlib.util.spec_from_file_location("plant", script)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{script} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(folder: Path) -> list[Json]:
    """Return what the program lists after learning from a folder."""
    command: list[str | Path] = [sys.executable, "-m", "hotpixeld"]
    with tempfile.TemporaryDirectory() as name:
        config, state = Path(name) / "config.yaml", Path(name) / "state"
        config.write_text(
            f"folders: [{{path: {folder.resolve()}, edited: fold}}]\n"
            "repair: {pixels: configured}\n"
        )
        options: list[str | Path] = ["--config", config, "--state", state]
        run = [*command, "run", "--once", "--jobs", "1", *options]
        subprocess.run(run, check=True, capture_output=True)
        found = subprocess.run(
            [*command, "map", "--format", "json", *options],
            check=True,
            capture_output=True,
        )
    cameras = json.loads(found.stdout)["cameras"]
    if len(cameras) != 1:
        raise AssertionError(f"{folder}: {len(cameras)} cameras")
    pixels: list[Json] = cameras[0]["pixels"]
    return pixels


def as_they_are(folder: Path) -> None:
    """Print what is told of a set of real photos."""
    with tempfile.TemporaryDirectory() as name:
        for path in photos_of(folder):
            (Path(name) / path.name).write_bytes(path.read_bytes())
        pixels = told(Path(name))
    began = sum(one["since"]["after"] is not None for one in pixels)
    ended = sum(one["until"] is not None for one in pixels)
    focal = sum(one["focal"] is not None for one in pixels)
    print(
        f"{folder.name:18} {len(pixels):3} listed: {began} beginnings, {ended} ends,"
        f" {focal} focal ranges",
        flush=True,
    )


def _own(path: Path) -> tuple[float, int]:
    """Return a photo's own exposure time and ISO."""
    with Image.open(path) as image:
        exif = image.getexif().get_ifd(EXIF)
    iso = exif.get(ISO)
    return float(exif.get(EXPOSURE) or 0.01), iso if isinstance(iso, int) else 100


def taken(
    paths: Sequence[Path], rng: np.random.Generator, *, drawn: bool
) -> list[Taken]:
    """Return the photos by capture time, in their own light or in series of drawn light."""
    known = sorted(
        (metadata.origin(path)[1] or dt.datetime.max, path) for path in paths
    )
    out: list[Taken] = []
    series = 0
    while len(out) < len(known):
        gain = float(np.exp(rng.normal(0, GAIN)))
        seconds, isos = DRAWN[int(rng.integers(len(DRAWN)))]
        for _ in range(int(rng.integers(*SERIES))):
            if len(out) == len(known):
                break
            when, path = known[len(out)]
            time, iso = _own(path)
            if drawn:
                time = round(float(np.exp(rng.uniform(*np.log(seconds)))), 4)
                iso = int(rng.choice(isos))
            out.append(Taken(path, when, time, iso, gain, series))
        series += 1
    return out


def _onsets(photos: Sequence[Taken], count: int, rng: np.random.Generator) -> list[int]:
    """Return where so many defects begin: every other one with a series."""
    numbers = range(len(photos) // 4, len(photos) * 3 // 4 + 1)
    borders = [one for one in numbers if photos[one].series != photos[one - 1].series]
    chosen: list[int] = []
    while len(chosen) < count:
        among = borders if len(chosen) % 2 and borders else numbers
        onset = int(rng.choice(among))
        full = all(chosen.count(one) >= TOGETHER for one in among)
        if chosen.count(onset) < TOGETHER:
            chosen.append(onset)
        elif full:
            borders = []
            if chosen.count(onset) >= TOGETHER and among is numbers:
                break
    return chosen


def chosen(
    photos: Sequence[Taken],
    size: tuple[int, int],
    count: int,
    rng: np.random.Generator,
) -> list[Defect]:
    """Return the defects to plant, hot ones with laws, half of all with an onset."""
    lights = [one.light for one in photos]
    defects = []
    for number, one in enumerate(
        planter().choose_defects(*size, count, rng, 0, LEVELS)
    ):
        law = None
        if one["kind"] == "hot":
            charge = -math.log1p(-one["level"] / (WHITE - GREY))
            dark = charge / max(
                float(np.quantile(lights, rng.uniform(0.6, 0.95))), 1e-6
            )
            share = (1.0, 0.0, 0.3)[number % 3]
            law = Law(share * charge, (1 - share) * dark)
        defects.append(Defect(one, law))
    starting = [defects[int(i)] for i in rng.permutation(count)[: count // 2]]
    onsets = _onsets(photos, len(starting), rng)
    for defect, onset in zip(starting, onsets, strict=False):
        defect.chosen["onset"] = onset
    return defects


def write(
    photos: Sequence[Taken],
    defects: Sequence[Defect],
    folder: Path,
    *,
    drawn: bool,
) -> None:
    """Plant defects into photos, and note in which of them each would be visible."""
    plant = planter()
    sites = np.array([(one.chosen["y"], one.chosen["x"]) for one in defects], np.intp)
    for number, one in enumerate(photos):
        with Image.open(one.path) as image:
            frame = np.asarray(image)
            now = [defect.at(one, frame) for defect in defects]
            always = [{**each, "onset": 0} for each in now]
            shown = plant.apply_defects(frame, always, number, Steady())
            telling = tells(
                whole_frames.sample(frame, sites), whole_frames.sample(shown, sites)
            )
            change = (shown.astype(np.int16) - frame)[tuple(sites.T)]
            for defect, tell, peak in zip(defects, telling, change, strict=True):
                defect.telling.append(bool(tell))
                defect.peaks.append(abs(float(peak @ (0.299, 0.587, 0.114))))
            planted = plant.apply_defects(frame, now, number, Steady())
            if drawn:
                exif = image.getexif()
                exif.get_ifd(EXIF).update(
                    {EXPOSURE: IFDRational(round(one.seconds * 10_000), 10_000)}
                )
                exif.get_ifd(EXIF)[ISO] = one.iso
                image.info["exif"] = exif.tobytes()
            (folder / one.path.name).write_bytes(plant.encode_like(image, planted))


def count(
    photos: Sequence[Taken],
    defects: Sequence[Defect],
    pixels: Sequence[Json],
    tally: Tally,
) -> None:
    """Count what is told of the planted defects."""
    numbers = {one.when.isoformat(): number for number, one in enumerate(photos)}
    for defect in defects:
        shows, onset = (
            sum(defect.telling[defect.chosen["onset"] :]),
            defect.chosen["onset"],
        )
        tally.shown += shows >= FAIR
        near = [
            one
            for one in pixels
            if max(
                abs(one["x"] - defect.chosen["x"]), abs(one["y"] - defect.chosen["y"])
            )
            <= NEAR
        ]
        if not near:
            continue
        one = near[0]
        tally.found += shows >= FAIR
        tally.listed += 1
        tally.ends += one["until"] is not None
        tally.focal += one["focal"] is not None
        began = one["since"]["after"] is not None
        if not onset:
            tally.always += 1
            tally.invented += began
            continue
        wrong = None
        if began:
            wrong = off(np.array(defect.telling), onset, numbers[one["since"]["by"]])
        if defect.is_fair():
            tally.offs.append(wrong)
        elif wrong is not None:
            tally.others.append(wrong)


def run(
    paths: Sequence[Path],
    rng: np.random.Generator,
    planted: int,
    tally: Tally,
    *,
    drawn: bool,
) -> None:
    """Plant defects into photos of one camera, learn from them and count."""
    photos = taken(paths, rng, drawn=drawn)
    with Image.open(photos[0].path) as image:
        size = image.size
    defects = chosen(photos, size, planted, rng)
    with tempfile.TemporaryDirectory() as name:
        write(photos, defects, Path(name), drawn=drawn)
        count(photos, defects, told(Path(name)), tally)


def main() -> int:
    """Run the measurement that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--count", type=int, default=32, help="defects planted at once")
    parser.add_argument("--runs", type=int, default=1, help="plantings in each set")
    parser.add_argument("--light", choices=["own", "drawn", "both"], default="both")
    options = parser.parse_args()
    if "HOTPIXELD_PHOTOS" not in os.environ:
        print("HOTPIXELD_PHOTOS names no folder of camera photos: nothing to measure")
        return 1
    for folder in options.folders:
        as_they_are(folder)
    for light in ("own", "drawn"):
        if options.light not in {light, "both"}:
            continue
        tally = Tally()
        drawn = light == "drawn"
        for folder, seed in itertools.product(options.folders, range(options.runs)):
            rng = np.random.default_rng((seed + 1, drawn, options.photos))
            paths = photos_of(folder)
            picked = rng.choice(
                len(paths), min(options.photos, len(paths)), replace=False
            )
            chosen_paths = [paths[i] for i in sorted(picked)]
            run(chosen_paths, rng, options.count, tally, drawn=drawn)
        tally.show(f"{options.photos} photos in {light} light")
    return 0


if __name__ == "__main__":
    sys.exit(main())

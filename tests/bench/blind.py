#!/usr/bin/env python3
"""Look for traces of repaired defects: by the program itself, in stacks, and by eye.

    python tests/bench/blind.py [SET ...] [--plant SEED ...] [--sheets DIR] [--keep DIR]

Needs HOTPIXELD_PHOTOS.  For every SET below it (without one, all with real defects) a run of
`hotpixeld run --once` makes a list and copies.  A second state, with a configuration of its
own, then learns from each photo's copy, or from the untouched photo where there is none; all
must be folded.  Found again is what it lists within 2 pixels of what the first run listed or
truth.json names; `"certain": false` counts neither way.

The stack is the mean image around each certain defect, of all photos and of those that got a
copy, before and after: each photo less the linear trend of its surroundings, weighted by how
smooth those are.  Told are the centre, and the worst sample of the neighbourhood, in levels
of Y, Cb and Cr.  The same is measured at 48 ordinary places nearby in the same photos: their
standard deviation is the error of the centre, and their 95th percentile is what the worst
sample of a clean place reaches.

With --plant, the sets are planted first by ../defects/plant.py beside HOTPIXELD_PHOTOS, once
for each SEED, and the defects that they really have count neither way.  There are clean twins
then: told is the mean absolute error in the 9x9 around the listed ones, before and after.

With --sheets, enlargements at 800 % (nearest neighbour, one stretch for both) are written as
PNG: before and after, side by side, and a blind test: up to 100 repaired and 100 clean places
in random order, numbered, whose answers are in a file beside them.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from material import photos_in
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SETS = ("canon-t5i-2592", "fuji-a200", "canon-1100d", "nikon-l6", "canon-elph300")
EDITED = {"canon-elph300"}
"""Sets that a tool cropped, each photo alike."""
MIN_PHOTOS = 16
NEAR = 2
"""Pixels within which two places are the same, as `score.py` has it."""

COMPONENTS = ("Y", "Cb", "Cr")
LIMITS = (0.5, 0.7, 0.7)
REACH = (4, 8, 8)
"""Half width of the neighbourhood that is judged, of each component."""
BEYOND = (6, 10, 10)
"""Where its surroundings begin; they are `WIDTH` wide."""
WIDTH = 5
HALF = max(BEYOND) + WIDTH
CONTROLS, CONTROL_DISTANCE = 48, (36, 80)
FLATTEST = 1.0
"""Levels of spread below which no surroundings weigh more."""

Stack = NDArray[np.float64]
Place = tuple[int, int]


class Mark(NamedTuple):
    """A value of the stack at a defect, and what clean places give."""

    value: float
    error: float
    limit: float

    def __str__(self) -> str:
        over = abs(self.value) > self.limit
        sure = over and abs(self.value) - 2 * self.error > self.limit
        return f"{self.value:6.2f}{'!' if sure else '?' if over else ' '}"


@dataclass
class Around:
    """Windows around one place, through all photos.

    Attributes
    ----------
    before, after : list of (side, side, 3) float64, levels; NaN outside
    """

    before: list[Stack] = field(default_factory=list)
    after: list[Stack] = field(default_factory=list)


def window(frame: NDArray[np.uint8], place: Place, half: int = HALF) -> Stack:
    """Return what is around an x, y: (side, side, 3), NaN outside the frame."""
    column, row = place
    out = np.full((2 * half + 1, 2 * half + 1, 3), np.nan)
    top, left = row - half, column - half
    part = frame[max(top, 0) : row + half + 1, max(left, 0) : column + half + 1]
    down, right = max(-top, 0), max(-left, 0)
    out[down : down + part.shape[0], right : right + part.shape[1]] = part
    return out


def decoded(path: Path) -> NDArray[np.uint8]:
    """Return a photo's frame as it is stored: Y, Cb, Cr."""
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        image.draft("YCbCr", image.size)
        return np.asarray(image.convert("YCbCr"))


def _parts(component: int) -> tuple[Stack, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the terms of a linear trend, where they are fitted, and what is judged."""
    rows, columns = np.mgrid[-HALF : HALF + 1, -HALF : HALF + 1]
    distance = np.maximum(abs(rows), abs(columns))
    first = BEYOND[component]
    ring = (distance >= first) & (distance < first + WIDTH)
    terms = np.stack([np.ones(rows.shape), rows, columns], axis=-1)
    return terms, ring, distance <= REACH[component]


def stacked(windows: list[Stack], component: int) -> Stack:
    """Return the mean of windows less their trends, (side, side) levels.

    Each weighs by how little its surroundings vary.
    """
    terms, ring, _ = _parts(component)
    total, weights = np.zeros(ring.shape), np.zeros(ring.shape)
    for one in windows:
        plane = one[..., component]
        some = ring & ~np.isnan(plane)
        trend = np.linalg.lstsq(terms[some], plane[some], rcond=None)[0]
        residual = plane - terms @ trend
        weight = 1 / max(float(residual[some].std()), FLATTEST) ** 2
        known = ~np.isnan(residual)
        total[known] += weight * residual[known]
        weights[known] += weight
    return np.where(weights > 0, total / np.maximum(weights, 1e-9), 0)


def centre_and_worst(stack: Stack, component: int) -> tuple[float, float]:
    """Return the level in the middle, and the one furthest from 0 near it."""
    _, _, judged = _parts(component)
    near = stack[judged]
    return float(stack[HALF, HALF]), float(near[np.abs(near).argmax()])


@dataclass
class Measured:
    """What the stacks of one defect show, by component."""

    place: Place
    photos: int
    before: list[tuple[float, float]] = field(default_factory=list)
    centre: list[Mark] = field(default_factory=list)
    worst: list[Mark] = field(default_factory=list)

    def row(self) -> str:
        """Return a line of the table."""
        x, y = self.place
        cells = [f"{x:5},{y:4} {self.photos:3}"]
        for number in range(len(COMPONENTS)):
            centre, worst = self.centre[number], self.worst[number]
            cells.append(
                f"{self.before[number][0]:6.1f} {centre}±{centre.error:4.2f}"
                f" {worst} {worst.limit:5.2f}"
            )
        return " |".join(cells)


def measured(place: Place, around: Around, controls: list[Around]) -> Measured:
    """Return what the stacks of one defect show."""
    out = Measured(place, len(around.after))
    for component, limit in enumerate(LIMITS):
        clean = [
            centre_and_worst(stacked(one.after, component), component)
            for one in controls
        ]
        error = 1.4826 * float(np.median(np.abs([one[0] for one in clean])))
        usual = float(np.quantile([abs(one[1]) for one in clean], 0.95))
        out.before.append(
            centre_and_worst(stacked(around.before, component), component)
        )
        centre, worst = centre_and_worst(stacked(around.after, component), component)
        out.centre.append(Mark(centre, error, limit))
        # What a clean place has as well is no trace.
        out.worst.append(Mark(worst, 0.0, max(limit, usual)))
    return out


def hotpixeld(*arguments: str | Path) -> str:
    """Run the command; return what it prints."""
    command = [sys.executable, "-m", "hotpixeld", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Learned:
    """What one state came to.

    Attributes
    ----------
    places : dict of (x, y) to kind
    folded : int
    """

    places: dict[Place, str]
    folded: int

    def near(self, place: Place) -> bool:
        """Return whether it lists a place."""
        return any(same(place, one) for one in self.places)


def same(one: Place, other: Place) -> bool:
    """Return whether two places are the same."""
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= NEAR


def learn(photos: Path, work: Path, *, is_edited: bool) -> Learned:
    """Learn from a folder in a fresh state; copies go to ``work/copies``."""
    work.mkdir(parents=True)
    config = {
        "state": str(work / "state"),
        "folders": [
            {
                "path": str(photos),
                "repaired": str(work / "copies"),
                "name": "{name}",
                "edited": "fold" if is_edited else "skip",
            }
        ],
        "detection": {"min_photos": min(MIN_PHOTOS, len(photos_in(photos)))},
    }
    path = work / "hotpixeld.yaml"
    path.write_text(json.dumps(config))
    hotpixeld("run", "--once", "--config", path)
    maps = json.loads(hotpixeld("map", "--format", "json", "--config", path))
    status = json.loads(hotpixeld("status", "--json", "--config", path))
    places = {
        (one["x"], one["y"]): one["kind"]
        for camera in maps["cameras"]
        for one in camera["pixels"]
    }
    return Learned(places, status["photos"]["folded"])


@dataclass
class Case:
    """One set of photos, its copies, and what is known of its defects."""

    name: str
    photos: Path
    copies: Path
    certain: list[Place]
    uncertain: list[Place]
    first: Learned
    second: Learned

    def both(self) -> list[tuple[Path, Path]]:
        """Return each photo and its copy, or itself where there is none."""
        pairs = [(one, self.copies / one.name) for one in photos_in(self.photos)]
        return [(one, copy if copy.exists() else one) for one, copy in pairs]

    def found_again(self) -> tuple[list[Place], list[Place]]:
        """Return certain ones that the second state lists, and others that both list."""
        certain = [one for one in self.certain if self.second.near(one)]
        others = [
            one
            for one in self.first.places
            if self.second.near(one) and not any(same(one, c) for c in self.certain)
        ]
        return certain, others


def prepared(name: str, photos: Path, work: Path, *, is_edited: bool) -> Case:
    """Repair a set, and learn again from its copies."""
    truth = json.loads((photos / "truth.json").read_text())["defects"]
    places = {True: list[Place](), False: list[Place]()}
    for one in truth:
        places[one.get("certain", True)].append((one["x"], one["y"]))
    first = learn(photos, work / "first", is_edited=is_edited)
    copies, again = work / "first" / "copies", work / "again"
    again.mkdir()
    for photo in photos_in(photos):
        copy = copies / photo.name
        shutil.copy2(copy if copy.exists() else photo, again / photo.name)
    second = learn(again, work / "second", is_edited=is_edited)
    if second.folded != first.folded:
        sys.exit(f"{name}: {first.folded} folded, of the copies {second.folded}")
    return Case(name, photos, copies, places[True], places[False], first, second)


def control_places(place: Place, case: Case, size: Place) -> list[Place]:
    """Return ordinary places around a defect."""
    rng = np.random.default_rng(place)
    listed = [*case.certain, *case.uncertain, *case.first.places]
    found: list[Place] = []
    for _ in range(100 * CONTROLS):
        most = CONTROL_DISTANCE[1]
        shift = rng.integers(-most, most + 1, 2).tolist()
        x, y = place[0] + shift[0], place[1] + shift[1]
        inside = HALF <= x < size[0] - HALF and HALF <= y < size[1] - HALF
        far = max(map(abs, shift)) >= CONTROL_DISTANCE[0] and all(
            max(abs(x - a), abs(y - b)) > 2 * HALF for a, b in listed
        )
        if inside and far:
            found.append((x, y))
        if len(found) == CONTROLS:
            break
    return found


def tables(case: Case) -> tuple[list[Measured], list[Measured]]:
    """Return what the stacks show: of photos with a copy, and of all."""
    pairs = case.both()
    with Image.open(pairs[0][0]) as image:
        size = image.size
    controls = {one: control_places(one, case, size) for one in case.certain}
    all_places = {*case.certain, *itertools.chain(*controls.values())}
    everything = {one: Around() for one in all_places}
    for photo, copy in pairs:
        before = decoded(photo)
        after = before if copy == photo else decoded(copy)
        for place, around in everything.items():
            around.before.append(window(before, place))
            around.after.append(window(after, place))
    has_copy = [photo != copy for photo, copy in pairs]

    def only(place: Place, chosen: list[bool]) -> Around:
        whole = everything[place]
        return Around(
            list(itertools.compress(whole.before, chosen)),
            list(itertools.compress(whole.after, chosen)),
        )

    return tuple(  # type: ignore[return-value]  # two, as the loop has
        [
            measured(
                place,
                only(place, chosen),
                [only(one, chosen) for one in controls[place]],
            )
            for place in case.certain
            if any(chosen)
        ]
        for chosen in (has_copy, [True] * len(pairs))
    )


TWIN_REACH = 4


def errors_to_twins(case: Case) -> tuple[float, float]:
    """Return the mean absolute error around listed defects, before and after, in levels."""
    listed = [one for one in case.certain if case.first.near(one)]
    sums = np.zeros(2)
    for pair in case.both():
        twin = Image.open(twins(case.photos) / pair[0].name)
        clean = np.asarray(twin.convert("RGB"))
        for number, path in enumerate(pair):
            with Image.open(path) as image:
                frame = np.asarray(image.convert("RGB"))
            for place in listed:
                parts = [window(one, place, TWIN_REACH) for one in (frame, clean)]
                sums[number] += np.nanmean(np.abs(parts[0] - parts[1]))
    before, after = (sums / (len(listed) * len(case.both()))).tolist()
    return before, after


HEADER = "      x,y   n" + "".join(
    f" | {name:>4}  after {'':6}worst  clean" for name in COMPONENTS
)


def report(case: Case) -> Counter[str]:
    """Print what a set came to; return the counts."""
    again, others = case.found_again()
    copies = sum(photo != copy for photo, copy in case.both())
    print(
        f"\n{case.name}: {case.first.folded} photos, {len(case.first.places)} listed,"
        f" {copies} copies; again {case.second.folded} photos,"
        f" {len(case.second.places)} listed"
    )
    print(f"found again: {len(again)} of {len(case.certain)} certain {again or ''}")
    print(f"listed both times, not certain: {others or 'none'}")
    if twins(case.photos).exists():
        before, after = errors_to_twins(case)
        print(f"error to the clean twins: {before:.3f} levels, copies {after:.3f}")
    counts = Counter(certain=len(case.certain), again=len(again), others=len(others))
    for name, part in zip(("copies", "all photos"), tables(case), strict=True):
        print(f"stack of {name}, levels\n{HEADER}")
        for one in part:
            print(one.row())
            marks = [*one.centre, *one.worst]
            counts[f"over, {name}"] += any("!" in str(mark) for mark in marks)
            counts[f"within, {name}"] += not any(
                abs(mark.value) > mark.limit for mark in marks
            )
    return counts


TILE, ZOOM = 12, 8
"""Half width of an enlargement in pixels, and its scale."""
LEAST_RANGE = 64.0
"""Levels that an enlargement's contrast is stretched from at least."""


def cut(path: Path, place: Place) -> Image.Image:
    """Return what a photo shows around a place, 2 TILE pixels each way."""
    with Image.open(path) as image:
        x, y = place
        box = (x - TILE, y - TILE, x + TILE + 1, y + TILE + 1)
        return image.convert("RGB").crop(box)


def enlarged(parts: list[Image.Image], like: int = -1) -> list[Image.Image]:
    """Return parts at 800 %, all stretched as one of them needs it."""
    levels = np.asarray(parts[like], np.float64)
    low, high = np.quantile(levels, (0.01, 0.99))
    middle, span = (low + high) / 2, max(high - low, LEAST_RANGE)
    out = []
    for part in parts:
        stretched = (np.asarray(part, np.float64) - middle) / span * 235 + 127.5
        image = Image.fromarray(stretched.clip(0, 255).astype(np.uint8))
        size = image.width * ZOOM, image.height * ZOOM
        out.append(image.resize(size, Image.Resampling.NEAREST))
    return out


def sheet(tiles: list[tuple[Image.Image, str]], across: int) -> Image.Image:
    """Return tiles beside and below one another, each with its words above."""
    width, height = tiles[0][0].width + 6, tiles[0][0].height + 18
    rows = -(-len(tiles) // across)
    out = Image.new("RGB", (across * width, rows * height), "white")
    draw = ImageDraw.Draw(out)
    for number, (tile, words) in enumerate(tiles):
        left, top = number % across * width, number // across * height
        out.paste(tile, (left, top + 14))
        draw.text((left, top), words, fill="black")
    return out


class Repaired(NamedTuple):
    """A defect that the copy of a photo shows otherwise."""

    case: str
    photo: Path
    copy: Path
    place: Place
    clean: Place


def repaired_places(case: Case) -> list[Repaired]:
    """Return all certain defects in copies that differ there, with clean places."""
    found = []
    for photo, copy in case.both():
        if photo == copy:
            continue
        one, two = decoded(photo), decoded(copy)
        size = one.shape[1], one.shape[0]
        for place in case.certain:
            x, y = place
            near = slice(max(y - 2, 0), y + 3), slice(max(x - 2, 0), x + 3)
            if (one[near] != two[near]).any():
                clean = control_places(place, case, size)
                number = zlib.crc32(photo.name.encode()) % len(clean)
                found.append(Repaired(case.name, photo, copy, place, clean[number]))
    return found


def mixed(found: list[Repaired], count: int) -> list[Repaired]:
    """Return some of them, as many of each set and defect as there are."""
    groups: dict[tuple[str, Place], list[Repaired]] = {}
    for one in found:
        groups.setdefault((one.case, one.place), []).append(one)
    rng = np.random.default_rng(0)
    for group in groups.values():
        rng.shuffle(group)
    by_set: dict[str, list[list[Repaired]]] = {}
    for (name, _), group in groups.items():
        by_set.setdefault(name, []).append(group)
    queues = [
        [one for turn in itertools.zip_longest(*part) for one in turn if one]
        for part in by_set.values()
    ]
    turns = itertools.chain(*itertools.zip_longest(*queues))
    return [one for one in turns if one][:count]


def write_sheets(found: list[Repaired], folder: Path, pairs: int, blind: int) -> None:
    """Write the enlargements before and after, and the blind test."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = sorted(mixed(found, pairs))
    tiles = []
    for one in chosen:
        both = enlarged([cut(one.photo, one.place), cut(one.copy, one.place)])
        tile = Image.new("RGB", (2 * both[0].width + 4, both[0].height), "white")
        tile.paste(both[0], (0, 0))
        tile.paste(both[1], (both[0].width + 4, 0))
        tiles.append((tile, f"{one.case} {one.photo.name} {one.place}"))
    for number, start in enumerate(range(0, len(tiles), 20)):
        sheet(tiles[start : start + 20], 4).save(folder / f"pairs-{number:02}.png")
    shown = [(one, one.place) for one in mixed(found, blind)]
    shown += [(one, one.clean) for one, _ in shown]
    shown = [shown[i] for i in np.random.default_rng(1).permutation(len(shown))]
    images = [enlarged([cut(one.copy, place)])[0] for one, place in shown]
    numbered = [(image, str(number)) for number, image in enumerate(images)]
    for number, start in enumerate(range(0, len(numbered), 40)):
        sheet(numbered[start : start + 40], 8).save(folder / f"blind-{number:02}.png")
    answers = [
        {
            "repaired": place == one.place,
            "set": one.case,
            "photo": one.photo.name,
            "place": place,
        }
        for one, place in shown
    ]
    (folder / "answers.json").write_text(json.dumps(answers, indent=0))
    print(f"\n{len(chosen)} pairs and {len(shown)} blind places in {folder}")


def twins(photos: Path) -> Path:
    """Return the folder of the photos without what was planted into some."""
    return photos.with_name(f"{photos.name}-clean")


def planted(name: str, photos: Path, seed: int, work: Path) -> Path:
    """Return a folder of photos planted with known defects."""
    script = photos.parent.parent / "defects" / "plant.py"
    out = work / f"{name}-{seed}-photos"
    words = [script, *photos_in(photos), "--out", out, "--seed", seed]
    words += ["--clean", twins(out)]
    command = [sys.executable, *map(str, words)]
    subprocess.run(command, check=True, capture_output=True)
    return out


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--plant", type=int, nargs="+", default=[])
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--pairs", type=int, default=120)
    parser.add_argument("--blind", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="an empty folder to work in")
    arguments = parser.parse_args()
    root = Path(os.environ["HOTPIXELD_PHOTOS"])
    total, found = Counter[str](), list[Repaired]()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.keep or Path(temporary)
        for name, seed in itertools.product(arguments.sets, arguments.plant or [None]):
            photos, called = root / name, name
            if seed is not None:
                photos = planted(name, photos, seed, work)
                called = f"{name}, planted {seed}"
            is_edited = name in EDITED
            folder = work / called.replace(", ", "-")
            case = prepared(called, photos, folder, is_edited=is_edited)
            total += report(case)
            if arguments.sheets:
                found += repaired_places(case)
        print("\nall sets:", ", ".join(f"{key} {n}" for key, n in total.items()))
        if arguments.sheets:
            write_sheets(found, arguments.sheets, arguments.pairs, arguments.blind)


if __name__ == "__main__":
    main()

"""Priming measured: dark frames, then photos of the same camera with the same defects.

    prime.py FOLDER... [--frames N] [--photos N] [--count N] [--seed N ...]
    prime.py --noise N
    prime.py --real FOLDER...
    prime.py --among N FOLDER...

Needs HOTPIXELD_PHOTOS, beside which `defects/plant.py` lies: its footprints are planted.
Every FOLDER is a set of photos of one camera. Planted are, over three sorts of places,

- *steady* hot pixels, as strong in every photo as in the dark frames;
- *warm* ones, whose strength goes with ISO times exposure: in the dark frames (a hundred
  times the median exposure of the photos) strong, in the photos hardly to be seen;
- *gone* ones, which the dark frames alone show, though taken at the photos' exposure;

and in the first dark frame hits of particles. The dark frames are noise of a mosaic, made
to colours bilinearly, clipped at black, and written with the photos' own tables. Told is what
`prime` lists, and what is confirmed, dropped or still open after the photos, by sort; what was
listed that nobody planted; and the 16x16 blocks of copies that differ far from anything
that was planted or was found by the photos themselves.

*Shown* is the luma, over the surroundings and in the mean of the dark frames, of the strongest
that is not listed and of the weakest that is.

--noise N: so many sets of 1, 2 and 4 frames without a defect, of three levels of noise and
qualities; told is what is listed. --real: two dark frames of the six photos of the longest
exposures, three each: what they have over their surroundings, where the photo is flat, and of
that the middle of the three; --photos of the others follow. *Listed* are sites of truth.json
that are certain, those that are not, and any others; *map* is how many of them the map has at
last. *Again* is the part of what is listed that has `AGAIN` levels over its surroundings in
the longest exposure that is in no stack; *any* is how many places have. --among N: --photos
of a folder, so many photos more, and so many dark frames, of warm places as well, in place of
these: told is what the map lists, and what of it is lost or new, of these what was planted or
is in truth.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from hotpixeld.detection import dark_frames
from hotpixeld.detection.dark_frames import DarkFrames, Exposure
from hotpixeld.jpeg import decoder
from hotpixeld.photo import photo_file
from hotpixeld.statistics.contrast import LUMA

SORTS = ("steady", "warm", "gone")
LEVELS = (6.0, 90.0)
WARM, HITS, FAR = 100.0, 3, 24
STACK, FLAT, AGAIN = 3, 3.0, 3.0


def plant_tool() -> Any:
    """Return the module that plants defects."""
    path = Path(os.environ["HOTPIXELD_PHOTOS"]).parent / "defects" / "plant.py"
    spec = importlib.util.spec_from_file_location("plant", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mosaic_noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return noise of a Bayer mosaic, made to colours bilinearly, (H, W, 3), 1 a site."""
    raw = rng.normal(size=(height, width))
    out = np.empty((height, width, 3))
    rows, cols = np.mgrid[:height, :width]
    masks = (
        (rows % 2 == 0) & (cols % 2 == 0),
        (rows + cols) % 2 == 1,
        (rows % 2 == 1) & (cols % 2 == 1),
    )
    kernel = np.array([0.5, 1.0, 0.5])
    for channel, mask in enumerate(masks):
        values, weight = raw * mask, mask.astype(float)
        for _ in range(2):
            values, weight = (
                sum(
                    part * np.roll(plane, shift, axis=0)
                    for part, shift in zip(kernel, (-1, 0, 1), strict=True)
                ).T
                for plane in (values, weight)
            )
        out[..., channel] = values / weight
    return out


def dark(
    rng: np.random.Generator, height: int, width: int, level: float, noise: float
) -> np.ndarray:
    """Return a dark frame without a defect, (H, W, 3) float."""
    rows, cols = np.mgrid[:height, :width] / max(height, width)
    glow = level * (1 + 0.5 * rows * cols)
    light = glow[..., None] + noise * mosaic_noise(rng, height, width)
    return np.asarray(np.maximum(light, 0))


def planted(levels: np.ndarray, at: dict[str, Any], peak: float, tool: Any) -> None:
    """Add a defect of a peak to levels, in place."""
    kernel = tool.FOOTPRINTS[at["footprint"]]
    reach, (height, width, _) = kernel.shape[0] // 2, levels.shape
    row, col = at["y"], at["x"]
    top, left = max(row - reach, 0), max(col - reach, 0)
    down, right = min(row + reach + 1, height), min(col + reach + 1, width)
    part = kernel[
        top - row + reach : down - row + reach, left - col + reach : right - col + reach
    ]
    tint = np.array(tool.TINTS[at["rgb"]])
    levels[top:down, left:right] += part[..., None] * peak * tint


def encoded(like: Path, levels: np.ndarray, tool: Any, **exif: object) -> bytes:
    """Return levels as a JPEG with the tables and the EXIF of a photo, but for some of it."""
    with Image.open(like) as image:
        data: bytes = tool.encode_like(
            image, np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        )
    if exif:
        with Image.open(io.BytesIO(data)) as again:
            tags = again.getexif()
            own = tags.get_ifd(0x8769)
            seconds = float(str(exif["seconds"]))
            own[0x829A] = IFDRational(round(seconds * 10_000), 10_000)
            own[0x8827] = exif["iso"]
            tags[0x8769] = own
            out = io.BytesIO()
            again.save(out, "JPEG", quality="keep", exif=tags)
            data = out.getvalue()
    return data


def hotpixeld(*arguments: object) -> str:
    """Run the program; return what it printed."""
    tool = Path(sys.executable).with_name("hotpixeld")
    done = subprocess.run(
        [tool, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 3}:
        raise RuntimeError(done.stderr)
    return done.stdout


def outcomes(state: Path) -> dict[tuple[int, int], str]:
    """Return what became of what was primed, by x, y."""
    with sqlite3.connect(state / "ledger.sqlite3") as connection:
        rows = connection.execute("SELECT col, row, outcome FROM primed")
        return {(col, row): outcome for col, row, outcome in rows}


def listed(state: Path) -> set[tuple[int, int]]:
    """Return the x, y of the map."""
    with sqlite3.connect(state / "ledger.sqlite3") as connection:
        return set(connection.execute("SELECT col, row FROM defects"))


def exposure(path: Path) -> float:
    about = photo_file.examine(path, 10**9, 10**9).metadata
    return (about.exposure_seconds or 0.01) * (about.iso or 100)


def near(at: tuple[int, int], others: Any, reach: int = 2) -> bool:
    x, y = at
    return any(max(abs(x - a), abs(y - b)) <= reach for a, b in others)


def wrong_blocks(photo: Path, copy: Path, known: Any) -> int:
    """Return how many 16x16 blocks of a copy differ far from all that is known."""
    before, after = (decoder.decode(one.read_bytes()) for one in (photo, copy))
    rows, cols, _ = np.nonzero(before != after)
    far = {
        (row // 16, col // 16)
        for row, col in zip(rows.tolist(), cols.tolist(), strict=True)
        if not near((col, row), known, FAR)
    }
    return len(far)


def chosen(folder: Path, photos: int, seed: int) -> list[Path]:
    """Return some photos of a set, of its commonest size, in their order."""
    found = [one for one in folder.iterdir() if one.suffix.lower() in {".jpg", ".jpeg"}]
    random.Random(seed).shuffle(found)  # noqa: S311 - a choice, not secrets
    return sorted(found[:photos])


class Case:
    """One planting: places of three sorts, dark frames, and photos.

    `usual` is the median exposure of the photos, ISO times seconds.
    """

    def __init__(
        self, folder: Path, wanted: argparse.Namespace, seed: int, tool: Any
    ) -> None:
        self.name, self.seed, self.tool = folder.name, seed, tool
        self.rng = np.random.default_rng(seed)
        self.photos = chosen(folder, wanted.photos, seed)
        self.exposures = [exposure(one) for one in self.photos]
        self.usual = float(np.median(self.exposures))
        height, width, _ = decoder.decode(self.photos[0].read_bytes()).shape
        self.size = height, width
        self.places = tool.choose_defects(
            width, height, 3 * wanted.count, self.rng, levels=LEVELS
        )
        for number, one in enumerate(self.places):
            one["sort"] = SORTS[number % 3]
            one["level"] = float(np.exp(self.rng.uniform(*np.log(LEVELS))))

    def of(self, sort: str) -> list[tuple[int, int]]:
        """Return the places of a sort, x, y."""
        return [(one["x"], one["y"]) for one in self.places if one["sort"] == sort]

    def frames(
        self, sorts: tuple[str, ...], product: float, out: Path, count: int
    ) -> None:
        """Write dark frames of an exposure; hits of particles are in the first one."""
        out.mkdir()
        for number in range(count):
            levels = dark(self.rng, *self.size, 4.0, 2.0)
            for one in self.places:
                if one["sort"] in sorts:
                    planted(levels, one, one["level"], self.tool)
            for _ in range(HITS if number == 0 else 0):
                row, col = (int(self.rng.integers(size)) for size in self.size)
                levels[row, col] += 120
            data = encoded(
                self.photos[0], levels, self.tool, seconds=product / 400, iso=400
            )
            (out / f"dark_{number}.jpg").write_bytes(data)

    def shoot(self, inbox: Path) -> None:
        """Write the photos with what they show."""
        inbox.mkdir()
        for path, product in zip(self.photos, self.exposures, strict=True):
            levels = decoder.decode(path.read_bytes()).astype(float)
            warm = product / (WARM * self.usual)
            share = {"steady": 1.0, "gone": 0.0, "warm": warm}
            for one in self.places:
                planted(levels, one, share[one["sort"]] * one["level"], self.tool)
            (inbox / path.name).write_bytes(encoded(path, levels, self.tool))

    def line(
        self, sort: str, planted_count: int, became: Counter[str], more: str
    ) -> None:
        """Print what became of one sort of places."""
        parts = "".join(
            f" {became[word]:{len(word)}}"
            for word in ("confirmed", "dropped", "longer", "open")
        )
        print(
            f"{self.name:16} {self.seed:4} {sort:7} {planted_count:7}"
            f" {became.total():6}{parts} {more}",
            flush=True,
        )

    def shown(self, frames: Path, sort: str, at_once: Any) -> str:
        """Return how strong those of a sort are in dark frames, not listed and listed."""
        sites = np.array([(row, col) for col, row in self.of(sort)])
        decoded = [decoder.decode(one.read_bytes()) for one in frames.iterdir()]
        mean = np.mean([dark_frames.amplitudes(one, sites) for one in decoded], axis=0)
        levels = (mean @ LUMA).tolist()
        is_listed = [near(one, at_once) for one in self.of(sort)]
        missed = [
            one for one, there in zip(levels, is_listed, strict=True) if not there
        ]
        found = [one for one, there in zip(levels, is_listed, strict=True) if there]
        return f"shown {max(missed, default=0):.1f}, {min(found, default=0):.1f}"

    def tell(self, root: Path, at_once: Any) -> None:
        """Print a line for each sort of place, and one for what nobody planted."""
        after, own = outcomes(root / "state"), listed(root / "state")
        for sort in SORTS:
            sites = self.of(sort)
            became = Counter(after[one] for one in at_once if near(one, sites))
            later = sum(near(one, own) and not near(one, at_once) for one in sites)
            frames = root / ("warm" if sort == "warm" else "steady")
            strength = self.shown(frames, sort, at_once)
            self.line(sort, len(sites), became, f"{later} found later; {strength}")
        true = {(one["x"], one["y"]) for one in self.places}
        inbox = root / "photos"
        copies = list((inbox / "repaired").glob("c_*"))
        wrong = sum(
            wrong_blocks(inbox / one.name[2:], one, true | own) for one in copies
        )
        became = Counter(after[one] for one in at_once if not near(one, true))
        self.line("none", 0, became, f"{wrong} wrong blocks in {len(copies)} copies")


def case(folder: Path, wanted: argparse.Namespace, seed: int, tool: Any) -> None:
    """Plant, prime, let photos follow; print what became of it."""
    one = Case(folder, wanted, seed, tool)
    with tempfile.TemporaryDirectory() as root_name:
        root = Path(root_name)
        # Two sets: at the photos' exposure, which can be denied, and at a long one.
        for sorts, product in (
            (("steady", "gone"), one.usual),
            (("warm",), WARM * one.usual),
        ):
            out = root / sorts[0]
            one.frames(sorts, product, out, wanted.frames)
            hotpixeld("prime", *sorted(out.iterdir()), "--state", root / "state")
        at_once = outcomes(root / "state")
        one.shoot(root / "photos")
        hotpixeld("run", root / "photos", "--once", "--state", root / "state")
        one.tell(root, at_once)


def among(folder: Path, wanted: argparse.Namespace, seed: int, tool: Any) -> None:
    """Learn from photos; from as many more; with dark frames instead of these."""
    few = Case(folder, wanted, seed, tool)
    more = argparse.Namespace(**vars(wanted) | {"photos": wanted.photos + wanted.among})
    many = Case(folder, more, seed, tool)
    truth = json.loads((folder / "truth.json").read_text())["defects"]
    with tempfile.TemporaryDirectory() as root_name:
        root = Path(root_name)
        few.shoot(root / "few")
        many.shoot(root / "more")
        shutil.copytree(root / "few", root / "dark")
        # The body's own defects show in what it takes with the lens cap on, too.
        few.places += [
            {**one, "sort": "own", "level": 30.0, "footprint": "dslr", "rgb": "grey"}
            for one in truth
        ]
        sorts = ("steady", "warm", "own")
        few.frames(sorts, WARM * few.usual, root / "caps", wanted.among)
        for cap in (root / "caps").iterdir():
            shutil.copy2(cap, root / "dark")
        true = {(one["x"], one["y"]) for one in few.places if one["sort"] != "gone"}
        before: set[tuple[int, int]] = set()
        for name in ("few", "more", "dark"):
            state = root / f"state-{name}"
            hotpixeld("run", root / name, "--once", "--state", state)
            own = listed(state)
            before = before or own
            lost = [one for one in before if not near(one, own)]
            new = [one for one in own if not near(one, before)]
            print(
                f"{few.name:16} {seed:4} {name} {len(own):6}"
                f" {len(lost):4} {sum(near(one, true) for one in lost):8}"
                f" {len(new):3} {sum(near(one, true) for one in new):8}",
                flush=True,
            )


def noise_only(sets: int) -> None:
    """Print what is listed of frames without a defect."""
    print("level noise quality frames  sets  refused  listed")
    for level, noise, quality in (
        (0.0, 1.0, 90), (2.0, 2.0, 75), (4.0, 3.0, 90), (12.0, 6.0, 97), (0.0, 4.0, 85),
    ):  # fmt: skip
        for count in (1, 2, 4):
            found = refused = 0
            for seed in range(sets):
                rng = np.random.default_rng((seed, count))
                own = DarkFrames()
                frames = []
                for _ in range(count):
                    levels = dark(rng, 1200, 1600, level, noise)
                    data = io.BytesIO()
                    Image.fromarray(
                        np.clip(np.rint(levels), 0, 255).astype(np.uint8)
                    ).save(data, "JPEG", quality=quality)
                    frame = decoder.decode(data.getvalue())
                    refused += bool(dark_frames.why_not_dark(frame))
                    own.add(frame, Exposure(1.0, 100))
                    frames.append(frame)
                found += len(own.hot_pixels(own.sites(), frames))
            print(
                f"{level:5} {noise:5} {quality:7} {count:6} {sets:5} {refused:8} {found:7}"
            )


def medians(frame: np.ndarray) -> np.ndarray:
    """Return the median of 13 rows of the medians of 13 columns, (H, W, 3).

    A median of 13x13 takes five times as long.
    """
    for axis in (1, 0):
        reach = [(6, 6) if number == axis else (0, 0) for number in range(3)]
        padded = np.pad(frame, reach, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, 13, axis=axis)
        frame = np.asarray(np.partition(windows, 6, axis=-1)[..., 6])
    return frame


def residual(path: Path) -> np.ndarray:
    """Return what a photo has over its surroundings; NaN where it is not flat.

    A scene's edges are no noise of a dark frame: blocks of 16 rows and columns whose
    residuals spread by more than `FLAT` levels are left out.
    """
    frame = decoder.decode(path.read_bytes()).astype(np.int16)
    found = np.asarray(np.clip(frame - medians(frame), -20, 80), np.float32)
    height, width = (size // 16 * 16 for size in found.shape[:2])
    blocks = found[:height, :width].reshape(height // 16, 16, width // 16, 16, 3)
    spread = 1.4826 * np.median(np.abs(blocks), axis=(1, 3)).max(axis=-1)
    flat = np.zeros(found.shape[:2], np.bool_)
    flat[:height, :width] = np.kron(spread <= FLAT, np.ones((16, 16))) > 0
    found[~flat] = np.nan
    return found


def stacked(paths: list[Path], tool: Any) -> tuple[bytes, float]:
    """Return a dark frame of photos, and the part of it that some are flat in."""
    each = np.array([residual(path) for path in paths])
    shown = ~np.isnan(each).all(axis=0)
    each[:, ~shown] = 0
    levels = np.maximum(np.nanmedian(each, axis=0) + 3, 0)
    usual = float(np.median([exposure(path) for path in paths]))
    data = encoded(paths[0], levels, tool, seconds=usual / 100, iso=100)
    return data, float(shown.mean())


def real(folder: Path, wanted: argparse.Namespace, _seed: int, tool: Any) -> None:
    """Prime with stacks of residuals of some photos; let the others follow."""
    truth = json.loads((folder / "truth.json").read_text())["defects"]
    sure = {(one["x"], one["y"]) for one in truth if one.get("certain", True)}
    doubtful = {(one["x"], one["y"]) for one in truth} - sure
    paths = sorted(chosen(folder, 1000, 0), key=exposure, reverse=True)
    with tempfile.TemporaryDirectory() as root_name:
        root = Path(root_name)
        names = [root / "dark_0.jpg", root / "dark_1.jpg"]
        part = 1.0
        for number, name in enumerate(names):
            data, flat = stacked(paths[number : 2 * STACK : 2], tool)
            name.write_bytes(data)
            part = min(part, flat)
        hotpixeld("prime", *names, "--state", root / "state")
        if not (root / "state" / "ledger.sqlite3").exists():
            print(f"{folder.name:16} refused, or nothing found")
            return
        at_once = outcomes(root / "state")
        (root / "photos").mkdir()
        once_more = residual(paths[2 * STACK]) @ np.asarray(LUMA, np.float32)
        any_place = np.nanmean(once_more > AGAIN)
        follow = sorted(paths[2 * STACK :])[: wanted.photos]
        for path in follow:
            shutil.copy2(path, root / "photos")
        hotpixeld("run", root / "photos", "--once", "--state", root / "state")
        after, own = outcomes(root / "state"), listed(root / "state")
        lone = [one for one in at_once if not near(one, sure | doubtful)]
        for sort, true, group in (
            ("certain", sure, [one for one in at_once if near(one, sure)]),
            ("doubtful", doubtful, [one for one in at_once if near(one, doubtful)]),
            ("others", set(), lone),
        ):
            became = Counter(after[one] for one in group)
            levels = np.array([once_more[row, col] for col, row in group])
            again = np.mean(levels[~np.isnan(levels)] > AGAIN) if group else np.nan
            print(
                f"{folder.name:16} {len(follow):6} {part:4.2f} {sort:8} {len(true):5}"
                f" {len(group):6} {became['confirmed']:9} {became['dropped']:7}"
                f" {became['longer']:6} {became['open']:4}"
                f" {sum(near(one, own) for one in true):3} {again:5.2f} {any_place:4.2f}",
                flush=True,
            )


def each_of(wanted: argparse.Namespace, measure: Any, head: str) -> None:
    """Measure each folder with each seed, under a line that heads the columns."""
    print(head)
    tool = plant_tool()
    for folder in wanted.folders:
        for seed in wanted.seed:
            measure(folder, wanted, seed, tool)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, nargs="*", default=[1])
    parser.add_argument("--noise", type=int, default=0)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--among", type=int, default=0)
    wanted = parser.parse_args()
    if wanted.noise:
        noise_only(wanted.noise)
        return
    if wanted.real:
        each_of(
            wanted,
            real,
            "set              photos flat sort     there listed confirmed dropped longer"
            " open map again  any",
        )
    elif wanted.among:
        head = "set              seed with listed lost planted new planted"
        each_of(wanted, among, head)
    else:
        head = (
            "set              seed sort    planted listed confirmed dropped longer open"
        )
        each_of(wanted, case, head)


if __name__ == "__main__":
    main()

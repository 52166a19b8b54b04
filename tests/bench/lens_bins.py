"""Lens corrections measured: plant defects that they move, and look where they are repaired.

    lens_bins.py FOLDER... [--lens NAME ...] [--count N ...] [--photos N ...] [--seed N ...]
                 [--clean N]

Needs HOTPIXELD_PHOTOS, beside which `defects/plant_lens.py` lies, and scipy, which that
needs. Every FOLDER is a set of photos of one camera; what truth.json in it lists is painted
over first. Where more photos are asked for than there are, some are mirrored, too: other scenes of
the same camera, if that has no defects. Defects are planted by the in-camera correction of a kit zoom at eight focal
lengths; then `hotpixeld run --once` learns and repairs. Every photo has a twin without a
defect, written by the same encoder: a defect's peak is what the two differ by at its place,
as JPEG leaves less of a lone pixel than was planted. A pair of a photo and a defect is
*visible* where the peak is three levels of luma and three robust standard deviations of the
13x13 around. Told, with what the same defects come to without a correction ("straight"), are
the visible pairs

- *listed*: a listed site lies within 1.6 pixels of the defect's place in that photo;
- *repaired*: the copy is within half of the peak of the twin, at that place;

of all, and of weak defects (7 to 22 levels on average); and the 16x16 blocks that differ
further than 24 pixels from any defect, in all photos together. With --clean, so many sets without
any defect are made: told is how many bins were taken to be moved.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, JpegImagePlugin

from hotpixeld.camera import Bin
from hotpixeld.detection.lens_correction import NONE, Corrections
from hotpixeld.jpeg import decoder
from hotpixeld.photo import metadata
from hotpixeld.statistics.contrast import LUMA
from hotpixeld.store.ledger import Ledger

LENSES = ("ILCE-6000", "M50", "X-A2")
VISIBLE, SIGMAS, NEAR, FAR = 3.0, 3.0, 1.6, 24
WEAK = (7.0, 22.0)


@dataclass
class Tally:
    """Visible pairs, and what became of them; of all, and of weak ones."""

    pairs: int = 0
    listed: int = 0
    repaired: int = 0

    def add(self, *, listed: bool, repaired: bool) -> None:
        self.pairs += 1
        self.listed += listed
        self.repaired += repaired

    def __str__(self) -> str:
        if not self.pairs:
            return "   0      -      -"
        parts = (self.listed / self.pairs, self.repaired / self.pairs)
        return f"{self.pairs:4} {parts[0]:6.3f} {parts[1]:6.3f}"


@dataclass(frozen=True)
class Case:
    """One planting."""

    folder: Path
    lens: str
    count: int
    photos: int
    seed: int
    straight: bool = False


def luma(path: Path) -> np.ndarray:
    """Return the luma of a photo, (H, W) float64."""
    return np.asarray(decoder.decode(path.read_bytes()).astype(np.float64) @ LUMA)


def mirrored(path: Path, folder: Path) -> Path:
    """Write a photo's mirror image, taken ten years later, into a folder."""
    out = folder / f"mirrored_{path.name}"
    with JpegImagePlugin.JpegImageFile(path) as image:
        exif = re.sub(rb"20(\d)(\d:\d\d:\d\d )", rb"203\2", image.info["exif"])
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(
            out,
            exif=exif,
            qtables=image.quantization,
            subsampling=JpegImagePlugin.get_sampling(image),
        )
    return out


def photos_of(case: Case, folder: Path) -> list[Path]:
    """Return the photos of a case; the ones that its set lacks are made in a folder."""
    found = [one for one in case.folder.iterdir() if one.suffix.lower() == ".jpg"]
    random.Random(case.seed).shuffle(found)  # noqa: S311 - a choice, not secrets
    chosen = sorted(found[: case.photos])
    lacking = found[: case.photos - len(chosen)]
    if lacking and json.loads((case.folder / "truth.json").read_text())["defects"]:
        raise SystemExit(f"{case.folder}: its own defects would be mirrored, too")
    return chosen + [mirrored(path, folder) for path in lacking]


def planted(case: Case, photos: Path) -> dict[str, Any]:
    """Plant into photos, with the same seed where own defects are painted over; tell."""
    tool = Path(os.environ["HOTPIXELD_PHOTOS"]).parent / "defects" / "plant_lens.py"
    (more := photos.with_name("mirrored")).mkdir(exist_ok=True)
    command = [sys.executable, tool, *photos_of(case, more)]
    command += ["--out", photos, "--lens", case.lens, "--seed", case.seed]
    command += ["--count", case.count]
    command += ["--straight"] if case.straight else []
    if (own := case.folder / "truth.json").exists():
        command += ["--real", own]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    truth = photos / "truth.json"
    told: dict[str, Any] = json.loads(truth.read_text())
    truth.unlink()
    return told


def learned(root: Path) -> tuple[Corrections, np.ndarray]:
    """Run the program; return the corrections, and the sites that it lists."""
    tool = Path(sys.executable).with_name("hotpixeld")
    arguments = ("run", root / "photos", "--once", "--state", root / "state")
    subprocess.run([tool, *map(str, arguments)], check=True, capture_output=True)
    ledger = Ledger(root / "state" / "ledger.sqlite3")
    (record,) = ledger.images.cameras()
    known = ledger.samples.suspects(record.camera.id).corrections
    listed = [(one.row, one.col) for one in ledger.defects.of(record.camera.id)]
    ledger.close()
    return known, np.array(listed, np.intp).reshape(-1, 2)


class Result(NamedTuple):
    """What a planting came to."""

    all: Tally
    weak: Tally
    wrong: int
    moved: int


class Photo(NamedTuple):
    """Luma of a photo with planted defects, of its twin without, and of its copy."""

    before: np.ndarray
    twin: np.ndarray
    after: np.ndarray

    @classmethod
    def named(cls, name: str, root: Path) -> Photo:
        """Return a photo by its name; one that has no copy is as it was."""
        before, twin = (luma(root / folder / name) for folder in ("photos", "twins"))
        copy = root / "photos" / "repaired" / f"c_{name}"
        return cls(before, twin, luma(copy) if copy.exists() else before)

    def shows(self, row: int, col: int) -> bool:
        """Return whether an eye would find the defect that was planted at a place."""
        height, width = self.twin.shape
        if not (0 <= row < height and 0 <= col < width):
            return False
        near = self.twin[max(row - 6, 0) : row + 7, max(col - 6, 0) : col + 7]
        spread = 1.4826 * float(np.median(abs(near - np.median(near))))
        return self.peak(row, col) >= max(VISIBLE, SIGMAS * spread)

    def peak(self, row: int, col: int) -> float:
        """Return what the defect at a place changed."""
        return float(abs(self.before[row, col] - self.twin[row, col]))

    def is_back(self, row: int, col: int) -> bool:
        """Return whether the copy has no more than half of that."""
        left = abs(self.after[row, col] - self.twin[row, col])
        return bool(left <= self.peak(row, col) / 2)


def measure(case: Case) -> Result:
    """Plant, learn, repair and compare."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        root = Path(place)
        truth = planted(case, root / "photos")
        planted(replace(case, count=0), root / "twins")
        known, listed = learned(root)
        every, weak, wrong = Tally(), Tally(), 0
        size = truth["height"], truth["width"]
        for number, one in enumerate(truth["photos"]):
            path = root / "photos" / one["name"]
            about = metadata.read(path.read_bytes(), path)
            where = Bin.of(about.lens, about.focal_mm)
            places = known.places(listed, where, size)
            photo = Photo.named(path.name, root)
            changed = photo.before != photo.after
            for defect in truth["defects"]:
                x, y = defect["places"][number]
                row, col = round(y), round(x)
                changed[window(row, FAR), window(col, FAR)] = False
                if not photo.shows(row, col):
                    continue
                off = np.hypot(*(places - (y, x)).T)
                is_listed, is_back = bool((off <= NEAR).any()), photo.is_back(row, col)
                every.add(listed=is_listed, repaired=is_back)
                if WEAK[0] <= abs(defect["visible"]) <= WEAK[1]:
                    weak.add(listed=is_listed, repaired=is_back)
            wrong += blocks(changed)
        moved = sum(one != NONE for one in known.of.values())
        return Result(every, weak, wrong, moved)


def window(at: int, reach: int) -> slice:
    """Return the rows, or columns, around a place."""
    return slice(max(at - reach, 0), max(at + reach + 1, 0))


def blocks(changed: np.ndarray) -> int:
    """Return how many 16x16 blocks have changed pixels."""
    rows, cols = np.nonzero(changed)
    return len(set(zip((rows // 16).tolist(), (cols // 16).tolist(), strict=True)))


def main() -> None:
    """Measure, and print a line for each planting."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--lens", nargs="+", default=LENSES)
    for name, default in (("count", [12, 40]), ("photos", [24, 40]), ("seed", [1])):
        parser.add_argument(f"--{name}", nargs="+", type=int, default=default)
    parser.add_argument("--clean", type=int, default=0)
    chosen = parser.parse_args()
    if importlib.util.find_spec("scipy") is None:
        parser.error("plant_lens.py needs scipy: install it beside hotpixeld")
    print("set, lens, defects, photos, seed: visible pairs, listed, repaired;")
    print("weak ones; straight; weak ones; blocks changed elsewhere, straight")
    kinds = itertools.product(chosen.lens, chosen.count, chosen.photos, chosen.seed)
    for folder, how in itertools.product(chosen.folders, list(kinds)):
        case = Case(folder, *how)
        one, two = measure(case), measure(replace(case, straight=True))
        lens, *numbers = how
        print(
            f"{folder.name:16} {lens:10}{''.join(f'{number:5}' for number in numbers)}:"
            f" {one.all} | {one.weak} | {two.all} | {two.weak}"
            f" | {one.wrong} {two.wrong}",
            flush=True,
        )
    for folder in chosen.folders:
        moved = [
            measure(Case(folder, chosen.lens[0], 0, chosen.photos[0], seed)).moved
            for seed in range(1000, 1000 + chosen.clean)
        ]
        if moved:
            print(f"{folder.name}: {sum(moved)} bins moved in {len(moved)} clean sets")


if __name__ == "__main__":
    main()

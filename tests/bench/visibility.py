#!/usr/bin/env python3
"""Visibility measured: what is predicted of a defect in a photo, against what is seen.

    visibility.py FOLDER... [--count N]

Needs HOTPIXELD_PHOTOS, as plant_light.py does. The material is of three kinds: the defects
that the sets really have (certain in their truth.json), defects planted into them by the law
of light, in the photos' own light and in drawn light, and a seeded camera over four seasons.
The law of each defect is fitted to every other photo and predicts the rest, and the other
way round, so that no photo predicts itself; the gain of a photo is what its other defects
tell, never the one that is predicted.

Seen, which the prediction has no part in, is a contrast of the defect's sign that exceeds
`law.VISIBLE` levels and `law.CLEAR` standard deviations of the surroundings, with rounding,
in that very photo; photos whose surroundings are clipped there count neither way. Prints ten
bins of prediction, mean against share seen, and the area under the curve. Exits with 1
where a bin of at least 50 pairs is off by more than 0.1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

import life
import plant_light
import seasons
from law import CLEAR, CLIPPED, ROUNDING, VISIBLE

import sensor
import whole_frames
from detection import decoded, photos_of
from hotpixeld.detection import light
from hotpixeld.detection.score_test import Residuals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from plant_light import Json

    from hotpixeld.detection.evidence import Samples

BINS = 10
ENOUGH = 50
"""Pairs of photo and defect from which on a bin counts."""
NEAR_ENOUGH = 0.1
LIGHT = ("own", "drawn")
SEEDED = 400
"""Photos of the seeded camera."""


@dataclass(frozen=True, slots=True)
class Material:
    """Photos of a camera with known defects.

    Attributes
    ----------
    name : str
    samples : (photos, N) of `evidence.SAMPLE`
        At the defects.
    exposure : (photos,) float64
        Seconds times ISO; 0 where unknown.
    """

    name: str
    samples: Samples
    exposure: NDArray[np.float64]

    @property
    def residual(self) -> NDArray[np.float64]:
        """Return the contrast in the sense of each defect, (photos, N) levels."""
        residual = self.samples["residual"].astype(np.float64)
        sign = np.sign(np.where(self.counts, residual, 0).sum(axis=0))
        return np.asarray(sign * residual)

    @property
    def noise(self) -> NDArray[np.float64]:
        """Return the standard deviation of the surroundings, (photos, N) levels."""
        spread = self.samples["spread"].astype(np.float64)
        return np.asarray(np.hypot(spread, ROUNDING))

    @property
    def least(self) -> NDArray[np.float64]:
        """Return the contrast from which on a defect is seen, (photos, N) levels."""
        return np.maximum(VISIBLE, CLEAR * self.noise)

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Return where something could be seen at all, (photos, N)."""
        return np.asarray(self.samples["clipped"] <= CLIPPED)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Return where a defect is seen, (photos, N)."""
        return self.residual >= self.least


def of_photos(name: str, paths: Sequence[Path], places: Sequence[Json]) -> Material:
    """Return what photos show at places that are given by x and y."""
    sites = np.array([(one["y"], one["x"]) for one in places], np.intp)
    samples, exposures = [], []
    for path in paths:
        frame, exposure, _ = decoded(path)
        samples.append(whole_frames.sample(frame, sites))
        exposures.append(exposure)
    return Material(name, np.stack(samples), np.array(exposures))


def real(folder: Path) -> Iterator[Material]:
    """Yield what a set shows of the defects that it really has."""
    truth = json.loads((folder / "truth.json").read_text())
    places = [one for one in truth["defects"] if one.get("certain", True)]
    if places:
        yield of_photos(folder.name, photos_of(folder), places)


def planted(folder: Path, count: int, *, drawn: bool) -> Material:
    """Return what a set shows of hot pixels planted into all of its photos."""
    rng = np.random.default_rng((3, drawn))
    photos = plant_light.taken(photos_of(folder), rng, drawn=drawn)
    with Image.open(photos[0].path) as image:
        size = image.size
    defects = plant_light.chosen(photos, size, count, rng)
    hot = [one for one in defects if one.law is not None]
    for one in hot:
        one.chosen["onset"] = 0
    with tempfile.TemporaryDirectory() as name:
        plant_light.write(photos, hot, Path(name), drawn=drawn)
        paths = [Path(name) / one.path.name for one in photos]
        places = [one.chosen for one in hot]
        return of_photos(f"{folder.name}, {LIGHT[drawn]} light", paths, places)


def seeded() -> Material:
    """Return what a seeded camera shows over four seasons, suppressed photos left out."""
    shots = seasons.shots(SEEDED, 0)
    places = sensor.scattered(2 * len(seasons.LAWS), life.HEIGHT, life.WIDTH)
    lives = [
        seasons.Life(
            one.row, one.col, law, 0, seasons.NEVER, np.zeros(SEEDED, np.bool_)
        )
        for one, law in zip(places, 2 * seasons.LAWS, strict=True)
    ]
    camera = seasons.Camera.of(shots, 0, lives)
    sites = np.array([(one.row, one.col) for one in lives], np.intp)
    telling = [number for number, shot in enumerate(shots) if not shot.suppressed]
    samples = [whole_frames.sample(camera.frame(one), sites) for one in telling]
    exposure = np.array([shots[one].light for one in telling])
    return Material("seeded camera", np.stack(samples), exposure)


def _of_others(material: Material, known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the probabilities in the other photos, by laws of the `known` ones."""
    peak = material.samples["peak"].astype(np.float32)
    everywhere = np.ones_like(material.counts)
    fair = Residuals.of(material.samples[known])
    centre = light.at_centre(fair, peak[known], everywhere[known])
    factor = centre.spread[0] / fair.spread[0]
    unknown = np.full(len(known), np.nan)
    fitted = light.fit(
        centre, material.exposure[known], unknown[known], everywhere[known], {}
    )
    laws = [fitted.law(number) for number in range(everywhere.shape[1])]

    def seen(photos: NDArray[np.bool_], sharpness: float = 1.0) -> NDArray[np.float64]:
        plain = Residuals.of(material.samples[photos])
        at_centre = replace(
            plain, residual=factor * plain.residual, spread=factor * plain.spread
        )
        expected = light.Expected.of(
            at_centre,
            material.exposure[photos],
            unknown[photos],
            everywhere[photos],
            laws,
        )
        return expected.seen(factor * material.least[photos], sharpness)

    counts = material.counts[known]
    borne_out = light.sharpness(seen(known)[counts], material.seen[known][counts])
    return seen(~known, borne_out)


def predicted(material: Material) -> NDArray[np.float64]:
    """Return the probability of each defect to be seen in each photo, (photos, N)."""
    out = np.zeros(material.samples.shape)
    for half in (0, 1):
        known = np.arange(len(out)) % 2 == half
        out[~known] = _of_others(material, known)
    return out


def curve_area(chance: NDArray[np.float64], seen: NDArray[np.bool_]) -> float:
    """Return how likely the seen one of two pairs is the likelier; NaN if all are alike."""
    if seen.all() or not seen.any():
        return math.nan
    order = np.unique(chance, return_inverse=True)[1]
    counts = np.bincount(order)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    hits = int(seen.sum())
    misses = len(seen) - hits
    total = ranks[order][seen].sum() - hits * (hits + 1) / 2
    return float(total / (hits * misses))


def show(title: str, chance: NDArray[np.float64], seen: NDArray[np.bool_]) -> float:
    """Print ten bins; return by how much the worst one of enough pairs is off."""
    number = np.minimum((chance * BINS).astype(int), BINS - 1)
    cells = [number == each for each in range(BINS)]
    mean, share = (
        [float(values[cell].mean()) if cell.any() else math.nan for cell in cells]
        for values in (chance, seen)
    )
    pairs = [int(cell.sum()) for cell in cells]
    off = [
        abs(one - other)
        for one, other, count in zip(mean, share, pairs, strict=True)
        if count >= ENOUGH
    ]
    print(f"\n{title}: {len(seen)} pairs, area {curve_area(chance, seen):.3f}")
    for label, row in (("predicted", mean), ("seen", share)):
        print(f"  {label:10}" + "".join(f"{cell:7.2f}" for cell in row))
    print(f"  {'pairs':10}" + "".join(f"{cell:7}" for cell in pairs))
    print(f"  worst of bins of {ENOUGH} and more: {max(off, default=0):.3f}")
    return max(off, default=0.0)


def measure(title: str, materials: Iterable[Material]) -> float:
    """Predict and print one kind of material; return the worst difference."""
    chances, seens = [np.zeros(0)], [np.zeros(0, np.bool_)]
    for one in materials:
        chance, counts = predicted(one), one.counts
        area = curve_area(chance[counts], one.seen[counts])
        print(
            f"{one.name:32} {counts.sum():6} pairs, {one.seen[counts].mean():.2f} seen,"
            f" {chance[counts].mean():.2f} predicted, area {area:.3f}",
            flush=True,
        )
        chances.append(chance[counts])
        seens.append(one.seen[counts])
    return show(title, np.concatenate(chances), np.concatenate(seens))


def main() -> int:
    """Run the measurement that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=24, help="defects planted at once")
    options = parser.parse_args()
    if "HOTPIXELD_PHOTOS" not in os.environ:
        print("HOTPIXELD_PHOTOS names no folder of camera photos: nothing to measure")
        return 1
    folders = options.folders
    known = [one for folder in folders for one in real(folder)]
    worst = [measure("real defects", known)]
    for drawn in (False, True):
        made = (planted(one, options.count, drawn=drawn) for one in folders)
        worst.append(measure(f"planted, {LIGHT[drawn]} light", made))
    worst.append(measure("seeded camera", [seeded()]))
    return int(max(worst) > NEAR_ENOUGH)


if __name__ == "__main__":
    sys.exit(main())

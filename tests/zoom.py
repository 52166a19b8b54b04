"""A camera that corrects its lens: photos that show each defect elsewhere by focal length."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.cli.main import main
from hotpixeld.detection.lens_correction import NONE, Correction
from sensor import START, Planted, Sensor, scattered, write_jpeg

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (400, 560)
ZOOM = {16.0: NONE, 50.0: Correction(1.03, -0.08, -0.01)}
COUNT = 14
DEFECTS = scattered(COUNT, *SIZE, seed=8, levels=(50, 80))
OUTSIDE = Planted(150, -4, 80.0)
"""Photos at 50 mm alone show it."""


@dataclass(frozen=True)
class Zoomed:
    """Where photos and state are, and where each photo shows the defects, row and column."""

    photos: Path
    state: str
    shown: dict[str, list[tuple[int, int]]]


def focal_of(number: int) -> float:
    """Return the focal length of a photo."""
    return 50.0 if number % 5 in {1, 3} else 16.0


def shot(
    folder: Path, defects: tuple[Planted, ...], photos: int
) -> dict[str, list[tuple[int, int]]]:
    """Take photos at two focal lengths in turn; return where they show the defects."""
    folder.mkdir(parents=True)
    sites, shown = np.array([(one.row, one.col) for one in defects]), {}
    for number in range(photos):
        focal = focal_of(number)
        places = np.rint(ZOOM[focal].places(sites.reshape(-1, 2), SIZE)).astype(int)
        there = [
            replace(one, row=row, col=col)
            for one, (row, col) in zip(defects, places.tolist(), strict=True)
            if 0 <= row < SIZE[0] and 0 <= col < SIZE[1]
        ]
        frame = Sensor(*SIZE, seed=5, defects=tuple(there)).frame(number)
        path = folder / f"IMG_{number:04d}.JPG"
        taken = START + dt.timedelta(minutes=number)
        write_jpeg(path, frame, taken, focal=focal)
        shown[path.name] = [(one.row, one.col) for one in there]
    return shown


def worked(root: Path, defects: tuple[Planted, ...] = (*DEFECTS, OUTSIDE)) -> Zoomed:
    """Return a folder of photos after `run --once`."""
    shown = shot(root / "import", defects, 30)
    state = str(root / "state")
    assert main(["run", str(root / "import"), "--once", "--state", state, "-q"]) == 0
    return Zoomed(root / "import", state, shown)

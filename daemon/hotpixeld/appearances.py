"""Appearances: in how many photos a defect shows, and how strongly at which exposures."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.around import LUMA
from hotpixeld.calibration import CLIPPED
from hotpixeld.pixels import Appearance, Strength
from hotpixeld.weighing import Axis

if TYPE_CHECKING:
    from hotpixeld.samples import SampledPhoto
    from hotpixeld.sampling import Grid
    from hotpixeld.verdict import Verdicts

# A vote (log likelihood ratio) from which on a photo tells anything about a defect.
TELLING = 1.0
# Exposure times within two stops are told together.
STOPS = 2


def _stop(photo: SampledPhoto) -> int | None:
    """Return the number of a photo's exposure time, `STOPS` a step."""
    seconds = photo.exposure_seconds
    return math.floor(math.log2(seconds) / STOPS) if seconds else None


def _strength(grid: Grid, site: int, photos: list[int]) -> Strength:
    """Return how strongly a site shows in some photos of like exposure."""
    samples = grid.suspects[photos, site]
    weight = np.where(samples["clipped"] <= CLIPPED, 1, 0) / (
        1 + samples["spread"].astype(np.float64) ** 2
    )
    peaks = samples["peak"].astype(np.float64) @ LUMA
    taken = [grid.photos[number] for number in photos]
    seconds = [one.exposure_seconds for one in taken if one.exposure_seconds]
    iso = [one.iso for one in taken if one.iso]
    return Strength(
        seconds=(min(seconds), max(seconds)) if seconds else None,
        iso=(min(iso), max(iso)) if iso else None,
        amplitude=float((weight * peaks).sum() / max(float(weight.sum()), 1e-9)),
        photos=len(photos),
    )


def focal(grid: Grid, verdicts: Verdicts, site: int) -> tuple[float, float] | None:
    """Return the focal lengths at which a defect shows at this place; None is any."""
    if verdicts.axis[site] != Axis.FOCAL:
        return None
    lengths = grid.taken.focal[verdicts.shown[:, site]]
    return float(lengths.min()), float(lengths.max())


def of(grid: Grid, verdicts: Verdicts, site: int, first: int, last: int) -> Appearance:
    """Return how the defect at a suspect's place appears in the photos of its life.

    Parameters
    ----------
    grid : Grid
    verdicts : Verdicts
    site : int
        Number of the suspect.
    first, last : int
        Numbers of the first and the last photo of its life.
    """
    votes = verdicts.support[:, site]
    alive = np.arange(first, last + 1)
    by_stop: dict[int | None, list[int]] = defaultdict(list)
    for number in alive.tolist():
        by_stop[_stop(grid.photos[number])].append(number)
    return Appearance(
        seen=int((votes[alive] >= TELLING).sum()),
        telling=int((np.abs(votes[alive]) >= TELLING).sum()),
        strengths=tuple(
            _strength(grid, site, photos)
            for _, photos in sorted(by_stop.items(), key=lambda item: item[0] or 0)
        ),
    )

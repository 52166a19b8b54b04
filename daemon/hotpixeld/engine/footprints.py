"""Footprints of a camera's defects: learned with its map, and kept beside it.

From which photos, and whether anew, is decided by the evidence alone, so that copies do not
change with every photo; see `repair.stacking`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import logging
import os
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.defect import Defect, Kind, is_alive
from hotpixeld.detection import suspects
from hotpixeld.detection.lens_correction import NOWHERE, pixels_at
from hotpixeld.engine.sampling import JUDGED
from hotpixeld.files import make_folder, remove, write
from hotpixeld.repair import stacking
from hotpixeld.repair.pixel_list import not_ignored
from hotpixeld.repair.shape import USUAL, Exposure, Footprints, Shown
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hotpixeld.defect import Life
    from hotpixeld.detection.lens_correction import Corrections
    from hotpixeld.engine.maps import MapTask
    from hotpixeld.engine.sampling import EarlierPhotos
    from hotpixeld.jpeg.block_reader import Levels, Window
    from hotpixeld.photo.metadata import Metadata
    from hotpixeld.repair.stacking import Stacks
    from hotpixeld.store.images import Image, Taken

    Array = NDArray[np.float64]
    Site = tuple[int, int]

log = logging.getLogger(__name__)

MOST_LEARNED = 128
"""Defects whose own footprints are learned: 60 kB of memory each, while that is done."""


def _lives(defects: Iterable[Defect]) -> dict[Site, list[Life]]:
    """Return when there were defects, by their sites; of `MOST_LEARNED` at most."""
    found: dict[Site, list[Life]] = {}
    for one in sorted(defects, key=lambda one: (one.row, one.col)):
        found.setdefault((one.row, one.col), []).append(one.life)
    return dict(itertools.islice(found.items(), MOST_LEARNED))


def _exposure(taken: Taken | Metadata) -> Exposure:
    return Exposure(taken.exposure_seconds, taken.iso, taken.celsius)


def shown_by(taken: Metadata, footprints: Footprints) -> Shown:
    """Return how a photo shows its camera's defects, by what was learned of them."""
    return Shown(footprints, _exposure(taken))


def _to_learn_from(task: MapTask, photos: int) -> list[Image]:
    """Return the photos that footprints are learned from; `photos` are in the generation.

    Up to `JUDGED` the first ones by capture time, so that the same photos teach the same,
    whichever way they came; later, the newest.
    """
    ordered = sorted(
        task.known.photos,
        key=lambda one: (one.taken.captured or dt.datetime.max, one.identity),
    )
    return ordered[: stacking.place(len(ordered))] if photos <= JUDGED else ordered


def _inside(places: Array) -> list[Site]:
    """Return pixels of a photo, any one in place of those nowhere: these do not count."""
    return [(max(row, 0), max(col, 0)) for row, col in pixels_at(places).tolist()]


def _add(
    stacks: Stacks,
    taken: Taken,
    levels: Sequence[Levels],
    places: Array,
    lived: dict[Site, list[Life]],
) -> None:
    """Add what a photo shows around the places of defects."""
    at = pixels_at(places)
    alive = [
        row != NOWHERE and any(is_alive(life, taken.captured) for life in lives_)
        for (row, _), lives_ in zip(at.tolist(), lived.values(), strict=True)
    ]
    aside = np.nan_to_num(places - at)
    stacks.add(levels, np.array(alive), _exposure(taken), _inside(places), aside)


def learned(
    task: MapTask,
    defects: list[Defect],
    photos: int,
    corrections: Corrections,
    earlier: EarlierPhotos,
    at_step: Callable[[], None],
) -> Footprints:
    """Return how defects show: what is known, unless there are more photos, or others."""
    certain = filter(suspects.is_certain, not_ignored(defects, task.ignored))
    lived = _lives(certain)
    if not lived:
        return USUAL
    wanted = [(one, task.files[one.id]) for one in _to_learn_from(task, photos)]
    there = [one for one in wanted if any(map(os.path.exists, one[1]))]
    identities = [one.identity for one, _ in there] if photos <= JUDGED else []
    moved = [corrections.to_json()] if corrections.move else []
    drawn = {(one.row, one.col) for one in defects if one.kind is not Kind.HOT}
    of_what = stacking.place(photos), lived, identities, sorted(drawn), *moved
    basis = hashlib.sha256(repr(of_what).encode()).hexdigest()[:16]
    if basis == task.footprints.basis:
        return task.footprints
    size = task.camera.height, task.camera.width
    stacks = stacking.Stacks(list(lived), *size, drawn)
    lacking = len(wanted) - len(there)
    exactly = {(one.row, one.col): one.exactly for one in defects}
    sites = np.array([exactly[site] for site in lived], np.float64)

    def places(image: Image) -> Array:
        return corrections.exactly(sites, image.taken.bin, size)

    def windows(image: Image) -> list[Window]:
        return stacks.windows(_inside(places(image)))

    looked = earlier.windows(there, windows, at_step)
    for (image, _), levels in zip(there, looked, strict=True):
        if levels is None:
            lacking += 1
        else:
            _add(stacks, image.taken, levels, places(image), lived)
    found = stacking.learn(stacks, basis)
    return found.or_better(task.footprints) if lacking else found


def kept(state: Path, camera_id: str) -> Footprints:
    """Return what was learned of a camera's footprints, as its last map left it."""
    path = state_folder.footprint_file(state, camera_id)
    try:
        return Footprints.from_json(path.read_text())
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.warning("learned footprint is not used: %s: %s", path, error)
    return USUAL


def keep(state: Path, camera_id: str, found: Footprints) -> None:
    """Keep how a camera's defects show, where they do so in a way of their own."""
    path = state_folder.footprint_file(state, camera_id)
    if found != USUAL:
        make_folder(path.parent)
        write(path, found.to_json().encode())
    elif path.exists():
        remove(path)

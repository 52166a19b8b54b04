"""The pixels that may be repaired in a photo: those listed, and those it shows.

`repairable` chooses a camera's defects by the photo's date and focal length; `visible` by
its levels around each: a detected defect that is not seen is not repaired.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.config.model import is_largest
from hotpixeld.defect import Kind
from hotpixeld.detection import suspects
from hotpixeld.jpeg.block_reader import Window

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.defect import Defect
    from hotpixeld.photo.metadata import Metadata
    from hotpixeld.repair.footprint import Footprint
    from hotpixeld.statistics.welford import Frame


# The site is known, so one look decides: 3 standard deviations of the surroundings, and
# at least what an eye can find at all in a smooth area.
SIGMAS = 3.0
LEVELS = 3.0
DEFAULT_RADIUS = 1


@dataclass(frozen=True, slots=True)
class PixelList:
    """What may be repaired in a photo.

    Attributes
    ----------
    configured : tuple of Defect
        Repaired whether they can be seen or not.
    detected : tuple of Defect
        Repaired where they can be seen.
    version : str
        Changes when the list does: a short hash.
    footprint : Footprint or None
        How this camera's defects show, where that was learned.
    """

    configured: tuple[Defect, ...]
    detected: tuple[Defect, ...]
    version: str
    footprint: Footprint | None = None


def _reach(defect: Defect) -> tuple[int, int]:
    """Return how far a footprint and one pixel around it reach, and what is looked at."""
    inner = (DEFAULT_RADIUS if defect.radius is None else defect.radius) + 1
    return inner, inner + 4


def _surroundings(frame: Frame, defect: Defect) -> tuple[np.ndarray, np.ndarray]:
    """Return the levels around a defect, (N, 3) float32, and the (N, 3) terms of their trend.

    The footprint and one pixel around it are left out.
    """
    inner, outer = _reach(defect)
    height, width, _ = frame.shape
    rows = np.arange(max(defect.row - outer, 0), min(defect.row + outer + 1, height))
    cols = np.arange(max(defect.col - outer, 0), min(defect.col + outer + 1, width))
    y, x = np.meshgrid(rows - defect.row, cols - defect.col, indexing="ij")
    ring = np.maximum(abs(y), abs(x)) > inner
    levels = frame[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1][ring]
    terms = np.stack([np.ones(ring.sum()), y[ring], x[ring]], axis=1)
    return levels.astype(np.float32), terms


def prominence(frame: Frame, defect: Defect) -> tuple[np.ndarray, np.ndarray]:
    """Return how far the defect stands out, and the spread of its surroundings.

    Parameters
    ----------
    frame : (H, W, 3) uint8, 0-255
    defect : Defect
        Inside the frame.

    Returns
    -------
    prominence, spread : (3,) float64, levels
        Level at the centre less the linear trend of the surroundings, and the robust
        standard deviation of the surroundings about that trend, per channel.
    """
    levels, terms = _surroundings(frame, defect)
    trend, *_ = np.linalg.lstsq(terms, levels, rcond=None)
    residual = levels - terms @ trend
    spread = 1.4826 * np.median(abs(residual), axis=0)
    centre = frame[defect.row, defect.col].astype(np.float64)
    return centre - trend[0], np.maximum(spread, 0.5)


def is_visible(frame: Frame, defect: Defect) -> bool:
    """Return whether the defect stands out of its surroundings in this frame."""
    height, width, _ = frame.shape
    if not (0 <= defect.row < height and 0 <= defect.col < width):
        return False
    above, spread = prominence(frame, defect)
    if defect.kind is Kind.HOT:
        strength = above
    elif defect.kind is Kind.DEAD:
        strength = -above
    else:
        strength = abs(above)
    return bool(np.any((strength >= LEVELS) & (strength >= SIGMAS * spread)))


def visible(frame: Frame, defects: Sequence[Defect]) -> tuple[Defect, ...]:
    """Return those of `defects` that can be seen in `frame`."""
    return tuple(defect for defect in defects if is_visible(frame, defect))


def window(defect: Defect, height: int, width: int) -> Window:
    """Return the pixels that show whether a defect inside a photo can be seen in it."""
    _, reach = _reach(defect)
    return Window(
        max(defect.row - reach, 0),
        max(defect.col - reach, 0),
        min(defect.row + reach + 1, height),
        min(defect.col + reach + 1, width),
    )


def version(config: Config, camera: Camera, detected: list[Defect]) -> str:
    """Return the version of a camera's pixel list: it changes when the list does.

    Scores and amplitudes do not count: they move a little with every photo.
    """
    entries = config.camera_entries(camera)
    certain = [
        (defect.row, defect.col, defect.after, defect.until, defect.focal)
        for defect in detected
        if suspects.is_certain(defect)
    ]
    listed = (camera.id, entries, certain, config.repair, config.folders)
    return hashlib.sha256(repr(listed).encode()).hexdigest()[:16]


def _may_show(defect: Defect, when: dt.datetime | None) -> bool:
    """Return whether a photo taken at `when` may lie in the defect's life.

    Between the two photos where it began the photo itself decides.
    """
    if when is None:
        return defect.until is None
    began = defect.after is None or when > defect.after
    return began and (defect.until is None or when < defect.until)


def repairable(
    config: Config,
    camera: Camera,
    cameras: list[Camera],
    detected: list[Defect],
    metadata: Metadata,
) -> PixelList:
    """Return what may be repaired in a photo of `camera`.

    Parameters
    ----------
    metadata : Metadata
        When the photo was taken, and at which focal length.
    """
    when, focal = metadata.captured, metadata.focal_mm
    which = config.repair.pixels
    largest = is_largest(camera, cameras)
    configured = config.configured_defects(camera, when, largest=largest)
    certain = [
        defect
        for defect in detected
        if suspects.is_certain(defect) and _may_show(defect, when)
    ]
    listed, found = (
        tuple(defect for defect in defects if defect.is_at(focal))
        for defects in (configured, certain)
    )
    return PixelList(
        listed if which != "detected" else (),
        found if which != "configured" else (),
        version(config, camera, detected),
    )

"""Evidence: what one photo shows at the suspects of its camera, a few bytes each.

A sample is the contrast of a suspect in one photo (the site and its four neighbours, less
the sixteen places around them), and the spread that the same contrast has at the places
around it, which says how much the contrast is worth: in a smooth surrounding much, in
foliage nothing. Control sites, ordinary ones, are sampled beside the suspects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hotpixeld.camera import Bin
from hotpixeld.detection.lens_correction import NOT_CORRECTED, Corrections
from hotpixeld.statistics.contrast import (
    BORDER,
    CENTRE,
    GAUSSIAN,
    OUTER,
    OUTSIDE,
    STEP,
    UNIT,
    WINDOW,
    contrast,
    luma_of,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from hotpixeld.statistics.contrast import FixedPoint, Sites

    Size = tuple[int, int]

SAMPLE = np.dtype(
    [
        ("residual", "<f2"),
        ("spread", "<f2"),
        ("peak", "<f2", (3,)),
        ("pattern", "<u2"),
        ("level", "u1"),
        ("clipped", "u1"),
    ]
)
"""14 bytes a suspect, in levels: contrast and its standard deviation around, what the site
alone has over its surroundings (red, green, blue), which parts of the surroundings are
brighter than others (a bit each), their mean level (luma) and the share of them that is
clipped white (255: all)."""
Samples = NDArray[np.void]
"""(photos, sites) or (sites,) of `SAMPLE`."""

SIDE = 2 * WINDOW + 1
"""Rows, and columns, of the window around a site."""

CHUNK = 128
# Surroundings of the site alone: where a wide footprint has its dark ring or nothing.
RING = ((0, 3), (1, 3), (2, 2), (3, 1), (3, 0), (3, -1), (2, -2), (1, -3))
# Opposite points well outside of every footprint: their sums do not know slopes, and which
# of them exceed the mean is a mark by which surroundings are known again.
OPPOSITE = tuple(
    (round(reach * math.sin(angle)), round(reach * math.cos(angle)))
    for reach, angle in (((4, 6)[k % 2], k * math.pi / 16) for k in range(16))
)
# A hot pixel cannot show in a clipped highlight.
WHITE, CORE = 253, 2
CONTROL_SEED = 1


def _mirrored(places: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Return (13, N) indices around each of (N,), mirrored at the frame's edges."""
    index = np.abs(np.arange(-WINDOW, WINDOW + 1)[:, None] + places)
    return np.asarray(np.where(index >= size, 2 * size - 2 - index, index), np.intp)


def _mirroring(distance: int) -> NDArray[np.float64]:
    """Return (5, 5): where mirroring takes the rows of a contrast near an edge."""
    mirroring = np.zeros((5, 5))
    for row in range(5):
        target = row - 2
        at = target + 2 if target >= -distance else 2 - 2 * distance - target
        mirroring[at, row] = 1
    return mirroring


def _inflations() -> NDArray[np.float64]:
    """Return how much more a contrast varies 0, 1, 2 pixels from edges, (3, 3).

    Mirrored places count twice there; the spread is that of places inside.
    """
    kernel = np.pad(np.full((3, 3), 0.0), 1, constant_values=-BORDER)
    kernel[2, 1:4] = kernel[1:4, 2] = CENTRE
    kernel[2, 2] = 2 * CENTRE
    edges = [_mirroring(distance) for distance in range(3)]
    power = [[np.square(a @ kernel @ b.T).sum() for b in edges] for a in edges]
    return np.asarray(np.sqrt(np.array(power) / power[2][2]))


INFLATIONS = _inflations()


def _inflation(sites: Sites, height: int, width: int) -> NDArray[np.float64]:
    """Return how much more the contrast of each site varies than inside the frame."""
    far = np.minimum(sites, np.array([height, width]) - 1 - sites)
    near = np.minimum(far, 2)
    return np.asarray(INFLATIONS[near[:, 0], near[:, 1]])


def _peak(window: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return what the centres have over their surroundings, (3, N) levels."""
    ring = [
        window[:, WINDOW + sign * down, WINDOW + sign * right]
        for down, right in RING
        for sign in (1, -1)
    ]
    return np.asarray(window[:, WINDOW, WINDOW] - np.mean(ring, axis=0), np.float64)


def _pattern(luma: FixedPoint) -> NDArray[np.uint16]:
    """Return which parts of the surroundings exceed the others, (N,) of 16 bits."""
    pairs = np.stack(
        [
            luma[WINDOW + down, WINDOW + right] + luma[WINDOW - down, WINDOW - right]
            for down, right in OPPOSITE
        ]
    )
    bits = (pairs > pairs.mean(axis=0)).astype(np.uint16)
    return np.asarray(bits.T @ (1 << np.arange(16, dtype=np.uint16)), np.uint16)


def _sample_chunk(
    windows: NDArray[np.uint8], begins: Sites, size: Size, sites: Sites, out: Samples
) -> None:
    """Fill `out`, (photos, sites), with the samples of a few sites in a few photos."""
    photos, _, width, _ = windows.shape
    rows = _mirrored(sites[:, 0], size[0]) - begins[:, 0]
    cols = _mirrored(sites[:, 1], size[1]) - begins[:, 1]
    # Sites along the last axis: every operation then runs over contiguous memory.
    flat = (rows * width)[:, None, :] + cols[None, :, :]
    # Four times as fast as indexing.
    found = np.take(windows.reshape(photos, -1, 3), flat, axis=1)
    levels = found.transpose(4, 1, 2, 0, 3).reshape(3, *flat.shape[:2], -1)
    inflation = np.tile(_inflation(sites, *size), photos)
    out[...] = _of_levels(levels, inflation).reshape(out.shape)


def _of_levels(levels: NDArray[np.uint8], inflation: NDArray[np.float64]) -> Samples:
    """Return the samples of sites by what is around them, (3, 13, 13, N)."""
    out = np.zeros(len(inflation), SAMPLE)
    window = np.ascontiguousarray(levels).astype(np.int16)
    luma = luma_of(*window)
    excess, _ = contrast(luma)
    out["residual"] = excess[OUTER, OUTER] / UNIT
    sizes = np.abs(excess, out=excess).reshape(-1, excess.shape[-1])
    # A product with the mask sums faster than a selection.
    total = OUTSIDE @ sizes.astype(np.float32)
    scale = GAUSSIAN / (OUTSIDE.sum() * UNIT)
    out["spread"] = total * scale * inflation
    out["peak"] = _peak(window).T
    out["pattern"] = _pattern(luma)
    core = levels[
        :, WINDOW - CORE : WINDOW + CORE + 1, WINDOW - CORE : WINDOW + CORE + 1
    ]
    out["clipped"] = np.rint((core >= WHITE).mean(axis=(0, 1, 2)) * 255)
    # Every fourth pixel: none of them in the core of the footprint.
    out["level"] = np.rint(luma[::4, ::4].mean(axis=(0, 1)) / STEP)
    return out


def _sample_each(
    windows: NDArray[np.uint8], begins: Sites, size: Size, sites: Sites
) -> Samples:
    """Return (photos, N) samples; for each site, where in the frame `windows` begin."""
    out: Samples = np.zeros((len(windows), len(sites)), SAMPLE)
    for start in range(0, len(sites), CHUNK):
        part = slice(start, start + CHUNK)
        chunk = begins[part], size, sites[part]
        together = CHUNK // len(sites[part])
        for first in range(0, len(windows), together):
            photos = slice(first, first + together)
            _sample_chunk(windows[photos], *chunk, out[photos, part])
    return out


def sample_rows(
    windows: NDArray[np.uint8], top: int, height: int, sites: Sites
) -> Samples:
    """Return what photos show at `sites`, where only some of their rows are at hand.

    Parameters
    ----------
    windows : (photos, rows, W, 3) uint8, 0-255
        Rows of each photo, `WINDOW` around each site or to the frame's edge.
    top : int
        The row of the frame that theirs begin with; may be outside the frame.
    height : int
        Of the frames.
    sites : (N, 2) intp
        Row, column, in the frame.

    Returns
    -------
    (photos, N) of `SAMPLE`
    """
    begins = np.broadcast_to(np.array([top, 0], np.intp), sites.shape)
    return _sample_each(windows, begins, (height, windows.shape[2]), sites)


def corners(height: int, width: int, sites: Sites) -> Sites:
    """Return where the window of each site begins: around it, but inside the frame.

    Parameters
    ----------
    height, width : int
        Of the frame; at least `SIDE`.
    sites : (N, 2) intp
        Row, column, in the frame.

    Returns
    -------
    (N, 2) intp
        Row, column of the window's first pixel.
    """
    return np.clip(sites - WINDOW, 0, np.array([height, width]) - SIDE)


def sample_windows(
    windows: NDArray[np.uint8], height: int, width: int, sites: Sites
) -> Samples:
    """Return what a photo shows at `sites`, where only their windows are at hand.

    Parameters
    ----------
    windows : (N, SIDE, SIDE, 3) uint8, 0-255
        That of each site, from its place of `corners` on.
    height, width : int
        Of the frame; at least `SIDE`.
    sites : (N, 2) intp
        Row, column, in the frame.

    Returns
    -------
    (N,) of `SAMPLE`
    """
    begins = corners(height, width, sites)
    begins[:, 0] -= SIDE * np.arange(len(sites))  # they stand below one another
    below = windows.reshape(1, -1, SIDE, 3)
    samples: Samples = _sample_each(below, begins, (height, width), sites)[0]
    return samples


def controls(height: int, width: int, count: int = 512) -> Sites:
    """Return ordinary sites, the same ones for every photo of a size.

    Sampled beside the suspects, they show what chance alone gives in these very photos.
    """
    rng = np.random.default_rng(CONTROL_SEED)
    rows, cols = rng.integers(0, height, count), rng.integers(0, width, count)
    return np.stack([rows, cols], axis=1).astype(np.intp)


@dataclass(frozen=True, slots=True)
class Suspects:
    """The list of suspects of a camera.

    Attributes
    ----------
    version : int
        Grows by one with each new list; 0 is the empty one, before the first.
    sites : (N, 2) intp
        Row, column.
    corrections : Corrections
        Where photos show them.
    """

    version: int
    sites: Sites
    corrections: Corrections = NOT_CORRECTED


@dataclass(frozen=True, slots=True)
class SampledPhoto:
    """The samples of one photo, and how it was taken.

    Attributes
    ----------
    image : int
        As `Image.id`.
    captured : datetime or None
        Local time as the camera wrote it.
    exposure_seconds, iso, focal_mm, celsius : float or None
        The last is the camera's own temperature, degrees.
    lens : str
        Its model; empty where the photo does not name it.
    version : int
        Of the list of suspects that it was sampled at.
    samples : (N + C,) of `evidence.SAMPLE`
        The suspects, then the controls.
    """

    image: int
    captured: dt.datetime | None
    exposure_seconds: float | None
    iso: int | None
    focal_mm: float | None
    celsius: float | None
    lens: str
    version: int
    samples: Samples

    @property
    def bin(self) -> Bin:
        """Return what its lens correction depends on."""
        return Bin.of(self.lens, self.focal_mm)


NOT_SAMPLED = 255
"""`clipped` of a sample that was never taken: it does not count."""


def none_taken(*shape: int) -> Samples:
    """Return samples that were never taken, of this shape."""
    samples = np.zeros(shape, SAMPLE)
    samples["clipped"] = NOT_SAMPLED
    samples["spread"] = 1.0
    return samples


@dataclass(frozen=True, slots=True)
class Conditions:
    """How photos were taken; (photos,) float64 each, 0 where unknown.

    Attributes
    ----------
    exposure
        Seconds times ISO.
    focal
        Focal length, mm.
    celsius
        The camera's own temperature, degrees; NaN where unknown.
    """

    exposure: NDArray[np.float64]
    focal: NDArray[np.float64]
    celsius: NDArray[np.float64]

    @classmethod
    def unknown(cls, photos: int) -> Conditions:
        """Return those of photos without EXIF."""
        return cls(np.zeros(photos), np.zeros(photos), np.full(photos, np.nan))


def _is_before(photo: SampledPhoto, when: dt.datetime) -> bool:
    return photo.captured is not None and photo.captured < when


@dataclass(frozen=True, slots=True)
class EvidenceTable:
    """The samples of a camera's photos at its suspects, and at the controls.

    Attributes
    ----------
    sites : (N, 2) intp
    suspects : (photos, N) of `evidence.SAMPLE`
        By capture time.
    controls : (photos, C) of `evidence.SAMPLE`
    photos : sequence of SampledPhoto
    """

    sites: Sites
    suspects: Samples
    controls: Samples
    photos: Sequence[SampledPhoto]

    def since(self, when: dt.datetime) -> EvidenceTable:
        """Return the photos taken at `when` or later, or at an unknown time."""
        return self._only([not _is_before(photo, when) for photo in self.photos])

    def before(self, when: dt.datetime) -> EvidenceTable:
        """Return the photos taken before `when`."""
        return self._only([_is_before(photo, when) for photo in self.photos])

    def _only(self, chosen: list[bool]) -> EvidenceTable:
        """Return the chosen photos."""
        numbers = [number for number, is_chosen in enumerate(chosen) if is_chosen]
        photos = [self.photos[number] for number in numbers]
        return EvidenceTable(
            self.sites, self.suspects[numbers], self.controls[numbers], photos
        )

    @property
    def conditions(self) -> Conditions:
        """Return how the photos were taken."""
        exposure = [
            (photo.exposure_seconds or 0) * (photo.iso or 0) for photo in self.photos
        ]
        focal = [photo.focal_mm or 0 for photo in self.photos]
        told = (photo.celsius for photo in self.photos)
        celsius = [math.nan if degrees is None else degrees for degrees in told]
        return Conditions(*map(np.array, (exposure, focal, celsius)))

"""The pixels that may be repaired in a photo: those listed, and those it shows.

`repairable` chooses a camera's defects by the photo's date and focal length; `visible` by
its levels around each: a detected defect that is not seen is not repaired.  Where only
another size of the body has shown one, it is looked for in a few pixels (`seen_at`).  What is
detected stays in the map whatever the configuration says, and `ignore` is a word about its
use: it holds at once, for every photo, and can be taken back.
`listing` is a camera's whole list, for people.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import math
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotpixeld.camera import Bin
from hotpixeld.config.model import is_largest
from hotpixeld.defect import VISIBLE_LEVELS, Defect, Kind, Primed, Prior
from hotpixeld.detection import lives, suspects
from hotpixeld.detection.lens_correction import NOT_CORRECTED, NOWHERE, pixels_at
from hotpixeld.jpeg.block_reader import Window
from hotpixeld.repair import shape
from hotpixeld.repair.shape import AS_USUAL, USUAL
from hotpixeld.statistics.contrast import LUMA

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.detection.lens_correction import Corrections
    from hotpixeld.jpeg.decoder import Frame
    from hotpixeld.photo.metadata import Metadata
    from hotpixeld.repair.shape import Footprints, Shown


# The site is known, so one look decides: 3 standard deviations of the surroundings, and
# at least `VISIBLE_LEVELS`.
SIGMAS = 3.0
# A footprint and one pixel around it, and how far the surroundings reach.  One size for
# all: what is measured of a footprint moves with the evidence, and whether a photo shows
# the defect may not depend on which map looked at it.
INNER = 2
REACH = 6


@dataclass(frozen=True, slots=True)
class PixelList:
    """What may be repaired in a photo.

    Attributes
    ----------
    configured : tuple of Defect
        Repaired whether they can be seen or not.
    detected : tuple of Defect
        Repaired where they can be seen; those of other sizes as well.
    version : str
        Changes when the list does; empty where nobody keeps it.
    shown : Shown
        How the photo shows them, as far as that was learned.
    """

    configured: tuple[Defect, ...]
    detected: tuple[Defect, ...]
    version: str = ""
    shown: Shown = AS_USUAL

    def keeping(self, kept: Iterable[Defect]) -> PixelList:
        """Return it with what a copy has repaired in place of what is detected."""
        sites = {(one.row, one.col): one for one in (*kept, *self.configured)}
        configured = tuple(sites[site] for site in sorted(sites))
        return replace(self, configured=configured, detected=())

    @property
    def sites(self) -> list[Defect]:
        """Return all that may be repaired, with every place where it may be."""
        return [
            *self.configured,
            *(at for one in self.detected for at in spread_out(one)),
        ]


def spread_out(defect: Defect) -> list[Defect]:
    """Return a defect at each place where a photo may show it."""
    if not isinstance(defect, Prior):
        return [defect]
    return [Defect(row, col, defect.kind) for row, col in defect.places]


class _Ring(NamedTuple):
    """The surroundings of a defect, the footprint and one pixel around it left out.

    Attributes
    ----------
    inside : (rows, columns) bool
    terms : (N, 3) float64
        Of their linear trend.
    inverse : (3, N) float64
        Gives the trend that fits levels best.
    """

    inside: NDArray[np.bool_]
    terms: NDArray[np.float64]
    inverse: NDArray[np.float64]


@functools.lru_cache(maxsize=64)
def _ring(up: int, left: int, down: int, right: int) -> _Ring:
    """Return the ring of surroundings, cut to what there is on each side."""
    y, x = np.mgrid[-up : down + 1, -left : right + 1]
    inside = np.maximum(abs(y), abs(x)) > INNER
    terms = np.stack([np.ones(inside.sum()), y[inside], x[inside]], axis=1)
    return _Ring(inside, terms, np.linalg.pinv(terms))


def window(defect: Defect, height: int, width: int) -> Window:
    """Return the pixels that show whether a defect inside a photo can be seen in it."""
    return Window.around(defect.row, defect.col, REACH, height, width)


def within(defect: Defect, window: Window) -> Defect:
    """Return a defect by its place in a window."""
    row, col = defect.row - window.top, defect.col - window.left
    return replace(defect, row=row, col=col)


class _Surroundings(NamedTuple):
    """What is around a defect in a photo.

    Attributes
    ----------
    window : Window
    trend : (3, 3) float64, levels
        Linear: the level at the centre, its change by a row and by a column, per channel.
    spread : (3,) float64, levels
        Robust standard deviation about the trend, per channel.
    """

    window: Window
    trend: NDArray[np.float64]
    spread: NDArray[np.float64]


def _surroundings(frame: Frame, defect: Defect) -> _Surroundings:
    """Return what is around a defect inside a frame."""
    height, width, _ = frame.shape
    around = top, left, bottom, right = window(defect, height, width)
    row, col = defect.row, defect.col
    ring = _ring(row - top, col - left, bottom - row - 1, right - col - 1)
    levels = frame[top:bottom, left:right][ring.inside].astype(np.float64)
    trend = ring.inverse @ levels
    residual = levels - ring.terms @ trend
    spread = 1.4826 * np.median(abs(residual), axis=0)
    return _Surroundings(around, trend, np.maximum(spread, 0.5))


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
    _, trend, spread = _surroundings(frame, defect)
    centre = frame[defect.row, defect.col].astype(np.float64)
    return centre - trend[0], spread


def _strength(defect: Defect, above: np.ndarray) -> np.ndarray:
    """Return how far levels are off those around them, in the direction of a defect."""
    if defect.kind is Kind.HOT:
        return above
    return -above if defect.kind is Kind.DEAD else abs(above)


def _stands_out(
    strength: np.ndarray, spread: np.ndarray, sigmas: float = SIGMAS
) -> bool:
    """Return whether a defect of this strength can be seen."""
    return bool(np.any((strength >= VISIBLE_LEVELS) & (strength >= sigmas * spread)))


@functools.cache
def _sigmas(pixels: int) -> float:
    """Return what the strongest of some pixels has to exceed, as one has to `SIGMAS`.

    Noise exceeds both as often: (1 - p)^pixels = 1 - P(one exceeds `SIGMAS`) is the error
    rate p of each of several independent looks (Sidak 1967).

    >>> round(_sigmas(1), 2), round(_sigmas(9), 2)
    (3.0, 3.62)
    """
    normal = NormalDist()
    return normal.inv_cdf(normal.cdf(SIGMAS) ** (1 / pixels))


def shows(part: Frame, window: Window, defect: Defect, shown: Shown) -> bool:
    """Return whether a photo shows a defect, or hides one that is expected to be seen.

    Parameters
    ----------
    part : (rows, columns, 3) uint8, 0-255
        The `window` of the photo.
    defect : Defect
        Inside the photo.
    shown : Shown
        How the photo shows its camera's defects.
    """
    above, spread = prominence(part, within(defect, window))
    if _stands_out(_strength(defect, above), spread):
        return True
    shapes = shown.footprints.by_site.get((defect.row, defect.col))
    if shapes is None or (shapes.law or shapes.pull) is None:
        return False
    level = float(np.median(part @ LUMA))
    mean, deviation = shape.expected(shapes, level, shown.exposure, 0)
    least = abs(mean) - SIGMAS * math.hypot(spread @ LUMA, deviation)
    is_there = math.copysign(1, mean) * (above @ LUMA) >= least
    return bool(abs(mean) >= VISIBLE_LEVELS and is_there)


def _found(part: Frame, window: Window, prior: Prior) -> Defect | None:
    """Return the defect that a photo shows where another size of its body has one.

    That is the strongest of the pixels that may be its centre, if it stands out of its
    surroundings and no neighbour exceeds it: an edge of something else does not.
    """
    here, trend, spread = _surroundings(part, within(prior, window))
    y, x = np.mgrid[here.top : here.bottom, here.left : here.right]
    down, right = y + window.top - prior.row, x + window.left - prior.col
    terms = np.stack([np.ones(y.shape), down, right], axis=2)
    levels = part[here.top : here.bottom, here.left : here.right]
    strength = _strength(prior, levels.astype(np.float64) - terms @ trend)
    ratio = (strength / spread).max(axis=2)
    top, left = window.top + here.top, window.left + here.left
    row, col = max(prior.places, key=lambda at: ratio[at[0] - top, at[1] - left])
    i, j = row - top, col - left
    nine = ratio[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
    is_peak = ratio[i, j] >= nine.max()
    if is_peak and _stands_out(strength[i, j], spread, _sigmas(len(prior.places))):
        return Defect(row, col, prior.kind)
    return None


def seen_at(part: Frame, window: Window, defect: Defect, shown: Shown) -> Defect | None:
    """Return a defect where a photo shows it, None where it is not to be repaired.

    Takes what `shows` does, which decides, where its place is known.
    """
    if isinstance(defect, Prior):
        return _found(part, window, defect)
    return defect if shows(part, window, defect, shown) else None


def visible(
    frame: Frame, defects: Sequence[Defect], shown: Shown = AS_USUAL
) -> tuple[Defect, ...]:
    """Return those of `defects` that are to be repaired in `frame`; see `seen_at`."""
    height, width, _ = frame.shape
    found = []
    for defect in defects:
        if 0 <= defect.row < height and 0 <= defect.col < width:
            around = window(defect, height, width)
            part = frame[around.top : around.bottom, around.left : around.right]
            if (seen := seen_at(part, around, defect, shown)) is not None:
                found.append(seen)
    return tuple(found)


def not_ignored(
    detected: Iterable[Defect], ignored: Collection[tuple[int, int]]
) -> list[Defect]:
    """Return the detected defects that are not near any (row, col) to ignore."""
    return [
        defect
        for defect in detected
        if not suspects.is_ignored(defect.row, defect.col, ignored)
    ]


def certain(
    config: Config, camera: Camera, cameras: list[Camera], detected: list[Defect]
) -> list[Defect]:
    """Return the detected defects that may be repaired in some photo of a camera.

    Parameters
    ----------
    cameras : list of Camera
        All that are known: a list without `size` is about the largest.
    """
    ignored = config.ignored(camera, largest=is_largest(camera, cameras))
    return list(filter(suspects.is_certain, not_ignored(detected, ignored)))


def version(
    config: Config,
    camera: Camera,
    cameras: list[Camera],
    detected: list[Defect],
    footprints: Footprints = USUAL,
    corrections: Corrections = NOT_CORRECTED,
) -> str:
    """Return the version of a camera's pixel list: it changes when the list does.

    Or when what is expected of its defects does.  Scores, amplitudes and radii do not
    count: they move a little with every photo, and no photo shows more or fewer of the
    defects for it.
    """
    configured = config.listed(camera, largest=is_largest(camera, cameras))
    found = [
        (*each.exactly, each.kind, each.after, each.until, each.focal)
        for each in certain(config, camera, cameras, detected)
    ]
    # Where copies go does not matter: see `copy_places.follow`.
    plain = [(one.path, one.unchanged) for one in config.folders]
    plain = [one for one in plain if one[1] != "skip"]
    laws = [(one.row, one.col, one.law) for one in footprints.defects if one.law]
    moved = (corrections.to_json(),) if corrections.move else ()
    longer = [
        (one.row, one.col, one.least_exposure)
        for one in detected
        if isinstance(one, Primed) and one.least_exposure
    ]
    primed = (longer,) if longer else ()
    listed = (camera.id, configured, found, config.repair, plain, laws, *moved, *primed)
    return hashlib.sha256(repr(listed).encode()).hexdigest()[:16]


def fill(defects: Iterable[Defect], footprints: Footprints) -> str:
    """Return the version of how a list's pixels are repaired: it changes what copies hold.

    Evidence that comes later changes it now and then, see `shape`, and no pixel of the list.
    """
    shapes = [(each.row, each.col, each.kind, each.radius) for each in defects]
    learned = footprints.to_json()
    return hashlib.sha256(f"{shapes}{learned}".encode()).hexdigest()[:8]


def may_show(defect: Defect, when: dt.datetime | None) -> bool:
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
    possible = [
        defect
        for defect in certain(config, camera, cameras, detected)
        if may_show(defect, when)
    ]
    listed, found = (
        tuple(defect for defect in defects if defect.is_at(focal))
        for defects in (configured, possible)
    )
    return PixelList(
        listed if which != "detected" else (),
        found if which != "configured" else (),
    )


def _at(
    defects: Sequence[Defect], places: NDArray[np.float64], *, keep_lost: bool
) -> tuple[Defect, ...]:
    """Return defects at the places where a photo shows them, without those nowhere."""
    return tuple(
        one if row == NOWHERE else replace(one, row=row, col=col)
        for one, (row, col) in zip(defects, pixels_at(places).tolist(), strict=True)
        if keep_lost or row != NOWHERE
    )


def placed(
    listed: PixelList, camera: Camera, corrections: Corrections, taken: Metadata
) -> PixelList:
    """Return a list with its pixels where a photo shows them, as its lens correction has it.

    A configured one stays where it is listed if nothing tells where the photo shows it;
    a detected one is not repaired there.  What lies outside of the frame is left out.
    """
    if not corrections.move:
        return listed
    where, size = Bin.of(taken.lens, taken.focal_mm), (camera.height, camera.width)

    def exactly(sites: Iterable[tuple[float, float]]) -> NDArray[np.float64]:
        array = np.array(list(sites), np.float64).reshape(-1, 2)
        return corrections.exactly(array, where, size)

    configured, detected = (
        _at(defects, exactly(one.exactly for one in defects), keep_lost=keep)
        for defects, keep in (
            (listed.configured, corrections.at(where) is None),
            (listed.detected, False),
        )
    )
    footprints = listed.shown.footprints
    own_places = {(one.row, one.col): one.exactly for one in listed.detected}
    sites = [(one.row, one.col) for one in footprints.defects]
    there = exactly(own_places.get(site, site) for site in sites)
    moved = {
        (row, col): one.shown_at(*at)
        for one, at, (row, col) in zip(
            footprints.defects, there.tolist(), pixels_at(there).tolist(), strict=True
        )
        if row != NOWHERE
    }
    own = replace(footprints, defects=tuple(moved[site] for site in sorted(moved)))
    shown = listed.shown._replace(footprints=own)
    return replace(listed, configured=configured, detected=detected, shown=shown)


class Source(StrEnum):
    """Who says that a pixel is defective."""

    CONFIGURED = "configured"
    DETECTED = "detected"
    BOTH = "both"
    PRIMED = "primed"
    """Dark frames do, and photos have not said anything yet."""


@dataclass(frozen=True, slots=True)
class ListedPixel:
    """A pixel of a camera's list, as people see it: a life of one place.

    Attributes
    ----------
    defect : Defect
        With the evidence of detection, if there is any, and the dates of the
        configuration, where it gives any.
    source : Source
    ignored : bool
        Detected, but to be left alone by the configuration.
    """

    defect: Defect
    source: Source = Source.DETECTED
    ignored: bool = False

    @property
    def prior(self) -> str:
        """Return the other size of the body whose list it is from; empty: its own."""
        if isinstance(self.defect, Prior) and self.source is not Source.PRIMED:
            return self.defect.source
        return ""

    @property
    def is_certain(self) -> bool:
        """Return whether enough is known of it for it to be repaired."""
        return self.source is not Source.DETECTED or suspects.is_certain(self.defect)


def _overlap(configured: Defect, detected: Defect) -> bool:
    """Return whether a configured and a detected pixel are one place at one time."""
    same = (configured.row, configured.col) == (detected.row, detected.col)
    starts = (
        configured.by or configured.after or dt.datetime.min,
        (detected.after and detected.by) or dt.datetime.min,
    )
    ends = (each.until or dt.datetime.max for each in (configured, detected))
    return same and max(starts) < min(ends)


def _both(configured: Defect, detected: Defect) -> Defect:
    """Return what is known of a configured pixel that was detected as well."""
    dates = after, by, until = configured.after, configured.by, configured.until
    if dates == (None, None, None):
        return detected
    return replace(detected, after=after, by=by, until=until)


def listing(
    config: Config,
    camera: Camera,
    cameras: list[Camera],
    detected: list[Defect],
    priors: Iterable[Prior] = (),
) -> list[ListedPixel]:
    """Return a camera's list for people: what is configured, detected and ignored.

    Parameters
    ----------
    cameras : list of Camera
        All that are known: a list without `size` is about the largest.
    detected : list of Defect
        Its map.
    priors : iterable of Prior
        What it has from the list of another size of its body.

    Returns
    -------
    list of ListedPixel
        From the top left on; but those that the method by variance detected come first,
        in its order, which is all that it says of them.
    """
    largest = is_largest(camera, cameras)
    ignored = config.ignored(camera, largest=largest)
    found = lives.joined(detected, config.serviced(camera))
    out = list[ListedPixel]()
    for pixel in config.listed(camera, largest=largest):
        one = pixel.defect()
        same = next((other for other in found if _overlap(one, other)), None)
        if same is None:
            out.append(ListedPixel(one, Source.CONFIGURED))
        else:
            found.remove(same)
            out.append(ListedPixel(_both(one, same), Source.BOTH))
    out += [
        ListedPixel(one, ignored=suspects.is_ignored(one.row, one.col, ignored))
        for one in found
    ]
    out += [
        ListedPixel(one, Source.PRIMED if isinstance(one, Primed) else Source.DETECTED)
        for one in priors
    ]
    rank = {}
    if config.detection.method == "variance":
        rank = {(one.row, one.col): place for place, one in enumerate(detected)}

    def key(pixel: ListedPixel) -> tuple[int, tuple[int, int, dt.datetime]]:
        site = pixel.defect.row, pixel.defect.col
        return rank.get(site, len(rank)), _place_and_time(pixel)

    return sorted(out, key=key)


def _place_and_time(pixel: ListedPixel) -> tuple[int, int, dt.datetime]:
    defect = pixel.defect
    begins = defect.by or defect.after or dt.datetime.min
    return defect.row, defect.col, begins


def counts(pixels: Iterable[ListedPixel]) -> dict[str, int]:
    """Return how many are detected, configured, ignored, of other sizes, primed, unsure.

    Several lives of one place count once.
    """
    pixels = list(pixels)
    sorts = {
        "defects": lambda one: (
            one.source in {Source.DETECTED, Source.BOTH}
            and not (one.ignored or one.prior)
        ),
        "configured": lambda one: one.source in {Source.CONFIGURED, Source.BOTH},
        "ignored": lambda one: one.ignored,
        "prior": lambda one: bool(one.prior),
        "primed": lambda one: one.source is Source.PRIMED,
        "unsure": lambda one: not (one.is_certain or one.ignored or one.prior),
    }
    return {
        name: lives.places(pixel.defect for pixel in filter(is_meant, pixels))
        for name, is_meant in sorts.items()
    }

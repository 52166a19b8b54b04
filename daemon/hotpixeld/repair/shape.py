"""How one defect shows: its footprint in each component, as it is kept, and in a photo.

What a defect adds to a photo is its shape times the photo's amplitude.  Chroma smears wider
than luma, and with luma's amplitude as the unit it is a small part of it.  Shapes are
learned from the mean of photos (`repair/stacking.py`) and kept as JSON; a repair asks for
the footprint of a defect over its samples (`known`) and for the amplitude that its law
expects in the photo (`expected`).
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hotpixeld.defect import Law
from hotpixeld.detection.explanation import Pull
from hotpixeld.repair import footprint
from hotpixeld.repair.footprint import LARGEST, SIDE, Footprint, FootprintPrior

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hotpixeld.repair.field import Samples, Subsampling
    from hotpixeld.repair.footprint import Array, Covariance, Kernels

    Site = tuple[int, int]
    Aside = tuple[float, float]

# Y, Cb, Cr of red, green, blue (ITU-T T.871), less the constant.
COMPONENTS = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168736, -0.331264, 0.5],
        [0.5, -0.418688, -0.081312],
    ]
)
# Levels by which an amplitude may be off its law, whatever that is.
LEAST = 0.5
# Widths of blurs, in pixels, by which noise reduction smears chroma; their share among those
# that are not as usual, and the share of these, in luma and in chroma.
_SMEARS = (1.0, 1.5, 2.0, 2.5, 3.0)
_SMEARED, _UNUSUAL = (0.1, 0.6), (0.1, 0.5)
# Of levels, in what is kept.
DIGITS = 2
UNIT = 10**-DIGITS
# Photos bend a shape: by tone curve, clipping and rounding. Share of the usual footprints'
# covariance, and of each pixel's own strength.
_BENT, _APART = 0.02, 0.1
FINE = 0.25
"""Of a pixel, to which a shift is told."""
# Pixels by which a shift may be off, and the share of its curvature by which a shape that
# was learned from other fractions of a pixel is wider, or narrower.
_OFF, _WIDER = 0.2, 0.08


@dataclass(frozen=True, slots=True)
class Shape:
    """A defect's footprint in one component.

    Attributes
    ----------
    half : int
        Its half width, in pixels.
    levels : tuple of float
        (2 half + 1) squared pixels, row by row: what it added to the mean of photos.
    ways : tuple of tuples of float
        Alike: what they may differ by is a sum of these, with independent factors of
        variance 1,
    error : float
        and of this standard deviation in each pixel.
    """

    half: int
    levels: tuple[float, ...]
    ways: tuple[tuple[float, ...], ...]
    error: float

    def saved(self) -> dict[str, Any]:
        """Return this for JSON; levels are whole numbers there, of which `UNIT` is one."""
        levels, ways = _whole(self.levels), [_whole(way) for way in self.ways]
        return {"half": self.half, "levels": levels, "ways": ways, "error": self.error}

    @classmethod
    def parse(cls, saved: Mapping[str, Any]) -> Shape:
        """Return what was `saved`; see `Shapes.parse`."""
        half, levels = int(saved["half"]), _levels(saved["levels"])
        ways = tuple(map(_levels, saved["ways"]))
        pixels = (2 * half + 1) ** 2
        if not 0 <= half <= LARGEST or {*map(len, (levels, *ways))} != {pixels}:
            raise ValueError("a shape of another size than it says")
        return cls(half, levels, ways, float(saved["error"]))


@dataclass(frozen=True, slots=True)
class Shapes:
    """How one defect shows.

    Attributes
    ----------
    row, col : int
    photos : int
        It was learned from so many.
    amplitude : float
        Its mean in them, in levels of luma.
    law : Law or None
        That of its amplitude in any photo; without one `amplitude` is but the shape's unit.
    components : tuple of Shape
        Y, Cb and Cr.
    pull : Pull or None
        What draws a stuck or a dead one to a level, in place of a law.
    aside : (float, float)
        Where in its pixel these photos show it, in the mean: rows, columns beside the
        middle.  A lens correction puts it anywhere there.
    shift : (float, float) or None
        Rows and columns by which one photo shows it further aside; None where nothing
        moves it.  It is not kept.
    """

    row: int
    col: int
    photos: int
    amplitude: float
    law: Law | None
    components: tuple[Shape, ...]
    pull: Pull | None = None
    aside: Aside = (0.0, 0.0)
    shift: Aside | None = None

    def __hash__(self) -> int:
        """Return what is soon found: there are hundreds of numbers in its components."""
        return hash((self.row, self.col, self.photos, self.amplitude))

    def saved(self) -> dict[str, Any]:
        """Return this for JSON."""
        return {
            "row": self.row,
            "col": self.col,
            "photos": self.photos,
            "amplitude": self.amplitude,
            "law": self.law and asdict(self.law),
            "components": [one.saved() for one in self.components],
            **({"pull": self.pull._asdict()} if self.pull else {}),
            **({"aside": self.aside} if any(self.aside) else {}),
        }

    @classmethod
    def parse(cls, saved: Mapping[str, Any]) -> Shapes:
        """Return what was `saved`.

        Raises
        ------
        KeyError, TypeError, ValueError
            It is something else.
        """
        shapes = tuple(map(Shape.parse, saved["components"]))
        if len(shapes) != len(COMPONENTS):
            raise ValueError(f"shapes in {len(shapes)} components")
        row, col, photos = (int(saved[name]) for name in ("row", "col", "photos"))
        law = saved["law"] and Law(**saved["law"])
        down, right = map(float, saved.get("aside", (0.0, 0.0)))
        amplitude, drawn = float(saved["amplitude"]), saved.get("pull")
        pull = Pull(**drawn) if drawn else None
        return cls(row, col, photos, amplitude, law, shapes, pull, (down, right))

    def shown_at(self, row: float, col: float) -> Shapes:
        """Return it at a place of a photo, which may lie between pixels."""
        here = round(row), round(col)
        shift = tuple(
            round((at - pixel - aside) / FINE) * FINE
            for at, pixel, aside in zip((row, col), here, self.aside, strict=True)
        )
        return replace(self, row=here[0], col=here[1], shift=(shift[0], shift[1]))


FORMAT = 2
"""Of the text of `Footprints`; that of version 0.1 had none."""


@dataclass(frozen=True, slots=True)
class Footprints:
    """How one camera's defects show.

    Attributes
    ----------
    camera : Footprint or None
        All of them; None where they do as usual, or too few were seen.
    defects : tuple of Shapes
        Single ones, where they stand out.
    basis : str
        Says of what photos and defects that was learned; empty where of none.
    """

    camera: Footprint | None = None
    defects: tuple[Shapes, ...] = ()
    basis: str = ""

    by_site: Mapping[Site, Shapes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find single ones by row and column."""
        sites = {(one.row, one.col): one for one in self.defects}
        object.__setattr__(self, "by_site", MappingProxyType(sites))

    def or_better(self, former: Footprints) -> Footprints:
        """Return it with those of before that more photos showed: not all are left."""
        before, now = former.by_site, self.by_site
        better = {
            site: one
            for site, one in before.items()
            if site not in now or now[site].photos < one.photos
        }
        both = {**now, **better}
        return replace(self, defects=tuple(both[site] for site in sorted(both)))

    def to_json(self) -> str:
        """Return this as text, some kB a defect.

        >>> Footprints.from_json(Footprints().to_json()) == Footprints()
        True
        """
        content = {
            "format": FORMAT,
            "camera": self.camera and self.camera.saved(),
            "defects": [one.saved() for one in self.defects],
            "basis": self.basis,
        }
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Footprints:
        """Return what `to_json` wrote, or version 0.1 of the camera's footprint.

        Raises
        ------
        ValueError
            The text is something else.
        """
        content = json.loads(text)
        if isinstance(content, dict) and "format" not in content:
            return cls(Footprint.parse(content))
        try:
            if content["format"] != FORMAT:
                raise ValueError(f"footprints of format {content['format']}")
            camera = content["camera"] and Footprint.parse(content["camera"])
            defects = tuple(map(Shapes.parse, content["defects"]))
            return cls(camera, defects, str(content["basis"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not footprints: {text[:40]!r}") from error


USUAL = Footprints()
"""Of a camera that is not known better."""


class Exposure(NamedTuple):
    """What of a photo's taking a defect's strength depends on; None where unknown."""

    seconds: float | None = None
    iso: float | None = None
    celsius: float | None = None

    @property
    def is_told(self) -> bool:
        """Return whether all is known that a law asks for."""
        return self.seconds is not None and self.iso is not None


UNKNOWN = Exposure()


class Shown(NamedTuple):
    """How a photo shows its camera's defects."""

    footprints: Footprints = USUAL
    exposure: Exposure = UNKNOWN


AS_USUAL = Shown()


def _whole(levels: Sequence[float]) -> list[int]:
    return [round(one / UNIT) for one in levels]


def _levels(whole: Sequence[int]) -> tuple[float, ...]:
    return tuple(round(one * UNIT, DIGITS) for one in whole)


def _shifted(moment: Covariance, down: int, right: int) -> Covariance:
    """Return the moment of kernels half a pixel aside: cameras that scale put them there.

    Each pixel is then the mean of two, in both factors of the moment.
    """
    pairs = moment.reshape((SIDE,) * 4)
    for axis, step in enumerate((down, right) * 2):
        if step:
            pairs = (pairs + np.roll(pairs, step, axis)) / 2
    return pairs.reshape((SIDE**2,) * 2)


def _smears() -> Kernels:
    """Return what noise reduction may make of a site's colour."""
    pixels = np.arange(SIDE) - LARGEST
    return np.array(
        [
            np.exp(
                -((pixels[:, None] - down) ** 2 + (pixels - right) ** 2)
                / (2 * width**2)
            )
            for width in _SMEARS
            for down, right in itertools.product((-0.5, 0.0, 0.5), repeat=2)
        ]
    )


@functools.cache
def possible_covariance(*, is_chroma: bool) -> Covariance:
    """Return the covariance of a footprint of which nothing was seen."""
    usual, steps = footprint.usual_moment(), (-1, 0, 1)
    aside = [_shifted(usual, *step) for step in itertools.product(steps, steps)]
    smeared, unusual = _SMEARED[is_chroma], _UNUSUAL[is_chroma]
    smears = footprint.moment(_smears())
    mixed = (1 - smeared) * np.mean(aside, axis=0) + smeared * smears
    mixed = unusual * mixed + (1 - unusual) * usual
    return footprint.loosened(footprint.with_others(mixed))


class Known(NamedTuple):
    """A known footprint of amplitude 1 over the m samples of its box.

    Attributes
    ----------
    levels : (m,) float32
    deviation : (m, m) float32
        Covariance of what a photo may differ from them.
    """

    levels: Samples
    deviation: Samples


def _sharpened(count: int, step: int) -> Array:
    """Return what takes samples back that were spread over pixels and pooled again.

    libjpeg's decoder gives every pixel three quarters of its own chroma sample and one of
    the nearest other.
    """
    if step != 2:
        return np.eye(count)
    pooled = 0.75 * np.eye(count) + 0.125 * (np.eye(count, k=1) + np.eye(count, k=-1))
    return np.linalg.inv(pooled)


def _moved(levels: Array, shift: Aside) -> tuple[Array, Array]:
    """Return a footprint's pixels shifted, and by what they may be off: (n, pixels).

    Between two pixels as a camera that resamples its frame would have them: linearly.
    """
    side = math.isqrt(len(levels))
    out, off = np.pad(levels.reshape(side, side), 1), []
    for axis, part in enumerate(shift):
        aside = np.roll(out, 1 if part > 0 else -1, axis)
        out += abs(part) * (aside - out)
    for axis in (0, 1):
        before, after = np.roll(out, 1, axis), np.roll(out, -1, axis)
        off += [_OFF * (before - after) / 2, _WIDER * (before + after - 2 * out)]
    inner = np.array([out, *off])[:, 1:-1, 1:-1].reshape(len(off) + 1, -1)
    return inner[0], inner[1:]


class KnownFootprint(FootprintPrior):
    """A defect's footprint in one component, and how far photos bend it.

    Its covariance, as that of any footprint, is about zero.
    """

    def __init__(
        self,
        shape: Shape,
        amplitude: float,
        *,
        is_chroma: bool,
        shift: Aside | None = None,
    ) -> None:
        self.half = shape.half
        levels: Array = np.array(shape.levels) / amplitude
        moved: Array = np.zeros((1, len(levels)))
        if shift is not None:
            levels, moved = _moved(levels, shift)
        self._levels = levels
        strongest = float(np.abs(self._levels).max())
        possible = footprint.of_half(
            possible_covariance(is_chroma=is_chroma), self.half
        )
        deviation = _BENT * strongest**2 * possible
        own = (shape.error / amplitude) ** 2 + (_APART * self._levels) ** 2
        ways = np.array(shape.ways) / amplitude
        self._deviation = deviation + ways.T @ ways + np.diag(own) + moved.T @ moved
        super().__init__(self._deviation + np.outer(self._levels, self._levels))
        self._known: dict[tuple[int, ...], Known] = {}

    def known(self, subsampling: Subsampling, down: int, across: int) -> Known:
        """Return it over the samples of its box.

        `down` and `across` are the place of the defect's pixel within its sample.
        """
        key = *subsampling, down, across
        if key not in self._known:
            box, share = footprint.pooling(self.half, subsampling, down, across)
            sharp = np.kron(
                *(
                    _sharpened(count, step)
                    for count, step in zip(box.shape, subsampling, strict=True)
                )
            )
            part = sharp @ share
            self._known[key] = Known(
                (part @ self._levels).astype(np.float32),
                (part @ self._deviation @ part.T).astype(np.float32),
            )
        return self._known[key]


class Amplitude(NamedTuple):
    """What is expected of a defect's amplitude in a photo, in levels of luma."""

    mean: float
    deviation: float


BROAD = 3.0
"""Times its mean that an amplitude of which nothing is expected may be."""


DRAWN = 0.25
"""Relative standard deviation of what draws a stuck or dead site, beside its scatter."""
COLOURED = 1.0
"""Relative standard deviation of how coloured a defect is: by white balance and saturation."""


def expected(
    shapes: Shapes, level: float, exposure: Exposure, component: int
) -> Amplitude:
    """Return what is expected of a defect's amplitude in a photo.

    Parameters
    ----------
    level : float
        Luma around it, 0-255.
    component : int
    """
    law, pull = shapes.law, shapes.pull
    if pull is not None and not component:
        mean = pull.expected(level)
        return Amplitude(mean, math.hypot(pull.scatter, DRAWN * mean) + LEAST)
    if law is None or not (exposure.is_told or law.dark == 0):
        return Amplitude(0.0, BROAD * abs(shapes.amplitude))
    seconds, iso, celsius = exposure
    mean = law.amplitude(level, seconds, iso, law.gain(celsius))
    coloured = COLOURED if component else 0.0
    return Amplitude(mean, mean * math.hypot(law.scatter, law.drift, coloured) + LEAST)


@functools.lru_cache(maxsize=256)
def known(shapes: Shapes, component: int) -> KnownFootprint:
    """Return the footprint of a defect in a component."""
    shape = shapes.components[component]
    chroma = bool(component)
    return KnownFootprint(shape, shapes.amplitude, is_chroma=chroma, shift=shapes.shift)

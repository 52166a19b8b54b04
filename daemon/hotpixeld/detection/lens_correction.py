"""Lens correction: where a sensor site lies in photos of one lens and focal length.

Cameras resample their frames to take a lens's distortion out.  What that does is radial:
a place is moved along the ray from the frame's centre, by a polynomial of its distance.
Sensor sites are places of the camera's *reference bin*, the one with the most photos;
a `Correction` takes them to the places of another bin, and back.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hotpixeld.camera import Bin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hotpixeld.statistics.contrast import Sites

INVERSE_STEPS = 8
"""Of the fixed point by which a correction is taken back: the last moves no place by
1/1000 pixel where the magnification changes by a fifth from centre to corner."""
NOWHERE = -1
"""The row and the column of a site that a photo does not show."""
FARTHEST = 1.25
"""Half diagonals from the centre at which the sensor ends, in any bin's places."""
Radii = tuple[tuple[float, float], ...]
"""From where to where: half diagonals from the centre."""
EVERYWHERE: Radii = ((0.0, 2.0),)
MOST_RADII = 4
"""Of which there are at most so many; see sensor.c."""
SAME = 0.5
"""Pixels by which the places of two corrections differ at most that are one."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Takes places of a camera's reference bin to those of another.

    A place at distance r from the centre, in half diagonals of the frame, is moved to the
    distance r * scale * (1 + k1 r^2 + k2 r^4 + k3 r^6).

    Attributes
    ----------
    scale, k1, k2, k3 : float
        Two terms describe one lens at one focal length; the way from one to another, where
        both are wide, is 1.4 pixels of 4 MP off at the corner without the third.
    inside, outside : Radii
        Where it is known, in the reference bin: of sites in its frame, and of those outside,
        which other bins show.
    """

    scale: float = 1.0
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    inside: Radii = EVERYWHERE
    outside: Radii = EVERYWHERE

    @classmethod
    def of(cls, parameters: NDArray[np.float64], *known: Radii) -> Self:
        """Return that of scale, scale k1, scale k2 and scale k3, and where it is known."""
        scale, k1, k2, k3 = parameters.tolist()
        return cls(scale, k1 / scale, k2 / scale, k3 / scale, *known)

    @property
    def parameters(self) -> NDArray[np.float64]:
        """Return scale, scale k1, scale k2 and scale k3, (4,)."""
        return self.scale * np.array([1.0, self.k1, self.k2, self.k3])

    def places(
        self, sites: NDArray[np.floating] | NDArray[np.integer], size: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return where sensor sites lie in a photo.

        Parameters
        ----------
        sites : (N, 2) float or int
            Row, column, in the reference bin.
        size : (height, width)
            Of the frame.

        Returns
        -------
        (N, 2) float64
            Row, column; may lie outside of the frame.

        >>> Correction(1.01).places(np.array([[50, 0]]), (101, 101)).round(3).tolist()
        [[50.0, -0.5]]
        """
        centre, square = _centre(size)
        aside = np.asarray(sites, np.float64).reshape(-1, 2) - centre
        return np.asarray(centre + aside * self._growth(aside, square)[:, None])

    def are_known(
        self, sites: NDArray[np.floating] | NDArray[np.integer], size: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Return of which sensor sites the places in a photo are known, (N,) bool."""
        centre, square = _centre(size)
        aside = np.asarray(sites, np.float64).reshape(-1, 2) - centre
        far = np.sqrt((aside**2).sum(axis=1) / square)
        is_inside = np.all(abs(aside) <= centre, axis=1)
        return np.where(
            is_inside, _are_in(self.inside, far), _are_in(self.outside, far)
        )

    def known_places(
        self, sites: NDArray[np.floating] | NDArray[np.integer], size: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return `places`, not a number where they are not known, (N, 2) float64."""
        known = self.are_known(sites, size)
        return np.where(known[:, None], self.places(sites, size), np.nan)

    def sites(
        self, places: NDArray[np.floating] | NDArray[np.integer], size: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return which sensor sites lie at the places of a photo; see `places`.

        >>> there = Correction(0.97, 0.1, 0.05)
        >>> back = there.sites(there.places(np.array([[10, 80]]), (101, 101)), (101, 101))
        >>> back.round(3).tolist()
        [[10.0, 80.0]]
        """
        centre, square = _centre(size)
        wanted = np.asarray(places, np.float64).reshape(-1, 2) - centre
        aside = wanted / self.scale
        for _ in range(INVERSE_STEPS):
            aside = wanted / self._growth(aside, square)[:, None]
        return np.asarray(centre + aside)

    def _growth(self, aside: NDArray[np.float64], square: float) -> NDArray[np.float64]:
        r2 = (aside**2).sum(axis=1) / square
        bent = r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        return np.asarray(self.scale * (1 + bent))

    def moves_by(self, other: Correction, size: tuple[int, int]) -> float:
        """Return by how many pixels places differ at most, as far as both are known."""
        centre, _ = _centre(size)
        ray = centre * (1 + np.linspace(0.0, 1.0, 33)[:, None])
        known = self.are_known(ray, size) & other.are_known(ray, size)
        apart = self.places(ray, size) - other.places(ray, size)
        return float(np.hypot(*apart[known].T).max(initial=0))

    def is_same(self, other: Correction, size: tuple[int, int]) -> bool:
        """Return whether the places of two are the same, within half a pixel."""
        are_known = _are_same(self.inside, other.inside)
        are_known &= _are_same(self.outside, other.outside)
        return are_known and self.moves_by(other, size) <= SAME


def _are_in(radii: Radii, far: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which distances lie in radii."""
    known = [(first <= far) & (far <= last) for first, last in radii]
    return np.any(known, axis=0) if known else np.zeros(far.shape, np.bool_)


def _are_same(one: Radii, other: Radii) -> bool:
    """Return whether radii are nearly the same, as far as a sensor goes."""
    if len(one) != len(other):
        return False
    off = np.minimum(one, FARTHEST) - np.minimum(other, FARTHEST)
    return bool(np.abs(off).max(initial=0) <= NEARLY)


NEARLY = 0.02
"""Half diagonals by which two are known as far as one another."""
NONE = Correction()
"""Moves nothing."""


def _centre(size: tuple[int, int]) -> tuple[NDArray[np.float64], float]:
    """Return the frame's centre, and the square of its half diagonal."""
    centre = (np.array(size, np.float64) - 1) / 2
    return centre, float((centre**2).sum())


@dataclass(frozen=True, slots=True)
class Corrections:
    """The lens corrections of a camera's bins.

    Attributes
    ----------
    reference : Bin or None
        The one whose places sensor sites are; None where nothing is known to move them,
        and all photos are taken to show a site at the same place.
    of : mapping of Bin to Correction
        Of the bins that are known.
    why : mapping of Bin to str
        How that is known of each bin that was looked at, or why not; in words.
    """

    reference: Bin | None = None
    of: Mapping[Bin, Correction] = field(default_factory=dict)
    why: Mapping[Bin, str] = field(default_factory=dict)

    @property
    def move(self) -> bool:
        """Return whether any of them moves anything."""
        return any(one != NONE for one in self.of.values())

    def at(self, where: Bin) -> Correction | None:
        """Return the correction of a bin; None where its places are not known."""
        if not self.move:
            return NONE
        return self.of.get(where)

    def have_sites_of(self, former: Corrections) -> bool:
        """Return whether what former ones took for sensor sites still are."""
        if not self.move:
            return not former.move
        return former.move and self.reference == former.reference

    def exactly(
        self,
        sites: Sites | NDArray[np.float64],
        where: Bin,
        size: tuple[int, int],
    ) -> NDArray[np.float64]:
        """Return where a photo shows sensor sites, between its pixels too.

        Parameters
        ----------
        sites : (N, 2) intp or float64
            Row, column; sensor sites may lie outside of the reference's frame.
        where : Bin
            Of the photo.
        size : (height, width)

        Returns
        -------
        (N, 2) float64
            Row, column; not a number, where the frame does not show the site or nothing
            tells where.
        """
        correction = self.at(where)
        if correction is None:
            return np.full(sites.shape, np.nan)
        places = correction.known_places(sites, size)
        pixels = np.rint(places)
        inside = np.all((pixels >= 0) & (pixels < np.array(size)), axis=1)
        return np.where(inside[:, None], places, np.nan)

    def places(
        self, sites: Sites | NDArray[np.float64], where: Bin, size: tuple[int, int]
    ) -> Sites:
        """Return the pixels of a photo that show sensor sites; see `exactly`."""
        return pixels_at(self.exactly(sites, where, size))

    def to_json(self) -> str:
        """Return them as text; empty where nothing moves."""
        if self.reference is None:
            return ""
        of = [[*one, *astuple(correction)] for one, correction in self.of.items()]
        why = [[*one, words] for one, words in self.why.items()]
        return json.dumps({"reference": self.reference, "of": of, "why": why})

    @classmethod
    def parse(cls, text: str) -> Corrections:
        """Return what `to_json` wrote."""
        if not text:
            return NOT_CORRECTED
        content = json.loads(text)
        of = {
            Bin(lens, focal): Correction(*numbers[:4], *_radii(*numbers[4:]))
            for lens, focal, *numbers in content["of"]
        }
        why = {Bin(lens, focal): words for lens, focal, words in content["why"]}
        return cls(Bin(*content["reference"]), of, why)


def pixels_at(places: NDArray[np.float64]) -> Sites:
    """Return the pixels of exact places, `NOWHERE` for those that are not a number.

    >>> pixels_at(np.array([[1.6, 2.0], [np.nan, np.nan]])).tolist()
    [[2, 2], [-1, -1]]
    """
    return np.nan_to_num(np.rint(places), nan=NOWHERE).astype(np.intp)


def _radii(*known: Any) -> list[Radii]:
    """Return where a correction is known; in older texts up to a radius, or everywhere."""
    if len(known) == 1:
        known = ([[0.0, known[0]]],) * 2
    return [tuple((first, last) for first, last in one) for one in known]


NOT_CORRECTED = Corrections()
"""Those of a camera that nothing is known of."""

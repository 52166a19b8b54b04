"""Bodies: what the cameras of one body, one for each size of its photos, know of each other.

Each size has a state and a map of its own.  What the largest one that has a map lists is
expected in the others as well (`priors`), from their first photo on, until they have maps of
their own that are made of enough photos to deny it.  What dark frames of a size have shown is
expected in its photos likewise, until its map lists it or photos deny it, and in those of other
sizes as long as neither does.  `repairable` is what of all that a photo may have repaired;
`listing` is it for people, and `Places` where photos of each lens and focal length show it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotpixeld.camera import UNKNOWN_BIN, Bin
from hotpixeld.config.model import is_largest
from hotpixeld.defect import Primed, Prior
from hotpixeld.detection import dark_frames, lives, sizes
from hotpixeld.detection.dark_frames import Outcome
from hotpixeld.detection.lens_correction import NONE, pixels_at
from hotpixeld.detection.suspects import is_certain, is_ignored
from hotpixeld.engine import footprints
from hotpixeld.repair import pixel_list
from hotpixeld.repair.pixel_list import Source
from hotpixeld.store.images import bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.defect import Defect
    from hotpixeld.detection.lens_correction import Corrections
    from hotpixeld.detection.sizes import Scaling
    from hotpixeld.photo.metadata import Metadata
    from hotpixeld.repair.pixel_list import ListedPixel, PixelList
    from hotpixeld.repair.shape import Footprints
    from hotpixeld.store.ledger import Ledger
    from hotpixeld.store.primed import PrimedPixel

    Site = tuple[int, int]


def _body(camera: Camera) -> tuple[str, str, str]:
    """Return what the cameras of one body have in common."""
    return camera.make, camera.model, bare(camera.serial) or camera.serial


def same_body(camera: Camera, known: Iterable[Camera]) -> list[Camera]:
    """Return the cameras that are surely the same body, of photos of other sizes."""
    return [
        other
        for other in known
        if camera.serial and _body(other) == _body(camera) and other != camera
    ]


def _other_sizes(camera: Camera, known: Sequence[Camera]) -> list[Camera]:
    """Return the cameras of other sizes that are taken for the same body, largest first.

    Without a serial number that is so where no photo of the model has one.
    """
    model = camera.make, camera.model
    of_model = [one for one in known if (one.make, one.model) == model]
    if any(one.serial for one in (camera, *of_model)):
        of_model = same_body(camera, known)
    size = camera.height, camera.width
    found = [one for one in of_model if (one.height, one.width) != size]
    return sorted(found, key=lambda one: (-one.height * one.width, one.id))


class _Source(NamedTuple):
    """The size of a body whose list another one takes over, as far as that goes."""

    camera: Camera
    scaling: Scaling
    defects: list[Defect]


def _source(
    ledger: Ledger, config: Config, camera: Camera, known: list[Camera]
) -> _Source | None:
    """Return the largest other size of a camera's body that has defects to pass on."""
    for other in _other_sizes(camera, known):
        scaling = sizes.scaling(
            (other.height, other.width), (camera.height, camera.width)
        )
        passed_on = _passed_on(ledger, config, other, known)
        if scaling is not None and passed_on:
            return _Source(other, scaling, passed_on)
    return None


def _passed_on(
    ledger: Ledger, config: Config, camera: Camera, known: list[Camera]
) -> list[Defect]:
    """Return what other sizes may expect, too: the map's, and what dark frames show."""
    certain = pixel_list.certain(config, camera, known, ledger.defects.of(camera.id))
    corrections = ledger.samples.suspects(camera.id).corrections
    own = _own(ledger, config, camera, known)
    primed = (
        _primed(one, camera, corrections, None, own)
        for one in ledger.primed.of(camera.id)
        if one.outcome is Outcome.OPEN
    )
    return [*certain, *filter(None, primed)]


def _may_deny(ledger: Ledger, config: Config, camera: Camera) -> bool:
    """Return whether a camera's own map is made of enough to deny what it does not list."""
    record = ledger.images.camera(camera.id)
    if record is None:
        return False
    photos, needed = record.mapped, config.detection.min_photos
    if ledger.images.is_dropped(record):  # the map outlasts its state
        photos = ledger.images.counts(camera.id)["folded"]
    return photos >= needed and record.scenes >= lives.scenes_needed(needed)


def _is_near(site: Site, defects: Iterable[Defect]) -> bool:
    return is_ignored(*site, [(one.row, one.col) for one in defects])


class _Own(NamedTuple):
    """What a camera knows itself: where that speaks, another size's list does not."""

    detected: list[Defect]
    configured: list[Defect]
    ignored: set[Site]
    may_deny: bool

    def leaves_open(self, site: Site) -> bool:
        """Return whether there may be a defect at a site that only another size lists."""
        is_suspected = not self.may_deny or _is_near(site, self.detected)
        return is_suspected and not self.judges(site)

    def judges(self, site: Site) -> bool:
        """Return whether a site is surely a defect, or said to be sound."""
        certain = filter(is_certain, self.detected)
        if is_ignored(*site, self.ignored) or _is_near(site, self.configured):
            return True
        return _is_near(site, certain)


def _own(ledger: Ledger, config: Config, camera: Camera, known: list[Camera]) -> _Own:
    largest = is_largest(camera, known)
    return _Own(
        ledger.defects.of(camera.id),
        [one.defect() for one in config.listed(camera, largest=largest)],
        config.ignored(camera, largest=largest),
        _may_deny(ledger, config, camera),
    )


class _Expected(NamedTuple):
    """A defect of one size as another one expects it.

    Attributes
    ----------
    defect : Defect
        Of the size that lists it.
    home : (row, col)
        The pixel of the other that is nearest to it in its usual bin.
    at : (2,) float64
        Row, column, in the bin that was asked for.
    """

    defect: Defect
    home: Site
    at: NDArray[np.float64]


def _expected(
    ledger: Ledger, camera: Camera, source: _Source, where: Bin | None
) -> list[_Expected]:
    """Return where photos of a bin show what another size of the body lists.

    Parameters
    ----------
    where : Bin or None
        None is the usual one.  Nothing is returned where nothing tells for a bin.
    """
    theirs = ledger.samples.suspects(source.camera.id).corrections
    ours = ledger.samples.suspects(camera.id).corrections
    usual = ours.reference if ours.move else theirs.reference
    size = source.scaling.size
    array = np.array([one.exactly for one in source.defects], np.float64)
    at_home = theirs.at(usual or UNKNOWN_BIN) or NONE
    there = at_home if where is None else theirs.at(where)
    if there is None:
        return []
    homes = np.rint(source.scaling.places(at_home.places(array, size))).astype(int)
    places = source.scaling.places(there.known_places(array, size))
    return [
        _Expected(one, (row, col), at)
        for one, (row, col), at in zip(
            source.defects, homes.tolist(), places, strict=True
        )
    ]


def priors(
    ledger: Ledger, config: Config, camera: Camera, taken: Metadata | None = None
) -> tuple[Prior, ...]:
    """Return what a camera's own map has not judged yet: of other sizes, and dark frames.

    Parameters
    ----------
    camera : Camera
        Of one size.
    taken : Metadata, optional
        Of a photo: then those that it may show, where it does; else all, by their sensor
        sites.
    """
    known = [record.camera for record in ledger.images.cameras()]
    source = _source(ledger, config, camera, known)
    primed = ledger.primed.of(camera.id)
    if source is None and not primed:
        return ()
    where = Bin.of(taken.lens, taken.focal_mm) if taken else None
    own = _own(ledger, config, camera, known)
    found: list[Prior] = []
    if source is not None:
        found += [
            _prior(one, source)
            for one in _expected(ledger, camera, source, where)
            if (taken is None or _is_of(one.defect, taken))
            and _is_inside(one.at, camera)
            and own.leaves_open(one.home)
        ]
    corrections = ledger.samples.suspects(camera.id).corrections
    of_frames = (_primed(one, camera, corrections, where, own) for one in primed)
    found += [
        one
        for one in filter(None, of_frames)
        if not _is_near((one.row, one.col), found)
        and (taken is None or _exposure(taken) >= one.least_exposure)
    ]
    return tuple(found)


def _exposure(taken: Metadata) -> float:
    """Return ISO times seconds of a photo; 0 where it does not say."""
    return (taken.iso or 0) * (taken.exposure_seconds or 0.0)


def _primed(
    known: PrimedPixel,
    camera: Camera,
    corrections: Corrections,
    where: Bin | None,
    own: _Own,
) -> Primed | None:
    """Return a primed pixel where photos of a bin show it, as long as nothing judges it.

    Parameters
    ----------
    where : Bin or None
        None is that of sensor sites.
    """
    pixel, size = known.pixel, (camera.height, camera.width)
    if known.outcome not in {Outcome.OPEN, Outcome.LONGER}:
        return None
    site, at = _of_frame(known, corrections, where, size)
    if at is None or not _is_inside(np.array(at, np.float64), camera):
        return None
    if site is not None and own.judges(site):
        return None
    least = 0.0
    if known.outcome is Outcome.LONGER:
        least = dark_frames.least_exposure(pixel)
    return replace(pixel, row=at[0], col=at[1], places=(at,), least_exposure=least)


def _of_frame(
    known: PrimedPixel, corrections: Corrections, where: Bin | None, size: Site
) -> tuple[Site | None, Site | None]:
    """Return a primed pixel's sensor site, and where photos of a bin show it, if known."""
    frame = known.pixel.frame
    if not corrections.move:
        return frame, frame
    there = corrections.at(known.bin)
    back = NONE if where is None else corrections.at(where)
    site = None
    if there is not None:
        site = _nearest(there.sites(np.array([frame]), size))
    if where == known.bin:
        return site, frame
    if site is None or back is None:
        return site, None
    return site, _nearest(back.places(np.array([site]), size))


def site(known: PrimedPixel, corrections: Corrections, camera: Camera) -> Site | None:
    """Return the sensor site of a primed pixel; None while nobody knows it."""
    return _of_frame(known, corrections, None, (camera.height, camera.width))[0]


def _nearest(places: NDArray[np.float64]) -> Site:
    """Return the pixel of the first of some places."""
    row, col = np.rint(places[0]).astype(int).tolist()
    return row, col


def _is_of(defect: Defect, taken: Metadata) -> bool:
    """Return whether a photo may show a defect at all."""
    return pixel_list.may_show(defect, taken.captured) and defect.is_at(taken.focal_mm)


def _is_inside(at: NDArray[np.float64], camera: Camera) -> bool:
    row, col = np.rint(at)
    return bool(0 <= row < camera.height and 0 <= col < camera.width)


def _prior(expected: _Expected, source: _Source) -> Prior:
    """Return a defect of one size as another one expects it."""
    row, col = expected.at.tolist()
    defect = expected.defect
    return Prior(
        *(round(row), round(col), defect.kind),
        after=defect.after,
        by=defect.by,
        until=defect.until,
        focal=defect.focal,
        source=f"{source.camera.width}x{source.camera.height}",
        places=source.scaling.pixels((row, col)),
    )


class Learned(NamedTuple):
    """How photos of a camera show what its map lists, as its last map left it."""

    footprints: Footprints
    corrections: Corrections

    @classmethod
    def of(cls, ledger: Ledger, camera: Camera) -> Learned:
        """Return that of a camera."""
        corrections = ledger.samples.suspects(camera.id).corrections
        return cls(footprints.kept(ledger.folder, camera.id), corrections)


def repairable(
    ledger: Ledger,
    config: Config,
    camera: Camera,
    taken: Metadata,
    learned: Learned,
    *,
    suppressed: bool = False,
) -> PixelList:
    """Return what may be repaired in a photo, where it shows that; see `pixel_list`.

    Parameters
    ----------
    suppressed : bool
        The photo shows none of the defects that it should: what stands out at their places
        is not theirs.
    """
    known = [record.camera for record in ledger.images.cameras()]
    detected = [] if suppressed else ledger.defects.of(camera.id)
    listed = pixel_list.repairable(config, camera, known, detected, taken)
    shown = footprints.shown_by(taken, learned.footprints)
    listed = replace(listed, shown=shown)
    listed = pixel_list.placed(listed, camera, learned.corrections, taken)
    if suppressed or config.repair.pixels == "configured":
        return listed
    others = priors(ledger, config, camera, taken)
    return replace(listed, detected=(*listed.detected, *others))


def listing(ledger: Ledger, config: Config, camera: Camera) -> list[ListedPixel]:
    """Return a camera's list for people, by its map and those of its body's other sizes."""
    known = [record.camera for record in ledger.images.cameras()]
    detected = ledger.defects.of(camera.id)
    others = priors(ledger, config, camera)
    return pixel_list.listing(config, camera, known, detected, others)


class Places:
    """Where photos of a camera's bins show the pixels of its list.

    Parameters
    ----------
    ledger : Ledger
    config : Config
    camera : Camera
    pixels : sequence of ListedPixel
        See `listing`.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        camera: Camera,
        pixels: Sequence[ListedPixel],
    ) -> None:
        self.pixels = pixels
        self.corrections = ledger.samples.suspects(camera.id).corrections
        self._ledger, self._camera = ledger, camera
        self._size = camera.height, camera.width
        self._source: _Source | None = None
        if any(one.prior for one in pixels):
            known = [record.camera for record in ledger.images.cameras()]
            self._source = _source(ledger, config, camera, known)
        self._exact: dict[Bin, NDArray[np.float64]] = {}

    @property
    def reference(self) -> str:
        """Return the bin that listed places are of, in words; empty: of all photos."""
        known = self.corrections
        return str(known.reference) if known.move else ""

    def exact(self, where: Bin) -> NDArray[np.float64]:
        """Return the row, column of each in photos of a bin, (N, 2) float64.

        They may lie outside of the frame; not a number is where nothing tells.
        """
        if where not in self._exact:
            self._exact[where] = self._found(where)
        return self._exact[where]

    def _found(self, where: Bin) -> NDArray[np.float64]:
        sites = np.array([one.defect.exactly for one in self.pixels], np.float64)
        sites = sites.reshape(-1, 2)
        correction = self.corrections.at(where)
        if correction is None:
            stay = {Source.CONFIGURED, Source.BOTH}
            stays = np.array([one.source in stay for one in self.pixels])
            found = np.where(stays.reshape(-1, 1), sites, np.nan)
        else:
            found = correction.known_places(sites, self._size)
        if self._source is not None:
            expected = {
                one.home: one.at
                for one in _expected(self._ledger, self._camera, self._source, where)
            }
            for number, one in enumerate(self.pixels):
                if one.prior:
                    home = one.defect.row, one.defect.col
                    found[number] = expected.get(home, np.nan)
        return found

    def nearest(self, where: Bin, *, sampled: bool = False) -> list[Site | None]:
        """Return the row, column of the pixel that shows each in photos of a bin.

        None where the frame does not show it, or nothing tells.  Or that which photos are
        `sampled` at: where the middle of its pixel lies, wherever it is in that.
        """
        sites: list[tuple[float, float]] = [
            (one.defect.row, one.defect.col) if sampled else one.defect.exactly
            for one in self.pixels
        ]
        array = np.array(sites, np.float64).reshape(-1, 2)
        places = self.corrections.places(array, where, self._size).tolist()
        if self.corrections.at(where) is None:
            others = [one.source != Source.DETECTED for one in self.pixels]
        else:
            others = [bool(one.prior) for one in self.pixels]
        exact = pixels_at(self.exact(where))
        height, width = self._size
        return [
            (row, col) if 0 <= row < height and 0 <= col < width else None
            for (row, col) in (
                at if is_other else place
                for is_other, at, place in zip(
                    others, exact.tolist(), places, strict=True
                )
            )
        ]

    def repaired_at(self, where: Bin) -> list[tuple[Site, ...]]:
        """Return the row, column of the pixels at which copies may have each repaired."""
        found: list[tuple[Site, ...]] = []
        for one, at, exact in zip(
            self.pixels, self.nearest(where), self.exact(where).tolist(), strict=True
        ):
            sites: tuple[Site, ...] = () if at is None else (at,)
            if at is not None and one.prior and self._source is not None:
                sites = self._source.scaling.pixels((exact[0], exact[1]))
            found.append(sites)
        return found

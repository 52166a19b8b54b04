"""Crops: real pixels around a defect, in a few photos and in their repaired copies.

Photos are chosen so that few of them show many defects; each is read once.  Nothing is
written, and what cannot be shown is said: a photo that is gone, offline, or another by now.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as PillowImage

from hotpixeld.defect import exposure_time
from hotpixeld.detection.evidence import NOT_SAMPLED
from hotpixeld.engine.bodies import Places
from hotpixeld.errors import PhotoError, PhotoGoneError
from hotpixeld.jpeg import entropy, scans
from hotpixeld.jpeg.bits import CodedDataError
from hotpixeld.jpeg.block_reader import BlockReader, Window
from hotpixeld.jpeg.markers import MarkerError
from hotpixeld.jpeg.scans import ScanError
from hotpixeld.photo import photo_file
from hotpixeld.repair.pixel_list import SIGMAS
from hotpixeld.statistics.contrast import LUMA
from hotpixeld.store.evidence_tables import KEPT
from hotpixeld.watch import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hotpixeld.camera import Bin, Camera
    from hotpixeld.config.model import Config
    from hotpixeld.detection.evidence import SampledPhoto
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.report.findings import Finding
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger

    Frame = NDArray[np.uint8]
    Site = tuple[int, int]
    Columns = Callable[[SampledPhoto], NDArray[np.intp]]

SIDE = 21
"""Pixels of a crop, each way; the defect is in the middle."""
SHOWN = 3
"""Photos that show a defect."""
LEAST_RANGE = 40
"""Levels that are stretched to black and white at least: more would show noise alone."""
NOT_REPAIRED = "it was not repaired here"
NO_COPY = {
    "withdrawn": "its copy was withdrawn: nothing to repair any more",
    "deleted": "its copy was deleted",
    "foreign": "another file is in the copy's place",
    "refused": "it cannot be repaired without loss elsewhere",
    "writing": "its copy is being written",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One photo's pixels around a defect, before and after.

    Attributes
    ----------
    photo : str
        The file's name.
    taken : str
        Exposure in words, empty where unknown.
    at : (x, y)
        Where the photo shows the defect.
    before, after : str
        PNG as data URIs, `SIDE` pixels each way; empty where there is none.
    why_not, why_no_copy : str
        Why there is none.
    contrast : float
        How much both are stretched.
    """

    photo: str
    taken: str
    at: tuple[int, int]
    before: str = ""
    after: str = ""
    why_not: str = ""
    why_no_copy: str = ""
    contrast: float = 1.0


def _columns(ledger: Ledger, camera: Camera, places: Places) -> Columns:
    """Return what tells which sample of a photo is of which pixel, -1 where none is.

    A sample is one of where the photo was looked at, by what was known at its version: of
    a pixel if that is where the photo shows it.
    """
    size = camera.height, camera.width

    @functools.cache
    def columns(version: int, where: Bin) -> NDArray[np.intp]:
        listed = ledger.samples.suspects(camera.id, version)
        looked_at = listed.corrections.places(listed.sites, where, size).tolist()
        numbers = {(row, col): number for number, (row, col) in enumerate(looked_at)}
        found = [
            -1 if at is None else numbers.get(at, -1)
            for at in places.nearest(where, sampled=True)
        ]
        return np.array(found, np.intp)

    return lambda photo: columns(photo.version, photo.bin)


def _strengths(
    ledger: Ledger, camera: Camera, findings: Sequence[Finding], places: Places
) -> tuple[list[int], NDArray[np.float64]]:
    """Return image ids, and how well each shows each defect, (images, defects).

    Beyond 1,000 it was repaired there; below, what it adds in levels, less where that is
    within the noise.
    """
    sampled = ledger.samples.newest(camera.id, KEPT)
    ids = [photo.image for photo in sampled]
    ids += sorted({id_ for one in findings for id_ in one.repaired.latest} - set(ids))
    numbers = {id_: number for number, id_ in enumerate(ids)}
    strength = np.zeros((len(ids), len(findings)))
    columns = _columns(ledger, camera, places)
    for number, photo in enumerate(sampled):
        column = columns(photo)
        seen = photo.samples[column]
        peak = abs(seen["peak"].astype(np.float64) @ LUMA)
        ratio = peak / np.maximum(seen["spread"].astype(np.float64), 0.5)
        clear = peak * np.minimum(ratio / SIGMAS, 1)
        strength[number] = np.where((column >= 0) & (seen["clipped"] < 128), clear, 0)
    for defect, one in enumerate(findings):
        for id_ in one.repaired.latest:
            strength[numbers[id_], defect] += 1000
    return ids, strength


def chosen(strength: NDArray[np.float64], most: int) -> list[list[int]]:
    """Return in which photos to show each defect: at most `most` photos in all.

    Parameters
    ----------
    strength : (photos, defects) float64
        How well each photo shows each defect; 0 is not at all.

    Returns
    -------
    list of list of int
        For each defect at most `SHOWN` photos; those that others need too, if they are
        among the best fifth.

    >>> chosen(np.array([[9.0, 8.0], [8.0, 0.0], [7.0, 9.0], [0.0, 1.0]]), 3)
    [[0, 1, 2], [0, 2]]
    """
    taken: list[int] = []
    out = []
    for column in strength.T:
        ranked = [
            number
            for number in np.argsort(-column, kind="stable").tolist()
            if column[number] > 0
        ]
        better = ranked[: max(SHOWN, len(ranked) // 5)]
        known = [number for number in better if number in taken]
        new = [number for number in better if number not in taken]
        picked = (known + new[: max(most - len(taken), 0)])[:SHOWN]
        picked += [one for one in ranked if one in taken and one not in picked]
        out.append(sorted(picked[:SHOWN]))
        taken += [number for number in out[-1] if number not in taken]
    return out


def _centred(levels: Frame, window: Window, at: Site) -> Frame:
    """Return a crop with the defect in the middle, dark where the frame ends."""
    reach, (row, col) = SIDE // 2, at
    top, left = window.top - row + reach, window.left - col + reach
    out: Frame = np.zeros((SIDE, SIDE, 3), np.uint8)
    out[top : top + levels.shape[0], left : left + levels.shape[1]] = levels
    return out


def stretched(crops: Sequence[Frame]) -> tuple[list[Frame], float]:
    """Return crops with their levels stretched alike, and how much.

    The darkest and brightest levels of all of them become black and white.
    """
    low = float(min(crop.min() for crop in crops))
    high = float(max(crop.max() for crop in crops))
    middle = (low + high) / 2
    span = max(high - low, float(LEAST_RANGE))
    low = min(max(middle - span / 2, 0.0), 255 - span)
    out = [
        np.clip((crop.astype(np.float64) - low) * 255 / span, 0, 255).astype(np.uint8)
        for crop in crops
    ]
    return out, 255 / span


def data_uri(crop: Frame) -> str:
    """Return a crop as a PNG in a data URI."""
    buffer = io.BytesIO()
    PillowImage.fromarray(crop).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _levels(photo: Photo, windows: Sequence[Window], memory: int) -> list[Frame]:
    """Return windows of a photo, from the blocks that they need, or decoded as a whole.

    Raises
    ------
    PhotoError
        It cannot be decoded.
    """
    try:
        coded = scans.coded_scans(photo.data, photo.structure)
        reader = BlockReader(photo.data, photo.structure, coded)
        needed = reader.needed(windows)
        walked = entropy.walk(photo.data, coded, needed, to_patch=False)
        return reader.levels(walked, windows)
    except (CodedDataError, MarkerError, ScanError):  # progressive, for one
        return photo_file.cut_out(photo, windows, memory)


def _exposure(image: Image) -> str:
    """Return how a photo was taken, in words.

    Such as "1/125 s, ISO 400".
    """
    parts = []
    if seconds := image.taken.exposure_seconds:
        parts.append(f"{exposure_time(seconds)} s")
    if iso := image.taken.iso:
        parts.append(f"ISO {iso}")
    return ", ".join(parts)


class Cropper:
    """Cuts crops out of a camera's photos and their copies.

    Parameters
    ----------
    ledger : Ledger
    camera : Camera
    config : Config
    """

    def __init__(self, ledger: Ledger, camera: Camera, config: Config) -> None:
        self._ledger = ledger
        self._camera = camera
        self._config = config
        self._limits = config.limits

    def _place(self, image: Image) -> tuple[Path | None, bool]:
        """Return where the image's file is, or was, and whether it is there."""
        places = self._ledger.paths.of_image(image.id)
        for path in places:
            try:
                if walk.stat_photo(path) is not None:
                    return path, True
            except OSError:
                continue
        return (places[0] if places else None), False

    def _read(self, path: Path) -> Photo:
        return photo_file.examine(path, self._limits.max_bytes, self._limits.max_pixels)

    def _before(
        self, image: Image, path: Path, windows: Sequence[Window]
    ) -> list[Frame]:
        photo = self._read(path)
        if photo.identity != image.identity:
            raise PhotoError(path, "another photo has this name now")
        return _levels(photo, windows, self._limits.memory)

    def _after(
        self, path: Path, windows: Sequence[Window]
    ) -> tuple[list[Frame], Collection[tuple[int, int]]]:
        """Return windows of the photo's copy, and which x, y were repaired in it."""
        copy = self._ledger.copies.find(path)
        if copy is None or copy.condition != "written":
            reason = NO_COPY.get(copy.condition, "") if copy else "it has no copy"
            raise PhotoError(path, reason)
        try:
            photo = self._read(copy.target)
        except PhotoGoneError as error:
            raise PhotoError(copy.target, "its copy is not there any more") from error
        if hashlib.sha256(photo.data).hexdigest() != copy.sha256:
            raise PhotoError(copy.target, "its copy was changed since it was written")
        return _levels(photo, windows, self._limits.memory), copy.pixels

    def _pairs(
        self,
        image: Image,
        path: Path,
        shown: Sequence[Site],
        where: Sequence[Collection[Site]],
    ) -> list[Pair]:
        """Return the crops of one photo, of some defects.

        Parameters
        ----------
        shown : sequence of (row, col)
            Where it shows each.
        where : sequence of collections of (row, col)
            Where its copy may have each repaired.
        """
        taken = _exposure(image)
        bare = [Pair(path.name, taken, (col, row)) for row, col in shown]
        size = self._camera.height, self._camera.width
        windows = [Window.around(*at, SIDE // 2, *size) for at in shown]
        try:
            before = self._before(image, path, windows)
        except PhotoError as error:
            reason = "it is not there any more, or its drive is not plugged in"
            if not isinstance(error, PhotoGoneError):
                reason = error.reason
            return [replace(one, why_not=reason) for one in bare]
        reason, after = NOT_REPAIRED, before
        repaired: Collection[tuple[int, int]] = ()
        try:
            after, repaired = self._after(path, windows)
        except PhotoError as error:
            reason = error.reason
        out = []
        for number, ((row, col), window) in enumerate(zip(shown, windows, strict=True)):
            crops = [_centred(before[number], window, (row, col))]
            if any((x, y) in repaired for y, x in where[number]):
                crops.append(_centred(after[number], window, (row, col)))
            crops, contrast = stretched(crops)
            pair = replace(bare[number], before=data_uri(crops[0]), contrast=contrast)
            if crops[1:]:
                out.append(replace(pair, after=data_uri(crops[1])))
            else:
                out.append(replace(pair, why_no_copy=reason))
        return out

    def strips(self, findings: Sequence[Finding], most: int) -> list[list[Pair]]:
        """Return for each defect a few photos that show it.

        Parameters
        ----------
        most : int
            Photos that are read in all.
        """
        if not findings:
            return []
        listed = [one.listed for one in findings]
        where = Places(self._ledger, self._config, self._camera, listed)
        ids, strength = _strengths(self._ledger, self._camera, findings, where)
        images = {id_: self._ledger.images.with_id(id_) for id_ in ids}
        places = {
            id_: self._place(image)
            for id_, image in images.items()
            if image is not None
        }
        sites = {
            id_: where.nearest(image.taken.bin)
            for id_, image in images.items()
            if image is not None
        }
        nowhere: list[Site | None] = [None] * len(findings)
        shows = [[at is not None for at in sites.get(id_, nowhere)] for id_ in ids]
        strength *= np.array(shows, np.bool_).reshape(strength.shape)
        # A photo that is not there is named only where none is.
        there = np.array([places.get(id_, (None, False))[1] for id_ in ids], np.bool_)
        shows_here = (strength * there[:, None]).max(axis=0, initial=0) > 0
        strength = np.where(shows_here & ~there[:, None], 0, strength)
        picked = chosen(strength, most)
        pairs: dict[tuple[int, int], Pair] = {}
        for number in sorted({number for numbers in picked for number in numbers}):
            image, (path, _) = images[ids[number]], places[ids[number]]
            if image is None or path is None:
                continue
            shown = {
                d: at
                for d, at in enumerate(sites[image.id])
                if number in picked[d] and at is not None
            }
            may_be = where.repaired_at(image.taken.bin)
            cut = self._pairs(
                image, path, list(shown.values()), [may_be[d] for d in shown]
            )
            pairs |= {(d, number): pair for d, pair in zip(shown, cut, strict=True)}
        return [
            [pairs[d, number] for number in numbers if (d, number) in pairs]
            for d, numbers in enumerate(picked)
        ]


def levels_around(
    ledger: Ledger, config: Config, camera: Camera, findings: Sequence[Finding]
) -> dict[Site, float]:
    """Return the median luma of the surroundings of defects in the newest photos.

    By the row, col of each; those that no photo was looked at are left out.
    """
    places = Places(ledger, config, camera, [one.listed for one in findings])
    columns = _columns(ledger, camera, places)
    found: dict[Site, list[int]] = {}
    for photo in ledger.samples.newest(camera.id, KEPT):
        for one, column in zip(findings, columns(photo).tolist(), strict=True):
            if column >= 0 and photo.samples["clipped"][column] != NOT_SAMPLED:
                site = one.defect.row, one.defect.col
                found.setdefault(site, []).append(int(photo.samples["level"][column]))
    return {site: float(np.median(levels)) for site, levels in found.items()}

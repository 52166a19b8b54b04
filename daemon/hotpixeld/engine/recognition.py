"""Whether a new photo is a copy or a version of a known one, and which of two that is.

A photo that was repaired, here, by another state or by another program, has the original's
metadata and, but for a few blocks, its coded data.  A version was saved again, flipped,
turned, resized or cropped by a program that carried the metadata over.  Both show one shot,
and a shot is learned once, from what the camera wrote.

Candidates are the known photos of the same camera and capture time.  Equal metadata alone
decide nothing: some cameras write the same MakerNote into every photo, and without
fractions of a second a whole series has one capture time.  What decides is the coded data
(`photo.fingerprint`), the coefficients (`jpeg.derivation`), or that the camera's thumbnail
or MakerNote stands in a file that another program laid out, or in the place of the known
photo, which is gone.  A photo that was lost is known all the same: what was made of it is
no photo because it is to be learned again and its file is away.

Of two files, the original is the one that the other follows from; of a photo and its
repaired copy, the one with the sharper spots in the blocks that differ: a repair only takes
spots away.  Where that cannot be told, the first that was seen is the photo.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.jpeg import compare, derivation, markers
from hotpixeld.jpeg.coefficients import MissingLibraryError
from hotpixeld.jpeg.decoder import CodecError
from hotpixeld.jpeg.derivation import NO_TURN, Agreement
from hotpixeld.photo import edit_detection, fingerprint
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hotpixeld.camera import Camera
    from hotpixeld.engine.sampling import EarlierPhotos
    from hotpixeld.photo.fingerprint import Fingerprint
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.store.fingerprints import Relative
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)

MOST_COMPARED = 4
"""Known photos whose coefficients are compared with a new one's, 0.15 s each at 12 MP: where
a clock stands still, all photos have one capture time."""
MOST_BLOCKS, OF_ALL = 64, 0.02
"""Blocks that may differ in a repaired copy: so many, or this part of all."""
_COPY, _VERSION = "a repaired copy", "a version"
_LUMA = frozenset({"Y", "grey"})
_APP0 = 0xE0
_UNREADABLE = (
    compare.DifferenceError, CodecError, MissingLibraryError, markers.MarkerError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kinship:
    """How a new photo and a known one go together.

    Attributes
    ----------
    image : Image
        The known one.
    path : Path
        Where it was seen first.
    is_original : bool
        The new photo is the original, and the known one was made of it.
    """

    image: Image
    path: Path
    is_original: bool
    _what: str
    _how: str = ""

    @property
    def is_past(self) -> bool:
        """Return whether the known one need not give way: it was lost, and is not learned."""
        return self.is_original and self.image.outcome == "lost"

    def reason(self, original: Path | str) -> str:
        """Return why the one that is not the original is not learned."""
        return f"{self._what} of {original}" + (f": {self._how}" if self._how else "")


@dataclass(frozen=True, slots=True)
class _Sight:
    """One of the two: what is known of it, and its file where it is at hand."""

    size: tuple[int, int]
    fingerprint: Fingerprint
    photo: Photo | None


def _same(one: bytes, two: bytes) -> bool:
    return bool(one) and one == two


def _differing(known: Photo, new: Photo) -> list[tuple[int, int]] | None:
    """Return the blocks of the luma that differ, none if unknown; None if too many do."""
    try:
        difference = compare.compare(known.data, new.data)
    except _UNREADABLE as error:
        log.debug("cannot be compared: %s, %s: %s", known.path, new.path, error)
        return []
    blocks = difference.blocks
    if not difference.total or len(blocks) > max(
        MOST_BLOCKS, OF_ALL * difference.total
    ):
        return None
    return [(block.row, block.column) for block in blocks if block.component in _LUMA]


def _is_repaired(known: Photo, new: Photo, blocks: list[tuple[int, int]]) -> bool:
    """Return whether the known photo is the one from which a spot was taken away."""
    if not blocks:
        return False
    try:
        return derivation.curvature(known.data, blocks) < derivation.curvature(
            new.data, blocks
        )
    except _UNREADABLE as error:
        log.debug("cannot be compared: %s, %s: %s", known.path, new.path, error)
        return False


def _agreements(known: _Sight, new: _Sight) -> tuple[Agreement, Agreement]:
    """Return how far the new photo follows from the known one, and the other way round."""
    nothing = Agreement(NO_TURN)
    if known.photo is None or new.photo is None:
        return nothing, nothing
    if known.size != new.size and known.size != new.size[::-1]:
        return nothing, nothing
    try:
        return (
            derivation.agreement(new.photo.data, known.photo.data),
            derivation.agreement(known.photo.data, new.photo.data),
        )
    except _UNREADABLE as error:
        log.debug("cannot be compared: %s: %s", new.photo.path, error)
        return nothing, nothing


def _is_carried_over(known: _Sight, new: _Sight) -> bool:
    """Return whether one file has the other's metadata, laid out by another program."""
    one, two = known.fingerprint, new.fingerprint
    if one.layout == two.layout:
        return False
    same_note = _same(one.note, two.note)
    if known.size not in {new.size, new.size[::-1]}:
        return same_note  # a camera that writes two sizes lays out both alike
    # Two files that can be compared, and do not agree, may be neighbours in a series.
    lost = bool(one.thumbnail) != bool(two.thumbnail) or known.photo is None
    return _same(one.thumbnail, two.thumbnail) or (same_note and lost)


def _are_two_shots(one: Fingerprint, two: Fingerprint) -> bool:
    """Return whether the camera wrote other things about two photos."""
    notes = one.note and two.note and one.note != two.note
    thumbnails = one.thumbnail and two.thumbnail and one.thumbnail != two.thumbnail
    return bool(notes and thumbnails)


def _has_turned(photo: Photo | None, agreement: Agreement) -> bool:
    """Return whether a photo's own thumbnail shows it as it was before it was turned."""
    thumbnail = photo.metadata.thumbnail if photo else None
    if photo is None or thumbnail is None or agreement.turn == NO_TURN:
        return False
    return edit_detection.is_turned(photo.data, thumbnail, agreement.turn)


def _traces(sight: _Sight, *, by_steps: bool) -> Iterator[float]:
    """Yield what speaks against a file, the weightiest first; 0 is nothing."""
    yield not sight.fingerprint.thumbnail
    yield not sight.fingerprint.note
    photo = sight.photo
    if photo is not None:
        if by_steps:  # what was rounded coarsely can be rounded finely, and not undone
            yield -float(derivation.steps(photo.data, photo.structure).sum())
        yield any(segment.marker == _APP0 for segment in photo.structure.segments)


def _is_made_of(known: _Sight, new: _Sight, forth: Agreement, back: Agreement) -> bool:
    """Return whether the known one of two versions was made of the new one."""
    if known.size not in {new.size, new.size[::-1]}:
        return known.size[0] * known.size[1] < new.size[0] * new.size[1]
    if forth.follows != back.follows:
        return back.follows
    if _has_turned(new.photo, forth):
        return False
    if _has_turned(known.photo, back):
        return True
    both = forth.follows and back.follows
    traces = zip(
        _traces(known, by_steps=both), _traces(new, by_steps=both), strict=False
    )
    for one, two in traces:
        if one != two:
            return one > two
    return False


class Recognition:
    """Recognises photos among those in the ledger; used by the thread that owns it.

    Parameters
    ----------
    progress : callable
        Called after each known photo that was compared: a burst takes seconds.
    """

    def __init__(
        self, ledger: Ledger, earlier: EarlierPhotos, progress: Callable[[], None]
    ) -> None:
        self._ledger = ledger
        self._earlier = earlier
        self._progress = progress

    def kinship(
        self, photo: Photo, own: Fingerprint, camera: Camera, *, versions: bool
    ) -> Kinship | None:
        """Return which known photo a new one goes together with, None if it is new.

        Parameters
        ----------
        camera : Camera
            The photo's.
        versions : bool
            Also look for versions, not for repaired copies alone.
        """
        relatives = self._ledger.fingerprints.relatives(photo.metadata.captured, own)
        itself = self._ledger.images.find(photo.identity)  # that was lost, and is back
        size = photo.structure.height, photo.structure.width
        new = _Sight(size, own, photo)
        known = [
            (relative, found)
            for relative in relatives
            if (itself is None or relative.id != itself.id)
            and (relative.make, relative.model) == (camera.make, camera.model)
            and (found := relative.fingerprint or self._look(relative)) is not None
        ]
        for relative, found in known:
            if relative.size == size and self._is_coded_alike(found, new):
                kinship = self._copy(relative, photo)
                self._progress()
                if kinship is not None and not kinship.is_past:
                    return kinship
        if not versions:
            return None
        known = [one for one in known if not _are_two_shots(one[1], own)]
        known.sort(
            key=lambda one: (one[1].thumbnail != own.thumbnail, one[1].note != own.note)
        )
        for relative, found in known[:MOST_COMPARED]:
            known_one = _Sight(relative.size, found, self._photo(relative))
            kinship = self._version(relative, known_one, new)
            self._progress()
            if kinship is not None and not kinship.is_past:
                return kinship
        return None

    def _image(self, relative: Relative) -> tuple[Image, Path]:
        image = self._ledger.images.with_id(relative.id)
        if image is None:
            raise AssertionError("an image of the ledger")
        paths = self._ledger.paths.of_image(image.id)
        return image, paths[0] if paths else Path(image.identity[:16])

    def _photo(self, relative: Relative) -> Photo | None:
        """Return the file of a known image, from wherever it still is."""
        image, _ = self._image(relative)
        paths = self._earlier.files(image)
        spooled = state_folder.spool(self._ledger.folder) / image.identity
        return next(self._earlier.examined(image, [*paths, spooled]), None)

    def _look(self, relative: Relative) -> Fingerprint | None:
        """Make the fingerprint of an image that was admitted without, and keep it."""
        photo = self._photo(relative)
        if photo is None:
            return None
        found = fingerprint.of(photo)
        with self._ledger.transaction():
            self._ledger.fingerprints.record(relative.id, found)
        return found

    @staticmethod
    def _is_coded_alike(known: Fingerprint, new: _Sight) -> bool:
        own = new.fingerprint
        if (known.note, known.thumbnail) != (own.note, own.thumbnail):
            return False
        photo = new.photo
        return photo is not None and fingerprint.shares_coding(
            known, photo.data, photo.structure
        )

    def _copy(self, relative: Relative, new: Photo) -> Kinship | None:
        """Return the kinship of a photo that is coded alike; proven, if files are there."""
        known = self._photo(relative)
        blocks = _differing(known, new) if known else []
        if blocks is None:
            return None
        is_original = known is not None and _is_repaired(known, new, blocks)
        return Kinship(*self._image(relative), is_original, _COPY)

    def _version(
        self, relative: Relative, known: _Sight, new: _Sight
    ) -> Kinship | None:
        forth, back = _agreements(known, new)
        follows = forth.follows or back.follows
        if not (
            follows
            or _is_carried_over(known, new)
            or self._is_in_place(relative, known, new)
        ):
            return None
        if forth.is_recoded and known.photo and new.photo:
            blocks = _differing(known.photo, new.photo)
            if blocks:
                is_original = _is_repaired(known.photo, new.photo, blocks)
                return Kinship(*self._image(relative), is_original, _COPY)
        is_original = _is_made_of(known, new, forth, back)
        best = max(forth, back, key=lambda one: one.share)
        how = "saved again"
        if follows and best.turn != NO_TURN:
            how = "flipped or turned"
        elif known.size not in {new.size, new.size[::-1]}:
            how = "of another size"
        return Kinship(*self._image(relative), is_original, _VERSION, how)

    def _is_in_place(self, relative: Relative, known: _Sight, new: _Sight) -> bool:
        """Return whether a photo is where the known one was, with its MakerNote."""
        places = self._ledger.paths.of_image(relative.id)
        is_there = new.photo is not None and new.photo.path in places
        same_note = _same(known.fingerprint.note, new.fingerprint.note)
        return is_there and known.photo is None and same_note

    def give_way(self, kinship: Kinship, new: Photo, camera: Camera) -> Image | None:
        """Have the original stand for what was made of it; in a transaction.

        Returns
        -------
        Image or None
            The image that the original holds now, in the place and with the outcome that
            the other had.  None where it is one of its own: the other was of another size,
            and is left out if it is not folded yet.
        """
        image, ledger = kinship.image, self._ledger
        is_same = image.camera == camera.id
        if not is_same and image.outcome != "pending":
            return None
        reason = kinship.reason(new.path)
        for path in ledger.paths.of_image(image.id):
            known = ledger.paths.find(path)
            seen = known.signature if known else None
            ledger.paths.record(path, "skipped", reason=reason, signature=seen)
            log.info("skipped %s: %s", path, reason)
        if not is_same:
            ledger.images.remove(image)
            return None
        ledger.fingerprints.replace(image, new.identity, fingerprint.of(new))
        # What the other did not show any more, the original may.
        ledger.samples.drop(image.id)
        ledger.images.set_suppressed({image.id: False})
        return ledger.images.with_id(image.id)

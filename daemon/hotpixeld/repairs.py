"""Repaired copies: which pixels of a photo, where to, and when a copy may be touched.

A copy belongs to a source path.  It is written, rewritten or withdrawn only when the set
of pixels to repair in that photo changes, and only while the file still is what we wrote:
a foreign or edited file at its place is left alone, a deleted copy stays deleted.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from hotpixeld import lossless, markers, photo, reencode, visibility
from hotpixeld.copies import Copy
from hotpixeld.files import UnsuitableError, make_folder, read_regular, remove, write
from hotpixeld.messages import MessageId

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.config import Folder, Repair
    from hotpixeld.ledger import Ledger
    from hotpixeld.lossless import Repaired
    from hotpixeld.photo import Photo
    from hotpixeld.pixels import Defect
    from hotpixeld.welford import Frame

log = logging.getLogger(__name__)

NANOSECONDS = 1_000_000_000


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
    """

    configured: tuple[Defect, ...]
    detected: tuple[Defect, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Mended:
    """What the repair of one photo came to; nothing is written yet.

    Attributes
    ----------
    defects : tuple of Defect
        What is to be repaired in this photo, from the top left on.
    repaired : Repaired or None
        The bytes of the copy; None when there is nothing to write.
    refused : str
        Why the photo cannot be repaired; empty when it can.
    """

    defects: tuple[Defect, ...]
    repaired: Repaired | None = None
    refused: str = ""

    @property
    def pixels(self) -> tuple[tuple[int, int], ...]:
        """Return the x, y of what is repaired."""
        return tuple((defect.x, defect.y) for defect in self.defects)


def mend_bytes(
    data: bytes,
    defects: tuple[Defect, ...],
    fill: Literal["adaptive", "neighbours"],
    fallback: Literal["refuse", "reencode"],
) -> Repaired:
    """Return the repaired bytes of a photo, re-encoded only where that is allowed.

    Raises
    ------
    RefusedError
        The photo cannot be repaired; says why.
    """
    try:
        return lossless.repaired(data, defects, fill=fill)
    except lossless.RefusedError as error:
        if fallback == "refuse":
            raise
        log.debug("re-encoding, as lossless repair was refused: %s", error.reason)
        return reencode.reencoded(data, defects, fill=fill)


def mend(
    source: Photo,
    frame: Frame | None,
    pixels: PixelList,
    known: tuple[tuple[int, int], ...] | None,
    settings: Repair,
) -> Mended:
    """Decide what to repair in a photo and do it, in memory.

    Parameters
    ----------
    frame : (H, W, 3) uint8 or None
        The decoded photo, where the caller has it.
    known : tuple of (x, y) or None
        What the present copy has repaired; no bytes are made for the same again.

    Raises
    ------
    PhotoError
        The photo cannot be decoded.
    """
    if pixels.detected and frame is None:
        frame = photo.decode(source)
    seen = () if frame is None else visibility.visible(frame, pixels.detected)
    places = {(defect.row, defect.col): defect for defect in seen}
    places |= {(defect.row, defect.col): defect for defect in pixels.configured}
    mended = Mended(tuple(places[place] for place in sorted(places)))
    if not mended.defects or mended.pixels == known:
        return mended
    fill, fallback = settings.fill, settings.fallback
    try:
        repaired = mend_bytes(source.data, mended.defects, fill, fallback)
    except lossless.RefusedError as error:
        return replace(mended, refused=error.reason)
    return replace(mended, repaired=repaired)


def _sha256_of(path: Path, limit: int) -> str | None:
    """Return the SHA-256 of a file in hex; None when there is none, '' if not a file."""
    try:
        data, _ = read_regular(path, limit)
    except FileNotFoundError:
        return None
    except (UnsuitableError, OSError):
        return ""
    return hashlib.sha256(data).hexdigest()


class Copies:
    """Keeps the copies as decided; used by one thread.

    `max_bytes` bounds what is read to recognise a copy.
    """

    def __init__(self, ledger: Ledger, max_bytes: int) -> None:
        self._ledger = ledger
        self._max_bytes = max_bytes

    def known(self, source: Path) -> tuple[tuple[int, int], ...] | None:
        """Return what the present copy of `source` has repaired, None without one."""
        copy = self._ledger.copies.find(source)
        return copy.pixels if copy and copy.condition == "written" else None

    def settle(self, source: Photo, folder: Folder, mended: Mended) -> Copy | None:
        """Make the copy of `source` what `mended` says; return what there is now.

        Raises
        ------
        OSError
            The copy cannot be written now (disk full, folder not writable).
        """
        target = folder.copy_path(source.path)
        copy = self._ledger.copies.find(source.path)
        if copy is None:
            copy = Copy(source.path, target, "withdrawn")
        else:
            copy = self._present(copy)
        if copy.condition in {"deleted", "foreign"}:
            return self._record(copy)
        if mended.refused:
            return self._refuse(copy, mended.refused)
        if mended.repaired is not None:
            return self._write(source, copy, mended)
        if not mended.defects:
            return self._without_defects(source, folder, copy)
        return self._record(copy)

    def _present(self, copy: Copy) -> Copy:
        """Return what became of a copy since it was written."""
        if not copy.sha256 or copy.condition not in {"written", "writing"}:
            return copy
        found = _sha256_of(copy.target, self._max_bytes)
        if found == copy.sha256:
            return replace(copy, condition="written")
        if found is None and copy.condition == "written":
            log.info("copy was deleted and stays so: %s", copy.target)
            return replace(copy, condition="deleted")
        # A crash between the announcement and the writing leaves what was before.
        if copy.condition == "writing" and found == (copy.former or None):
            return replace(copy, condition="withdrawn", sha256=copy.former, pixels=())
        log.warning(
            "copy was changed, left alone: %s",
            copy.target,
            extra={"MESSAGE_ID": MessageId.COPY_LEFT_ALONE},
        )
        return replace(copy, condition="foreign", notes="changed by somebody else")

    def _record(self, copy: Copy) -> Copy:
        if copy != self._ledger.copies.find(copy.source):
            with self._ledger.transaction():
                self._ledger.copies.record(copy)
        return copy

    def _refuse(self, copy: Copy, reason: str) -> Copy:
        if copy.condition == "written":
            return self._record(replace(copy, notes=f"not renewed: {reason}"))
        return self._record(replace(copy, condition="refused", notes=reason))

    def _write(self, source: Photo, copy: Copy, mended: Mended) -> Copy:
        """Write the bytes of `mended`, announced in the ledger before."""
        repaired = mended.repaired
        if repaired is None:
            raise AssertionError("nothing to write")
        sha256 = hashlib.sha256(repaired.data).hexdigest()
        found = _sha256_of(copy.target, self._max_bytes)
        if found not in {None, sha256, copy.sha256}:
            log.warning(
                "another file is in the place of a copy: %s",
                copy.target,
                extra={"MESSAGE_ID": MessageId.COPY_LEFT_ALONE},
            )
            notes = "another file is in its place"
            return self._record(replace(copy, condition="foreign", notes=notes))
        rewrites = copy.rewrites + 1 if copy.sha256 and copy.sha256 != sha256 else 0
        new = replace(
            copy,
            condition="writing",
            sha256=sha256,
            former=copy.sha256 if found else "",
            identity=markers.identity(repaired.data, markers.parse(repaired.data)),
            pixels=mended.pixels,
            method=repaired.method,
            notes="; ".join(repaired.notes),
            rewrites=max(rewrites, copy.rewrites),
        )
        self._record(new)
        make_folder(copy.target.parent)
        mtime_ns = source.signature.mtime_ns + new.rewrites * NANOSECONDS
        write(copy.target, repaired.data, mtime_ns=mtime_ns)
        return self._record(replace(new, condition="written"))

    def _without_defects(
        self, source: Photo, folder: Folder, copy: Copy
    ) -> Copy | None:
        """Withdraw a copy that repairs nothing any more, or make a plain one."""
        if copy.condition == "written" and copy.method not in {"link", "copy"}:
            remove(copy.target)
            log.info("copy withdrawn, nothing left to repair: %s", copy.target)
            copy = replace(copy, condition="withdrawn", pixels=(), notes="")
        if folder.unchanged == "skip" or copy.condition == "written":
            return self._record(copy) if copy.sha256 else None
        if _sha256_of(copy.target, self._max_bytes) is not None:
            notes = "another file is in its place"
            return self._record(replace(copy, condition="foreign", notes=notes))
        make_folder(copy.target.parent)
        method = _place_unchanged(source, copy.target, folder.unchanged)
        sha256 = hashlib.sha256(source.data).hexdigest()
        new = Copy(copy.source, copy.target, "written", sha256=sha256, method=method)
        return self._record(new)


def _place_unchanged(source: Photo, target: Path, how: str) -> str:
    """Put the photo itself at `target`; return how: a link cannot cross file systems."""
    if how == "link":
        try:
            os.link(source.path, target, follow_symlinks=False)
        except OSError as error:
            log.debug("cannot link %s, copying: %s", target, error)
        else:
            return "link"
    write(target, source.data, mtime_ns=source.signature.mtime_ns)
    return "copy"

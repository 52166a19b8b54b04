"""Repaired copies: which pixels of a photo, where to, and when a copy may be touched.

`repair` makes the bytes of a copy, in memory.  `CopyWriter` decides what becomes of the
file: a copy belongs to a source path, and is written, rewritten or withdrawn only when what
is to be repaired in that photo changes, the pixels or how they are drawn, and only while
the file still is what we wrote.  A foreign or edited file at its place is left alone, a
deleted copy stays deleted.  Where that place is, and what becomes of copies elsewhere, is
`copy_places`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hotpixeld.engine.copy_places import BY_HAND, EDITED, CopyPlaces
from hotpixeld.engine.output_folder import OutputFolder
from hotpixeld.errors import RefusedError
from hotpixeld.jpeg import markers
from hotpixeld.messages import MessageId
from hotpixeld.photo import photo_file
from hotpixeld.repair import lossless, pixel_list, reencode
from hotpixeld.repair.lossless import WalkedPhoto
from hotpixeld.repair.shape import AS_USUAL
from hotpixeld.store.copies import Copy
from hotpixeld.store.undo_records import UndoRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hotpixeld.config.model import Folder, Repair
    from hotpixeld.defect import Defect
    from hotpixeld.jpeg.decoder import Frame
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.repair.lossless import Repaired
    from hotpixeld.repair.pixel_list import PixelList
    from hotpixeld.repair.shape import Shown
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)

NANOSECONDS = 1_000_000_000
ANY = 1 << 62
"""Bytes: as many as there are."""
NAME_MAX = 255
"""Bytes in a file name, on any file system of Linux."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A copy that another process has written beside its place.

    Attributes
    ----------
    name : str
        Of the file, in the folder of the place.
    sha256, identity : str
        Of its content.
    """

    name: str
    sha256: str
    identity: str


@dataclass(frozen=True, slots=True)
class RepairResult:
    """What the repair of one photo came to; nothing is written yet.

    Attributes
    ----------
    defects : tuple of Defect
        What is to be repaired in this photo, from the top left on.
    repaired : Repaired or None
        The bytes of the copy; None when there is nothing to write.
    refused : str
        Why the photo cannot be repaired; empty when it can.
    prepared : Prepared or None
        The file that has the bytes, in place of those in `repaired`.
    """

    defects: tuple[Defect, ...]
    repaired: Repaired | None = None
    refused: str = ""
    prepared: Prepared | None = None

    @property
    def pixels(self) -> tuple[tuple[int, int], ...]:
        """Return the x, y of what is repaired."""
        return tuple((defect.x, defect.y) for defect in self.defects)


def _frames(data: bytes) -> int:
    """Return the bytes of a photo's frames: as decoded, as repaired, as encoded."""
    structure = markers.parse(data, header_only=True)
    return 3 * 3 * structure.width * structure.height


def repaired_bytes(
    data: bytes,
    defects: tuple[Defect, ...],
    settings: Repair,
    shown: Shown = AS_USUAL,
    walked: WalkedPhoto | None = None,
    memory: int = ANY,
) -> Repaired:
    """Return the repaired bytes of a photo, re-encoded only where that is allowed.

    `walked` is the same photo, where it was walked for these defects already; `memory`
    bounds the bytes of all its coefficients, or of its frames where it is re-encoded.

    Raises
    ------
    RefusedError
        The photo cannot be repaired; says why.
    """
    try:
        if walked:
            return walked.repaired(defects, fill=settings.fill, memory=memory)
        return lossless.repaired(
            data, defects, fill=settings.fill, shown=shown, memory=memory
        )
    except RefusedError as error:
        if settings.fallback == "refuse" or _frames(data) > memory:
            raise
        log.debug("re-encoding, as lossless repair was refused: %s", error.reason)
        return reencode.reencoded(
            data, defects, fill=settings.fill, footprints=shown.footprints
        )


def _seen(
    source: Photo, detected: Sequence[Defect], shown: Shown, memory: int
) -> tuple[Defect, ...]:
    """Return which defects can be seen in a photo that has to be decoded."""
    height, width = source.structure.height, source.structure.width
    inside = [one for one in detected if one.row < height and one.col < width]
    windows = [pixel_list.window(one, height, width) for one in inside]
    levels = photo_file.cut_out(source, windows, memory)
    seen = (
        pixel_list.seen_at(part, window, defect, shown)
        for defect, window, part in zip(inside, windows, levels, strict=True)
    )
    return tuple(filter(None, seen))


def _look(
    source: Photo, frame: Frame | None, pixels: PixelList, memory: int
) -> tuple[tuple[Defect, ...], WalkedPhoto | None]:
    """Return what a photo shows of the detected pixels, and the photo if it was walked.

    Only where that cannot be, all of it is decoded.
    """
    if not pixels.detected:
        return (), None
    if frame is None:
        try:
            walked = WalkedPhoto.of(
                source.data,
                source.structure,
                pixels.sites,
                pixels.detected,
                pixels.shown,
            )
        except RefusedError as error:
            log.debug("decoded, as it cannot be walked: %s", error.reason)
            return _seen(source, pixels.detected, pixels.shown, memory), None
        return walked.visible(pixels.detected), walked
    return pixel_list.visible(frame, pixels.detected, pixels.shown), None


def repair(
    source: Photo,
    frame: Frame | None,
    pixels: PixelList,
    known: tuple[tuple[int, int], ...] | None,
    settings: Repair,
    memory: int = ANY,
) -> RepairResult:
    """Decide what to repair in a photo and do it, in memory.

    Parameters
    ----------
    frame : (H, W, 3) uint8 or None
        The decoded photo, where the caller has it.
    known : tuple of (x, y) or None
        What the present copy has repaired; no bytes are made for the same again.
    memory : int
        Most bytes for the coefficients of several scans, which are needed all at once.

    Raises
    ------
    PhotoError
        The photo cannot be decoded.
    """
    seen, walked = _look(source, frame, pixels, memory)
    sites = {(defect.row, defect.col): defect for defect in seen}
    sites |= {(defect.row, defect.col): defect for defect in pixels.configured}
    result = RepairResult(tuple(sites[site] for site in sorted(sites)))
    if not result.defects or result.pixels == known:
        return result
    try:
        repaired = repaired_bytes(
            source.data, result.defects, settings, pixels.shown, walked, memory
        )
    except RefusedError as error:
        return replace(result, refused=error.reason)
    return replace(result, repaired=repaired)


def _described(data: bytes, name: str = "") -> Prepared:
    identity = markers.identity(data, markers.parse(data))
    return Prepared(name, hashlib.sha256(data).hexdigest(), identity)


def prepare(result: RepairResult, output: OutputFolder, target: Path) -> RepairResult:
    """Write the bytes of a copy beside its place, for `CopyWriter.update` to put there.

    Raises
    ------
    OSError
    """
    if result.repaired is None:
        return result
    data = result.repaired.data
    prepared = _described(data, output.prepare(target, data))
    empty = replace(result.repaired, data=b"")
    return replace(result, repaired=empty, prepared=prepared)


def as_found(copy: Copy, output: OutputFolder) -> Copy:
    """Return what became of a copy since it was written, or announced before a crash.

    Raises
    ------
    OSError
        What is in its place cannot be read now.
    """
    if not copy.sha256 and copy.condition != "foreign":
        return copy
    found = output.sha256_of(copy.target)
    if copy.condition == "foreign" and found in {None, copy.sha256}:
        condition = "deleted" if copy.sha256 else "withdrawn"
        copy = replace(copy, condition=condition, notes="")
    if found == copy.sha256:  # put back, perhaps
        return replace(copy, condition="written")
    if copy.condition not in {"written", "writing"}:
        return copy
    if found is None and copy.condition == "written":
        log.info("copy was deleted and stays so: %s", copy.target)
        return replace(copy, condition="deleted")
    # A crash between the announcement and the writing leaves what was before.
    if copy.condition == "writing" and found == (copy.former or None):
        condition = "written" if copy.former else "withdrawn"
        return replace(copy, condition=condition, sha256=copy.former, pixels=())
    log.warning(
        "copy was changed, left alone: %s",
        copy.target,
        extra={"MESSAGE_ID": MessageId.COPY_LEFT_ALONE},
    )
    return replace(copy, condition="foreign", notes=EDITED)


class CopyWriter:
    """Keeps the copies as decided; used by one thread.

    Parameters
    ----------
    max_bytes : int
        Bounds what is read to recognise a copy.
    undo : bool
        Keep in the ledger what leads from each copy back to its original.
    tidy : bool
        Remove copies at former places once their successors are written.
    """

    def __init__(
        self, ledger: Ledger, max_bytes: int, *, undo: bool = True, tidy: bool = False
    ) -> None:
        self.places = CopyPlaces(ledger, max_bytes)
        self._ledger = ledger
        self._max_bytes = max_bytes
        self._undo = undo
        self._over = frozenset({"renamed", "former"} if tidy else {"renamed"})
        self._swept: set[Path] = set()
        self._files = 0  # put in their places

    def update(
        self, source: Photo, folder: Folder, result: RepairResult
    ) -> tuple[Copy | None, bool]:
        """Bring the copy of `source` in line with `result`.

        Returns
        -------
        Copy or None
            Its record.
        bool
            Whether a file was put in its place; else what is there was there before.

        Raises
        ------
        OSError
            The copy cannot be written now (disk full, folder not writable).
        """
        before = self._files
        copy = self._updated(source, folder, result)
        self.places.tidy(source.path, self._over)
        return copy, self._files > before

    def _updated(
        self, source: Photo, folder: Folder, result: RepairResult
    ) -> Copy | None:
        target = folder.copy_path(source.path)
        output = OutputFolder.of(folder, self._max_bytes)
        if len(os.fsencode(target.name)) > NAME_MAX:
            copy = self._ledger.copies.find(source.path) or Copy(
                source.path, target, "withdrawn"
            )
            return self._refuse(copy, "the name of the copy would be too long")
        copy = as_found(self.places.current(source, folder), output)
        if copy.condition in {"deleted", "foreign"} or copy.method == BY_HAND:
            return self._record(copy)
        if result.refused:
            return self._refuse(copy, result.refused)
        if result.repaired is not None:
            return self._write(source, output, copy, result)
        if not result.defects:
            return self._without_defects(source, folder, copy)
        return self._record(copy)

    def clear(self, folder: Folder, target: Path) -> None:
        """Clear a copy's folder of what a crash left, before others prepare copies there."""
        output = OutputFolder.of(folder, self._max_bytes)
        with contextlib.suppress(OSError):  # whoever writes the copy says why
            if target.parent not in self._swept:
                output.sweep(target.parent)
                self._swept.add(target.parent)

    def drop(self, folder: Folder, target: Path, result: RepairResult) -> None:
        """Remove what was prepared of a copy, if it was not put into its place."""
        if result.prepared is not None:
            output = OutputFolder.of(folder, self._max_bytes)
            with contextlib.suppress(OSError):
                output.remove(target.with_name(result.prepared.name))

    def write_by_hand(
        self, source: Photo, folder: Folder, result: RepairResult, *, named: bool
    ) -> Copy:
        """Write the copy of `source` that the user asked for; return its record.

        Parameters
        ----------
        named : bool
            The user named its pixels: it is left as it is from then on.

        Raises
        ------
        OSError
        """
        output = OutputFolder.of(folder, self._max_bytes)
        self.places.have_looked_at(source.path, folder)
        copy = as_found(self.places.current(source, folder), output)
        if copy.condition == "deleted":
            copy = replace(copy, condition="withdrawn")
        return self._write(source, output, copy, result, BY_HAND if named else "")

    def _record(self, copy: Copy) -> Copy:
        if copy != self._ledger.copies.find(copy.source):
            with self._ledger.transaction():
                self._ledger.copies.record(copy)
        return copy

    def _refuse(self, copy: Copy, reason: str) -> Copy:
        if copy.condition == "written":
            return self._record(replace(copy, notes=f"not renewed: {reason}"))
        return self._record(replace(copy, condition="refused", notes=reason))

    def _write(
        self,
        source: Photo,
        output: OutputFolder,
        copy: Copy,
        result: RepairResult,
        method: str = "",
    ) -> Copy:
        """Write the bytes of `result`, announced in the ledger before."""
        repaired = result.repaired
        if repaired is None:
            raise AssertionError("nothing to write")
        prepared = result.prepared or _described(repaired.data)
        sha256 = prepared.sha256
        found = output.sha256_of(copy.target)
        if found not in {None, sha256, copy.sha256}:
            log.warning(
                "another file is in the place of a copy: %s",
                copy.target,
                extra={"MESSAGE_ID": MessageId.COPY_LEFT_ALONE},
            )
            notes = "another file is in its place"
            return self._record(replace(copy, condition="foreign", notes=notes))
        is_renewed = copy.sha256 not in {"", sha256}
        new = replace(
            copy,
            condition="writing",
            sha256=sha256,
            former=copy.sha256 if found else "",
            identity=prepared.identity,
            original=source.identity,
            pixels=result.pixels,
            method=method or repaired.method,
            notes="; ".join(repaired.notes),
            rewrites=copy.rewrites + is_renewed,
        )
        with self._ledger.transaction():
            self._ledger.copies.record(new)
            self._keep(source, repaired, sha256)
        mtime_ns = source.signature.mtime_ns + new.rewrites * NANOSECONDS
        self._sweep(output, new)
        if found != sha256:
            if result.prepared:
                output.put(prepared.name, copy.target, mtime_ns)
            else:
                output.write(copy.target, repaired.data, mtime_ns)
            self._files += 1
        new = replace(new, condition="written")
        with self._ledger.transaction():
            self._ledger.copies.record(new)
        return new

    def _keep(self, source: Photo, repaired: Repaired, sha256: str) -> None:
        """Keep what leads back from a copy, if anything does."""
        way = lossless.way_back(repaired) if self._undo else None
        if way is not None:
            original = hashlib.sha256(source.data).hexdigest()
            record = UndoRecord(source.path, sha256, original, way)
            self._ledger.undo.record(record)

    def _sweep(self, output: OutputFolder, copy: Copy) -> None:
        """Clear a folder of what a crash left there, before the first copy."""
        if copy.target.parent not in self._swept:
            output.sweep(copy.target.parent)
            self._swept.add(copy.target.parent)

    def _without_defects(
        self, source: Photo, folder: Folder, copy: Copy
    ) -> Copy | None:
        """Withdraw a copy that repairs nothing any more, or make a plain one."""
        output = OutputFolder.of(folder, self._max_bytes)
        if copy.condition == "written" and copy.method not in {"link", "copy"}:
            # Recorded before: what is gone without a record was deleted by the user.
            copy = replace(copy, condition="withdrawn", pixels=(), notes="")
            self._record(copy)
            output.remove(copy.target)
            log.info("copy withdrawn, nothing left to repair: %s", copy.target)
        unchanged = folder.unchanged
        if unchanged == "skip" or copy.condition == "written":
            return self._record(copy) if copy.sha256 else None
        if output.sha256_of(copy.target) is not None:
            notes = "another file is in its place"
            return self._record(replace(copy, condition="foreign", notes=notes))
        sha256 = hashlib.sha256(source.data).hexdigest()
        original = source.identity
        new = Copy(
            *(copy.source, copy.target, "writing"), sha256=sha256, original=original
        )
        self._record(new)
        self._sweep(output, new)
        method = output.place(source, copy.target, unchanged)
        self._files += 1
        return self._record(replace(new, condition="written", method=method))

"""Repaired copies: which pixels of a photo, where to, and when a copy may be touched.

`repair` makes the bytes of a copy, in memory.  `CopyWriter` decides what becomes of the
file: a copy belongs to a source path, and is written, rewritten or withdrawn only when the
set of pixels to repair in that photo changes, and only while the file still is what we
wrote.  A foreign or edited file at its place is left alone, a deleted copy stays deleted.
`OutputFolder` does the writing, and nothing outside of the folder of copies.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from hotpixeld.errors import RefusedError
from hotpixeld.files import (
    ChangedError,
    UnsuitableError,
    link,
    make_folder,
    read_regular,
    remove,
    sweep,
    write,
)
from hotpixeld.jpeg import markers
from hotpixeld.messages import MessageId
from hotpixeld.photo import photo_file
from hotpixeld.repair import lossless, pixel_list, reencode
from hotpixeld.repair.lossless import WalkedPhoto
from hotpixeld.store.paths import Copy
from hotpixeld.store.undo_records import UndoRecord

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.config.model import Folder, Repair
    from hotpixeld.defect import Defect
    from hotpixeld.jpeg.decoder import Frame
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.repair.footprint import Footprint
    from hotpixeld.repair.lossless import Repaired
    from hotpixeld.repair.pixel_list import PixelList
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)

NANOSECONDS = 1_000_000_000
NAME_MAX = 255
"""Bytes in a file name, on any file system of Linux."""


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
    """

    defects: tuple[Defect, ...]
    repaired: Repaired | None = None
    refused: str = ""

    @property
    def pixels(self) -> tuple[tuple[int, int], ...]:
        """Return the x, y of what is repaired."""
        return tuple((defect.x, defect.y) for defect in self.defects)


def repaired_bytes(
    data: bytes,
    defects: tuple[Defect, ...],
    settings: Repair,
    footprint: Footprint | None = None,
    walked: WalkedPhoto | None = None,
) -> Repaired:
    """Return the repaired bytes of a photo, re-encoded only where that is allowed.

    `walked` is the same photo, where it was walked for these defects already.

    Raises
    ------
    RefusedError
        The photo cannot be repaired; says why.
    """
    try:
        if walked is not None:
            return walked.repaired(defects, fill=settings.fill, footprint=footprint)
        return lossless.repaired(data, defects, fill=settings.fill, footprint=footprint)
    except RefusedError as error:
        if settings.fallback == "refuse":
            raise
        log.debug("re-encoding, as lossless repair was refused: %s", error.reason)
        return reencode.reencoded(
            data, defects, fill=settings.fill, footprint=footprint
        )


def _look(
    source: Photo, frame: Frame | None, pixels: PixelList
) -> tuple[tuple[Defect, ...], WalkedPhoto | None]:
    """Return what a photo shows of the detected pixels, and the photo if it was walked.

    Only where that cannot be, all of it is decoded.
    """
    if not pixels.detected:
        return (), None
    if frame is None:
        listed = *pixels.configured, *pixels.detected
        try:
            walked = WalkedPhoto.of(
                source.data, source.structure, listed, pixels.detected
            )
        except RefusedError as error:
            log.debug("decoded, as it cannot be walked: %s", error.reason)
            frame = photo_file.decode(source)
        else:
            return walked.visible(pixels.detected), walked
    return pixel_list.visible(frame, pixels.detected), None


def repair(
    source: Photo,
    frame: Frame | None,
    pixels: PixelList,
    known: tuple[tuple[int, int], ...] | None,
    settings: Repair,
) -> RepairResult:
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
    seen, walked = _look(source, frame, pixels)
    sites = {(defect.row, defect.col): defect for defect in seen}
    sites |= {(defect.row, defect.col): defect for defect in pixels.configured}
    result = RepairResult(tuple(sites[site] for site in sorted(sites)))
    if not result.defects or result.pixels == known:
        return result
    try:
        repaired = repaired_bytes(
            source.data, result.defects, settings, pixels.footprint, walked
        )
    except RefusedError as error:
        return replace(result, refused=error.reason)
    return replace(result, repaired=repaired)


class OutputFolder:
    """Where the copies of one watched folder go.

    It often lies in a folder that others write to, so nothing below the place that the
    configuration names is reached through a link.

    Parameters
    ----------
    folder : Folder
    max_bytes : int
        Bounds what is read to recognise a copy.
    """

    def __init__(self, folder: Folder, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        is_inside = folder.repaired.is_relative_to(folder.path)
        self._root = folder.path if is_inside else folder.repaired

    def sha256_of(self, target: Path) -> str | None:
        """Return the SHA-256 of a file in hex, None without one, '' if it is no file.

        Raises
        ------
        OSError
            It cannot be read now, which says nothing of what it is.
        """
        try:
            data, _ = read_regular(target, self._max_bytes, self._root)
        except FileNotFoundError:
            return None
        except (UnsuitableError, ChangedError):
            return ""
        return hashlib.sha256(data).hexdigest()

    def sweep(self, folder: Path) -> None:
        """Remove what a crash left of unfinished copies in a folder of the output.

        Raises
        ------
        OSError
        """
        sweep(folder, self._root)

    def write(self, target: Path, data: bytes, mtime_ns: int) -> None:
        """Write a copy; folders are made.

        Raises
        ------
        OSError
        """
        self._make_root()
        write(target, data, mtime_ns=mtime_ns, root=self._root)

    def _make_root(self) -> None:
        # A watched folder that is missing is offline, and not for us to make.
        if self._root == self.folder.repaired:
            make_folder(self._root)

    def remove(self, target: Path) -> None:
        """Remove a copy; fine when it is not there.

        Raises
        ------
        OSError
        """
        remove(target, self._root)

    def place(
        self, source: Photo, target: Path, how: Literal["link", "copy"]
    ) -> Literal["link", "copy"]:
        """Put the photo itself at `target`; return how: links cannot cross file systems.

        Raises
        ------
        OSError
        """
        if how == "link":
            self._make_root()
            try:
                link(source.path, target, source.signature.inode, self._root)
            except OSError as error:
                log.debug("cannot link %s, copying: %s", target, error)
            else:
                return "link"
        self.write(target, source.data, source.signature.mtime_ns)
        return "copy"


class CopyWriter:
    """Keeps the copies as decided; used by one thread.

    `max_bytes` bounds what is read to recognise a copy.  With `undo`, what leads from each
    copy back to its original is kept in the ledger.
    """

    def __init__(self, ledger: Ledger, max_bytes: int, *, undo: bool = True) -> None:
        self._ledger = ledger
        self._max_bytes = max_bytes
        self._undo = undo
        self._swept: set[Path] = set()

    def known(self, source: Path) -> tuple[tuple[int, int], ...] | None:
        """Return what the present copy of `source` has repaired, None without one."""
        copy = self._ledger.copies.find(source)
        return copy.pixels if copy and copy.condition == "written" else None

    def update(
        self, source: Photo, folder: Folder, result: RepairResult
    ) -> Copy | None:
        """Bring the copy of `source` in line with `result`; return its record.

        Raises
        ------
        OSError
            The copy cannot be written now (disk full, folder not writable).
        """
        target, output = (
            folder.copy_path(source.path),
            OutputFolder(folder, self._max_bytes),
        )
        copy = self._ledger.copies.find(source.path)
        if copy is None or (copy.target != target and copy.condition != "deleted"):
            # Never known, or from a place that is not configured any more.
            copy = Copy(source.path, target, "withdrawn")
        elif len(os.fsencode(target.name)) <= NAME_MAX:
            copy = self._present(copy, output)
        if copy.condition in {"deleted", "foreign"}:
            return self._record(copy)
        if len(os.fsencode(target.name)) > NAME_MAX:
            return self._refuse(copy, "the name of the copy would be too long")
        if result.refused:
            return self._refuse(copy, result.refused)
        if result.repaired is not None:
            return self._write(source, output, copy, result)
        if not result.defects:
            return self._without_defects(source, output, copy)
        return self._record(copy)

    def _present(self, copy: Copy, output: OutputFolder) -> Copy:
        """Return what became of a copy since it was written."""
        expected = {"written", "writing", "withdrawn"}
        if not copy.sha256 or copy.condition not in expected:
            return copy
        found = output.sha256_of(copy.target)
        if found == copy.sha256:
            return replace(copy, condition="written")
        if copy.condition == "withdrawn":
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

    def _write(
        self, source: Photo, output: OutputFolder, copy: Copy, result: RepairResult
    ) -> Copy:
        """Write the bytes of `result`, announced in the ledger before."""
        repaired = result.repaired
        if repaired is None:
            raise AssertionError("nothing to write")
        sha256 = hashlib.sha256(repaired.data).hexdigest()
        found = output.sha256_of(copy.target)
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
            pixels=result.pixels,
            method=repaired.method,
            notes="; ".join(repaired.notes),
            rewrites=max(rewrites, copy.rewrites),
        )
        with self._ledger.transaction():
            self._ledger.copies.record(new)
            self._keep(source, repaired, sha256)
        mtime_ns = source.signature.mtime_ns + new.rewrites * NANOSECONDS
        self._sweep(output, new)
        output.write(copy.target, repaired.data, mtime_ns)
        new = replace(new, condition="written")
        with self._ledger.transaction():
            self._ledger.copies.record(new)
            # The bytes that others lead back from are gone now.
            self._ledger.undo.forget(source.path, but=sha256)
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
        self, source: Photo, output: OutputFolder, copy: Copy
    ) -> Copy | None:
        """Withdraw a copy that repairs nothing any more, or make a plain one."""
        if copy.condition == "written" and copy.method not in {"link", "copy"}:
            # Recorded before: what is gone without a record was deleted by the user.
            copy = replace(copy, condition="withdrawn", pixels=(), notes="")
            self._record(copy)
            output.remove(copy.target)
            with self._ledger.transaction():
                self._ledger.undo.forget(copy.source)
            log.info("copy withdrawn, nothing left to repair: %s", copy.target)
        unchanged = output.folder.unchanged
        if unchanged == "skip" or copy.condition == "written":
            return self._record(copy) if copy.sha256 else None
        if output.sha256_of(copy.target) is not None:
            notes = "another file is in its place"
            return self._record(replace(copy, condition="foreign", notes=notes))
        sha256 = hashlib.sha256(source.data).hexdigest()
        new = Copy(copy.source, copy.target, "writing", sha256=sha256)
        self._record(new)
        self._sweep(output, new)
        method = output.place(source, copy.target, unchanged)
        return self._record(replace(new, condition="written", method=method))

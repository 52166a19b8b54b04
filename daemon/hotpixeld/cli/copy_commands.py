"""Commands that write or remove copies beside a daemon: `repair` and `tidy`.

What they do is in the ledger, in transactions of their own: so the daemon knows a copy that
was made by hand, and does not take back one that is just being removed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.cli import commands
from hotpixeld.config.model import Folder
from hotpixeld.engine import bodies, copy_places, copy_writer
from hotpixeld.engine.bodies import Learned
from hotpixeld.engine.copy_places import BY_HAND, CopyPlaces
from hotpixeld.engine.copy_writer import CopyWriter, RepairResult
from hotpixeld.engine.output_folder import OutputFolder
from hotpixeld.engine.repair_pass import camera_of
from hotpixeld.errors import PhotoError, SkippedPhotoError
from hotpixeld.files import make_folder, write, write_new
from hotpixeld.jpeg import markers
from hotpixeld.messages import counted
from hotpixeld.photo import photo_file
from hotpixeld.repair import pixel_list
from hotpixeld.repair.shape import AS_USUAL
from hotpixeld.store import state_folder
from hotpixeld.store.copies import Copy
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotpixeld.config.model import Config
    from hotpixeld.defect import Defect
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.repair.lossless import Repaired
    from hotpixeld.repair.pixel_list import PixelList


def _is_writable(state: Path) -> bool:
    path = state_folder.ledger_file(state)
    return os.access(state, os.W_OK | os.X_OK) and os.access(path, os.W_OK)


def check_writable(state: Path) -> None:
    """Check that this user may write to a state.

    Raises
    ------
    LedgerError
        It may not; names the command that may.
    """
    if not _is_writable(state):
        reason = os.strerror(errno.EACCES)
        raise commands.closed(state, PermissionError(errno.EACCES, reason, str(state)))


@contextlib.contextmanager
def _opened(state: Path) -> Iterator[Ledger]:
    """Open the ledger of a state, to write to it if that is allowed.

    Raises
    ------
    LedgerError
        There is none, it cannot be used, or is of another version.
    """
    with commands.opened(state) as ledger:  # an older one is not for us to change
        if not _is_writable(state):
            yield ledger
            return
    ledger = Ledger(state_folder.ledger_file(state))
    try:
        yield ledger
    finally:
        ledger.close()


def _holding(folders: list[Folder], path: Path) -> tuple[Path, Folder] | None:
    """Return the watched folder that a path leads into, and the path by its name there."""
    real = path.parent.resolve() / path.name
    for folder in folders:
        root = folder.path.resolve()
        if real.is_relative_to(root):
            return folder.path / real.relative_to(root), folder
    return None


def _is_output(folders: list[Folder], path: Path) -> bool:
    """Return whether a path leads into a folder for copies."""
    real = path.parent.resolve()
    return any(real.is_relative_to(folder.repaired.resolve()) for folder in folders)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a copy by hand goes.

    Attributes
    ----------
    path : Path
    source : Path
        Of the photo, by the name that the daemon knows it by.
    folder : Folder or None
        The watched folder, if the copy is in the place of the daemon's.
    watched : Path or None
        The watched folder in which the daemon would find it.
    """

    path: Path
    source: Path
    folder: Folder | None
    watched: Path | None


def _target(path: Path, output: Path | None, folders: list[Folder]) -> _Target:
    """Return where the copy of a photo goes, and who would see it there."""
    source = Path(os.path.abspath(path))  # noqa: PTH100 - links are names, too
    held = None if _is_output(folders, source) else _holding(folders, source)
    source, folder = held or (source, None)
    if output is not None:
        target = output.absolute() / f"c_{path.name}"
    elif folder is not None:
        target = folder.copy_path(source)
    else:
        target = source.parent / "repaired" / f"c_{path.name}"
    if folder is not None and target != folder.copy_path(source):
        folder = None
    seen = None if _is_output(folders, target) else _holding(folders, target)
    return _Target(target, source, folder, seen[1].path if seen else None)


def _folders(config: Config, ledger: Ledger | None) -> list[Folder]:
    """Return the watched folders: those configured, and those the state was used with."""
    folders = {folder.path: folder for folder in config.folders}
    for path, repaired, name in ledger.other_copies.places() if ledger else ():
        value = {"path": str(path), "repaired": str(repaired), "name": name}
        folders.setdefault(path, Folder.model_validate(value))
    return list(folders.values())


def repair(
    path: Path,
    named: tuple[Defect, ...],
    output: Path | None,
    config: Config,
    state: Path,
    *,
    force: bool = False,
) -> str:
    """Write the repaired copy of one photo by hand; return what was done.

    Parameters
    ----------
    named : tuple of Defect
        What to repair; empty takes the lists of the photo's camera.
    output : Path or None
        Where the copy goes; None is where the daemon has it, or for a photo that it does
        not watch, ``repaired`` beside it.
    force : bool
        Replace a copy of ours in which more is repaired.

    Raises
    ------
    PhotoError, RefusedError
        The photo cannot be used or is a copy of ours, or another file is in the place.
    LedgerError
        There is a state, and it cannot be used.
    """
    limits = config.limits
    photo = photo_file.examine(path, limits.max_bytes, limits.max_pixels)
    ledger: Ledger | None
    is_known = commands.has_ledger(state)
    with _opened(state) if is_known else contextlib.nullcontext() as ledger:
        result = _repaired(photo, named, config, ledger)
        if result.repaired is None:
            unknown = "" if ledger else f"; there is no state {state}"
            return f"{path}: nothing to repair{unknown}"
        target = _target(path, output, _folders(config, ledger))
        reason = _why_not(target, result, ledger, limits.max_bytes, force=force)
        if reason:
            raise PhotoError(path, reason)
        if target.folder is not None and ledger is not None:
            writer = CopyWriter(ledger, limits.max_bytes, undo=config.copies.undo)
            by_name = replace(photo, path=target.source)
            copy = writer.write_by_hand(
                by_name, target.folder, result, named=bool(named)
            )
            if copy.condition != "written":
                raise PhotoError(path, f"{target.path}: {copy.notes}")
        else:
            _write_elsewhere(photo, target, result, ledger, limits.max_bytes)
    unknown = "" if ledger else f"; not recorded, as there is no state {state}"
    return f"{path} -> {target.path}: {_in_words(result, result.repaired)}{unknown}"


def _in_words(result: RepairResult, repaired: Repaired) -> str:
    notes = "".join(f"; {note}" for note in repaired.notes)
    pixels = " ".join(f"{x},{y}" for x, y in result.pixels)
    blocks = counted(repaired.blocks, "block")
    return f"{repaired.method}, {blocks}, pixels {pixels}{notes}"


def _own(photo: Photo, ledger: Ledger, max_bytes: int) -> Copy | None:
    """Return the copy of ours that a photo is, if it is one."""
    by_name = replace(photo, path=Path(os.path.abspath(photo.path)))  # noqa: PTH100
    image = ledger.images.find(photo.identity)
    return CopyPlaces(ledger, max_bytes).own(by_name, image)


def _repaired(
    photo: Photo, named: tuple[Defect, ...], config: Config, ledger: Ledger | None
) -> RepairResult:
    """Repair a photo in memory, as named or as listed.

    Raises
    ------
    PhotoError, RefusedError
    """
    settings = config.repair
    if own := ledger and _own(photo, ledger, config.limits.max_bytes):
        reason = f"a copy that hotpixeld wrote of {own.source}: repair that instead"
        raise PhotoError(photo.path, reason)
    if named:
        shown = AS_USUAL
        with contextlib.suppress(SkippedPhotoError):  # it may be of no camera
            shown = pixel_list_of(photo, config, ledger).shown
        repaired = copy_writer.repaired_bytes(photo.data, named, settings, shown)
        return RepairResult(named, repaired)
    listed = pixel_list_of(photo, config, ledger)
    result = copy_writer.repair(photo, None, listed, None, settings)
    if result.refused:
        raise PhotoError(photo.path, result.refused)
    return result


def pixel_list_of(photo: Photo, config: Config, ledger: Ledger | None) -> PixelList:
    """Return the pixel list of the photo's camera, as the daemon would use it."""
    camera = camera_of(photo, config)
    if ledger is None:
        return pixel_list.repairable(config, camera, [camera], [], photo.metadata)
    image = ledger.images.find(photo.identity)
    if image is not None:
        known = ledger.images.camera(image.camera)
        camera = known.camera if known else camera
    is_suppressed = image is not None and image.is_suppressed
    learned = Learned.of(ledger, camera)
    return bodies.repairable(
        *(ledger, config, camera, photo.metadata, learned), suppressed=is_suppressed
    )


def _why_not(
    target: _Target,
    result: RepairResult,
    ledger: Ledger | None,
    max_bytes: int,
    *,
    force: bool,
) -> str:
    """Return why a copy must not be written to its target, and what to do; or ''."""
    is_told = ledger is not None and _is_writable(ledger.folder)
    who = "" if is_told or ledger is None else commands.who_may(ledger.folder)
    if target.watched and not is_told:
        return (
            f"{target.path} lies in {target.watched}, which is watched, and the state"
            " cannot be told of it, so that it would be taken for a photo: name a folder"
            f" elsewhere with --output, or the state with --state, as its user{who}"
        )
    if target.folder and ledger is not None and not is_told:
        return (
            f"its copy {target.path} is kept by {ledger.folder}, which you may not write"
            f" to: name another folder with --output, or be its user{who}"
        )
    output = OutputFolder(target.path.parent, max_bytes)
    found = output.sha256_of(target.path)
    if found is None or (result.repaired and found == _sha256(result.repaired.data)):
        return ""
    return _why_not_replace(target, result, ledger, found, force=force)


def _why_not_replace(
    target: _Target,
    result: RepairResult,
    ledger: Ledger | None,
    found: str,
    *,
    force: bool,
) -> str:
    """Return why the file with the SHA-256 `found` is not to be replaced, or ''."""
    copies: list[Copy | None] = []
    if ledger is not None:
        copies = [
            ledger.copies.find(target.source),
            ledger.other_copies.find(target.path),
        ]
    known = [
        copy
        for copy in copies
        if copy and copy.target == target.path and copy.sha256 == found
    ]
    if not known:
        return (
            f"{target.path} is there, and not as hotpixeld wrote it: move it away, or"
            " name another folder with --output"
        )
    if known[0].source != target.source:
        return (
            f"{target.path} is the copy of {known[0].source}: name another folder with"
            " --output"
        )
    lost = sorted(set(known[0].pixels) - set(result.pixels))
    if not lost or force:
        return ""
    pixels = " ".join(f"{x},{y}" for x, y in lost)
    return (
        f"{target.path} is a copy with more repaired ({pixels}): --force replaces it all"
        " the same, --output puts this one elsewhere"
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_elsewhere(
    photo: Photo,
    target: _Target,
    result: RepairResult,
    ledger: Ledger | None,
    max_bytes: int,
) -> None:
    """Write a copy that nobody keeps, and have it known as ours."""
    if result.repaired is None:
        raise AssertionError("nothing to write")
    data = result.repaired.data
    if ledger is not None and _is_writable(ledger.folder):
        copy = Copy(
            *(target.source, target.path, BY_HAND, _sha256(data)),
            identity=markers.identity(data, markers.parse(data)),
            original=photo.identity,
            pixels=result.pixels,
            method=result.repaired.method,
        )
        with ledger.transaction(durable=True):
            ledger.other_copies.record(copy)
    make_folder(target.path.parent)
    mtime_ns = photo.signature.mtime_ns
    there = OutputFolder(target.path.parent, max_bytes).sha256_of(target.path)
    if there is None:
        write_new(target.path, data, mtime_ns=mtime_ns)
    elif there != _sha256(data):
        write(target.path, data, mtime_ns=mtime_ns)


def tidy(state: Path, config: Config, *, dry_run: bool) -> tuple[str, int]:
    """Remove the copies at former places, or look which would be.

    Returns
    -------
    str
        What was done, or would be, place by place, and why which stay.
    int
        How many were, or would be, removed.

    Raises
    ------
    LedgerError
        The state cannot be used, or not written to.
    """
    with _opened(state) as ledger:
        max_bytes = config.limits.max_bytes
        outcomes = list(copy_places.tidied(ledger, max_bytes, dry_run=dry_run))
        edited = ledger.other_copies.edited(-1)
    stay = {copy.target: reason for copy, reason in outcomes if reason}
    there = [copy for copy in edited if os.path.lexists(copy.target)]
    stay |= {copy.target: copy_places.EDITED for copy in there}
    done = [copy for copy, reason in outcomes if not reason]
    verb = "would be removed" if dry_run else "removed"
    lines = [
        f"{place}: {counted(len(copies), 'copy')} {verb}"
        for place, copies in copy_places.former_places(done).items()
    ]
    lines += [f"stays: {target}: {reason}" for target, reason in stay.items()]
    return "\n".join(lines) or "no copies at former places", len(done)

"""What each command does, a function for each: values in, text out.

What `run` does is elsewhere: once, in `run_once`; the daemon's loop is `service.daemon`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from typing import TYPE_CHECKING

from hotpixeld.config.model import Config
from hotpixeld.engine import maps
from hotpixeld.engine.sampling import evidence_of
from hotpixeld.errors import HotpixeldError, LedgerError, PhotoError, said, why
from hotpixeld.files import (
    ChangedError,
    UnsuitableError,
    make_folder,
    read_regular,
    write,
    write_new,
)
from hotpixeld.jpeg import compare, markers
from hotpixeld.repair import lossless, pixel_list
from hotpixeld.service import status_file
from hotpixeld.store import generation_files, state_folder
from hotpixeld.store.ledger import Ledger
from hotpixeld.store.state_folder import lock

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from pathlib import Path

    from hotpixeld.defect import Defect
    from hotpixeld.formats.map_formats import CameraMaps
    from hotpixeld.service.status_file import Json
    from hotpixeld.store.images import CameraRecord

log = logging.getLogger(__name__)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """Open the ledger of a state folder for reading, beside a running daemon.

    Raises
    ------
    LedgerError
        There is none, or it cannot be used.
    """
    path = state_folder.ledger_file(folder)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        reason = "no such state yet: has `hotpixeld run` used it?"
        raise LedgerError(f"{path}: {reason}") from error
    except OSError as error:
        raise LedgerError(said(error)) from error
    ledger = Ledger(path, read_only=True)
    try:
        yield ledger
    finally:
        ledger.close()


def status(folder: Path, config: Config | None = None) -> Json:
    """Return the status of a state: from its ledger, else as the daemon published it.

    Raises
    ------
    LedgerError
        Neither can be read.
    """
    published = status_file.published(folder)
    try:
        with opened(folder) as ledger:
            current = status_file.status(ledger, config or Config())
    except LedgerError:
        if published is None:
            raise
        return published
    daemon = published and published.get("daemon")
    return {"state": str(folder), "daemon": daemon, **current}


def _chosen(ledger: Ledger, camera_id: str | None) -> list[CameraRecord]:
    records = list(ledger.images.cameras())
    if camera_id is None:
        return records
    chosen = [record for record in records if record.camera.id == camera_id]
    if not chosen:
        known = ", ".join(record.camera.id for record in records) or "none yet"
        raise HotpixeldError(f"no camera {camera_id!r}; known: {known}")
    return chosen


def camera_maps(
    folder: Path, config: Config, camera_id: str | None, method: str | None
) -> CameraMaps:
    """Return the cameras' lists: by the maintained maps, or with a `method` made anew.

    Raises
    ------
    HotpixeldError
        There is no such camera, or the state cannot be read.
    """
    with opened(folder) as ledger:
        records = _chosen(ledger, camera_id)
        cameras = [record.camera for record in ledger.images.cameras()]
        if method is not None:
            detection = config.detection.model_copy(update={"method": method})
            config = config.model_copy(update={"detection": detection})
        return [
            (record, pixel_list.listing(config, record.camera, cameras, defects))
            for record in records
            for defects in [
                ledger.defects.of(record.camera.id)
                if method is None
                else _from_state(folder, ledger, config, record)
            ]
        ]


def _from_state(
    folder: Path,
    ledger: Ledger,
    config: Config,
    record: CameraRecord,
) -> list[Defect]:
    """Return the defects that a camera's current generation shows."""
    if not record.generation:
        return []
    camera = record.camera
    camera_folder = state_folder.camera_folder(folder, camera.id)
    state = generation_files.opened(
        generation_files.folder_of(camera_folder, record.generation)
    )
    evidence = evidence_of(ledger, camera)
    return maps.find(config, camera, state, evidence, [])


def write_text(target: Path, text: str) -> None:
    """Write a file that the user asked for."""
    make_folder(target.absolute().parent)
    write(target, text.encode())


def _read(path: Path, max_bytes: int) -> tuple[bytes, os.stat_result]:
    """Read a file that the user named.

    Raises
    ------
    PhotoError
        It cannot be read, is no file, too large, or was just being written.
    """
    try:
        return read_regular(path, max_bytes)
    except (UnsuitableError, ChangedError) as error:
        raise PhotoError(path, str(error)) from error
    except OSError as error:
        raise PhotoError(path, why(error)) from error


def diff(original: Path, copy: Path, max_bytes: int) -> tuple[str, bool]:
    """Return what differs between two photos, and whether a repair explains all of it.

    Raises
    ------
    HotpixeldError
        One of them cannot be read or is no JPEG.
    """
    first, _ = _read(original, max_bytes)
    second, _ = _read(copy, max_bytes)
    difference = compare.compare(first, second)
    return compare.text(difference), difference.is_repair


def undo(copy: Path, output: Path | None, max_bytes: int, folder: Path) -> str:
    """Write the original of a copy, by what the ledger kept; return what was done.

    Parameters
    ----------
    output : Path or None
        The file to write; None is the original's name beside the copy.
    folder : Path
        The state.

    Raises
    ------
    PhotoError
        Nothing leads back from this file, or a file is in the original's place.
    LedgerError
        The state cannot be read.
    """
    data, status = _read(copy, max_bytes)
    sha256 = hashlib.sha256(data).hexdigest()
    with opened(folder) as ledger:
        record = ledger.undo.find(sha256)
        if record is None:
            raise PhotoError(copy, _no_way_back(ledger, data, sha256))
    original = lossless.original(data, record.way)
    if hashlib.sha256(original).hexdigest() != record.original:
        reason = "what was kept of the original does not give it back: nothing written"
        raise PhotoError(copy, reason)
    target = output or copy.parent / record.source.name
    try:
        write_new(target, original, mtime_ns=status.st_mtime_ns)
    except FileExistsError as error:
        reason = f"{target} is there already: name another file with --output"
        raise PhotoError(copy, reason) from error
    return f"{copy} -> {target}: the original of {record.source}, to the byte"


def _no_way_back(ledger: Ledger, data: bytes, sha256: str) -> str:
    """Return why nothing leads back from a file, and what to do."""
    copy = ledger.copies.with_sha256(sha256)
    if copy is not None and copy.method in {"link", "copy"}:
        return "it is the original: no defect showed, and nothing was changed"
    if copy is not None:
        return (
            "nothing leads back to its original: it was written with `copies: {undo:"
            " false}` or by an older hotpixeld, or all its scans were coded anew"
            f" ({copy.notes or copy.method}); take the original from a backup"
        )
    with contextlib.suppress(markers.MarkerError):
        if ledger.copies.is_own(markers.identity(data, markers.parse(data))):
            return (
                "it was changed since it was written (a rating, a title, a turn), or"
                " written by `hotpixeld repair`: undo needs the file as `hotpixeld run`"
                " wrote it; take that, or the original, from a backup"
            )
    return (
        "no copy that this state knows: it was edited, or written by `hotpixeld repair`,"
        " or under another state: name that one with --state"
    )


def forget(
    folder: Path, camera_id: str, since: dt.datetime | None, *, dry_run: bool
) -> str:
    """Forget what was learned of a camera; return what was, or would be, forgotten.

    Raises
    ------
    StateInUseError
        The daemon runs: stop it first.
    HotpixeldError
        There is no such camera.
    """
    if dry_run:
        with opened(folder) as ledger:
            return f"would forget {_forgotten(ledger, camera_id, since)}"
    path = state_folder.ledger_file(folder)
    if not path.is_file():
        raise LedgerError(f"{path}: no such state yet")
    held = lock(folder)
    try:
        ledger = Ledger(path)
        forgotten = _forgotten(ledger, camera_id, since)
        with ledger.transaction(durable=True):
            ledger.images.forget(camera_id, since)
            ledger.defects.replace(camera_id, [])
            ledger.samples.forget(camera_id)
        ledger.close()
        generation_files.tidy(state_folder.camera_folder(folder, camera_id), 0, None)
        for file in (state_folder.map_file, state_folder.footprint_file):
            file(folder, camera_id).unlink(missing_ok=True)
    finally:
        os.close(held)
    return f"forgot {forgotten}"


def _forgotten(ledger: Ledger, camera_id: str, since: dt.datetime | None) -> str:
    """Return in words what `forget` is about to do."""
    _chosen(ledger, camera_id)
    counts = ledger.images.counts(camera_id)
    gone = ledger.images.count_since(camera_id, since)
    kept = counts["folded"] + counts["pending"] - gone
    defects = len(ledger.defects.of(camera_id))
    return (
        f"{gone} photos of {camera_id} and its map of {defects} defects; {kept} earlier"
        " photos will be folded again from their files"
    )

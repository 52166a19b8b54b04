"""What each command does, a function for each: values in, text out.

What `run` does is elsewhere: once, in `run_once`; the daemon's loop is `service.daemon`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import logging
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.cli import cameras, status_text
from hotpixeld.cli.tables import CameraPixels
from hotpixeld.config import camera_names
from hotpixeld.config.model import Config
from hotpixeld.defect import level
from hotpixeld.engine import bodies, maps, priming
from hotpixeld.engine.sampling import evidence_of
from hotpixeld.engine.session import state_errors
from hotpixeld.errors import HotpixeldError, LedgerError, PhotoError, said, why
from hotpixeld.files import (
    ChangedError,
    UnsuitableError,
    make_folder,
    read_regular,
    write,
    write_new,
)
from hotpixeld.formats.form import CameraMap
from hotpixeld.jpeg import compare, markers
from hotpixeld.messages import counted, plain
from hotpixeld.repair import lossless, pixel_list
from hotpixeld.repair.pixel_list import ListedPixel
from hotpixeld.report import findings
from hotpixeld.service import sandbox, status_file
from hotpixeld.store import generation_files, state_folder, undo_records
from hotpixeld.store import ledger as ledger_file
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hotpixeld.config.model import Folder
    from hotpixeld.defect import Defect
    from hotpixeld.formats.form import CameraMaps
    from hotpixeld.service.status_file import Json
    from hotpixeld.store.images import CameraRecord

log = logging.getLogger(__name__)


def closed(folder: Path, error: OSError) -> LedgerError:
    """Return that a state cannot be used: why, and who may, if it is another's."""
    is_anothers = isinstance(error, PermissionError)
    return LedgerError(f"{said(error)}{who_may(folder) if is_anothers else ''}")


def who_may(folder: Path) -> str:
    """Return in words, behind a semicolon, which command may use a state, if it is known."""
    owner = state_folder.as_owner(folder)
    return f"; {owner}hotpixeld ... --state {folder} may" if owner else ""


def has_ledger(folder: Path) -> bool:
    """Return whether a state folder has a ledger, whatever state that is in.

    Raises
    ------
    LedgerError
        This user may not look, or it is no folder.
    """
    try:
        state_folder.ledger_file(folder).stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise closed(folder, error) from error
    return True


def existing_ledger(folder: Path) -> Path:
    """Return the file of the ledger of a state folder.

    Raises
    ------
    LedgerError
        There is none, or this user may not look.
    """
    path = state_folder.ledger_file(folder)
    if not has_ledger(folder):
        advice = "`hotpixeld run` makes it; --state and --config name another"
        raise LedgerError(f"{path}: no such state yet: {advice}")
    return path


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """Open the ledger of a state folder for reading, beside a running daemon.

    Raises
    ------
    LedgerError
        There is none, or it cannot be used.
    """
    path = existing_ledger(folder)
    try:
        ledger = Ledger(path, read_only=True)
    except LedgerError as error:
        # SQLite reads only what it may lock, where no daemon does so already.
        is_closed = isinstance(error.__cause__, sqlite3.OperationalError)
        if is_closed and not os.access(folder, os.W_OK):
            raise LedgerError(f"{error}{who_may(folder)}") from error
        raise
    try:
        yield ledger
    finally:
        ledger.close()


def status(
    folder: Path,
    config: Config | None = None,
    most: int | None = status_file.PROBLEMS,
) -> Json:
    """Return the status of a state: from its ledger, else as the daemon published it.

    With who works on it (`status_file.lives`); "published" says that this user may not
    read the ledger.

    Parameters
    ----------
    most : int or None
        At most so many problems are named one by one; None is all.

    Raises
    ------
    LedgerError
        Neither can be read.
    """
    published = status_file.published(folder)
    lives = status_file.lives(folder)
    try:
        with opened(folder) as ledger:
            current = status_file.status(ledger, config or Config(), most)
    except LedgerError:
        if published is None:
            raise
        return {**published, **lives, "published": True}
    return {"state": str(folder), **lives, "published": False, **current}


def closed_paths(config: Config, state: Path | None) -> Iterator[str]:
    """Yield what cannot be used now of the places that a configuration names.

    As the user meets it who asks; a folder on a medium that is not plugged in is none of
    the configuration's faults.

    Parameters
    ----------
    state : Path or None
        The state folder, if one is named.
    """
    for folder in config.folders:
        try:
            with os.scandir(folder.path):
                pass
        except OSError as error:
            yield said(error)
        if fault := sandbox.why_closed(folder, os.environ):
            yield fault
    for one, two in itertools.permutations(config.folders, 2):
        yield from _in_the_way(one, two)
    if config.report is not None:
        yield from _unwritable(config.report.parent, f"{config.report}: the report")
    if config.notify.metrics is not None:
        place = config.notify.metrics
        yield from _unwritable(place.parent, f"{place}: the file of figures")
    if state is not None:
        yield from _unwritable(state, f"{state}: the state")


def _unwritable(folder: Path, what: str) -> Iterator[str]:
    """Yield why nothing can be written in a folder, or made where it is to be."""
    place = sandbox.existing(folder)
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        closed = OSError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        yield f"{what} cannot be written: {said(closed)}"


def _in_the_way(one: Folder, two: Folder) -> Iterator[str]:
    """Yield why one watched folder, or its output, is in the way of another.

    By where they really are: what their names alone tell is a fault of the configuration.
    """
    here, there, output = (
        Path(os.path.realpath(path)) for path in (one.path, two.path, one.repaired)
    )
    if here.is_relative_to(there) and (here != there or one.path > two.path):
        yield f"{one.path}: lies in the watched {two.path}, by a link: remove one"
    if output.is_relative_to(there) and not output.is_relative_to(here):
        yield (
            f"{one.repaired}: copies go into the watched {two.path}, where another state"
            " would learn from them: name a folder outside"
        )


def chosen(ledger: Ledger, config: Config, named: str | None) -> list[CameraRecord]:
    """Return the cameras that a command names, all where it names none.

    Raises
    ------
    HotpixeldError
        It names no camera, or not only one: see `camera_names.meant`.
    """
    records = list(ledger.images.cameras())
    if named is None:
        return records
    known = [record.camera for record in records]
    found = {one.id for one in camera_names.meant(known, config, named)}
    return [record for record in records if record.camera.id in found]


def camera_maps(
    folder: Path,
    config: Config,
    camera_id: str | None,
    method: str | None,
    bin_: str | None = None,
) -> CameraMaps:
    """Return the cameras' lists: by the maintained maps, or with a `method` made anew.

    Parameters
    ----------
    bin_ : str, optional
        The lens and focal length at whose places one camera's pixels are wanted, as
        `cameras.meant` takes it.

    Raises
    ------
    HotpixeldError
        There is no such camera or bin, or the state cannot be read.
    """
    with opened(folder) as ledger:
        records = chosen(ledger, config, camera_id)
        maps_ = [_map(folder, ledger, config, one, method) for one in records]
        if bin_ is None:
            return maps_
        return [_at(ledger, config, one, bin_)[0] for one in _only(maps_)]


def _map(
    folder: Path,
    ledger: Ledger,
    config: Config,
    record: CameraRecord,
    method: str | None,
) -> CameraMap:
    """Return a camera's list; see `camera_maps`."""
    camera = record.camera
    if method is None:
        pixels = bodies.listing(ledger, config, camera)
    else:
        detection = config.detection.model_copy(update={"method": method})
        config = config.model_copy(update={"detection": detection})
        known = [one.camera for one in ledger.images.cameras()]
        defects = _from_state(folder, ledger, config, record)
        pixels = pixel_list.listing(config, camera, known, defects)
    corrections = ledger.samples.suspects(camera.id).corrections
    return CameraMap(record, pixels, corrections, ledger.images.bins(camera.id))


def _only(maps_: CameraMaps) -> CameraMaps:
    """Return the list of just one camera, of which a bin is wanted.

    Raises
    ------
    HotpixeldError
        There are several.
    """
    if len(maps_) > 1:
        known = ", ".join(one.camera.id for one in maps_)
        raise HotpixeldError(f"--bin is of one camera: name it with --camera: {known}")
    return maps_


def _at(
    ledger: Ledger, config: Config, of_one: CameraMap, named: str
) -> tuple[CameraMap, list[int]]:
    """Return a camera's list at the places of a bin, and which pixels are left.

    Raises
    ------
    HotpixeldError
        There is no such bin, or nothing tells where its photos show them.
    """
    camera, known = of_one.camera, of_one.corrections
    where = cameras.meant(cameras.choosable(ledger, camera), named)
    if known.at(where) is None:
        reason = known.why.get(where, "not looked at yet")
        raise HotpixeldError(
            f"nothing tells where photos at {where} show the defects: {reason}"
        )
    places = bodies.Places(ledger, config, camera, of_one.pixels).nearest(where)
    left, pixels, outside = list[int](), list[ListedPixel](), set[tuple[int, int]]()
    for number, (one, at) in enumerate(zip(of_one.pixels, places, strict=True)):
        if at is None:
            outside.add((one.defect.row, one.defect.col))
            continue
        row, col = at
        left.append(number)
        pixels.append(replace(one, defect=replace(one.defect, row=row, col=col)))
    at_bin = of_one._replace(pixels=pixels, chosen=where, outside=len(outside))
    return at_bin, left


def camera_pixels(
    folder: Path,
    config: Config,
    camera_id: str | None,
    method: str | None = None,
    bin_: str | None = None,
) -> list[CameraPixels]:
    """Return what tables show: the cameras' lists, and in how many copies each is repaired.

    Takes and raises what `camera_maps` does.
    """
    maps_ = camera_maps(folder, config, camera_id, method)
    maps_ = maps_ if bin_ is None else _only(maps_)
    with opened(folder) as ledger:
        known = [record.camera for record in ledger.images.cameras()]
        names = camera_names.names(known, config)
        found = []
        for one in maps_:
            camera = one.camera
            places = bodies.Places(ledger, config, camera, one.pixels)
            repaired = findings.in_copies(ledger, camera, places)
            if bin_ is not None:
                one, left = _at(ledger, config, one, bin_)  # noqa: PLW2901 - the same list
                repaired = [repaired[number] for number in left]
            times = {
                (listed.defect.x, listed.defect.y): copies.count
                for listed, copies in zip(one.pixels, repaired, strict=True)
            }
            lacks = _lacks(ledger, config, one.record)
            found.append(CameraPixels(one, names[camera.id], times, lacks))
        return found


def _lacks(ledger: Ledger, config: Config, record: CameraRecord) -> str:
    """Return what a camera has no map for yet, in words; empty where it has."""
    have = ledger.images.counts(record.camera.id)
    photos, wanted = have["folded"] + have["pending"], config.detection.min_photos
    is_short = not record.mapped and photos < wanted
    return status_text.needed(photos, wanted) if is_short else ""


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


def write_file(target: Path, content: bytes) -> None:
    """Write a file that the user asked for."""
    make_folder(target.absolute().parent)
    write(target, content)


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
    for path, data in ((original, first), (copy, second)):
        try:
            markers.parse(data)
        except markers.MarkerError as error:
            raise compare.DifferenceError(f"{path}: cannot compare: {error}") from error
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
        "no copy that this state knows: it was edited, is older than the last"
        f" {undo_records.KEPT} versions of its photo's copy, or was written by"
        " `hotpixeld repair`, or under another state: name that one with --state"
    )


def _primed_text(found: priming.Found) -> Iterator[str]:
    """Yield lines about what dark frames of one camera show."""
    pixels = counted(len(found.pixels), "hot pixel")
    yield f"{found.camera.id}: {pixels} in {counted(found.frames, 'lens-cap frame')}"
    if found.frames == 1 and found.pixels:
        yield "  (what one frame shows may be the hit of a particle: a second one tells)"
    for one in found.pixels:
        shown = one.appearance
        times = f", in {shown.seen} of {shown.telling} frames" if shown else ""
        yield f"  {one.x},{one.y}  {level(one):+d} levels{times}"


def prime(
    folder: Path, paths: Sequence[Path], config: Config, *, dry_run: bool
) -> tuple[str, list[PhotoError]]:
    """List the hot pixels of lens-cap frames; say which, and which frames were refused.

    Parameters
    ----------
    folder : Path
        Of the state, which is made where it is missing; no daemon may hold it.

    Raises
    ------
    StateError
        A daemon does, or it cannot be used.
    """
    found, refused = priming.look(paths, config)
    lines = [line for one in found for line in _primed_text(one)]
    if found and not dry_run:
        with state_errors(folder):
            make_folder(folder, mode=0o700)
            with ledger_file.held(folder) as ledger:
                priming.keep(found, config, ledger)
        count = sum(len(one.pixels) for one in found)
        lines.append(
            f"primed {counted(count, 'pixel')}: looked for in every photo, until photos"
            " confirm or deny them"
        )
    return "\n".join(map(plain, lines)), refused

"""From version 0.1: its checkpoints become generations.

Version 0.1 kept ``cameras/ID/00000012/{mean.npy,m2.npy,trace.npz}``, and the checkpoint
before as ``cameras/ID/previous/00000011.{mean.npy,m2.npy}``; the ledger had the SHA-256 of
each array.  Mean and M2 have the format that they have in a generation: they are verified,
and stay, or are moved, but never copied.  The trace is copied out of its archive.

Each step leaves what version 0.1 left, or more: a manifest completes a generation, then
one transaction names it, and only `generation_files.tidy` removes anything.  So whatever
a crash interrupts, the next start goes on with.  Pending images stay pending.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import logging
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib import format as npy

from hotpixeld import files
from hotpixeld.errors import CheckpointError, said
from hotpixeld.files import Checksum
from hotpixeld.messages import MessageId
from hotpixeld.statistics.generation import (
    FORMATS,
    M2,
    MEAN,
    TELLING,
    TOTAL,
    Counts,
    Generation,
)
from hotpixeld.store import state_folder
from hotpixeld.store.generation_files import (
    MANIFEST,
    PREVIOUS,
    folder_of,
    npy_header,
    plane_path,
    read_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import IO

    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)

PIECE = 1 << 20
"""Bytes that are read at once."""
TRACE = "trace.npz"
_PARTS = {TOTAL: "total.npy", TELLING: "telling.npy"}
"""Of the trace's archive: the file that holds a plane."""
_LONGEST_HEADER = 1 << 12
_ARCHIVE_FAULTS = (
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,  # encrypted, or packed in a way that is not known: a damaged flag
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class _TraceError(Exception):
    """The trace of version 0.1 cannot be used; it only serves to find suspects."""


@dataclass(frozen=True, slots=True)
class Former:
    """A checkpoint of version 0.1, as the ledger has it.

    Attributes
    ----------
    camera : str
        The camera's id.
    height, width : int
        Of its frames.
    generation : int
    photos : int
    weight : float
        As in `Counts`.
    mean_sha256, m2_sha256 : str
        SHA-256 of the two files, in hex.
    """

    camera: str
    height: int
    width: int
    generation: int
    photos: int
    weight: float
    mean_sha256: str
    m2_sha256: str


_CURRENT = (
    "SELECT id, height, width, generation, photos, weight, mean_sha256, m2_sha256"
    " FROM cameras WHERE generation > 0 AND mean_sha256 != '' ORDER BY id"
)
_BEFORE = (
    "SELECT camera, height, width, former.generation, former.photos, former.weight,"
    " former.mean_sha256, former.m2_sha256 FROM previous_checkpoints AS former"
    " JOIN cameras ON camera = id WHERE camera = ? AND former.mean_sha256 != ''"
)


def _nothing() -> None:
    """Stand in for the progress of a caller that does not watch it."""


def _source(camera_folder: Path, generation: int, name: str) -> Path:
    """Return where an array is: in its folder, or where the one before was kept."""
    here = plane_path(folder_of(camera_folder, generation), name)
    kept = camera_folder / PREVIOUS / f"{generation:08d}.{name}.npy"
    return kept if kept.exists() and not here.exists() else here


def _check_header(head: bytes, name: str, former: Former) -> None:
    """Raise ValueError where an array is not what a generation's plane is."""
    file = io.BytesIO(head)
    npy.read_magic(file)
    shape, is_fortran, dtype = npy.read_array_header_1_0(file)
    wanted = FORMATS[name].shape(former.height, former.width)
    if (shape, is_fortran, dtype) != (wanted, False, np.dtype(FORMATS[name].dtype)):
        raise ValueError(f"holds {dtype} {shape}, not {FORMATS[name].dtype} {wanted}")


def _verify(
    path: Path, name: str, former: Former, wanted: str, progress: Callable[[], None]
) -> str:
    """Return the checksum of an array whose SHA-256 is right."""
    sha256, checksum, head = hashlib.sha256(), Checksum(), b""
    buffer = memoryview(bytearray(PIECE))
    try:
        with path.open("rb", buffering=0) as file:
            while got := file.readinto(buffer):
                head = head or bytes(buffer[: min(got, _LONGEST_HEADER)])
                sha256.update(buffer[:got])
                checksum.update(buffer[:got])
                progress()
        if sha256.hexdigest() != wanted:
            found = sha256.hexdigest()
            raise CheckpointError(f"{path}: damaged: SHA-256 {found}, not {wanted}")
        _check_header(head, name, former)
    except (FileNotFoundError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    except OSError as error:
        if error.errno != errno.EIO:
            raise  # not the file's fault: too many open files, no permission
        raise CheckpointError(said(error, path)) from error
    return checksum.hexdigest()


def _move(source: Path, target: Path) -> None:
    """Move an array to where it belongs, durably."""
    if source != target:
        source.rename(target)
        files.sync_folder(target.parent)
        files.sync_folder(source.parent)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Tell what the archive's fault is from what is not."""
    try:
        yield
    except _ARCHIVE_FAULTS as error:
        raise _TraceError(str(error)) from error
    except OSError as error:
        if error.errno not in {errno.EIO, errno.EINVAL}:
            raise  # EINVAL: it names a place before its begin
        raise _TraceError(str(error)) from error


def _of_archive(stream: IO[bytes], header: bytes, size: int) -> Iterator[bytes]:
    """Yield the data of a plane that lies in the archive, behind this header."""
    with _reading():
        if stream.read(len(header)) != header:
            raise ValueError("a plane of another shape, or damaged")
    left = size
    while left:
        with _reading():
            piece = stream.read(min(PIECE, left))
        if not piece:
            raise _TraceError("it ends too early")
        left -= len(piece)
        yield piece
    with _reading():
        if stream.read(1):  # at the end, the CRC is checked
            raise ValueError("it does not end")


def _zeros(size: int) -> Iterator[bytes]:
    """Yield so many bytes of zeros."""
    for start in range(0, size, PIECE):
        yield bytes(min(PIECE, size - start))


def _write_plane(
    path: Path, header: bytes, data: Iterator[bytes], progress: Callable[[], None]
) -> str:
    """Write a plane's file durably; return its checksum."""
    checksum = Checksum()
    checksum.update(header)
    with files.replacing(path) as file:
        file.write(header)
        for piece in data:
            checksum.update(piece)
            file.write(piece)
            progress()
    return checksum.hexdigest()


def _photos_of(archive: zipfile.ZipFile) -> int:
    """Return how many photos are in the trace of an archive."""
    with _reading(), archive.open("photos.npy") as stream:
        content = stream.read(_LONGEST_HEADER)  # to its end: the CRC is right
        return int(npy.read_array(io.BytesIO(content), allow_pickle=False))


def _unpack(
    folder: Path, former: Former, progress: Callable[[], None]
) -> tuple[int, dict[str, str]]:
    """Write the planes of the trace in `folder`; return its photos, and checksums."""
    sums = {}
    with contextlib.ExitStack() as opened:
        with _reading():
            archive = opened.enter_context(zipfile.ZipFile(folder / TRACE))
        photos = _photos_of(archive)
        for name, part in _PARTS.items():
            with _reading():
                stream = opened.enter_context(archive.open(part))
            header = npy_header(name, former.height, former.width)
            size = FORMATS[name].bytes(former.height, former.width)
            data = _of_archive(stream, header, size)
            sums[name] = _write_plane(plane_path(folder, name), header, data, progress)
    return photos, sums


def _without_trace(
    folder: Path, former: Former, progress: Callable[[], None]
) -> tuple[int, dict[str, str]]:
    """Write the planes of a trace of no photos; return these, and checksums."""
    sums = {}
    for name in _PARTS:
        header = npy_header(name, former.height, former.width)
        data = _zeros(FORMATS[name].bytes(former.height, former.width))
        sums[name] = _write_plane(plane_path(folder, name), header, data, progress)
    return 0, sums


def _trace(
    folder: Path, former: Former, progress: Callable[[], None]
) -> tuple[int, dict[str, str]]:
    """Write the planes of the trace, of none if there was none that can be used."""
    if not (folder / TRACE).exists():  # the checkpoint before never had one
        return _without_trace(folder, former, progress)
    try:
        return _unpack(folder, former, progress)
    except _TraceError as error:
        log.warning("suspects are looked for anew: %s: %s", folder / TRACE, error)
        return _without_trace(folder, former, progress)


def _completed(folder: Path, former: Former) -> Generation | None:
    """Return the generation that an interrupted migration has completed."""
    try:
        found = read_manifest(folder)
    except CheckpointError:
        return None
    counts = Counts(former.photos, former.weight, found.counts.traced)
    size = former.height, former.width
    is_it = (found.height, found.width, found.counts) == (*size, counts)
    return found if is_it else None


def complete(
    camera_folder: Path, former: Former, progress: Callable[[], None]
) -> Generation:
    """Make a generation of a checkpoint's files, durably; the ledger does not know yet.

    Raises
    ------
    CheckpointError
        They are missing or damaged; nothing was changed.
    OSError
        The disk is full or faulty; what is there can be completed later.
    """
    folder = folder_of(camera_folder, former.generation)
    if done := _completed(folder, former):
        return done
    wanted = {MEAN: former.mean_sha256, M2: former.m2_sha256}
    found = {name: _source(camera_folder, former.generation, name) for name in wanted}
    sums = {
        name: _verify(path, name, former, wanted[name], progress)
        for name, path in found.items()
    }
    files.make_folder(folder)
    for name, path in found.items():
        _move(path, plane_path(folder, name))
    traced, traces = _trace(folder, former, progress)
    counts = Counts(former.photos, former.weight, traced)
    generation = Generation(former.height, former.width, counts, sums | traces)
    files.write(folder / MANIFEST, generation.to_json().encode())
    files.sync_folder(camera_folder)
    return generation


def formers(ledger: Ledger) -> list[Former]:
    """Return the current checkpoints that are still as version 0.1 left them."""
    return [Former(*row) for row in ledger.connection.execute(_CURRENT)]


class _Migration:
    """One run of `migrate`."""

    def __init__(self, ledger: Ledger, progress: Callable[[], None]) -> None:
        self._ledger, self._progress = ledger, progress

    def _complete(self, former: Former) -> None:
        folder = state_folder.camera_folder(self._ledger.folder, former.camera)
        complete(folder, former, self._progress)

    def _before(self, camera_id: str) -> Former | None:
        row = self._ledger.connection.execute(_BEFORE, (camera_id,)).fetchone()
        return None if row is None else Former(*row)

    def _commit(self, camera_id: str) -> None:
        """Let the ledger say that a camera has generations; inside a transaction."""
        for table, key in (("cameras", "id"), ("previous_checkpoints", "camera")):
            self._ledger.connection.execute(
                f"UPDATE {table} SET mean_sha256 = '', m2_sha256 = ''"  # noqa: S608 - ours
                f" WHERE {key} = ?",
                (camera_id,),
            )

    def camera(self, current: Former) -> None:
        """Migrate one camera: its checkpoint, and the one before."""
        before = self._before(current.camera)
        try:
            self._complete(current)
        except CheckpointError as damage:
            self._fall_back(current, before, damage)
            return
        is_kept = before is not None and self._keeps(before)
        with self._ledger.transaction(durable=True):
            if not is_kept:
                self._ledger.connection.execute(
                    "DELETE FROM previous_checkpoints WHERE camera = ?",
                    (current.camera,),
                )
            self._commit(current.camera)
        log.info("state of %s: brought over from version 0.1", current.camera)

    def _keeps(self, before: Former) -> bool:
        """Complete the checkpoint before, unless it is damaged."""
        try:
            self._complete(before)
        except CheckpointError as damage:
            log.warning("the generation before is given up: %s", damage)
            return False
        return True

    def _fall_back(
        self, current: Former, before: Former | None, damage: CheckpointError
    ) -> None:
        """Go on from the checkpoint before; what it lacks is pending again."""
        try:
            if before is None:
                raise damage
            self._complete(before)
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}; there is no generation before it that could be used:"
                f" `hotpixeld relearn {current.camera}` learns the camera anew"
            ) from damage
        with self._ledger.transaction(durable=True):
            lacking = self._ledger.generations.fall_back(current.camera)
            self._commit(current.camera)
        log.error(
            "generation damaged, the one before it is used and %d photos are folded"
            " again: %s",
            lacking,
            damage,
            extra={
                "MESSAGE_ID": MessageId.CHECKPOINT_DAMAGED,
                "CAMERA": current.camera,
            },
        )


def migrate(ledger: Ledger, progress: Callable[[], None] = _nothing) -> list[str]:
    """Make generations of all checkpoints of version 0.1; return their cameras' ids.

    Call at the start, with the state folder locked, before anything is folded, looked at
    or tidied.  Where there is nothing to do, it costs one query.

    Parameters
    ----------
    ledger : Ledger
        Its own tables are up to date.
    progress : callable
        Called after every MiB read or written.

    Raises
    ------
    CheckpointError
        A camera's checkpoint is missing or damaged, and so is the one before; nothing of
        it was changed, and `forget` is what is left.
    OSError, LedgerError
        The disk is full or faulty.  All is still there; the next start goes on.
    """
    migration, found = _Migration(ledger, progress), formers(ledger)
    for former in found:
        migration.camera(former)
    return [former.camera for former in found]

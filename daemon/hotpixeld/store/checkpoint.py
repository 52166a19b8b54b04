"""Checkpoints: a camera's Welford state as .npy files in a generation folder.

``FOLDER/00000012/mean.npy`` and ``m2.npy``, float32 (H, W, 3), are complete and durable
before the ledger names generation 12; the ledger's transaction is the commit. The trace,
``trace.npz``, goes with them; it only serves to find suspects, so one that is missing or
damaged is begun anew.

The generation before is kept as ``FOLDER/previous/00000011.mean.npy`` and ``.m2.npy``,
in case the newest is damaged: between checkpoints there is one ``mean.npy``
below the folder, the current one.  What the ledger names neither as the current
generation nor as the one before is what a crash left, and is removed.

Large arrays are written and read a piece at a time, so that progress can be seen.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import io
import logging
import os
import shutil
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.lib import format as npy

from hotpixeld.errors import CheckpointError
from hotpixeld.files import make_folder, replacing, sweep, sync_folder
from hotpixeld.statistics.trace import Trace
from hotpixeld.statistics.welford import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from io import BufferedReader
    from pathlib import Path

    from hotpixeld.statistics.contrast import FloatArray

log = logging.getLogger(__name__)

CHUNK = 1 << 24
"""Bytes of a piece: a disk of a megabyte a second takes seconds for it, not minutes."""
PIECE = 1 << 20
"""Bytes of a piece that is read back."""
_WAIT_WRITE_WAIT = 7
"""Flags of sync_file_range(2): all three."""
PREVIOUS = "previous"
NAMES = ("mean.npy", "m2.npy")
TRACE = "trace.npz"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the ledger keeps of a checkpoint.

    Attributes
    ----------
    generation : int
        Names the folder; grows by one with each checkpoint of the camera.
    photos : int
    weight : float
        As in `welford.State`.
    mean_sha256, m2_sha256 : str
        SHA-256 of the two files, in hex.
    """

    generation: int
    photos: int
    weight: float
    mean_sha256: str
    m2_sha256: str


def _header(array: FloatArray) -> bytes:
    """Return the .npy header of a float32 array."""
    buffer = io.BytesIO()
    content = {"descr": "<f4", "fortran_order": False, "shape": array.shape}
    npy.write_array_header_1_0(buffer, content)
    return buffer.getvalue()


def write(file: BinaryIO, array: FloatArray, progress: Callable[[], None]) -> None:
    """Write `array` as .npy.

    Parameters
    ----------
    progress : callable
        Called after each `CHUNK`; the kernel has it then.
    """
    octets = np.ascontiguousarray(array, "<f4").reshape(-1).view(np.uint8).data
    file.write(_header(array))
    for start in range(0, len(octets), CHUNK):
        file.write(octets[start : start + CHUNK])
        file.flush()
        progress()


def sha256(file: BinaryIO, progress: Callable[[], None]) -> str:
    """Return the SHA-256, in hex, of all that was written to an open file.

    Parameters
    ----------
    progress : callable
        Called after each `PIECE`.
    """
    number, digest, buffer = file.fileno(), hashlib.sha256(), bytearray(PIECE)
    start = 0
    while size := os.preadv(number, [buffer], start):
        digest.update(memoryview(buffer)[:size])
        start += size
        progress()
    return digest.hexdigest()


def write_back(file: BinaryIO) -> None:
    """Have the disk take what was written, before an fsync, which then has little to do.

    One fsync of a large file can take minutes on a slow disk, and shows no progress.
    Where this is not possible it is left to the fsync.
    """
    number = file.fileno()
    call = ctypes.CDLL(None, use_errno=True).sync_file_range
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    for start in range(0, os.fstat(number).st_size, CHUNK):
        if call(number, start, CHUNK, _WAIT_WRITE_WAIT):
            return


def read(
    file: BufferedReader, shape: tuple[int, int, int], progress: Callable[[], None]
) -> tuple[bytes, FloatArray, str]:
    """Return the header of a .npy file, what follows as an array, and its SHA-256 in hex.

    What it is is for the caller to `check`, once the SHA-256 is right.

    Parameters
    ----------
    progress : callable
        Called after each `CHUNK`.
    """
    size = 10 + int.from_bytes(file.read(10)[8:], "little")  # NEP 1, version 1.0
    file.seek(0)
    header = file.read(size)
    digest = hashlib.sha256(header)
    array = np.empty(shape, np.float32)
    octets = array.reshape(-1).view(np.uint8).data
    for start in range(0, len(octets), CHUNK):
        chunk = octets[start : start + CHUNK]
        digest.update(chunk[: file.readinto(chunk)])
        progress()
    digest.update(file.read())
    return header, array, digest.hexdigest()


def check(header: bytes, shape: tuple[int, int, int]) -> None:
    """Raise ValueError where a header is not that of float32 in this shape."""
    file = io.BytesIO(header)
    npy.read_magic(file)
    found, _, dtype = npy.read_array_header_1_0(file)
    if found != shape or dtype != np.float32:
        raise ValueError(f"holds {dtype} {found}, not float32 {shape}")


def _nothing() -> None:
    """Stand in for the progress of a caller that does not watch it."""


def _write_trace(file: BinaryIO, trace: Trace) -> None:
    """Write a trace as .npz: a ZIP file, whose CRCs show damage."""
    np.savez(file, photos=trace.photos, total=trace.total, telling=trace.information)
    file.flush()


def _read_trace(path: Path, height: int, width: int) -> Trace:
    """Return the trace in a file, or an empty one."""
    empty = Trace.empty(height, width)
    try:
        with np.load(path, allow_pickle=False) as saved:
            found = Trace(int(saved["photos"]), saved["total"], saved["telling"])
    except FileNotFoundError:
        return empty
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        log.warning("suspects are looked for anew: %s: %s", path, error)
        return empty
    parts = (
        (found.total, empty.total),
        (found.information, empty.information),
    )
    fits = all(a.shape == b.shape and a.dtype == b.dtype for a, b in parts)
    return found if fits else empty


def folder_of(camera_folder: Path, generation: int) -> Path:
    """Return the folder of one generation."""
    return camera_folder / f"{generation:08d}"


def save(
    camera_folder: Path,
    generation: int,
    state: State,
    progress: Callable[[], None] = _nothing,
    copied: Callable[[], None] = _nothing,
) -> Checkpoint:
    """Write `state` durably as `generation`; the caller commits it to the ledger.

    The state may change again once `copied` was called: the kernel has its bytes then, long
    before the disk has.

    Parameters
    ----------
    camera_folder : Path
        Created when missing.
    progress : callable
        Called after every 16 MiB written.
    copied : callable
        Called when the state is not needed any more.

    Raises
    ------
    OSError
        The disk is full or faulty; no earlier generation was touched.
    """
    folder = folder_of(camera_folder, generation)
    if folder.exists():
        shutil.rmtree(folder)  # never committed, or damaged and given up
    make_folder(folder)
    with contextlib.ExitStack() as files:  # synced and renamed as they are left
        large = [files.enter_context(replacing(folder / name)) for name in NAMES]
        for file, array in zip(large, (state.mean, state.m2), strict=True):
            write(file, array, progress)
        if state.trace is not None:
            _write_trace(files.enter_context(replacing(folder / TRACE)), state.trace)
            progress()
        copied()
        for file in large:
            write_back(file)
        # Now, since folding waits until all is copied; of what the kernel has in memory.
        mean, m2 = (sha256(file, progress) for file in large)
    sync_folder(folder)
    return Checkpoint(generation, state.photos, state.weight, mean, m2)


def _read(
    sources: Sequence[Path],
    shape: tuple[int, int, int],
    sha256: str,
    progress: Callable[[], None],
) -> FloatArray:
    """Return the array in the first source there is, checked against the ledger."""
    source = next((path for path in sources if path.exists()), sources[0])
    try:
        with source.open("rb") as file:
            header, array, found = read(file, shape, progress)
        if found != sha256:
            raise CheckpointError(f"{source}: damaged: SHA-256 {found}, not {sha256}")
        check(header, shape)
    except (FileNotFoundError, ValueError) as error:
        raise CheckpointError(f"{source}: cannot be read: {error}") from error
    except OSError as error:
        if error.errno != errno.EIO:
            raise  # not the file's fault: too many open files, no permission
        raise CheckpointError(f"{source}: cannot be read: {error}") from error
    return array


def _places(camera_folder: Path, generation: int, name: str) -> tuple[Path, Path]:
    """Return where a file of a generation is: as the current one, as the one before."""
    kept = camera_folder / PREVIOUS / f"{generation:08d}.{name}"
    return folder_of(camera_folder, generation) / name, kept


def load(
    camera_folder: Path,
    checkpoint: Checkpoint,
    height: int,
    width: int,
    progress: Callable[[], None] = _nothing,
) -> State:
    """Return the state that `checkpoint` names, the current one or the one before.

    Parameters
    ----------
    progress : callable
        Called after every 16 MiB.

    Raises
    ------
    CheckpointError
        A file is missing, damaged, or of another shape; says which, and both values.
    OSError
        It cannot be read now, which says nothing of the file.
    """
    shape, generation = (height, width, 3), checkpoint.generation
    sums = (checkpoint.mean_sha256, checkpoint.m2_sha256)
    mean, m2 = (
        _read(_places(camera_folder, generation, name), shape, sha256, progress)
        for name, sha256 in zip(NAMES, sums, strict=True)
    )
    trace = _read_trace(folder_of(camera_folder, generation) / TRACE, height, width)
    return State(checkpoint.photos, checkpoint.weight, mean, m2, trace)


def _move(source: Path, target: Path) -> None:
    """Move a file of a generation to where it belongs, unless it is there."""
    if source.exists() and not target.exists():
        make_folder(target.parent)
        source.rename(target)
        sync_folder(target.parent)


def tidy(camera_folder: Path, current: int | None, previous: int | None) -> None:
    """Bring the generations that the ledger names to their places, remove all others.

    Parameters
    ----------
    current, previous : int or None
        None where there is none.
    """
    if not camera_folder.is_dir():
        return
    keep: set[Path] = set()
    if current is not None:
        keep.add(folder_of(camera_folder, current) / TRACE)
    for name in NAMES:
        if current is not None:
            now, before = _places(camera_folder, current, name)
            _move(before, now)
            keep.add(now)
        if previous is not None:
            now, before = _places(camera_folder, previous, name)
            _move(now, before)
            keep.add(before)
    for folder in list(camera_folder.iterdir()):
        if folder.is_dir() and (folder.name.isdigit() or folder.name == PREVIOUS):
            _keep_only(folder, keep)
    sweep(camera_folder)


def _keep_only(folder: Path, keep: set[Path]) -> None:
    """Remove the files of a folder that are not to be kept, and an empty folder."""
    if not any(path.parent == folder for path in keep):
        shutil.rmtree(folder)
        log.debug("removed %s", folder)
        return
    for path in set(folder.iterdir()) - keep:
        path.unlink()

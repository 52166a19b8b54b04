"""Checkpoints: a camera's Welford state as two .npy files in a generation folder.

``FOLDER/00000012/mean.npy`` and ``m2.npy``, float32 (H, W, 3), are complete and durable
before the ledger names generation 12; the ledger's transaction is the commit.  A folder
that the ledger does not name is what a crash left, and is removed.
"""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib import format as npy

from hotpixeld.errors import CheckpointError
from hotpixeld.files import make_folder, replacing, sync_folder
from hotpixeld.welford import Plane, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

# Bytes per write: small enough that a slow disk lets the watchdog be fed in between.
CHUNK = 1 << 24


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


def _nothing() -> None:
    """Stand in for the progress of a caller that does not watch it."""


def _header(array: Plane) -> bytes:
    """Return the .npy header of a float32 array."""
    buffer = io.BytesIO()
    content = {"descr": "<f4", "fortran_order": False, "shape": array.shape}
    npy.write_array_header_1_0(buffer, content)
    return buffer.getvalue()


def _write(target: Path, array: Plane, progress: Callable[[], None]) -> str:
    """Write `array` as .npy, chunk by chunk; return the SHA-256 of the file in hex."""
    octets = np.ascontiguousarray(array, "<f4").reshape(-1).view(np.uint8).data
    digest = hashlib.sha256()
    with replacing(target) as file:
        header = _header(array)
        file.write(header)
        digest.update(header)
        for start in range(0, len(octets), CHUNK):
            chunk = octets[start : start + CHUNK]
            file.write(chunk)
            digest.update(chunk)
            progress()
    return digest.hexdigest()


def _read(source: Path, shape: tuple[int, int, int], sha256: str) -> Plane:
    """Return the array in `source`, checked against what the ledger knows of it."""
    try:
        with source.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise CheckpointError(f"{source}: damaged: SHA-256 {found}, not {sha256}")
        array = np.load(source, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{source}: cannot be read: {error}") from error
    if array.shape != shape or array.dtype != np.float32:
        raise CheckpointError(
            f"{source}: holds {array.dtype} {array.shape}, not float32 {shape}"
        )
    return np.asarray(array, np.float32)


def folder_of(camera_folder: Path, generation: int) -> Path:
    """Return the folder of one generation."""
    return camera_folder / f"{generation:08d}"


def save(
    camera_folder: Path,
    generation: int,
    state: State,
    progress: Callable[[], None] = _nothing,
) -> Checkpoint:
    """Write `state` durably as `generation`; the caller commits it to the ledger.

    Parameters
    ----------
    camera_folder : Path
        Created when missing.
    progress : callable
        Called after every 16 MiB written.

    Raises
    ------
    OSError
        The disk is full or faulty; no earlier generation was touched.
    """
    folder = folder_of(camera_folder, generation)
    if folder.exists():
        shutil.rmtree(folder)  # of a checkpoint that was never committed
    make_folder(folder)
    mean = _write(folder / "mean.npy", state.mean, progress)
    m2 = _write(folder / "m2.npy", state.m2, progress)
    sync_folder(folder)
    return Checkpoint(generation, state.photos, state.weight, mean, m2)


def load(camera_folder: Path, checkpoint: Checkpoint, height: int, width: int) -> State:
    """Return the state that `checkpoint` names.

    Raises
    ------
    CheckpointError
        A file is missing, damaged, or of another shape; says which, and both values.
    """
    folder = folder_of(camera_folder, checkpoint.generation)
    shape = (height, width, 3)
    mean = _read(folder / "mean.npy", shape, checkpoint.mean_sha256)
    m2 = _read(folder / "m2.npy", shape, checkpoint.m2_sha256)
    return State(checkpoint.photos, checkpoint.weight, mean, m2)


def remove_others(camera_folder: Path, generation: int | None) -> None:
    """Remove every generation but the one that the ledger names."""
    keep = None if generation is None else folder_of(camera_folder, generation)
    if not camera_folder.is_dir():
        return
    for folder in camera_folder.iterdir():
        if folder.is_dir() and folder.name.isdigit() and folder != keep:
            shutil.rmtree(folder)
            log.debug("removed checkpoint %s", folder)

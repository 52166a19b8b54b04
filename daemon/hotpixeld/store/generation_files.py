"""A generation's files: read and written once, front to back, a strip of rows at a time.

``FOLDER/mean.npy``, ``m2.npy``, ``trace_total.npy``, ``trace_telling.npy``, each readable by
``numpy.load(allow_pickle=False)``, and last ``manifest.json``, with which the folder is
complete.  A pass maps nothing: a file that is truncated while it is read, and a full or
faulty disk, are errors and no signals.  Maps and commands see a complete generation as it
lies on disk (`opened`).

The generation before is kept as ``FOLDER/../previous/00000011.mean.npy`` and so on, for the
day on which the newest is damaged: there is one ``mean.npy`` below a camera's folder.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import errno
import io
import os
import shutil
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.lib import format as npy

from hotpixeld import files
from hotpixeld.errors import CheckpointError, said
from hotpixeld.files import Checksum
from hotpixeld.statistics.generation import (
    FORMATS,
    M2,
    MEAN,
    TELLING,
    TOTAL,
    Counts,
    Generation,
    Planes,
    State,
    format_of,
    own_planes,
    strips,
)
from hotpixeld.statistics.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from hotpixeld.camera import Bin
    from hotpixeld.statistics.generation import Strip

MANIFEST = "manifest.json"
PREVIOUS = "previous"
CHUNK = 1 << 24
"""Bytes that the disk is given at once: a slow one takes seconds for it, not minutes."""
_LONGEST_HEADER = 1 << 12
_CHECKED_ROWS = 64
_START, _WAIT_WRITE_WAIT = 2, 7
"""Flags of sync_file_range(2): begin; begin, and wait for all there is."""


def plane_path(folder: Path, name: str) -> Path:
    """Return the file of a generation's plane."""
    return folder / f"{name}.npy"


def read_manifest(folder: Path) -> Generation:
    """Return what a generation's manifest says.

    Raises
    ------
    CheckpointError
        It is missing or damaged.
    OSError
        It cannot be read now.
    """
    path = folder / MANIFEST
    try:
        return Generation.parse(path.read_text())
    except (FileNotFoundError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error


def npy_header(name: str, height: int, width: int) -> bytes:
    """Return the .npy header of a plane's file."""
    one, buffer = format_of(name), io.BytesIO()
    shape = one.shape(height, width)
    content = {"descr": one.dtype, "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(buffer, content)
    return buffer.getvalue()


class _Plane:
    """One plane's file, read once, from its first row to its last."""

    def __init__(self, path: Path, name: str, generation: Generation) -> None:
        self._path, self._format = path, format_of(name)
        self._wanted = generation.checksums[name]
        self._digest = Checksum()
        self._shape = self._format.shape(generation.height, generation.width)
        try:
            self._file = path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise CheckpointError(f"{path}: missing") from error
        try:
            self._offset = self._skip_header()
        except BaseException:
            self._file.close()
            raise

    def _damaged(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self._path}: damaged: {what}")

    def _skip_header(self) -> int:
        """Check the header; return the offset of the data."""
        head = self._file.read(_LONGEST_HEADER)
        size = 10 + int.from_bytes(head[8:10], "little")  # NEP 1, version 1.0
        try:
            found = ast.literal_eval(head[10:size].decode("ascii").strip())
            dtype, shape = np.dtype(found["descr"]), found["shape"]
        except (ValueError, SyntaxError, TypeError, KeyError) as error:
            raise self._damaged(f"its header: {error}") from error
        wanted = np.dtype(self._format.dtype)
        if (dtype, shape) != (wanted, self._shape):
            says = f"holds {dtype} {shape}, not {wanted} {self._shape}"
            raise CheckpointError(f"{self._path}: {says}")
        self._digest.update(head[:size])
        return size

    def read(self, out: NDArray[np.float32] | NDArray[np.int16]) -> None:
        """Fill `out` with the next rows."""
        octets = out.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(octets):
            try:
                got = os.preadv(self._file.fileno(), [octets[done:]], self._offset)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise  # not the file's fault
                raise CheckpointError(said(error, self._path)) from error
            if not got:
                raise self._damaged("it ends too early")
            done, self._offset = done + got, self._offset + got
        self._digest.update(octets)

    def check(self) -> None:
        """Raise CheckpointError unless all was read, and is what was written."""
        if os.fstat(self._file.fileno()).st_size != self._offset:
            raise self._damaged(f"it does not end at byte {self._offset}")
        found = self._digest.hexdigest()
        if found != self._wanted:
            raise self._damaged(f"checksum {found}, not {self._wanted}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class GenerationReader:
    """A generation that is read in strips, each once, from the first to the last.

    Parameters
    ----------
    folder : Path
    generation : Generation
    names : iterable of str, optional
        The planes to read; without it, all.

    Raises
    ------
    CheckpointError
        A file is missing, damaged, or of another shape; says which, and both values.
    OSError
        It cannot be read now, which says nothing of the file.
    """

    def __init__(
        self, folder: Path, generation: Generation, names: Iterable[str] | None = None
    ) -> None:
        self._open = contextlib.ExitStack()
        self._planes: dict[str, _Plane] = {}
        with contextlib.ExitStack() as opened:
            for name in generation.planes if names is None else names:
                plane = _Plane(plane_path(folder, name), name, generation)
                opened.callback(plane.close)
                self._planes[name] = plane
            self._open = opened.pop_all()

    def read(self, strip: Strip, out: Planes) -> None:
        """Read the next strip of each plane."""
        for name, plane in self._planes.items():
            plane.read(out.of(name, strip))

    def check(self) -> None:
        """Raise CheckpointError unless all that was read is what was written."""
        for plane in self._planes.values():
            plane.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _write_back(file: BinaryIO, start: int, end: int, how: int) -> bool:
    """Have the disk take a part of a file; tell whether that is possible at all."""
    call = ctypes.CDLL(None, use_errno=True).sync_file_range
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return bool(call(file.fileno(), start, end - start, how) == 0)


def _settle(file: BinaryIO, progress: Callable[[], None]) -> None:
    """Wait until the disk has what was written: an fsync then has little to do.

    One fsync of a large file can take minutes on a slow disk, and does nothing meanwhile
    that anybody could see.  Where this is not possible it is left to the fsync.
    """
    size = file.tell()
    for start in range(0, size, CHUNK):
        if not _write_back(file, start, min(start + CHUNK, size), _WAIT_WRITE_WAIT):
            return
        progress()


class GenerationWriter:
    """A generation that is written in strips, each once, from the first to the last.

    Attributes
    ----------
    manifest : str
        What was written, once it has ended.
    """

    def __init__(self, opened: dict[str, BinaryIO], height: int, width: int) -> None:
        self._files = opened
        self._size = height, width
        self.manifest = ""
        self._begun = dict.fromkeys(opened, 0)
        self._digests = {name: Checksum() for name in opened}
        for name in opened:
            self._append(name, npy_header(name, height, width))

    def _append(self, name: str, octets: bytes | memoryview) -> None:
        """Write to a plane's file; the disk begins with it while the pass goes on."""
        file = self._files[name]
        self._digests[name].update(octets)
        file.write(octets)
        file.flush()
        end = file.tell()
        if end - self._begun[name] >= CHUNK:
            _write_back(file, self._begun[name], end, _START)
            self._begun[name] = end

    def write(self, strip: Strip, planes: Planes) -> None:
        """Write the next strip of each plane; the planes may be edited afterwards."""
        for name in self._files:
            part = planes.of(name, strip)
            self._append(name, part.reshape(-1).view(np.uint8).data)

    def end(
        self,
        counts: Counts,
        bins: Mapping[Bin, int] = {},
        kept: Mapping[str, str] = {},
    ) -> Generation:
        """Return what was written, all strips being there.

        Parameters
        ----------
        counts : Counts
        bins : mapping of Bin to int
            Photos in the trace of each.
        kept : mapping of str to str
            Checksums of the planes that are those of the generation before.
        """
        for name, file in self._files.items():
            wanted = len(npy_header(name, *self._size)) + format_of(name).bytes(
                *self._size
            )
            if file.tell() != wanted:
                raise AssertionError(f"{name}: {file.tell()} bytes, not {wanted}")
        sums = {name: one.hexdigest() for name, one in self._digests.items()}
        generation = Generation(*self._size, counts, {**kept, **sums}, bins)
        self.manifest = generation.to_json()
        return generation


def keep_planes(source: Path, target: Path, names: Iterable[str]) -> None:
    """Have planes of a generation in the next one, too: the same files, or copies.

    Raises
    ------
    OSError
    CheckpointError
        One is missing.
    """
    for name in names:
        path = plane_path(source, name)
        try:
            try:
                os.link(path, plane_path(target, name))
            except FileNotFoundError:
                raise
            except OSError:  # a file system without links
                files.write(plane_path(target, name), path.read_bytes())
        except FileNotFoundError as error:
            raise CheckpointError(f"{path}: missing") from error


@contextlib.contextmanager
def writing(
    folder: Path,
    height: int,
    width: int,
    progress: Callable[[], None],
    names: Iterable[str] = FORMATS,
) -> Iterator[GenerationWriter]:
    """Write a generation into a new folder; it is complete and durable after the block.

    The block must `end` the writer.  Where it raises, nothing is left behind.

    Parameters
    ----------
    folder : Path
        One that is there was never complete, or was given up: it is removed.
    names : iterable of str
        The planes to write.
    progress : callable
        Called after the block, for each `CHUNK` that the disk has; may raise.

    Raises
    ------
    OSError
        The disk is full or faulty; nothing is left behind.
    """
    if folder.exists():
        shutil.rmtree(folder)
    files.make_folder(folder)
    try:
        with contextlib.ExitStack() as stack:  # synced and renamed as they are left
            opened = {
                name: stack.enter_context(files.replacing(plane_path(folder, name)))
                for name in names
            }
            writer = GenerationWriter(opened, height, width)
            with files.naming(folder):
                yield writer
                for file in opened.values():
                    _settle(file, progress)
        files.write(folder / MANIFEST, writer.manifest.encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    files.sync_folder(folder.parent)


def folder_of(camera_folder: Path, number: int) -> Path:
    """Return the folder of a camera's generation of this number."""
    return camera_folder / f"{number:08d}"


def opened(folder: Path) -> State:
    """Return a complete generation, mapped from its files: read-only, and not checked.

    Raises
    ------
    CheckpointError
        It is missing, damaged or of another shape.
    OSError
        It cannot be read now.
    """
    generation = read_manifest(folder)
    planes = {}
    for name in generation.planes:
        one, path = format_of(name), plane_path(folder, name)
        try:
            planes[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError) as error:
            raise CheckpointError(f"{path}: cannot be read: {error}") from error
        wanted = one.shape(generation.height, generation.width)
        if planes[name].shape != wanted or planes[name].dtype != np.dtype(one.dtype):
            raise CheckpointError(f"{path}: not {one.dtype} {wanted}")
    counts = generation.counts
    trace = Trace(counts.traced, planes[TOTAL], planes[TELLING])
    bins = {
        one: Trace(photos, *(planes[name] for name in own_planes(one)))
        for one, photos in generation.bins.items()
    }
    return State(counts.photos, counts.weight, planes[MEAN], planes[M2], trace, bins)


def _move(source: Path, target: Path) -> Path:
    """Return where a file of a generation belongs, moved there."""
    if source != target:
        files.make_folder(target.parent)
        source.rename(target)
        files.sync_folder(target.parent)
    return target


def check(folder: Path, progress: Callable[[], None]) -> None:
    """Read all of a generation.

    Parameters
    ----------
    progress : callable
        Called after each strip.

    Raises
    ------
    CheckpointError
        It is missing or damaged.
    OSError
        It cannot be read now.
    """
    generation = read_manifest(folder)
    size = generation.height, generation.width
    planes = Planes(*size, _CHECKED_ROWS, generation.planes)
    with GenerationReader(folder, generation) as reader:
        for strip in strips(generation.height, _CHECKED_ROWS):
            reader.read(strip, planes)
            progress()
        reader.check()


def files_of(camera_folder: Path, number: int) -> dict[str, Path]:
    """Return the files of a generation by their names, wherever they lie.

    The manifest comes last: with it a folder is complete.
    """
    kept = (camera_folder / PREVIOUS).glob(f"{number:08d}.*")
    found = {path.name.partition(".")[2]: path for path in kept}
    folder = folder_of(camera_folder, number)
    for path in (*folder.glob("[!.]*.npy"), *folder.glob(MANIFEST)):
        found[path.name] = path
    return dict(sorted(found.items(), key=lambda one: (one[0] == MANIFEST, one[0])))


def bring_back(camera_folder: Path, previous: int) -> Path:
    """Return the folder of the generation before, moved to where it was."""
    folder = folder_of(camera_folder, previous)
    for name, path in files_of(camera_folder, previous).items():
        _move(path, folder / name)
    return folder


def tidy(camera_folder: Path, current: int, previous: int | None) -> None:
    """Bring the generations that the ledger names to their places, remove all others.

    Parameters
    ----------
    current : int
        0 where there is none.
    previous : int or None
    """
    if not camera_folder.is_dir():
        return
    keep: set[Path] = set()
    for name, path in files_of(camera_folder, current).items():
        keep.add(_move(path, folder_of(camera_folder, current) / name))
    if previous is not None:
        for name, path in files_of(camera_folder, previous).items():
            kept = camera_folder / PREVIOUS / f"{previous:08d}.{name}"
            keep.add(_move(path, kept))
    for folder in list(camera_folder.iterdir()):
        if folder.is_dir() and (folder.name.isdigit() or folder.name == PREVIOUS):
            _keep_only(folder, keep)
    files.sweep(camera_folder)


def _keep_only(folder: Path, keep: set[Path]) -> None:
    """Remove the files of a folder that are not to be kept, and an empty folder."""
    if not any(path.parent == folder for path in keep):
        shutil.rmtree(folder)
        return
    for path in set(folder.iterdir()) - keep:
        path.unlink()

"""The quantised DCT coefficients of a JPEG, by the transform of libturbojpeg.

Some are read, or some are changed and all scans are coded anew: the way of progressive
photos, and of those whose Huffman tables have no code for what is wanted.

The library's 2.x functions are used, which every release from 1.4 on has. Wheels carry it
inside the compiled loops; otherwise it is the system's: Debian and Ubuntu call the package
``libturbojpeg0`` or ``libturbojpeg``.
"""

from __future__ import annotations

import ctypes
import functools
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import compiled
from hotpixeld.errors import HotpixeldError
from hotpixeld.jpeg import markers
from hotpixeld.jpeg.decoder import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hotpixeld.jpeg.dct_blocks import Coefficients
    from hotpixeld.jpeg.scans import Integers

SONAME = "libturbojpeg.so.0"
# Options of one transform.
NO_OUTPUT, PROGRESSIVE, COPY_NONE = 16, 32, 64
_LIMIT_SCANS = 32768


class MissingLibraryError(HotpixeldError):
    """libturbojpeg is not installed."""


class Region(ctypes.Structure):
    """A rectangle of samples, as the library hands it over."""

    _fields_ = (
        ("x", ctypes.c_int),
        ("y", ctypes.c_int),
        ("w", ctypes.c_int),
        ("h", ctypes.c_int),
    )


# coefficients of a row of blocks, their region, the plane's, component, transform, user
_Filter = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    Region,
    Region,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_void_p,
)


class _Transform(ctypes.Structure):
    _fields_ = (
        ("r", Region),
        ("op", ctypes.c_int),
        ("options", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("custom_filter", _Filter),
    )


def _declare(library: ctypes.CDLL) -> None:
    """Give the functions in use their C types."""
    handle, size, number = ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int
    library.tjInitTransform.restype = handle
    library.tjDestroy.argtypes = [handle]
    library.tjFree.argtypes = [ctypes.c_void_p]
    library.tjFree.restype = None
    library.tjGetErrorStr2.argtypes = [handle]
    library.tjGetErrorStr2.restype = ctypes.c_char_p
    library.tjTransform.argtypes = [
        *(handle, ctypes.c_char_p, size, number),
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.POINTER(ctypes.c_ulong),
        ctypes.POINTER(_Transform),
        number,
    ]


@functools.cache
def _library() -> ctypes.CDLL:
    """Return the loaded library.

    Raises
    ------
    MissingLibraryError
        It is not installed.
    """
    library = ctypes.CDLL(str(compiled.LIBRARY))
    try:
        if not hasattr(library, "tjTransform"):
            library = ctypes.CDLL(SONAME)
    except OSError as error:
        raise MissingLibraryError(
            f"{SONAME} is not installed: install the package 'libturbojpeg0'"
            " (Debian) or 'libturbojpeg' (Ubuntu)"
        ) from error
    _declare(library)
    return library


@contextmanager
def _handle(library: ctypes.CDLL) -> Iterator[int]:
    """Yield a fresh handle: calls share no state, so threads need no lock."""
    handle = library.tjInitTransform()
    if not handle:
        raise CodecError("libturbojpeg has no memory for another handle")
    try:
        yield handle
    finally:
        library.tjDestroy(handle)


def _failure(library: ctypes.CDLL, handle: int) -> CodecError:
    """Return the error of the library's last call on `handle`."""
    message = library.tjGetErrorStr2(handle).decode("utf-8", "replace").strip()
    truncated = message.startswith("Premature end of JPEG file")
    reason = "truncated" if truncated else f"corrupt: {message}"
    return CodecError(reason, truncated=truncated)


def header(data: bytes) -> markers.Structure:
    """Return the header of a JPEG that this module can work on.

    Raises
    ------
    CodecError
        Malformed, 12 bits, or CMYK.
    """
    try:
        structure = markers.parse(data, header_only=True)
    except markers.MarkerError as error:
        truncated = isinstance(error, markers.TruncatedError)
        raise CodecError(str(error), truncated=truncated) from error
    if structure.precision != 8:
        raise CodecError(f"{structure.precision} bits per sample")
    if len(structure.components) not in {1, 3}:
        raise CodecError(f"{len(structure.components)} colour components (CMYK)")
    return structure


def transform(
    data: bytes,
    callback: Callable[[int, Region, Region, int, int, int | None], int],
    options: Sequence[int],
) -> bytes:
    """Show the coefficients to a callback, then code them again as they are by then.

    The stream is decoded once; the transforms follow one another on one set of
    coefficients.

    Parameters
    ----------
    data : bytes
    callback : callable
        Gets the address of a row of blocks (64 int16 each), its region, the region of
        the plane, the numbers of the component and of the transform; returns 0, or -1
        to end the call.  It must not raise: C cannot pass an exception on.
    options : sequence of int
        Of each transform.

    Returns
    -------
    bytes
        The last transform's output, empty with NO_OUTPUT.

    Raises
    ------
    CodecError
        A stream that is truncated or corrupt anywhere.
    MissingLibraryError
    """
    library = _library()
    count = len(options)
    function = _Filter(callback)
    transforms = (_Transform * count)(
        *(_Transform(Region(), 0, option, None, function) for option in options)
    )
    buffers, sizes = (ctypes.c_void_p * count)(), (ctypes.c_ulong * count)()
    with _handle(library) as handle:
        try:
            if library.tjTransform(
                handle, data, len(data), count, buffers, sizes, transforms, _LIMIT_SCANS
            ):
                # There may be output: a truncated file gives one, filled up with grey.
                raise _failure(library, handle)
            last = buffers[count - 1]
            return ctypes.string_at(last, sizes[count - 1]) if last else b""
        finally:
            for buffer in buffers:
                library.tjFree(buffer)


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of 8x8 blocks of one component, half-open."""

    component: int
    top: int
    left: int
    bottom: int
    right: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape of its coefficients."""
        return self.bottom - self.top, self.right - self.left, 8, 8


class _Editor:
    """Copies areas out of the first transform's callbacks, and edits into the second's.

    The library hands over one row of blocks at a time and promises nothing about it
    after the callback; two transforms of one call see the same coefficients one after
    the other, so the second can write what all of the first made known.
    """

    def __init__(
        self,
        areas: Sequence[Area],
        edit: Callable[[list[Coefficients]], list[Coefficients]] | None,
    ) -> None:
        self.areas = areas
        self.found = [np.empty(area.shape, np.int16) for area in areas]
        self.wanted: list[Coefficients] | None = None
        self.error: BaseException | None = None
        self._edit = edit
        self._rows: dict[tuple[int, int], list[int]] = {}
        for index, area in enumerate(areas):
            for row in range(area.top, area.bottom):
                self._rows.setdefault((area.component, row), []).append(index)

    def callback(
        self,
        coefficients: int,
        region: Region,
        plane: Region,
        component: int,
        transform: int,
        _user: int | None,
    ) -> int:
        """Serve one row of blocks; an error ends the call and is kept for the caller."""
        row = region.y // 8
        try:
            for index in self._rows.get((component, row), ()):
                self._check(index, plane.w)
                if transform == 0:
                    self._copy(coefficients, row, index)
                else:
                    self._write(coefficients, row, index)
        except BaseException as error:  # noqa: BLE001 - C cannot carry it: run() raises it
            self.error = error
            return -1
        return 0

    def _check(self, index: int, width: int) -> None:
        """Refuse to touch memory beyond the row."""
        if not 0 <= self.areas[index].left < self.areas[index].right <= width // 8:
            raise IndexError(f"{self.areas[index]} is outside the plane")

    def _copy(self, coefficients: int, row: int, index: int) -> None:
        area, found = self.areas[index], self.found[index]
        line = found[row - area.top]
        ctypes.memmove(line.ctypes.data, coefficients + 128 * area.left, line.nbytes)

    def _write(self, coefficients: int, row: int, index: int) -> None:
        if self.wanted is None and self._edit is not None:
            self.wanted = self._edit(self.found)
        if self.wanted is None:
            return
        area = self.areas[index]
        line = self.wanted[index][row - area.top]
        before = self.found[index][row - area.top]
        if line.tobytes() == before.tobytes():
            return
        changed = (line != before).any(axis=(1, 2))
        for column in np.flatnonzero(changed):
            block = np.ascontiguousarray(line[column], np.int16)
            place = coefficients + 128 * (area.left + int(column))
            ctypes.memmove(place, block.ctypes.data, block.nbytes)

    def run(self, data: bytes, options: Sequence[int]) -> bytes:
        """Transform `data`; return the last transform's output."""
        data = markers.tidied(data, header(data))
        try:
            out = transform(data, self.callback, options)
        except CodecError:
            if self.error is not None:
                raise self.error from None
            raise
        return out


def read(data: bytes, areas: Sequence[Area]) -> list[Coefficients]:
    """Return the quantised DCT coefficients of areas of a JPEG.

    Raises
    ------
    CodecError
        CMYK, 12 bits, or a stream that is truncated or corrupt anywhere.
    MissingLibraryError
    """
    editor = _Editor(areas, None)
    editor.run(data, [NO_OUTPUT | COPY_NONE])
    return editor.found


def _runs(places: Integers) -> list[Area]:
    """Return blocks, in order, as areas of one row each."""
    component, row, column = places.T
    follows = (np.diff(component) == 0) & (np.diff(row) == 0) & (np.diff(column) == 1)
    starts = np.flatnonzero(np.concatenate([[True], ~follows]))
    lengths = np.diff(starts, append=len(places))
    return [
        Area(i, y, x, y + 1, x + length)
        for (i, y, x), length in zip(
            places[starts].tolist(), lengths.tolist(), strict=True
        )
    ]


def rewrite(
    data: bytes,
    places: Integers,
    edit: Callable[[Coefficients], Coefficients],
    *,
    progressive: bool = False,
) -> bytes:
    """Return a JPEG with other coefficients in some blocks, and all others as they are.

    One entropy decode and one encode; metadata segments are left out.

    Parameters
    ----------
    data : bytes
    places : (n, 3) int64
        Component, row and column of each block, in order; n > 0.
    edit : callable
        Gets the blocks' coefficients, (n, 8, 8), once and returns those to write.
    progressive : bool
        Write several scans in place of one.

    Raises
    ------
    CodecError
        CMYK, 12 bits, or a stream that is truncated or corrupt anywhere.
    MissingLibraryError
    """
    areas = _runs(places)
    ends = np.cumsum([area.right - area.left for area in areas])[:-1]

    def edited(found: list[Coefficients]) -> list[Coefficients]:
        new = edit(np.concatenate([part[0] for part in found]))
        return [part[None] for part in np.split(new, ends)]

    editor = _Editor(areas, edited)
    output = COPY_NONE | PROGRESSIVE * progressive
    return editor.run(data, [NO_OUTPUT | COPY_NONE, output])

"""The system's libturbojpeg: the transform that shows DCT coefficients.

The 2.x functions are used, which every release from 1.4 on has: Debian and Ubuntu call
the package ``libturbojpeg0`` or ``libturbojpeg``.  ctypes releases the GIL during calls.
"""

from __future__ import annotations

import ctypes
import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hotpixeld.errors import HotpixeldError
from hotpixeld.jpeg import markers
from hotpixeld.jpeg.decoder import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    try:
        library = ctypes.CDLL(SONAME)
    except OSError as error:
        raise MissingLibraryError(
            f"{SONAME} is not installed: install the package 'libturbojpeg0'"
            " (Debian) or 'libturbojpeg' (Ubuntu)"
        ) from error
    _declare(library)
    return library


def available() -> bool:
    """Return whether the library is installed."""
    try:
        _library()
    except MissingLibraryError:
        return False
    return True


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

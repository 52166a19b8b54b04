"""The exact levels around some pixels of a photo, from their own blocks.

They are the levels that libjpeg-turbo decodes the whole photo to, with the accurate
integer DCT and smooth chroma, bit for bit: a window needs its blocks, and those beside
them where chroma is upsampled across their border.  The arithmetic is in ``c/levels.c``.

References
----------
ITU-T T.871 (2011), JFIF: colours.  Adobe Technical Note 5116 (1992): the APP14 segment.
"""

from __future__ import annotations

import ctypes
import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld import compiled
from hotpixeld.jpeg.scans import ScanError
from hotpixeld.markers import SOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hotpixeld.jpeg.entropy import Walked
    from hotpixeld.jpeg.scans import CodedScan, Integers
    from hotpixeld.markers import Structure

Levels = NDArray[np.uint8]
"""(rows, columns, 3) uint8: red, green, blue."""

_GREY, _YCC, _RGB = 0, 1, 2
_APP0, _APP14 = 0xE0, 0xEE


class Window(NamedTuple):
    """A half-open rectangle of pixels, in stored order."""

    top: int
    left: int
    bottom: int
    right: int


class _Blocks(NamedTuple):
    """The blocks of one component that a window needs, half-open."""

    top: int
    left: int
    bottom: int
    right: int


class _Plane(ctypes.Structure):
    """`struct plane` of levels.c."""

    _fields_ = (
        ("coefficients", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("top", "left", "rows", "columns")),
        *((name, ctypes.c_int64) for name in ("height", "width", "down", "across")),
        ("steps", ctypes.c_uint16 * 64),
    )


@functools.cache
def _library() -> ctypes.CDLL:
    """Return the compiled core, its function declared."""
    library = compiled.library()
    if library is None:
        raise RuntimeError("hotpixeld was installed without its compiled core")
    place = ctypes.c_void_p
    library.hotpixeld_levels_1.argtypes = [place, ctypes.c_int, place, place, place]
    return library


def _colour(data: bytes, structure: Structure) -> int:
    """Return what the components stand for, as libjpeg decides it."""
    if len(structure.components) == 1:
        return _GREY
    jfif, adobe = False, -1
    for segment in structure.segments:
        if segment.marker == SOS:
            break
        payload = segment.payload(data)
        if segment.marker == _APP0 and len(payload) >= 14:
            jfif |= payload.startswith(b"JFIF\0")
        elif segment.marker == _APP14 and len(payload) >= 12:
            adobe = payload[11] if payload.startswith(b"Adobe") else adobe
    if jfif:
        return _YCC
    if adobe >= 0:
        return _YCC if adobe else _RGB
    letters = bytes(component.id for component in structure.components)
    return _RGB if letters == b"RGB" else _YCC


class BlockReader:
    """Gives the levels of windows of one photo.

    Parameters
    ----------
    data : bytes
        The file.
    structure : Structure
    scans : sequence of CodedScan
        Of the same photo.

    Raises
    ------
    ScanError
        A component's size is no whole part of the photo's: libjpeg refuses it.
    """

    def __init__(
        self, data: bytes, structure: Structure, scans: Sequence[CodedScan]
    ) -> None:
        self._structure = structure
        self._colour = _colour(data, structure)
        h, v = structure.sampling
        if any(h % c.h or v % c.v for c in structure.components):
            raise ScanError("a component's size is no whole part of the photo's")
        steps = {
            component: table
            for scan in scans
            for component, table in zip(scan.components, scan.steps, strict=True)
        }
        self._planes = []
        for index, component in enumerate(structure.components):
            rows, columns = structure.plane(component)
            plane = _Plane(None, 0, 0, 0, 0, rows, columns, v // component.v)
            plane.across = h // component.h
            plane.steps[:] = steps[index]
            self._planes.append(plane)

    def _blocks(self, plane: _Plane, window: Window) -> _Blocks:
        """Return the blocks of one component that a window needs."""
        edges = []
        for first, last, factor, size in (
            (window.top, window.bottom - 1, plane.down, plane.height),
            (window.left, window.right - 1, plane.across, plane.width),
        ):
            beside = 1 if factor == 2 else 0
            begin = min(max(first // factor - beside, 0), size - 1)
            end = min(last // factor + beside, size - 1)
            edges.append((begin // 8, end // 8 + 1))
        (top, bottom), (left, right) = edges
        return _Blocks(top, left, bottom, right)

    def _places(self, component: int, window: Window) -> tuple[_Blocks, Integers]:
        blocks = self._blocks(self._planes[component], window)
        rows, columns = np.mgrid[
            blocks.top : blocks.bottom, blocks.left : blocks.right
        ].reshape(2, -1)
        return blocks, np.stack([np.full_like(rows, component), rows, columns], axis=1)

    def needed(self, windows: Iterable[Window]) -> Integers:
        """Return the blocks to ask the walk for.

        Parameters
        ----------
        windows : iterable of Window
            Inside the photo, and not empty.

        Returns
        -------
        (n, 3) int64
            Component, row and column of each, without repetition.
        """
        parts = [np.empty((0, 3), np.int64)]
        for window in windows:
            self._check(window)
            components = range(len(self._planes))
            parts += [self._places(component, window)[1] for component in components]
        return np.unique(np.concatenate(parts), axis=0)

    def _check(self, window: Window) -> None:
        if not (
            0 <= window.top < window.bottom <= self._structure.height
            and 0 <= window.left < window.right <= self._structure.width
        ):
            raise IndexError(f"{window} is empty, or reaches beyond the photo")

    def levels(self, walked: Walked, window: Window) -> Levels:
        """Return the levels of a window.

        Parameters
        ----------
        walked : Walked
            Asked for the blocks that are `needed`.
        window : Window

        Returns
        -------
        (bottom - top, right - left, 3) uint8
            Red, green, blue; the three are equal in a grey photo.

        Raises
        ------
        KeyError
            The walk was not asked for a block that it needs.
        IndexError
            It is empty, or reaches beyond the photo.
        """
        self._check(window)
        planes = (_Plane * len(self._planes))()
        held, count = [], 0
        for component, plane in enumerate(self._planes):
            blocks, places = self._places(component, window)
            held.append(np.ascontiguousarray(walked.coefficients(places)))
            planes[component] = plane
            planes[component].coefficients = held[-1].ctypes.data
            planes[component].top, planes[component].left = blocks.top, blocks.left
            planes[component].rows = blocks.bottom - blocks.top
            planes[component].columns = blocks.right - blocks.left
            count += len(places)
        scratch = np.empty(64 * count, np.uint8)
        edges = np.array(window, np.int64)
        shape = (window.bottom - window.top, window.right - window.left, 3)
        out = np.empty(shape, np.uint8)
        if _library().hotpixeld_levels_1(
            planes,
            self._colour,
            edges.ctypes.data,
            scratch.ctypes.data,
            out.ctypes.data,
        ):
            raise IndexError(f"{window} needs other blocks")
        return out

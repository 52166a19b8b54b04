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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hotpixeld import compiled
from hotpixeld.jpeg.markers import SOS
from hotpixeld.jpeg.scans import Integers, ScanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.jpeg.entropy import Walked
    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.jpeg.scans import CodedScan

Levels = NDArray[np.uint8]
"""(rows, columns, 3) or (pixels, 3) uint8: red, green, blue."""

_GREY, _YCC, _RGB = 0, 1, 2
_APP0, _APP14 = 0xE0, 0xEE


class Window(NamedTuple):
    """A half-open rectangle of pixels, in stored order."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def around(cls, row: int, col: int, reach: int, height: int, width: int) -> Window:
        """Return the pixels up to `reach` from one, as far as a frame has them.

        >>> Window.around(1, 7, 2, 9, 9)
        Window(top=0, left=5, bottom=4, right=9)
        """
        return cls(
            max(row - reach, 0),
            max(col - reach, 0),
            min(row + reach + 1, height),
            min(col + reach + 1, width),
        )


class _Blocks(NamedTuple):
    """The blocks of one component that windows need, half-open."""

    tops: Integers
    lefts: Integers
    bottoms: Integers
    rights: Integers


class _Plane(ctypes.Structure):
    """`struct plane` of levels.c."""

    _fields_ = (
        ("numbers", ctypes.c_void_p),
        ("coefficients", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("count", "columns", "height", "width")),
        *((name, ctypes.c_int64) for name in ("down", "across")),
        ("steps", ctypes.c_uint16 * 64),
    )


_place = ctypes.c_void_p
_levels = compiled.function(
    "hotpixeld_levels_1",
    *(_place, ctypes.c_int, ctypes.c_int64, _place),
    *(_place, _place, ctypes.c_int64, _place),
    returns=ctypes.c_int,
)


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
            _, across = structure.blocks(component)
            plane = _Plane(None, None, 0, across, rows, columns)
            plane.down, plane.across = v // component.v, h // component.h
            plane.steps[:] = steps[index]
            self._planes.append(plane)

    def _edges(self, windows: Sequence[Window] | Integers) -> Integers:
        """Return windows as an array, (n, 4)."""
        edges = np.array(windows, np.int64).reshape(-1, 4)
        top, left, bottom, right = edges.T
        height, width = self._structure.height, self._structure.width
        rows = (top >= 0) & (top < bottom) & (bottom <= height)
        fit = rows & (left >= 0) & (left < right) & (right <= width)
        if not fit.all():
            window = windows[int(np.argmin(fit))]
            raise IndexError(f"{window} is empty, or reaches beyond the photo")
        return edges

    @staticmethod
    def _blocks(plane: _Plane, edges: Integers) -> _Blocks:
        """Return the blocks of one component that each window needs."""
        ends = []
        for first, after, factor, size in (
            (edges[:, 0], edges[:, 2], plane.down, plane.height),
            (edges[:, 1], edges[:, 3], plane.across, plane.width),
        ):
            beside = 1 if factor == 2 else 0
            begin = np.clip(first // factor - beside, 0, size - 1)
            end = np.clip((after - 1) // factor + beside, 0, size - 1)
            ends.append((begin // 8, end // 8 + 1))
        (top, bottom), (left, right) = ends
        return _Blocks(top, left, bottom, right)

    def _numbers(self, plane: _Plane, edges: Integers) -> tuple[Integers, Integers]:
        """Return the numbers of the blocks needed, and how many each window needs."""
        blocks = self._blocks(plane, edges)
        across = blocks.rights - blocks.lefts
        counts = (blocks.bottoms - blocks.tops) * across
        window = np.repeat(np.arange(len(edges)), counts)
        place = np.arange(len(window)) - (np.cumsum(counts) - counts)[window]
        down, right = np.divmod(place, across[window])
        rows, columns = blocks.tops[window] + down, blocks.lefts[window] + right
        needed = np.zeros(-(-plane.height // 8) * plane.columns, np.bool_)
        needed[rows * plane.columns + columns] = True
        return np.flatnonzero(needed), counts

    @staticmethod
    def _places(component: int, plane: _Plane, numbers: Integers) -> Integers:
        """Return blocks by component, row and column."""
        rows, columns = np.divmod(numbers, plane.columns)
        return np.stack([np.full_like(rows, component), rows, columns], axis=1)

    def needed(self, windows: Sequence[Window] | Integers) -> Integers:
        """Return the blocks to ask the walk for.

        Parameters
        ----------
        windows : sequence of Window or (n, 4) int64
            Inside the photo, and not empty.

        Returns
        -------
        (n, 3) int64
            Component, row and column of each, without repetition.

        Raises
        ------
        IndexError
            A window is empty, or reaches beyond the photo.
        """
        edges = self._edges(windows)
        return np.concatenate(
            [
                self._places(component, plane, self._numbers(plane, edges)[0])
                for component, plane in enumerate(self._planes)
            ]
        )

    def levels(self, walked: Walked, windows: Sequence[Window]) -> list[Levels]:
        """Return the levels of some windows, apart.

        Parameters
        ----------
        walked : Walked
            Asked for the blocks that are `needed`.
        windows : sequence of Window

        Returns
        -------
        list of (bottom - top, right - left, 3) uint8
            Red, green, blue; the three are equal in a grey photo.

        Raises
        ------
        KeyError
            The walk was not asked for a block that they need.
        IndexError
            A window is empty, or reaches beyond the photo.
        """
        out, parts, end = self.pixels(walked, windows), [], 0
        for top, left, bottom, right in windows:
            begin, end = end, end + (bottom - top) * (right - left)
            parts.append(out[begin:end].reshape(bottom - top, right - left, 3))
        return parts

    def pixels(self, walked: Walked, windows: Sequence[Window] | Integers) -> Levels:
        """Return the levels of all pixels of some windows, one window after the other.

        Parameters and errors are those of `levels`; windows may be (n, 4) int64, too.

        Returns
        -------
        (pixels, 3) uint8
            Red, green, blue, row by row.
        """
        edges = self._edges(windows)
        planes = (_Plane * len(self._planes))(*self._planes)
        held, room = [], np.zeros(len(edges), np.int64)
        for component, plane in enumerate(planes):
            numbers, counts = self._numbers(plane, edges)
            places = self._places(component, plane, numbers)
            blocks = np.ascontiguousarray(walked.coefficients(places))
            plane.numbers, plane.coefficients = numbers.ctypes.data, blocks.ctypes.data
            plane.count = len(numbers)
            held.append((numbers, blocks))
            room += counts
        samples = np.empty(64 * sum(len(numbers) for numbers, _ in held), np.uint8)
        gathered = np.empty(64 * int(room.max(initial=0)), np.uint8)
        heights, widths = edges[:, 2] - edges[:, 0], edges[:, 3] - edges[:, 1]
        out = np.empty((int((heights * widths).sum()), 3), np.uint8)
        if _levels(
            *(planes, self._colour, len(edges), edges.ctypes.data),
            *(samples.ctypes.data, gathered.ctypes.data, gathered.size),
            out.ctypes.data,
        ):
            raise RuntimeError("the compiled core needs other blocks")
        return out

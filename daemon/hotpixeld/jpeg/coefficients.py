"""The quantised DCT coefficients of a JPEG, as libturbojpeg's transform shows them.

Some are read, or some are changed and all scans are coded anew, progressive ones too.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.jpeg import markers, turbojpeg
from hotpixeld.jpeg.decoder import CodecError
from hotpixeld.jpeg.turbojpeg import COPY_NONE, NO_OUTPUT, PROGRESSIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hotpixeld.jpeg.dct_blocks import Coefficients
    from hotpixeld.jpeg.scans import Integers
    from hotpixeld.jpeg.turbojpeg import Region


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
        data = markers.tidied(data, turbojpeg.header(data))
        try:
            out = turbojpeg.transform(data, self.callback, options)
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

"""The quantised DCT coefficients of a JPEG: read some, or change some and keep the rest.

Restart intervals are replaced one by one where the photo has them; else libturbojpeg
codes the scan anew, with standard tables, which is quick.  Where that would move bytes
behind the image, the scan is coded with the photo's own tables, which is shorter.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hotpixeld.jpeg import attach, markers, turbojpeg
from hotpixeld.jpeg.huffman import CodeError, IntervalError, Intervals, Place
from hotpixeld.jpeg.turbojpeg import COPY_NONE, NO_OUTPUT, PROGRESSIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hotpixeld.jpeg.attach import Spliced
    from hotpixeld.jpeg.dct_blocks import Coefficients
    from hotpixeld.jpeg.markers import Structure
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
        except turbojpeg.CodecError:
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


def rewrite(
    data: bytes,
    areas: Sequence[Area],
    edit: Callable[[list[Coefficients]], list[Coefficients]],
    *,
    progressive: bool = False,
) -> bytes:
    """Return a JPEG with other coefficients in some areas, and all others as they are.

    One entropy decode and one encode; metadata segments are left out.

    Parameters
    ----------
    data : bytes
    areas : sequence of Area
        Inside the planes; where two overlap, `edit` may change a block in one only.
    edit : callable
        Gets the areas' coefficients once and returns what to write in their place.
    progressive : bool
        Write several scans in place of one.

    Raises
    ------
    CodecError
        CMYK, 12 bits, or a stream that is truncated or corrupt anywhere.
    MissingLibraryError
    """
    editor = _Editor(areas, edit)
    output = COPY_NONE | PROGRESSIVE * progressive
    return editor.run(data, [NO_OUTPUT | COPY_NONE, output])


class Edit(Protocol):
    """What to change in a photo, once its coefficients around are known."""

    areas: list[Area]
    """What it must see."""
    places: list[Place]
    """The blocks it may change."""
    changed: dict[Place, Coefficients]
    """The blocks it did change, after the call."""

    def __call__(self, found: list[Coefficients], /) -> list[Coefficients]:
        """Return the areas' new coefficients."""


def _patched(data: bytes, structure: Structure, edit: Edit) -> Spliced:
    """Replace only the restart intervals that hold changed blocks.

    Raises
    ------
    IntervalError, CodeError
        It cannot be done in this photo.
    """
    intervals = Intervals(data, structure)
    touched = intervals.touched(edit.places)
    rows = [
        Area(index, *_row_range(intervals, structure, index, interval))
        for interval in touched
        for index in range(len(structure.components))
    ]
    found = read(data, [*edit.areas, *rows])
    edit(found[: len(edit.areas)])
    count = len(structure.components)
    in_rows = found[len(edit.areas) :]
    new = {}
    for number, interval in enumerate(touched):
        part = slice(number * count, (number + 1) * count)
        coded = _recoded(intervals, interval, rows[part], in_rows[part], edit.changed)
        if coded is not None:
            new[interval] = coded
    return attach.attached(data, structure, intervals.replaced(new))


def _row_range(
    intervals: Intervals, structure: Structure, index: int, interval: int
) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right of an interval's rows in a component."""
    top, bottom = intervals.row_range(index, interval)
    _, columns = structure.blocks(structure.components[index])
    return top, 0, bottom, columns


def _recoded(
    intervals: Intervals,
    interval: int,
    areas: Sequence[Area],
    found: Sequence[Coefficients],
    changed: dict[Place, Coefficients],
) -> bytes | None:
    """Return an interval's new coded data; None when no block in it changed."""
    rows = [coefficients.copy() for coefficients in found]
    hits = 0
    for place, block in changed.items():
        area = areas[place.component]
        if interval in intervals.touched([place]):
            rows[place.component][place.row - area.top, place.column] = block
            hits += 1
    if not hits:
        return None
    # The coder must reproduce the camera's own bytes before it may replace them.
    if intervals.recoded(interval, lambda index: found[index]) != intervals.source(
        interval
    ):
        raise IntervalError("the photo's scan is not coded in the usual way")
    return intervals.recoded(interval, lambda index: rows[index])


def _moves_tail(data: bytes, structure: Structure, out: Spliced) -> bool:
    """Return whether bytes behind the image lost their place."""
    return len(data) > structure.tail and len(out.data) > len(data)


def written(data: bytes, structure: Structure, edit: Edit) -> Spliced:
    """Return a photo with edited coefficients, and what else had to change.

    Raises
    ------
    CodecError
        The stream is truncated or corrupt anywhere.
    OffsetError
        Bytes behind the image would move, and are found by their offset.
    MarkerError
        A table or a scan header is malformed.
    MissingLibraryError
    """
    if structure.restart_interval:
        try:
            return _patched(data, structure, edit)
        except (IntervalError, CodeError):
            edit.changed.clear()
    coded = rewrite(data, edit.areas, edit, progressive=structure.progressive)
    try:
        out: Spliced | None = attach.spliced(data, structure, coded)
    except attach.OffsetError:
        out = None
    if out is not None and not _moves_tail(data, structure, out):
        return out
    try:
        return _patched(data, structure, edit)
    except (IntervalError, CodeError):
        return attach.spliced(data, structure, coded)

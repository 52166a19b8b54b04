"""Write edited coefficients back into a photo, disturbing as little as can be.

Restart intervals are replaced one by one where the photo has them; else libturbojpeg
codes the scan anew, with standard tables, which is quick.  Where that would move bytes
behind the image, the scan is coded with the photo's own tables, which is shorter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hotpixeld import coefficients, splice
from hotpixeld.coefficients import Area
from hotpixeld.huffman import CodeError
from hotpixeld.intervals import IntervalError, Intervals, Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.blocks import Block
    from hotpixeld.coefficients import Coefficients
    from hotpixeld.markers import Structure
    from hotpixeld.splice import Spliced


class Edit(Protocol):
    """What to change in a photo, once its coefficients around are known."""

    areas: list[Area]
    """What it must see."""
    places: list[Place]
    """The blocks it may change."""
    changed: dict[Place, Block]
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
    found = coefficients.read(data, [*edit.areas, *rows])
    edit(found[: len(edit.areas)])
    count = len(structure.components)
    in_rows = found[len(edit.areas) :]
    new = {}
    for number, interval in enumerate(touched):
        part = slice(number * count, (number + 1) * count)
        coded = _recoded(intervals, interval, rows[part], in_rows[part], edit.changed)
        if coded is not None:
            new[interval] = coded
    return splice.attached(data, structure, intervals.replaced(new))


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
    changed: dict[Place, Block],
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
    coded = coefficients.rewrite(
        data, edit.areas, edit, progressive=structure.progressive
    )
    try:
        out: Spliced | None = splice.spliced(data, structure, coded)
    except splice.OffsetError:
        out = None
    if out is not None and not _moves_tail(data, structure, out):
        return out
    try:
        return _patched(data, structure, edit)
    except (IntervalError, CodeError):
        return splice.spliced(data, structure, coded)

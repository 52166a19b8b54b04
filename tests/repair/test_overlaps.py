from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hotpixeld.repair.field import overlapping
from hotpixeld.repair.footprint import Box

BOXES = st.lists(
    st.builds(
        lambda top, left, height, width: Box(top, left, top + height, left + width),
        *(st.integers(-6, 40), st.integers(-6, 60)),
        *(st.integers(1, 9), st.integers(1, 7)),
    ),
    min_size=1,
    max_size=40,
    unique=True,
)


def touch(one: Box, other: Box) -> bool:
    common = one.clipped(other)
    return common.top < common.bottom and common.left < common.right


@given(BOXES)
def test_every_overlap_is_found_once(boxes: list[Box]) -> None:
    found = overlapping(boxes, crowd=1000)

    for number, box in enumerate(boxes):
        others = [i for i, b in enumerate(boxes) if i != number and touch(box, b)]
        assert sorted(found.of(number).tolist()) == others
        assert (number in found.linked) == bool(others)
    assert not found.crowded.size


@given(BOXES, st.integers(0, 3))
def test_each_box_is_alone_linked_or_crowded(boxes: list[Box], crowd: int) -> None:
    found = overlapping(boxes, crowd)

    every = np.concatenate([found.alone, found.linked, found.crowded])
    assert sorted(every.tolist()) == list(range(len(boxes)))
    for number, box in enumerate(boxes):
        others = sum(touch(box, other) for other in boxes) - 1
        assert number in found.crowded or others <= crowd

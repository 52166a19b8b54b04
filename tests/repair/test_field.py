from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hotpixeld.repair.field import Box, Dense, Mosaic, PositionSet, overlapping

SAMPLES = np.arange(21 * 30, dtype=np.float32).reshape(21, 30)
CORNERS = st.lists(
    st.tuples(st.integers(-9, 25), st.integers(-9, 35)), min_size=1, max_size=6
)
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


@given(CORNERS, st.integers(1, 13), st.integers(1, 13))
def test_windows_are_cut_out_of_blocks_as_out_of_the_whole(
    corners: list[tuple[int, int]], height: int, width: int
) -> None:
    frame = Box(0, 0, 21, 30)
    padded = np.pad(SAMPLES, ((0, 3), (0, 2))).reshape(3, 8, 4, 8)
    blocks = PositionSet.of(Box(0, 0, 3, 4), [Box(0, 0, 3, 4)])
    mosaic = Mosaic(frame, blocks, padded.transpose(0, 2, 1, 3).reshape(12, 8, 8))
    tops, lefts = np.array(corners).T

    seen, exists = mosaic.cut(tops, lefts, (height, width))

    want, inside = Dense(SAMPLES).cut(tops, lefts, (height, width))
    assert np.array_equal(exists, inside)
    assert np.array_equal(seen[exists], want[inside])


def test_a_block_that_is_not_known_does_not_exist() -> None:
    blocks = PositionSet.of(Box(0, 0, 1, 2), [Box(0, 1, 1, 2)])
    mosaic = Mosaic(Box(0, 0, 8, 16), blocks, np.ones((1, 8, 8), np.float32))

    _, exists = mosaic.cut(np.array([0]), np.array([6]), (2, 4))

    assert exists[0, 0].tolist() == [False, False, True, True]


def test_a_set_of_places_knows_its_members() -> None:
    places = PositionSet.of(Box(0, 0, 9, 14), [Box(-1, 2, 1, 4), Box(0, 3, 1, 5)])

    rows, columns = places.coordinates()

    members = [(-1, 2), (-1, 3), (0, 2), (0, 3), (0, 4)]
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == members
    assert places.index(np.array([0]), np.array([4]))[0].tolist() == [4]
    assert places.cut(np.array([-1]), np.array([3]), (2, 2))[0].tolist() == [
        [True, False],
        [True, True],
    ]
    nothing = PositionSet.of(Box(0, 0, 9, 14), [])
    assert not nothing.cut(np.array([0]), np.array([0]), (1, 1))


def touch(one: Box, other: Box) -> bool:
    common = one.clipped(other)
    return common.top < common.bottom and common.left < common.right


@given(BOXES)
def test_every_overlap_is_found_once(boxes: list[Box]) -> None:
    found = overlapping(boxes, most=1000)

    for number, box in enumerate(boxes):
        others = [i for i, b in enumerate(boxes) if i != number and touch(box, b)]
        assert sorted(found.of(number).tolist()) == others
        assert (number in found.linked) == bool(others)
    assert not found.clustered.size


@given(BOXES, st.integers(0, 3))
def test_each_box_is_alone_linked_or_clustered(boxes: list[Box], most: int) -> None:
    found = overlapping(boxes, most)

    every = np.concatenate([found.alone, found.linked, found.clustered])
    assert sorted(every.tolist()) == list(range(len(boxes)))
    for number, box in enumerate(boxes):
        others = sum(touch(box, other) for other in boxes) - 1
        assert number in found.clustered or others <= most

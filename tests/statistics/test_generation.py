"""What a generation is: planes, strips of them, and a manifest."""

from __future__ import annotations

import numpy as np
import pytest

from hotpixeld.statistics.generation import (
    FORMATS,
    MARGIN,
    MEAN,
    TELLING,
    TOTAL,
    Counts,
    Generation,
    Planes,
    generation_bytes,
    strips,
)

SUMS = {name: f"{number:064x}" for number, name in enumerate(FORMATS)}
HEIGHTS = [1, 7, 16, 17, 39, 40, 41, 64, 129, 147]


@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize("rows", [16, 32, 64])
@pytest.mark.parametrize("name", FORMATS)
def test_strips_hold_each_row_of_each_plane_once(
    height: int, rows: int, name: str
) -> None:
    count = FORMATS[name].shape(height, 5)[0]
    spans = [strip.rows(name) for strip in strips(height, rows)]

    assert [row for first, last in spans for row in range(first, last)] == [
        *range(count)
    ]


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_row_is_whole_once_all_around_it_was_decoded(height: int) -> None:
    for strip in strips(height, 16):
        assert strip.last_whole == height or strip.last_whole + 6 <= strip.last
        assert strip.first_whole % 4 == 0
        assert strip.first_whole >= strip.first - MARGIN


def test_a_strip_is_a_view_of_memory_that_all_strips_share() -> None:
    planes, (one, two, *_) = Planes(100, 7, 32), strips(100, 32)
    planes.of(MEAN, one)[...] = 3

    assert planes.of(MEAN, two).shape == (32, 7, 3)
    assert planes.of(MEAN, two).all()
    assert planes.of(TOTAL, one).shape == (24, 7)
    assert planes.of(TELLING, two).shape == (8, 2)
    planes.clear()
    assert not planes.of(MEAN, one).any()


def test_bytes_are_those_of_all_planes() -> None:
    assert generation_bytes(10, 6) == 10 * 6 * (12 + 12 + 2) + 3 * 2 * 4


def test_a_manifest_tells_all_of_a_generation() -> None:
    generation = Generation(10, 6, Counts(123, 99.99999999999999, 120), SUMS)

    assert Generation.parse(generation.to_json()) == generation


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"height": 3}', "nonsense"])
def test_another_text_is_no_manifest(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a manifest|Expecting value"):
        Generation.parse(text)


def test_a_manifest_names_files_types_and_shapes_for_other_readers() -> None:
    text = Generation(10, 6, Counts(), SUMS).to_json()

    assert '"mean.npy"' in text
    assert np.dtype(FORMATS[MEAN].dtype) == np.float32

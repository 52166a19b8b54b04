"""Levels from a few blocks, against decodes of the whole photo."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import coder
import jpegs
import libturbojpeg
from coder import Photo
from hotpixeld.jpeg import entropy, markers
from hotpixeld.jpeg.block_reader import BlockReader, Window
from hotpixeld.jpeg.scans import ScanError, coded_scans

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hotpixeld.jpeg.block_reader import Levels

JFIF = jpegs.app(0xE0, b"JFIF\0\1\2\0\0\1\0\1\0\0")
HEADERS = {
    "none": b"",
    "JFIF": JFIF,
    "Adobe, no transform": jpegs.app(0xEE, b"Adobe\0\x64\0\0\0\0\0"),
    "Adobe, YCC": jpegs.app(0xEE, b"Adobe\0\x64\0\0\0\0\1"),
    "both": JFIF + jpegs.app(0xEE, b"Adobe\0\x64\0\0\0\0\0"),
    "short": jpegs.app(0xE0, b"JFIF\0\1\2") + jpegs.app(0xEE, b"Adobe\0\x64"),
}
SAMPLINGS = (
    ((1, 1), (1, 1), (1, 1)),
    ((2, 1), (1, 1), (1, 1)),
    ((2, 2), (1, 1), (1, 1)),
    ((1, 2), (1, 1), (1, 1)),
    ((4, 1), (1, 1), (1, 1)),
    ((4, 2), (1, 1), (1, 1)),
    ((2, 2), (1, 2), (2, 1)),
    ((1, 1), (2, 2), (1, 2)),
    ((1, 4), (1, 1), (1, 2)),
    ((1, 1),),
    ((2, 2),),
)


def read(data: bytes, windows: Sequence[Window]) -> list[Levels]:
    """Return the levels of windows of a file."""
    structure = markers.parse(data)
    scans = coded_scans(data, structure)
    reader = BlockReader(data, structure, scans)
    found = entropy.walk(data, scans, reader.needed(windows))
    return reader.levels(found, windows)


def decoded(data: bytes) -> NDArray[np.uint8]:
    """Return what Pillow's libjpeg-turbo makes of a file."""
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


def mixed_blocks(rng: np.random.Generator, rows: int, columns: int) -> coder.Blocks:
    """Return blocks of noise around a level, some of them beyond white and black."""
    values = rng.normal(0, 12, (rows, columns, 64))
    values *= rng.choice((0.0, 0.5, 1.0, 4.0), (rows, columns, 1))
    values[rng.random(values.shape) < 0.5] = 0
    values[..., 0] = rng.normal(0, 150, (rows, columns))
    return np.rint(values).astype(np.int16).reshape(rows, columns, 8, 8)


def random_windows(
    rng: np.random.Generator, height: int, width: int, count: int
) -> list[Window]:
    """Return windows of up to 20 pixels each way, some at edges; the second is whole."""
    windows = []
    for number in range(count):
        size = rng.integers(1, 21, 2)
        down, across = min(int(size[0]), height), min(int(size[1]), width)
        top = int(rng.integers(height - down + 1)) if number % 3 else 0
        left = int(rng.integers(width - across + 1)) if number % 2 else width - across
        windows.append(Window(top, left, top + down, left + across))
        if number == 0:
            windows.append(Window(0, 0, height, width))
    return windows


@given(
    factors=st.sampled_from(SAMPLINGS),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    interval=st.sampled_from([0, 1, 3]),
    apart=st.booleans(),
    header=st.sampled_from(sorted(HEADERS)),
    ids=st.sampled_from([b"\1\2\3", b"RGB", b"\0\1\2"]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_levels_are_those_of_the_whole_decode(
    *,
    factors: tuple[tuple[int, int], ...],
    height: int,
    width: int,
    interval: int,
    apart: bool,
    header: str,
    ids: bytes,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    known = coder.standard()
    count = len(factors)
    photo = Photo(
        height,
        width,
        factors,
        tuple(mixed_blocks(rng, *s) for s in Photo.shapes(height, width, factors)),
        tuple((i,) for i in range(count)) if apart else (tuple(range(count)),),
        (known[0],) * count,
        (known[0x10],) * count,
        interval,
        ids=ids,
        header=HEADERS[header],
        steps=tuple(int(step) for step in rng.integers(1, 30, 64)),
    )
    data = photo.coded()
    windows = random_windows(rng, height, width, 4)

    whole = decoded(data)
    for window, levels in zip(windows, read(data, windows), strict=True):
        top, left, bottom, right = window
        assert (levels == whole[top:bottom, left:right]).all()


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey"])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 3), (16, 17), (37, 50), (64, 96)])
def test_levels_are_those_that_the_program_decodes(
    sampling: jpegs.Sampling, size: tuple[int, int]
) -> None:
    height, width = size
    noise = np.random.default_rng(5).integers(0, 256, (height, width, 3))
    data = jpegs.jpeg(noise.astype(np.uint8), sampling)

    (levels,) = read(data, [Window(0, 0, height, width)])

    assert (levels == libturbojpeg.decode(data, width, height)).all()


def test_extreme_coefficients_are_clipped_as_libjpeg_clips_them() -> None:
    """A defect's block of a dark photo may be far from what an encoder writes."""
    rng = np.random.default_rng(1)
    known = coder.standard()
    values = rng.integers(-1023, 1024, (6, 9, 64)).astype(np.int16)
    values[rng.random(values.shape) < 0.8] = 0
    photo = Photo(
        *(48, 72, ((1, 1),), (values.reshape(6, 9, 8, 8),), ((0,),)),
        *((known[0],), (known[0x10],)),
        steps=(7,) * 64,
    )
    data = photo.coded()

    (levels,) = read(data, [Window(0, 0, 48, 72)])

    assert (levels == libturbojpeg.decode(data, 72, 48)).all()


def test_a_window_asks_for_no_more_blocks_than_it_needs() -> None:
    data = jpegs.jpeg(jpegs.scene(64, 96), "4:2:0")
    structure = markers.parse(data)
    reader = BlockReader(data, structure, coded_scans(data, structure))

    inner, border = Window(4, 4, 5, 5), Window(15, 31, 16, 32)

    assert reader.needed([inner]).tolist() == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert reader.needed([border]).tolist() == [
        [0, 1, 3],
        *([i, row, column] for i in (1, 2) for row in (0, 1) for column in (1, 2)),
    ]
    assert reader.needed([]).shape == (0, 3)
    assert read(data, []) == []


def test_a_window_beyond_the_photo_or_without_its_blocks_is_an_error() -> None:
    data = jpegs.jpeg(jpegs.scene(64, 96), "4:2:0")
    structure = markers.parse(data)
    scans = coded_scans(data, structure)
    reader = BlockReader(data, structure, scans)
    found = entropy.walk(data, scans, reader.needed([Window(0, 0, 8, 8)]))

    for window in (
        Window(-1, 0, 8, 8),
        Window(0, 0, 65, 8),
        Window(0, 90, 8, 97),
        Window(8, 8, 8, 9),
    ):
        with pytest.raises(IndexError, match="reaches beyond"):
            reader.needed([window])
        with pytest.raises(IndexError, match="reaches beyond"):
            reader.levels(found, [window])
    with pytest.raises(KeyError, match="not asked for"):
        reader.levels(found, [Window(40, 40, 41, 41)])


def test_sampling_that_libjpeg_refuses_is_refused() -> None:
    known = coder.standard()
    factors = ((3, 1), (2, 1), (1, 1))
    shapes = Photo.shapes(8, 24, factors)
    blocks = tuple(np.zeros((*shape, 8, 8), np.int16) for shape in shapes)
    groups = ((0, 1, 2),)
    photo = Photo(8, 24, factors, blocks, groups, (known[0],) * 3, (known[0x10],) * 3)
    data = photo.coded()

    with pytest.raises(ScanError, match="no whole part"):
        read(data, [Window(0, 0, 8, 24)])
    with pytest.raises(OSError, match=r"broken|decod|truncated"):
        decoded(data)


@pytest.mark.slow
def test_levels_of_real_photos_are_those_that_the_program_decodes(
    photo_sets: Path,
) -> None:
    rng = np.random.default_rng(3)
    paths = sorted(path for path in photo_sets.rglob("*") if path.is_file())
    images = [path for path in paths if path.suffix.lower() in {".jpg", ".jpeg"}]
    chosen = [path for path in images if path.parent.name == "variety"]
    samplings, count = set(), 0
    for path in chosen + images[::12]:
        data = path.read_bytes()
        try:
            structure = markers.parse(data)
            scans = coded_scans(data, structure)
            reader = BlockReader(data, structure, scans)
        except (markers.MarkerError, ScanError):
            continue
        height, width = structure.height, structure.width
        windows = random_windows(rng, height, width, 12)
        if height * width > 500_000:
            windows.pop(1)
        found = entropy.walk(data, scans, reader.needed(windows))
        whole = libturbojpeg.decode(data, width, height)
        parts = reader.levels(found, windows)
        for window, levels in zip(windows, parts, strict=True):
            top, left, bottom, right = window
            assert (levels == whole[top:bottom, left:right]).all(), (path, window)
        samplings.add(tuple((c.h, c.v) for c in structure.components))
        count += 1

    assert count > 60
    assert len(samplings) >= 4

"""Photos drawn by Hypothesis: coded in every legal way, and edits of their blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st

import coder
from coder import Photo

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn
    from numpy.typing import NDArray

    from hotpixeld.jpeg.scans import Integers

SAMPLINGS = (
    ((1, 1), (1, 1), (1, 1)),
    ((2, 1), (1, 1), (1, 1)),
    ((2, 2), (1, 1), (1, 1)),
    ((1, 2), (1, 1), (1, 1)),
    ((4, 1), (1, 1), (1, 1)),
    ((2, 2), (1, 2), (2, 1)),
    ((1, 1), (2, 1), (1, 2)),
    ((1, 1),),
    ((2, 2),),
)
# Those that libturbojpeg names, and so reads.
NAMED = SAMPLINGS[:5]


def every_place(photo: Photo) -> Integers:
    """Return the blocks of a photo that hold a part of the picture."""
    places = [
        (component, row, column)
        for component in range(len(photo.factors))
        for row, column in np.ndindex(photo.real(component))
    ]
    return np.array(places, np.int64)


def at(photo: Photo, places: Integers) -> NDArray[np.int16]:
    """Return some blocks of a photo."""
    return np.array([photo.blocks[i][row, column] for i, row, column in places])


def edited(photo: Photo, places: Integers, blocks: NDArray[np.int16]) -> Photo:
    """Return a photo with some other blocks."""
    out = tuple(part.copy() for part in photo.blocks)
    for (i, row, column), block in zip(places, blocks, strict=True):
        out[i][row, column] = block
    return photo.with_blocks(out)


def some_blocks(rng: np.random.Generator, count: int) -> NDArray[np.int16]:
    """Return blocks as cameras write them: mostly zeros, a few large values."""
    size = rng.choice([1, 3, 40, 900], (count, 64), p=[0.5, 0.3, 0.19, 0.01])
    values = rng.integers(-size, size + 1)
    values[rng.random((count, 64)) < rng.choice([0.3, 0.9, 1.0], (count, 1))] = 0
    values[:, 0] = rng.integers(-400, 400, count)
    return values.astype(np.int16).reshape(-1, 8, 8)


@st.composite
def photos(draw: DrawFn, samplings: tuple[tuple[tuple[int, int], ...], ...]) -> Photo:
    """Draw a photo, and how it is coded."""
    factors = draw(st.sampled_from(samplings))
    height, width = draw(st.integers(1, 50)), draw(st.integers(1, 50))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shapes = Photo.shapes(height, width, factors)
    blocks = tuple(some_blocks(rng, r * c).reshape(r, c, 8, 8) for r, c in shapes)
    count = len(factors)
    single = tuple((i,) for i in range(count))
    together = (tuple(range(count)),)
    halves = ((0,), (1, 2)) if count == 3 else single
    known = coder.standard()
    pair = draw(
        st.sampled_from(
            [
                (known[0], known[0x10]),
                (known[1], known[0x11]),
                (coder.table(list(range(12))), coder.table(list(range(256)))),
            ]
        )
    )
    return Photo(
        height,
        width,
        factors,
        blocks,
        draw(st.sampled_from([together, together, single, halves])),
        (pair[0],) * count,
        (pair[1],) * count,
        draw(st.sampled_from([0, 0, 1, 2, 3, 7])),
        fill=draw(st.sampled_from([0, 0, 1, 3])),
        trailing=draw(st.binary(max_size=9)),
    )


@st.composite
def edits(draw: DrawFn, photo: Photo) -> tuple[Integers, NDArray[np.int16]]:
    """Draw some blocks of a photo, and what to make of them."""
    places = every_place(photo)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = min(draw(st.sampled_from([1, 2, 4, 24])), len(places))
    chosen = places[rng.permutation(len(places))[:count]]
    return chosen, some_blocks(rng, count)

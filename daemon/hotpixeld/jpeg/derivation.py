"""Whether one photo was made of another: saved again, flipped or turned, by its numbers.

A program that saves a photo again decodes it, may flip or turn it, and rounds its
coefficients to steps of its own.  So each coefficient of what it writes lies within half a
step of the photo's, however coarse the steps are.  Two exposures of one scene do not agree
so: light and noise have changed between them.

Measured on six cameras: of what Pillow saved again at quality 50 to 100, flipped or turned,
97 % of the coefficients and more lie within half a step of the photo's, or the other way
round; of two neighbours in a series, of the same scene on a tripod, 31 % at most, and of
two different scenes 59 % (`tests/photo/test_versions.py` has the like on generated photos).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.jpeg import coefficients, dct_blocks, entropy, markers, scans
from hotpixeld.jpeg.bits import CodedDataError
from hotpixeld.jpeg.coefficients import Area
from hotpixeld.jpeg.scans import ScanError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.jpeg.dct_blocks import Coefficients, Float32
    from hotpixeld.jpeg.markers import Structure

Place = tuple[int, int]
"""Row and column."""
ALIKE = 0.97
"""Of the coefficients that say anything, so many lie within half a step."""
FEWEST = 200
"""Coefficients that must say something: two black frames agree in nothing but black."""
_SIDE = 24
"""Blocks are compared on a grid of so many rows and columns, at most."""
_ROUNDING = 1.5
"""Levels by which decoding to whole levels, and to colours and back, moves a coefficient:
three standard deviations."""
_EXACT = 0.9
"""Blocks with detail that must be the same, to the number, in a photo coded anew."""
_DETAIL = 4
_LAPLACIAN = np.add.outer(np.arange(8) ** 2, np.arange(8) ** 2)
"""Of each coefficient's wave, in proportion."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How a picture was turned: rows and columns exchanged first, then each reversed."""

    transposed: bool = False
    rows_reversed: bool = False
    columns_reversed: bool = False

    def apply(self, picture: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (..., H, W) pictures, turned; views.

        >>> Turn(columns_reversed=True).apply(np.array([[1, 2], [3, 4]]))
        array([[2, 1],
               [4, 3]])
        """
        if self.transposed:
            picture = picture.swapaxes(-1, -2)
        rows = slice(None, None, -1 if self.rows_reversed else 1)
        columns = slice(None, None, -1 if self.columns_reversed else 1)
        return picture[..., rows, columns]


TURNS = tuple(Turn(*flags) for flags in itertools.product((False, True), repeat=3))
NO_TURN = TURNS[0]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a photo's coefficients are another's, rounded again.

    Attributes
    ----------
    turn : Turn
        That of the other, where they agree best.
    share : float
        Of the coefficients that say something, those within half a step; 0 where too few
        do.
    exact : float
        Share of the blocks with some detail whose coefficients are all the same.
    """

    turn: Turn
    share: float = 0.0
    exact: float = 0.0

    @property
    def follows(self) -> bool:
        """Return whether the photo was made of the other."""
        return self.share >= ALIKE

    @property
    def is_recoded(self) -> bool:
        """Return whether the photo has the other's coefficients, but for a few blocks."""
        return self.exact >= _EXACT and self.turn == NO_TURN


def steps(data: bytes, structure: Structure) -> Float32:
    """Return the quantisation table of a photo's luma, (8, 8) float32, in levels.

    Raises
    ------
    MarkerError
        It has none.
    """
    tables = markers.quantisation(data, structure)
    number = structure.components[0].table
    if number not in tables:
        raise markers.MarkerError(f"no quantisation table {number}")
    return np.array(tables[number], np.float32).reshape(8, 8)


def _is_full(structure: Structure) -> bool:
    """Return whether the luma has a sample for each pixel."""
    first = structure.components[0]
    return (first.h, first.v) == structure.sampling


def _grid(structure: Structure) -> list[Place]:
    """Return blocks spread over the picture, without those near its edges."""
    sides = [
        np.unique(np.linspace(2, length // 8 - 3, _SIDE).astype(int)).tolist()
        for length in (structure.height, structure.width)
        if length >= 40
    ]
    return list(itertools.product(*sides)) if len(sides) == 2 else []


def _sources(turn: Turn, size: tuple[int, int], places: list[Place]) -> list[Place]:
    """Return where in the other picture the pixels of some blocks come from.

    The top left of 8x8 pixels, each, for a picture of which `size` (rows, columns) was
    turned.
    """
    height, width = size
    pixels = [
        (
            max(height - 8 * row - 8, 0) if turn.rows_reversed else 8 * row,
            max(width - 8 * column - 8, 0) if turn.columns_reversed else 8 * column,
        )
        for row, column in places
    ]
    return [(x, y) if turn.transposed else (y, x) for y, x in pixels]


def _turned_sizes(turn: Turn, structure: Structure) -> set[tuple[int, int]]:
    """Return of how many rows and columns a picture may have been turned.

    Of all, or without loss, when an MCU that is not full stays at the edge as it is.
    """
    h, v = structure.sampling
    height, width = structure.height, structure.width
    whole = (
        height - height % (8 * v) if turn.rows_reversed else height,
        width - width % (8 * h) if turn.columns_reversed else width,
    )
    return {(height, width), whole}


def _blocks(data: bytes, structure: Structure, places: list[Place]) -> Coefficients:
    """Return luma blocks, (n, 8, 8) int16, by their rows and columns.

    A sequential photo is walked and needs no more memory than they; of one with several
    scans libturbojpeg holds all coefficients.
    """
    index = np.array([(0, row, column) for row, column in places], np.int64)
    try:
        coded = scans.coded_scans(data, structure)
        walked = entropy.walk(data, coded, index, to_patch=False)
    except (ScanError, CodedDataError):
        areas = [Area(0, row, column, row + 1, column + 1) for row, column in places]
        return np.concatenate(coefficients.read(data, areas)).reshape(-1, 8, 8)
    return walked.coefficients(index)


def _levels(blocks: Coefficients, places: list[Place], table: Float32) -> Float32:
    """Return the levels of 8x8 pixels at `places`, from the 2x2 blocks that hold them."""
    levels = dct_blocks.samples(blocks, table).reshape(-1, 2, 2, 8, 8)
    levels = levels.transpose(0, 1, 3, 2, 4).reshape(-1, 16, 16)
    return np.stack(
        [
            square[y % 8 : y % 8 + 8, x % 8 : x % 8 + 8]
            for square, (y, x) in zip(levels, places, strict=True)
        ]
    )


def _agreement(
    turn: Turn, own: Coefficients, expected: Float32, table: Float32
) -> Agreement:
    """Compare coefficients with what another photo's would be in the same steps."""
    difference = np.abs(own - expected)
    telling = (own != 0) | (np.abs(expected) >= 0.5)
    telling[:, 0, 0] = False
    detailed = np.count_nonzero(own, axis=(1, 2)) >= _DETAIL
    if telling.sum() < FEWEST:
        return Agreement(turn)
    share = (difference <= 0.5 + _ROUNDING / table)[telling].mean()
    same = (difference < 0.1).all(axis=(1, 2))[detailed]
    return Agreement(turn, float(share), float(same.mean()) if same.size else 0.0)


def agreement(data: bytes, other: bytes) -> Agreement:
    """Return how far a photo's luma is another's, rounded again; at its best turn.

    Parameters
    ----------
    data, other : bytes
        The files.  Their pictures have the same size, or one is as high as the other is
        wide; otherwise nothing agrees.

    Raises
    ------
    CodecError, MarkerError
        One of them cannot be read to its end.
    """
    one, two = markers.parse(data), markers.parse(other)
    size, places = (one.height, one.width), _grid(one)
    turns = [
        turn
        for turn in TURNS
        if size == (two.height, two.width)[:: -1 if turn.transposed else 1]
    ]
    if not (turns and places and _is_full(one) and _is_full(two)):
        return Agreement(NO_TURN)
    table, other_table = steps(data, one), steps(other, two)
    own = _blocks(data, one, places)
    trials = [
        (turn, _sources(turn, turned, places))
        for turn in turns
        for turned in _turned_sizes(turn, one)
    ]
    wanted = [
        (y // 8 + down, x // 8 + across)
        for _, sources in trials
        for y, x in sources
        for down, across in itertools.product((0, 1), repeat=2)
    ]
    found = _blocks(other, two, wanted)
    best = Agreement(NO_TURN)
    for turn, sources in trials:
        part, found = found[: 4 * len(places)], found[4 * len(places) :]
        levels = turn.apply(_levels(part, sources, other_table))
        expected = dct_blocks.transformed(levels) / table
        here = _agreement(turn, own, expected, table)
        best = max(best, here, key=lambda each: each.share)
    return best


def curvature(data: bytes, places: list[Place]) -> float:
    """Return how sharply levels change inside some blocks of a photo's luma.

    The energy of the Laplacian: an edge has little for its height, a spot has much.  The
    plain energy of a block, in which a spot on the dark side of an edge may even make it
    smoother, took one copy in twelve for the original on generated photos; this one none
    whose spot is seen.  Of 95 copies of real photos it took one, in which a spot of half a
    level was repaired.

    Parameters
    ----------
    places : list of (int, int)
        Row and column of each block.

    Raises
    ------
    CodecError, MarkerError
        The photo cannot be read to its end.
    """
    structure = markers.parse(data)
    found = _blocks(data, structure, places) * steps(data, structure)
    return float(((found.astype(np.float64) * _LAPLACIAN) ** 2).sum())

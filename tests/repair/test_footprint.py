from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import jpegs
import libturbojpeg
from hotpixeld.defect import Defect
from hotpixeld.repair import lossless, reencode, stacking
from hotpixeld.repair.footprint import Footprint
from hotpixeld.repair.shape import Footprints, Shown
from hotpixeld.repair.stacking import Stacks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.jpeg.block_reader import Window

WIDE = np.array(
    [
        [0.0, 0.05, 0.1, 0.15, 0.1, 0.05, 0.0],
        [0.1, 0.2, 0.4, 0.5, 0.4, 0.2, 0.1],
        [0.2, 0.5, 0.8, 1.0, 0.8, 0.5, 0.2],
        [0.1, 0.3, 0.6, 0.8, 0.6, 0.3, 0.1],
        [0.0, 0.1, 0.2, 0.3, 0.2, 0.1, 0.0],
        [0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)
"""As no usual camera shows it: the fourth column is the centre, the third row."""
WIDE_HERE = np.roll(WIDE, 1, axis=0)
PLACES = [
    Defect(30, 40),
    Defect(31, 90),
    Defect(70, 25),
    Defect(80, 70),
    Defect(60, 120),
]


def with_footprints(
    frame: NDArray[np.floating], shape: NDArray[np.floating], level: float = 60.0
) -> NDArray[np.float64]:
    out = frame.astype(float)
    half = shape.shape[0] // 2
    for number, defect in enumerate(PLACES):
        rows = slice(defect.row - half, defect.row + half + 1)
        columns = slice(defect.col - half, defect.col + half + 1)
        out[rows, columns] += ((1 + 0.1 * number) * level * shape)[..., None]
    return out


def mean(shape: NDArray[np.floating], level: float = 60.0) -> NDArray[np.float32]:
    """Return a mean image, 110 x 150, slanted and a little noisy, with defects."""
    rows, columns = np.mgrid[0:110, 0:150]
    slant = (90 + 0.2 * rows - 0.1 * columns)[..., None] * np.array([1.0, 0.9, 0.8])
    noise = np.random.default_rng(0).normal(0, 0.3, slant.shape)
    return with_footprints(slant + noise, shape, level).astype(np.float32)


def learn(image: NDArray[np.float32], defects: list[Defect]) -> Footprint | None:
    """Return what the mean of photos teaches."""
    stacks = Stacks([(one.row, one.col) for one in defects], *image.shape[:2])
    stacks.add(
        [image[cut(one)] for one in stacks.windows()], np.ones(len(defects), bool)
    )
    return stacking.learn(stacks, "").camera


def cut(window: Window) -> tuple[slice, slice]:
    return slice(window.top, window.bottom), slice(window.left, window.right)


def learned() -> Footprint:
    found = learn(mean(WIDE_HERE), PLACES)
    assert found is not None
    return found


def test_an_unusual_footprint_is_learned() -> None:
    found = learned()

    assert found.count == len(PLACES)
    first = np.array(found.ways[0]).reshape(7, 7)
    assert np.abs(first / first[3, 3] - WIDE_HERE).max() < 0.05


@pytest.mark.parametrize(
    ("image", "defects"),
    [
        (mean(jpegs.FOOTPRINT), PLACES),
        (mean(WIDE_HERE), PLACES[:3]),
        (mean(WIDE_HERE, 1.0), PLACES),
        (mean(WIDE_HERE), []),
        (mean(WIDE_HERE)[23:88], [Defect(d.row - 23, d.col) for d in PLACES]),
        (mean(WIDE_HERE), [*PLACES, *(Defect(d.row, d.col + 9) for d in PLACES)]),
    ],
    ids=["usual", "few", "faint", "none", "at the edges", "close together"],
)
def test_without_clear_unusual_defects_nothing_is_learned(
    image: NDArray[np.float32], defects: list[Defect]
) -> None:
    assert learn(image, defects) is None


def test_a_false_detection_does_not_teach() -> None:
    noise = Defect(90, 110)

    assert learn(mean(WIDE_HERE), [*PLACES, noise]) == learned()


def test_the_text_form_keeps_all() -> None:
    text = learned().to_json()

    assert Footprint.from_json(text) == learned()
    assert len(text) < 6000


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"count": 0, "ways": []}', '{"count": 5, "ways": [[1]]}']
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a footprint|Expecting"):
        Footprint.from_json(text)


def test_what_was_learned_repairs_better() -> None:
    clean = jpegs.scene(110, 150)
    hot = np.clip(
        np.rint(with_footprints(clean.astype(float), WIDE_HERE)), 0, 255
    ).astype(np.uint8)
    data = jpegs.jpeg(hot, "4:2:2", quality=95)
    twin = libturbojpeg.decode(jpegs.jpeg(clean, "4:2:2", quality=95), 150, 110).astype(
        int
    )

    def error(copy: bytes) -> float:
        frame = libturbojpeg.decode(copy, 150, 110)
        return float(np.abs(frame - twin).mean())

    usual, known = (
        error(lossless.repaired(data, PLACES, shown=Shown(Footprints(camera))).data)
        for camera in (None, learned())
    )
    assert known < 0.85 * usual
    usual, known = (
        float(
            np.abs(
                reencode.filled(hot, PLACES, footprints=Footprints(camera))
                - clean.astype(int)
            ).mean()
        )
        for camera in (None, learned())
    )
    assert known < 0.85 * usual

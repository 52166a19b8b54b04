"""Which photos show a defect, and how their pixels are shown."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hotpixeld.report.crops import LEAST_RANGE, SHOWN, chosen, stretched


@given(st.integers(0, 60), st.integers(0, 40), st.integers(0, 20), st.integers(0, 9))
def test_few_photos_show_many_defects(
    photos: int, defects: int, most: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    strength = np.clip(rng.normal(size=(photos, defects)), 0, None)
    picked = chosen(strength, most)

    assert len(picked) == defects
    assert len({number for numbers in picked for number in numbers}) <= most
    for defect, numbers in enumerate(picked):
        assert len(numbers) == len(set(numbers)) <= SHOWN
        assert all(strength[number, defect] > 0 for number in numbers)


def test_a_defect_alone_is_shown_where_it_is_strongest() -> None:
    assert chosen(np.array([[1.0], [9.0], [0.0], [5.0], [7.0]]), 9) == [[1, 3, 4]]


def test_the_stretch_is_one_for_both_and_never_of_noise_alone() -> None:
    low, high = (np.full((3, 4, 3), level, np.uint8) for level in (50, 250))
    (dark, bright), contrast = stretched([low, high])
    (flat,), most = stretched([low])

    assert (dark.max(), bright.min()) == (0, 255)
    assert contrast == 255 / 200
    assert most == 255 / LEAST_RANGE
    assert 100 < flat.max() < 155
    assert low.max() == 50, "the crops given stay as they are"

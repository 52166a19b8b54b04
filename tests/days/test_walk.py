"""A short random walk over what a user does; the long one is ``walk.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from days.walk import walk

if TYPE_CHECKING:
    from pathlib import Path

    from faults.hotpixel import Zygote

STEPS = 60


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 11])
def test_whatever_a_user_does_photos_copies_and_ledger_agree(
    programs: Zygote, tmp_path: Path, seed: int
) -> None:
    one = walk(tmp_path / "home", programs, seed, STEPS)

    assert len(one.taken) == STEPS

"""A short random walk over what a user does; the long one is ``walk.py``."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from days.walk import walk

if TYPE_CHECKING:
    from pathlib import Path

    from faults.hotpixel import Zygote

STEPS = 60
ANY = random.SystemRandom().getrandbits(32)
"""Another one in each run; a failure names it."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, None], ids=["1", "2", "any"])
def test_whatever_a_user_does_photos_copies_and_ledger_agree(
    programs: Zygote, tmp_path: Path, seed: int | None
) -> None:
    number = ANY if seed is None else seed
    print(f"seed {number}")  # noqa: T201 - pytest shows it where the walk fails
    one = walk(tmp_path / "home", programs, number, STEPS)

    assert len(one.taken) == STEPS

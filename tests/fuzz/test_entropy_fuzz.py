"""The short form of the fuzz program: what CI runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fuzz import entropy

if TYPE_CHECKING:
    from pathlib import Path


def test_damaged_photos_are_walked_or_refused_under_sanitisers(tmp_path: Path) -> None:
    program = entropy.built(tmp_path)

    printed = entropy.run(program, 4000, 1, entropy.written(tmp_path))

    counts = [int(number) for number in re.findall(r"\d+", printed)]
    cases, walked, patched = counts[:3]
    assert cases == 4000
    assert walked > 1000
    assert patched > 500

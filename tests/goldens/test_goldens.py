"""What fixed photos give is what they gave: see `goldens`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from goldens import goldens
from goldens.cases import GENERATED, of_sets

if TYPE_CHECKING:
    from pathlib import Path

REAL = goldens.kept(goldens.HERE / "photos.json")[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATED)
def test_generated_photos_give_what_they_gave(name: str) -> None:
    expected, _ = goldens.kept(goldens.HERE / "generated.json")

    assert goldens.compared(GENERATED[name], expected[name]) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_photos_give_what_they_gave(name: str, photo_sets: Path) -> None:
    assert goldens.compared(of_sets(photo_sets)[name], REAL[name]) == []


def test_a_difference_names_the_item_and_both_values() -> None:
    assert goldens.differences({"outcomes": "2 folded", "copy a": "1"}, {
        "outcomes": "1 folded", "life 7,5": "1 of 2"}) == [
        "copy a: expected 1, found nothing",
        "life 7,5: expected nothing, found 1 of 2",
        "outcomes: expected 2 folded, found 1 folded",
    ]  # fmt: skip


def test_of_other_photos_nothing_else_is_told() -> None:
    expected = {"photo a.jpg": "1", "copy c_a.jpg": "1"}
    found = {"photo a.jpg": "2", "copy c_a.jpg": "2"}

    assert goldens.differences(expected, found) == [
        "photos differ: cannot compare",
        "photo a.jpg: expected 1, found 2",
    ]

"""The report of a body that writes photos of two sizes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from days.world import Body
from hotpixeld.cli import commands
from hotpixeld.cli.main import main
from hotpixeld.messages import counted
from report.conftest import made
from sensor import Planted

if TYPE_CHECKING:
    from pathlib import Path

SITES = (20, 30), (50, 90), (65, 15)


def test_what_another_size_lists_is_shown_in_the_photos_that_it_is_repaired_in(
    tmp_path: Path,
) -> None:
    photos, state = tmp_path / "photos", tmp_path / "state"
    photos.mkdir()
    full = tuple(Planted(2 * row, 2 * col, 85.0) for row, col in SITES)
    half = tuple(Planted(row, col, 85.0) for row, col in SITES)
    Body(height=176, width=240, defects=full).shoot(photos, 16, name="L_{:04d}.JPG")
    run = ["run", str(photos), "--once", "-q", "--state", str(state)]
    assert main(run) == 0
    Body(defects=half, seed=5, taken=100).shoot(photos, 2, name="S_{:04d}.JPG")
    assert main(run) == 0
    page = made(state, tmp_path / "report.html")
    words = " ".join(page.text.split())
    others = [
        one
        for one in page.all("article")
        if "from the list of 240x176" in "".join(one.text)
    ]

    assert page.said("h1").startswith("Your 2 cameras have 3 hot pixels")
    assert len(others) == len(SITES)
    with commands.opened(state) as ledger:
        names = "S_0100.JPG", "S_0101.JPG"
        copies = [ledger.copies.find(photos / name) for name in names]
    for article in others:
        said = " ".join("".join(article.text).split())
        x, y = map(int, re.findall(r"\d+x (\d+), y (\d+)", said)[0])
        count = sum((x, y) in one.pixels for one in copies if one)
        assert count > 0
        assert f"repaired in {counted(count, 'photo')}; from the list of" in said
        assert "too faint" not in said
        pictures = [one for one in page.all("img") if one in article]
        after = [one for one in pictures if one.attributes["alt"].startswith("After")]
        assert len(after) == count
    assert "fewer than the 16 photos that a first list needs" in words

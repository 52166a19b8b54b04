"""The report of a camera that corrects its lens: each photo's own place of a defect."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from hotpixeld.cli import commands
from hotpixeld.cli.main import main
from hotpixeld.config.model import Config
from hotpixeld.engine import bodies
from hotpixeld.report import findings
from hotpixeld.report.crops import SIDE, Cropper, levels_around
from report.conftest import made
from zoom import COUNT, OUTSIDE, SIZE, focal_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotpixeld.report.findings import CameraFindings, Finding
    from hotpixeld.store.ledger import Ledger
    from zoom import Zoomed


@pytest.fixture
def ledger(zoomed: Zoomed) -> Iterator[Ledger]:
    with commands.opened(Path(zoomed.state)) as found:
        yield found


@pytest.fixture
def about(ledger: Ledger) -> CameraFindings:
    (found,) = findings.collect(ledger, Config(), list(ledger.images.cameras())).cameras
    return found


def of_the_outside(about: CameraFindings) -> Finding:
    (one,) = [one for one in about.findings if one.defect.x < 0]
    return one


def stands_out(uri: str) -> bool:
    """Return whether the brightest of a crop is in its middle, within a pixel."""
    data = base64.b64decode(uri.partition(",")[2])
    levels = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(float)
    row, col = np.unravel_index(levels[5:-5, 5:-5].argmax(), (SIDE - 10, SIDE - 10))
    middle = SIDE // 2 - 5
    return max(abs(int(row) - middle), abs(int(col) - middle)) <= 1


def test_crops_are_cut_where_each_photo_shows_the_defect(
    ledger: Ledger, about: CameraFindings, zoomed: Zoomed
) -> None:
    cropper = Cropper(ledger, about.record.camera, Config())
    strips = cropper.strips(about.findings, 24)
    pairs = [pair for pairs in strips for pair in pairs]

    assert all(strips)
    for pair in pairs:
        near = [
            max(abs(pair.at[1] - row), abs(pair.at[0] - col))
            for row, col in zoomed.shown[pair.photo]
        ]
        assert min(near) <= 1
    tele = [pair for pair in pairs if focal_of(int(pair.photo[4:8])) == 50]
    assert len(tele) > 5
    for shown in (tele, pairs):
        share = np.mean([stands_out(pair.before) for pair in shown])
        assert share > 0.8
    assert sum(stands_out(pair.after) for pair in pairs if pair.after) < len(pairs) / 4


def test_what_lies_outside_of_the_frame_is_shown_in_photos_that_show_it(
    ledger: Ledger, about: CameraFindings
) -> None:
    one = of_the_outside(about)
    (pairs,) = Cropper(ledger, about.record.camera, Config()).strips([one], 24)

    assert len(pairs) == 3
    assert all(focal_of(int(pair.photo[4:8])) == 50 for pair in pairs)
    assert all(pair.before and pair.after for pair in pairs)
    assert all(0 <= pair.at[0] < 10 for pair in pairs)


def test_it_is_counted_in_how_many_copies_each_is_repaired(
    ledger: Ledger, about: CameraFindings, zoomed: Zoomed
) -> None:
    repaired = {
        (one.defect.x, one.defect.y): one.repaired.count for one in about.findings
    }
    at_50 = sum(focal_of(number) == 50 for number in range(len(zoomed.shown)))
    outside = repaired.pop(
        (of_the_outside(about).defect.x, of_the_outside(about).defect.y)
    )

    assert len(repaired) >= COUNT - 1
    assert outside == at_50
    assert min(repaired.values()) > len(zoomed.shown) - at_50
    camera = about.record.camera
    places = bodies.Places(
        ledger, Config(), camera, [one.listed for one in about.findings]
    )
    told = sum(len(pixels) for _, _, pixels in ledger.copies.repaired(camera.id))
    counted = findings.in_copies(ledger, camera, places)
    assert sum(one.count for one in counted) == told, "no pixel of a copy is left over"


def test_levels_around_are_of_photos_that_show_the_defect(
    ledger: Ledger, about: CameraFindings
) -> None:
    found = levels_around(ledger, Config(), about.record.camera, about.findings)

    assert len(found) == len(about.findings)
    assert all(20 < level < 230 for level in found.values())


def test_the_page_draws_the_frame_and_what_lies_around_it(
    zoomed: Zoomed, tmp_path: Path
) -> None:
    page = made(Path(zoomed.state), tmp_path / "report.html")
    (svg,) = [one for one in page.all("svg") if "viewbox" in one.attributes][:1]
    left, top, _, down = map(float, svg.attributes["viewbox"].split())
    (frame,) = [one for one in page.all("rect") if one in svg]

    assert OUTSIDE.col - 30 < left < OUTSIDE.col
    assert (top, down) == (0, SIZE[0])
    assert (frame.attributes["width"], frame.attributes["height"]) == ("560", "400")
    words = " ".join(page.text.split())
    assert "x and y are those of photos at 16 mm; what lies outside" in words
    assert "<br>at x " in page.text, "where a photo shows it"


def test_pictures_are_drawn_of_what_lies_outside_too(
    zoomed: Zoomed, about: CameraFindings, tmp_path: Path
) -> None:
    command = ["map", "--show", "--output", str(tmp_path), "--state", zoomed.state]

    assert main(command) == 0
    one = of_the_outside(about).defect
    (picture,) = tmp_path.glob(f"*_{one.x}_{one.y}.png")
    with Image.open(picture) as image:
        assert image.width > SIDE * 16, "before and after"

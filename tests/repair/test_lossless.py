from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import jpegs
import libturbojpeg
from hotpixeld.defect import Defect
from hotpixeld.errors import RefusedError
from hotpixeld.jpeg import attach, bits, compare, markers
from hotpixeld.jpeg.bits import Replaced
from hotpixeld.jpeg.decoder import CodecError
from hotpixeld.repair import lossless, pixel_list

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _pytest.mark.structures import ParameterSet

REACH = 6
"""Half width of a footprint, and what chroma samples of two pixels add to it."""
PLAIN = jpegs.jpeg(jpegs.scene(8, 16))
STANDARD = markers.huffman(PLAIN, markers.parse(PLAIN))
"""Those of an encoder that does not optimise: they have a code for every symbol."""


def near(block: compare.DifferentBlock, defects: list[Defect]) -> bool:
    """Whether a block holds samples that a defect's footprint may change."""
    return any(
        block.x - REACH <= defect.x < block.x + block.width + REACH
        and block.y - REACH <= defect.y < block.y + block.height + REACH
        for defect in defects
    )


@st.composite
def photos(draw: st.DrawFn) -> tuple[bytes, Defect]:
    height, width = draw(st.integers(17, 60)), draw(st.integers(18, 75))
    row, col = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    frame = jpegs.planted(jpegs.scene(height, width, seed=row), row, col)
    samplings = ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey"]
    data = jpegs.jpeg(
        frame,
        cast("jpegs.Sampling", draw(st.sampled_from(samplings))),
        quality=draw(st.sampled_from([60, 92, 100])),
        progressive=draw(st.booleans()),
        optimise=draw(st.booleans()),
        restart_blocks=draw(st.sampled_from([0, 1, 3])),
        trailing=draw(st.sampled_from([b"", b"\0", b"tail" * 40])),
    )
    return data, Defect(row, col)


@pytest.mark.parametrize("seed", range(4))
def test_a_progressive_image_that_grows_keeps_what_follows_it(seed: int) -> None:
    """It has tables behind the first scan, where offsets are looked for no more."""
    frame = jpegs.planted(jpegs.scene(17, 18, seed=seed), 0, 17)
    data = jpegs.jpeg(frame, quality=100, progressive=True, trailing=b"\0")

    repaired = lossless.repaired(data, [Defect(0, 17)])

    assert repaired.data.endswith(b"\0")
    assert compare.compare(data, repaired.data).is_repair


def assert_only_a_patch(data: bytes, repaired: lossless.Repaired) -> None:
    """Check that a copy is its original but for the bits of some MCUs and the MPF index."""
    before, after = markers.parse(data), markers.parse(repaired.data)
    patch = repaired.patch
    assert patch is not None
    start, end = before.scans[0].start, before.scans[-1].end
    grown = after.scans[-1].end - end
    if not patch.moved:
        assert repaired.data[:start] == data[:start]
    assert repaired.data[after.tail :] == data[before.tail :]
    assert len(repaired.data) == len(data) + grown + patch.fill_bytes
    assert restarts(repaired.data, after) == restarts(data, before)
    copy = attach.Attached(repaired.data, (), patch.fill_bytes, patch.moved)
    replaced = Replaced.unpacked(patch.replaced.packed())
    assert bits.undone(attach.detached(copy), replaced) == data
    assert int(replaced.changes["length"].clip(0).sum()) >= patch.bits > 0
    assert patch.mcus >= 1


def restarts(data: bytes, structure: markers.Structure) -> list[bytes]:
    """Return the restart markers of all scans."""
    return [
        marker
        for scan in structure.scans
        for marker in re.findall(rb"\xff[\xd0-\xd7]", data[scan.start : scan.end])
    ]


@settings(max_examples=150, deadline=None)
@given(photos())
def test_only_blocks_under_the_footprint_differ_whatever_the_coding(
    photo: tuple[bytes, Defect],
) -> None:
    data, defect = photo

    repaired = lossless.repaired(data, [defect])

    found = compare.compare(data, repaired.data)
    before, after = markers.parse(data), markers.parse(repaired.data)
    assert found.is_repair, found.others
    assert len(found.blocks) == repaired.blocks
    assert all(near(block, [defect]) for block in found.blocks)
    assert data[before.tail :] == repaired.data[after.tail :]
    assert before.progressive == after.progressive
    if before.progressive:
        assert repaired.patch is None
    elif repaired.patch is None and repaired.blocks:
        assert "the tables lack a code" in repaired.notes[0]
        assert markers.huffman(data, before) != STANDARD
    elif repaired.patch is not None:
        assert_only_a_patch(data, repaired)
    Image.open(io.BytesIO(repaired.data)).load()


@settings(max_examples=60, deadline=None)
@given(photos())
def test_a_walk_shows_the_pixels_that_the_frame_shows(
    photo: tuple[bytes, Defect],
) -> None:
    data, defect = photo
    structure = markers.parse(data)
    if structure.progressive:
        with pytest.raises(RefusedError, match="not a sequential photo"):
            lossless.WalkedPhoto.of(data, structure, [defect], [defect])
        return
    frame = libturbojpeg.decode(data, structure.width, structure.height)
    rng = np.random.default_rng(defect.row)
    sites = rng.integers(-1, (structure.height + 1, structure.width + 1), (20, 2))
    others = [Defect(row, col, radius=int(rng.integers(4))) for row, col in sites]

    walked = lossless.WalkedPhoto.of(data, structure, [defect], [defect, *others])

    seen = walked.visible([defect, *others])
    assert seen == pixel_list.visible(frame, [defect, *others])
    if defect in seen:
        assert walked.repaired([defect]).data == lossless.repaired(data, [defect]).data


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey"])
@pytest.mark.parametrize("place", [(20, 24), (0, 0), (46, 60), (23, 0), (9, 39)])
def test_the_scene_comes_back(sampling: jpegs.Sampling, place: tuple[int, int]) -> None:
    clean = jpegs.scene(47, 61)
    twin = jpegs.jpeg(clean, sampling)
    data = jpegs.jpeg(jpegs.planted(clean, *place), sampling)

    repaired = lossless.repaired(data, [Defect(*place)])

    rows, columns = (slice(max(p - 4, 0), p + 5) for p in place)
    frames = [libturbojpeg.decode(d, 61, 47) for d in (twin, data, repaired.data)]
    want, before, after = (f[rows, columns].astype(float) for f in frames)
    assert np.abs(after - want).mean() < 0.25 * np.abs(before - want).mean() + 1.5
    assert np.abs(after - want).max() < 25


def test_two_defects_side_by_side_are_both_gone() -> None:
    clean = jpegs.scene(47, 61)
    frame = jpegs.planted(jpegs.planted(clean, 20, 24), 21, 26)
    data = jpegs.jpeg(frame, "4:2:2")

    repaired = lossless.repaired(data, [Defect(20, 24), Defect(21, 26), Defect(20, 24)])

    window = np.s_[16:27, 20:31]
    after = libturbojpeg.decode(repaired.data, 61, 47)[window].astype(float)
    assert np.abs(after - clean[window]).mean() < 5


def test_the_original_fill_changes_one_pixel_to_the_mean_of_eight() -> None:
    frame = np.full((24, 40, 3), 100, np.uint8)
    frame[11, 19] = 200
    data = jpegs.jpeg(frame, "4:4:4", quality=100)

    repaired = lossless.repaired(data, [Defect(11, 19)], fill="neighbours")

    after = libturbojpeg.decode(repaired.data, 40, 24).astype(int)
    assert np.abs(after - 100).max() <= 2


def test_a_defect_that_does_not_show_changes_nothing() -> None:
    data = jpegs.jpeg(np.full((24, 40, 3), 100, np.uint8))

    repaired = lossless.repaired(data, [Defect(11, 19)])

    assert repaired == lossless.Repaired(data, "lossless", (), 0)


def test_metadata_stays_byte_for_byte() -> None:
    frame = jpegs.planted(jpegs.scene(47, 61), 20, 24)
    data = jpegs.jpeg(frame, optimise=True)
    for segment in (jpegs.app(0xE2, b"ICC_PROFILE\0\1\1..."), jpegs.app(0xED, b"8BIM")):
        data = jpegs.with_segment(data, segment)

    repaired = lossless.repaired(data, [Defect(20, 24)]).data

    def metadata(photo: bytes) -> list[bytes]:
        return [
            photo[s.offset : s.end]
            for s in markers.parse(photo).segments
            if s.marker >= 0xE0
        ]

    assert metadata(repaired) == metadata(data)
    assert len(metadata(data)) == 5


def test_a_second_image_is_still_found() -> None:
    frame = jpegs.planted(jpegs.scene(47, 61), 20, 24)
    second = jpegs.jpeg(jpegs.scene(8, 16))
    data = jpegs.with_second_image(jpegs.jpeg(frame), second)

    repaired = lossless.repaired(data, [Defect(20, 24)])

    assert len(repaired.data) == len(data)
    assert repaired.notes == ()
    offset = jpegs.second_image_offset(repaired.data)
    assert repaired.data[offset:] == second


def test_a_photo_with_its_own_tables_keeps_them_where_bytes_would_move() -> None:
    frame = jpegs.planted(jpegs.scene(47, 61), 20, 24)
    second = jpegs.jpeg(jpegs.scene(8, 16))
    data = jpegs.with_second_image(jpegs.jpeg(frame, optimise=True), second)

    repaired = lossless.repaired(data, [Defect(20, 24)])

    found = compare.compare(data, repaired.data)
    assert len(repaired.data) == len(data)
    assert (found.is_repair, found.notes, repaired.notes) == (True, (), ())


def cmyk() -> bytes:
    buffer = io.BytesIO()
    Image.new("CMYK", (40, 24)).save(buffer, "JPEG")
    return buffer.getvalue()


def broken() -> Iterator[ParameterSet]:
    whole = jpegs.jpeg(jpegs.scene(47, 61))
    frame = markers.parse(whole)
    sof = next(s.offset for s in frame.segments if s.marker in markers.FRAMES)
    middle = frame.scans[0].start + 200

    def patched(place: int, byte: int) -> bytes:
        return whole[:place] + bytes([byte]) + whole[place + 1 :]

    yield pytest.param(whole[:-300], "truncated", id="cut short")
    yield pytest.param(whole[:-2], "truncated", id="without EOI")
    yield pytest.param(whole[:300], "ends before its image data", id="without image")
    yield pytest.param(b"", "no bytes yet", id="empty")
    yield pytest.param(b"GIF89a", "not a JPEG", id="other kind")
    yield pytest.param(cmyk(), "CMYK", id="cmyk")
    yield pytest.param(patched(sof + 1, 0xC9), "arithmetic", id="arithmetic")
    yield pytest.param(patched(sof + 4, 12), "12 bits", id="12 bits")
    yield pytest.param(
        whole[:middle] + b"\xff\xd3" + whole[middle + 60 :],
        rf"a marker inside the coded data, at byte {middle}",
        id="a hole",
    )


@pytest.mark.parametrize(("data", "reason"), list(broken()))
def test_what_cannot_be_repaired_without_loss_is_refused(
    data: bytes, reason: str
) -> None:
    with pytest.raises(RefusedError, match=reason):
        lossless.repaired(data, [Defect(3, 4)])


def test_a_defect_outside_the_frame_is_refused() -> None:
    data = jpegs.jpeg(jpegs.scene(24, 40))

    with pytest.raises(RefusedError, match="pixel 3,30 is outside 40x24"):
        lossless.repaired(data, [Defect.at(3, 30)])


def sound(path: Path) -> bool:
    """Whether libturbojpeg decodes a file without a warning."""
    data = path.read_bytes()
    try:
        structure = markers.parse(data)
        libturbojpeg.decode(data, structure.width, structure.height)
    except (markers.MarkerError, CodecError):
        return False
    return structure.eoi is not None


def test_real_photos_of_every_kind_keep_every_other_coefficient(
    photo_sets: Path,
) -> None:
    """All of variety and a few of each camera; Pillow opens all copies without a warning."""
    paths = sorted(photo_sets.rglob("*.[jJ][pP][gG]"))
    variety = [path for path in paths if path.parent.name == "variety"]
    files = [path for path in variety + paths[::15] if sound(path)]
    patched = 0
    for path in files:
        data = path.read_bytes()
        structure = markers.parse(data)
        rng = np.random.default_rng(len(data))
        defects = [
            Defect(
                int(rng.integers(structure.height)), int(rng.integers(structure.width))
            )
            for _ in range(8)
        ]
        repaired = lossless.repaired(data, defects)
        found = compare.compare(data, repaired.data)

        assert found.is_repair, (path.name, found.others)
        assert all(near(block, defects) for block in found.blocks), path.name
        assert len(found.blocks) == repaired.blocks
        if repaired.patch is not None:
            assert_only_a_patch(data, repaired)
            patched += 1
        with Image.open(io.BytesIO(repaired.data)) as image:
            image.load()
    assert len(files) > 80
    assert patched > 50


def test_lines_at_the_end_of_the_first_scan_stay() -> None:
    """A DNL segment says the height again, which the frame header has too."""
    frame = jpegs.planted(jpegs.scene(47, 61), 20, 24)
    data = jpegs.jpeg(frame)
    end = markers.parse(data).scans[0].end
    lines = b"\xff\xdc\x00\x04\x00\x2f"
    source = data[:end] + lines + data[end:]

    repaired = lossless.repaired(source, [Defect(20, 24)])

    after = markers.parse(repaired.data)
    assert repaired.patch is not None
    assert repaired.data[after.scans[0].end :].startswith(lines)
    again = lossless.repaired(data, [Defect(20, 24)]).data
    assert repaired.data.replace(lines, b"") == again

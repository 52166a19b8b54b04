"""What the comparison of bits finds, and that nothing escapes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import coder
import jpegs
from coded_photos import SAMPLINGS, edits, every_place, photos
from coder import packed
from hotpixeld.jpeg import attach, bit_comparison, compare, entropy, markers
from hotpixeld.jpeg.bits import CodedDataError
from hotpixeld.jpeg.entropy import MissingCodeError
from hotpixeld.jpeg.scans import ScanError, coded_scans

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.jpeg.bit_comparison import CodedDifference
    from hotpixeld.jpeg.entropy import Patched
    from hotpixeld.jpeg.scans import Integers

SOURCE = jpegs.with_second_image(
    jpegs.jpeg(jpegs.scene(47, 61), "4:2:0", restart_blocks=3), b"\xff\xd8 another"
)


def difference(first: bytes, second: bytes) -> CodedDifference:
    """Compare the coded data of two files."""
    scans = [coded_scans(data, markers.parse(data)) for data in (first, second)]
    return bit_comparison.coded_difference(
        first, second, list(zip(*scans, strict=True))
    )


def patched(source: bytes, places: Integers, seed: int = 0) -> Patched:
    """Return a photo with some other AC and DC coefficients."""
    scans = coded_scans(source, markers.parse(source))
    walked = entropy.walk(source, scans, places)
    blocks = walked.coefficients(places).copy()
    rng = np.random.default_rng(seed)
    blocks[:, :2, :2] += rng.integers(-2, 3, (len(places), 2, 2), np.int16)
    return entropy.patch(source, walked, places, np.clip(blocks, -900, 900))


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_blocks_and_bits_of_a_patch_are_found_and_no_others(
    data: st.DataObject,
) -> None:
    photo = data.draw(photos(SAMPLINGS))
    places, blocks = data.draw(edits(photo))
    source = photo.coded()
    walked = entropy.walk(source, coded_scans(source, markers.parse(source)), places)
    copy = entropy.patch(source, walked, places, blocks)

    found = difference(source, copy.data)

    assert {tuple(place) for place in found.places.tolist()} == {
        tuple(place) for place in copy.places.tolist()
    }
    assert found.bits == copy.bits
    assert found.unexplained == ()
    assert ((found.coefficients >= 1) & (found.coefficients <= 64)).all()


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_size_of_the_parts_does_not_matter(data: st.DataObject) -> None:
    photo = data.draw(photos(SAMPLINGS))
    source = photo.coded()
    places, _ = data.draw(edits(photo))
    copy = patched(source, places).data
    whole = difference(source, copy)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bit_comparison, "BLOCKS_AT_ONCE", data.draw(st.integers(1, 40)))
        parts = difference(source, copy)

    assert parts.places.tolist() == whole.places.tolist()
    assert (parts.bits, parts.unexplained) == (whole.bits, whole.unexplained)


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_flipped_bit_of_coded_data_is_found(data: st.DataObject) -> None:
    photo = data.draw(photos(SAMPLINGS))
    source = photo.coded()
    scan = data.draw(st.sampled_from(markers.parse(source).scans))
    byte = data.draw(st.integers(scan.start, scan.end - 1))
    flipped = bytearray(source)
    flipped[byte] ^= 1 << data.draw(st.integers(0, 7))

    try:
        found = difference(source, bytes(flipped))
    except (CodedDataError, ScanError, markers.MarkerError, ValueError):
        return

    assert len(found.places) or found.unexplained


def is_reported(first: bytes, second: bytes) -> bool:
    """Return whether a comparison says that two files differ."""
    try:
        found = compare.compare(first, second)
    except compare.DifferenceError:
        return True
    assert compare.text(found).count("identical") == 0 or found.is_repair
    return bool(found.blocks or found.notes or found.others or found.fill_bytes)


@given(
    place=st.integers(2, len(SOURCE) - 1),
    change=st.integers(1, 255),
    copied=st.booleans(),
)
@settings(max_examples=600, deadline=None)
def test_every_changed_byte_of_a_file_is_reported(
    place: int, change: int, *, copied: bool
) -> None:
    damaged = bytearray(SOURCE)
    damaged[place] ^= change

    pair = (SOURCE, bytes(damaged)) if copied else (bytes(damaged), SOURCE)

    assert is_reported(*pair)


def test_every_changed_bit_before_and_after_the_image_is_no_repair() -> None:
    """Inside the coded data it may be the repair of a block."""
    structure = markers.parse(SOURCE)
    for place in [
        *range(2, structure.scans[0].start),
        *range(structure.scans[-1].end, len(SOURCE)),
    ]:
        damaged = bytearray(SOURCE)
        damaged[place] ^= 1
        try:
            found = compare.compare(SOURCE, bytes(damaged))
        except compare.DifferenceError:
            continue

        assert not found.is_repair, place


def test_inserted_and_missing_bytes_are_reported() -> None:
    for place in range(2, len(SOURCE), 7):
        assert is_reported(SOURCE, SOURCE[:place] + b"\x55" + SOURCE[place:])
        assert is_reported(SOURCE, SOURCE[:place] + SOURCE[place + 1 :])


@pytest.mark.parametrize("interval", [0, 2])
def test_other_padding_and_another_restart_marker_are_found(interval: int) -> None:
    photo = replace(coder.grey(40, interval=interval), padding="1")
    source, other = photo.coded(), replace(photo, padding="0").coded()

    found = difference(source, other)

    assert not len(found.places)
    assert found.unexplained


def test_other_padding_of_a_touched_interval_is_found() -> None:
    photo = coder.grey(40)
    blocks = photo.blocks[0].copy()
    blocks[0, 2, 0, 0] = 1
    wanted = photo.with_blocks((blocks,))

    right = difference(photo.coded(), wanted.coded())
    wrong = difference(photo.coded(), replace(wanted, padding="0").coded())

    assert right.places.tolist() == wrong.places.tolist() == [[0, 0, 2]]
    assert right.unexplained == ()
    assert wrong.unexplained == (markers.parse(photo.coded()).scans[0].end - 1,)


def test_the_same_values_in_other_codes_are_found() -> None:
    """Sixteen zeros before the end of a block say nothing, and cost eleven bits."""
    known = coder.standard()
    dc, ac = coder.codes(known[0]), coder.codes(known[0x10])
    photo = coder.grey(24)
    usual = dc[0] + ac[0]
    odd = usual + dc[0] + ac[0xF0] + ac[0] + usual

    found = difference(photo.coded(), photo.coded([packed(odd)]))

    assert not len(found.places)
    assert found.unexplained


def test_a_follower_is_not_a_block_of_its_own() -> None:
    photo = coder.grey(40)
    blocks = photo.blocks[0].copy()
    blocks[0, 2, 0, 0] = 5
    copy = photo.with_blocks((blocks,)).coded()

    found = compare.compare(photo.coded(), copy)

    assert [(block.row, block.column) for block in found.blocks] == [(0, 2)]
    # Two DC differences of zero, two bits each by the tables of annex K.3.
    assert found.bits == 4
    assert "identical but for 1 block (4 bits)\n" in compare.text(found)


def test_offsets_that_follow_the_images_and_fill_bytes_are_counted() -> None:
    structure = markers.parse(SOURCE)
    copy = patched(SOURCE, np.array([[0, 2, 3], [0, 4, 4], [2, 1, 1]])).data
    end = markers.parse(copy).tail - 2
    fill = max((structure.eoi or 0) - end, 0) + 3
    longer = copy[:end] + b"\xff" * fill + copy[end:]

    moved = compare.compare(SOURCE, attach.attached(SOURCE, structure, longer).data)
    not_moved = compare.compare(SOURCE, longer)

    assert moved.is_repair
    assert (moved.fill_bytes, moved.offsets) == (fill, 2)
    (proof,) = [line for line in compare.text(moved).splitlines() if "but for" in line]
    assert proof == (
        f"identical but for 3 blocks ({moved.bits} bits), {fill} fill bytes and 2 offsets"
    )
    assert not_moved.others == (
        "the image's length differs, and the MPF index does not say so",
    )


def test_a_progressive_photo_is_said_to_be_compared_by_coefficients() -> None:
    source = jpegs.jpeg(jpegs.scene(47, 61), progressive=True)

    text = compare.text(compare.compare(source, source))

    assert "coefficient by coefficient, not bit by bit: not a sequential photo" in text
    assert "identical but for" not in text
    assert text.endswith("everything else is identical")


@pytest.mark.slow
def test_patches_of_real_photos_are_proved(photo_sets: Path) -> None:
    rng = np.random.default_rng(5)
    count = 0
    paths = [path for path in sorted(photo_sets.rglob("*")) if path.is_file()]
    for path in [p for p in paths if p.parent.name == "variety"] + paths[::25]:
        source = path.read_bytes()
        try:
            structure = markers.parse(source)
            coded_scans(source, structure)
        except (markers.MarkerError, ScanError):
            continue
        places = np.unique(
            [
                (i, *(rng.integers(size) for size in structure.blocks(component)))
                for i, component in enumerate(structure.components)
                for _ in range(6)
            ],
            axis=0,
        )
        try:
            copy = patched(source, places)
        except MissingCodeError:
            continue

        found = difference(source, copy.data)

        assert sorted(found.places.tolist()) == sorted(copy.places.tolist()), path
        assert (found.bits, found.unexplained) == (copy.bits, ()), path
        count += 1
    assert count > 50


def test_every_place_has_its_number_and_back() -> None:
    photo = coder.grey(40)
    (scan,) = coded_scans(photo.coded(), markers.parse(photo.coded()))
    places = every_place(photo)

    located = scan.located(0, places[:, 1], places[:, 2])

    assert (scan.places(located.mcus, located.blocks) == places).all()

"""The walk and the patch, against a plain coder and libjpeg-turbo's own reading."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import coder
import jpegs
import libturbojpeg
from coded_photos import (
    NAMED,
    SAMPLINGS,
    at,
    edited,
    edits,
    every_place,
    photos,
    some_blocks,
)
from coder import Photo
from hotpixeld.jpeg import bits, coefficients, entropy, markers
from hotpixeld.jpeg.bits import CodedDataError, Replaced
from hotpixeld.jpeg.coefficients import Area
from hotpixeld.jpeg.decoder import CodecError
from hotpixeld.jpeg.entropy import MissingCodeError
from hotpixeld.jpeg.scans import ScanError, coded_scans

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.jpeg.entropy import Walked
    from hotpixeld.jpeg.scans import CodedScan, Integers

NOWHERE = np.empty((0, 3), np.int64)


def walked(data: bytes, places: Integers = NOWHERE) -> Walked:
    """Walk a file."""
    return entropy.walk(data, coded_scans(data, markers.parse(data)), places)


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_patch_gives_the_bytes_that_a_coder_of_the_new_blocks_gives(
    data: st.DataObject,
) -> None:
    photo = data.draw(photos(SAMPLINGS))
    places, blocks = data.draw(edits(photo))
    source = photo.coded()

    found = walked(source, places)
    patched = entropy.patch(source, found, places, blocks)

    assert (found.coefficients(places) == at(photo, places)).all()
    assert patched.data == edited(photo, places, blocks).coded()
    replaced = Replaced.unpacked(patched.replaced.packed())
    assert bits.undone(patched.data, replaced) == source
    changed = (at(photo, places) != blocks).any(axis=(1, 2))
    assert (patched.places == places[changed]).all()


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_an_independent_reader_sees_the_new_coefficients_and_no_others(
    data: st.DataObject,
) -> None:
    photo = replace(data.draw(photos(NAMED)), padding="0")
    places, blocks = data.draw(edits(photo))
    source = photo.coded()

    patched = entropy.patch(source, walked(source, places), places, blocks).data

    wanted = edited(photo, places, blocks)
    areas = [Area(i, 0, 0, *photo.real(i)) for i in range(len(photo.factors))]
    for i, part in enumerate(coefficients.read(patched, areas)):
        rows, columns = photo.real(i)
        assert (part == wanted.blocks[i][:rows, :columns]).all()


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_equal_values_coded_or_not_give_the_same_bytes(data: st.DataObject) -> None:
    photo = data.draw(photos(SAMPLINGS))
    places = every_place(photo)
    rng = np.random.default_rng(0)
    source = photo.coded()

    found = walked(source, places)
    same = entropy.patch(source, found, places, found.coefficients(places))
    other = entropy.patch(source, found, places, some_blocks(rng, len(places)))
    back = entropy.patch(
        other.data, walked(other.data, places), places, found.coefficients(places)
    )

    assert same.data == source
    assert (same.bits, same.mcus, len(same.places)) == (0, 0, 0)
    assert back.data == source


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey"])
@pytest.mark.parametrize("restart", [0, 3])
@pytest.mark.parametrize("optimise", [False, True])
def test_what_libjpeg_writes_comes_back_to_the_byte(
    sampling: jpegs.Sampling, restart: int, optimise: bool
) -> None:
    frame = jpegs.scene(70, 101)
    source = jpegs.jpeg(
        frame, sampling, optimise=optimise, restart_blocks=restart, trailing=b"tail"
    )
    structure = markers.parse(source)
    places = np.array(
        [
            (i, row, column)
            for i, component in enumerate(structure.components)
            for row, column in np.ndindex(structure.blocks(component))
        ]
    )

    found = walked(source, places)
    old = found.coefficients(places)
    new = old.copy()
    new[::3, 0, 1] = np.where(new[::3, 0, 1] == 1, 2, 1)
    patched = entropy.patch(source, found, places, new)

    assert patched.data.endswith(b"\xff\xd9tail")
    assert (libturbojpeg.decode(patched.data, 101, 70) != frame).any()
    assert bits.undone(patched.data, patched.replaced) == source
    again = walked(patched.data, places)
    assert entropy.patch(patched.data, again, places, old).data == source


def test_only_touched_mcus_and_their_followers_differ() -> None:
    source = jpegs.jpeg(jpegs.scene(64, 96), "4:4:4")
    place = np.array([[0, 3, 5]])
    found = walked(source, place)
    block = found.coefficients(place).copy()
    block[0, 0, 0] += 9

    patched = entropy.patch(source, found, place, block)

    assert patched.mcus == 2
    assert patched.bits < 40
    assert len(patched.replaced.packed()) < 100
    others = np.array([[i, r, c] for i in range(3) for r, c in np.ndindex(8, 12)])
    before, after = walked(source, others), walked(patched.data, others)
    differ = (before.coefficients(others) != after.coefficients(others)).any(
        axis=(1, 2)
    )
    assert others[differ].tolist() == [[0, 3, 5]]


def scan_of(*symbols: tuple[bool, int, str]) -> str:
    """Return the bits of some symbols, by the tables of annex K.3."""
    known = coder.standard()
    dc, ac = coder.codes(known[0]), coder.codes(known[0x10])
    return "".join(
        (dc if is_dc else ac)[symbol] + bits for is_dc, symbol, bits in symbols
    )


DC, ZEROS, END = (True, 0, ""), (False, 0xF0, ""), (False, 0, "")
WHOLE = coder.packed(scan_of(DC, END) * 3)
STUFFED = coder.packed(scan_of((True, 11, "1" * 11), END) + scan_of(DC, END) * 2)


@pytest.mark.parametrize(
    ("scan", "reason", "decoder_accepts"),
    [
        pytest.param(WHOLE, None, True, id="whole"),
        pytest.param(WHOLE + b"\xff\xff\xff", None, True, id="fill bytes"),
        pytest.param(coder.packed(scan_of(DC, END) * 3, "0"), None, True, id="padding"),
        pytest.param(
            coder.packed(scan_of(DC, *[ZEROS] * 4) + scan_of(DC, END) * 2),
            "a run of zeros",
            True,
            id="run beyond the block",
        ),
        pytest.param(
            coder.packed(
                scan_of(DC, *[ZEROS] * 3, (False, 0xF1, "1")) + scan_of(DC, END) * 2
            ),
            "a run of zeros",
            True,
            id="coefficient beyond the block",
        ),
        pytest.param(
            coder.packed(scan_of(DC) + "1" * 16 + scan_of(END, DC, END, DC, END)),
            "bits that begin no code",
            False,
            id="no code",
        ),
        pytest.param(WHOLE[:-1], "truncated", False, id="truncated"),
        pytest.param(WHOLE + b"\x00", "more coded data", True, id="a byte more"),
        pytest.param(WHOLE + b"\xff\x00", "more coded data", True, id="FF00 more"),
        pytest.param(WHOLE + bytes(20), "more coded data", False, id="20 bytes more"),
        pytest.param(WHOLE + b"\xff\xd0", "a marker", True, id="a restart more"),
        pytest.param(WHOLE[:1] + b"\xff\xd0" + WHOLE[1:], "a marker", False, id="RST"),
        pytest.param(b"\xff" + STUFFED, "a marker", True, id="FFFF00"),
    ],
)
def test_damage_ends_the_walk_with_its_reason(
    scan: bytes, reason: str | None, decoder_accepts: bool
) -> None:
    """Even where libjpeg-turbo goes on, each decoder in its own way."""
    source = coder.grey(24).coded([scan])

    if reason is None:
        walked(source)
    else:
        with pytest.raises(CodedDataError, match=reason):
            walked(source)
    if decoder_accepts:
        libturbojpeg.decode(source, 24, 8)
    else:
        with pytest.raises(CodecError):
            libturbojpeg.decode(source, 24, 8)


def test_a_symbol_without_a_meaning_ends_the_walk() -> None:
    """libjpeg-turbo takes three zeros and no value for the end of the block."""
    photo = replace(coder.grey(8), ac=(coder.table([0x30]),))
    code = coder.codes(photo.ac[0])[0x30]
    source = photo.coded([coder.packed(scan_of(DC) + code)])

    libturbojpeg.decode(source, 8, 8)
    with pytest.raises(CodedDataError, match="a symbol without a meaning, at byte"):
        walked(source)


@pytest.mark.parametrize("restart", [0, 2])
def test_every_truncation_is_refused(restart: int) -> None:
    source = jpegs.jpeg(jpegs.scene(24, 40), restart_blocks=restart)
    structure = markers.parse(source)
    (scan,) = coded_scans(source, structure)

    assert entropy.walk(source, [scan], NOWHERE).scans == (scan,)
    for end in range(scan.start, scan.end):
        with pytest.raises(CodedDataError) as caught:
            entropy.walk(source, [replace(scan, end=end)], NOWHERE)
        assert caught.value.offset is not None
        assert scan.start <= caught.value.offset <= end


def test_another_restart_than_the_next_ends_the_walk() -> None:
    photo = coder.grey(48, interval=2)
    source = photo.coded()
    assert source.count(b"\xff\xd0") == source.count(b"\xff\xd1") == 1

    walked(source)
    with pytest.raises(CodedDataError, match="a restart marker is missing"):
        walked(source.replace(b"\xff\xd1", b"\xff\xd2"))
    with pytest.raises(CodedDataError, match=r"a restart marker is missing|more coded"):
        walked(source.replace(b"\xff\xd0", b""))


@pytest.mark.parametrize(
    "dc",
    [
        pytest.param(bytes([2, *[0] * 15, 0, 1]), id="a code of all ones"),
        pytest.param(bytes([3, *[0] * 15, 0, 1, 2]), id="too many codes"),
        pytest.param(coder.table([0, 16]), id="a DC symbol above 15"),
    ],
)
def test_a_table_that_decoders_refuse_is_refused(dc: bytes) -> None:
    source = replace(coder.grey(8), dc=(dc,)).coded([b"\x00"])

    with pytest.raises(CodedDataError, match="a Huffman table"):
        walked(source)
    with pytest.raises(CodecError):
        libturbojpeg.decode(source, 8, 8)


@pytest.mark.parametrize("padding", ["0", "1"])
def test_padding_is_repeated_as_the_photo_has_it(padding: str) -> None:
    photo = replace(coder.grey(48, interval=2), padding=padding)
    place = np.array([[0, 0, 1], [0, 0, 4]])
    source = photo.coded()
    block = np.zeros((2, 8, 8), np.int16)
    block[:, 0, 0] = 3, -7

    patched = entropy.patch(source, walked(source, place), place, block)

    assert patched.data == edited(photo, place, block).coded()
    assert bits.undone(patched.data, patched.replaced) == source


def test_mixed_padding_comes_back() -> None:
    scan = coder.packed(scan_of(DC, END) * 3 + "010110")
    source = coder.grey(24).coded([scan])
    place = np.array([[0, 0, 1]])
    block = np.zeros((1, 8, 8), np.int16)
    block[0, 0, 0] = 5

    patched = entropy.patch(source, walked(source, place), place, block)

    assert bits.undone(patched.data, patched.replaced) == source


def test_a_copy_may_need_more_room_than_is_tried_first() -> None:
    """Eight ones lie across two bytes in every block; moved by seven bits, they fill one."""
    dc = bytes([0, 0, 0, 8, *[0] * 12, 1, 2, 3, 4, 5, 6, 7, 0])
    ac = bytes([1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, *[0] * 4, 1, 2, 3, 4, 5, 0])
    assert coder.codes(dc)[0] + coder.codes(ac)[0] == "0111111110000000"
    zeros = np.zeros((4, 8000, 8, 8), np.int16)
    photo = replace(
        coder.grey(), width=64000, height=32, blocks=(zeros,), dc=(dc,), ac=(ac,)
    )
    source = photo.coded()
    places = np.array([[0, 0, 0], [0, 0, 1]])
    blocks = np.zeros((2, 8, 8), np.int16)
    blocks[:, 0, 0], blocks[0, 0, 1] = (1, 3), 1

    patched = entropy.patch(source, walked(source, places), places, blocks)

    assert len(patched.data) > len(source) + 30_000
    assert patched.data == edited(photo, places, blocks).coded()
    assert bits.undone(patched.data, patched.replaced) == source


def used_only(photo: Photo) -> Photo:
    """Return a photo with tables of its own symbols alone."""
    symbols: tuple[set[int], set[int]] = ({0}, {0})
    for group in photo.groups:
        before = dict.fromkeys(group, 0)
        for mcu, places in enumerate(photo.order(group)):
            if photo.interval and mcu % photo.interval == 0:
                before = dict.fromkeys(group, 0)
            for i, row, column in places:
                block = photo.blocks[i][row, column]
                difference = int(block[0, 0]) - before[i]
                before[i] = int(block[0, 0])
                for is_dc, symbol, _ in coder.symbols_of(block, difference):
                    symbols[0 if is_dc else 1].add(symbol)
    dc, ac = (coder.table(sorted(found)) for found in symbols)
    count = len(photo.factors)
    return replace(photo, dc=(dc,) * count, ac=(ac,) * count)


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_without_a_code_the_nearest_is_written_or_nothing_is(
    data: st.DataObject,
) -> None:
    photo = used_only(data.draw(photos(SAMPLINGS)))
    places, blocks = data.draw(edits(photo))
    source = photo.coded()
    old = at(photo, places).astype(np.float64)

    try:
        patched = entropy.patch(source, walked(source, places), places, blocks).data
    except MissingCodeError:
        return

    found = walked(patched, places).coefficients(places)
    before = ((old - blocks) ** 2).sum(axis=(1, 2))
    after = ((found.astype(np.float64) - blocks) ** 2).sum(axis=(1, 2))
    assert ((after < before) | (after == 0)).all()
    assert patched == edited(photo, places, found).coded()


def test_places_that_were_not_asked_for_are_an_error() -> None:
    source = coder.grey(80).coded()
    found = walked(source, np.array([[0, 0, 1]]))

    with pytest.raises(KeyError, match="not asked for"):
        found.coefficients(np.array([[0, 0, 7]]))
    for place in ([0, 1, 0], [0, 0, 10], [0, -1, 0], [1, 0, 0]):
        with pytest.raises(IndexError):
            walked(source, np.array([place]))


def test_a_damaged_record_of_replaced_bits_is_an_error() -> None:
    source = coder.grey(80).coded()
    place = np.array([[0, 0, 1]])
    block = np.ones((1, 8, 8), np.int16)
    patched = entropy.patch(source, walked(source, place), place, block)
    packed = patched.replaced.packed()

    for damaged in (packed[:3], packed[:-1], packed + b"0"):
        with pytest.raises(ValueError, match="cut short"):
            Replaced.unpacked(damaged)
    with pytest.raises(CodedDataError):
        bits.undone(patched.data[:40], patched.replaced)


def test_only_sequential_photos_of_one_or_three_components_are_walked() -> None:
    frame = jpegs.scene(16, 16)
    for data, reason in (
        (jpegs.jpeg(frame, progressive=True), "not a sequential photo"),
        (jpegs.jpeg(frame)[:-2], "the file ends before"),
    ):
        with pytest.raises(ScanError, match=reason):
            coded_scans(data, markers.parse(data))


def real(photo_sets: Path) -> list[Path]:
    """Return the files of the real photo sets."""
    found = [path for path in sorted(photo_sets.rglob("*")) if path.is_file()]
    return [path for path in found if path.suffix.lower() in {".jpg", ".jpeg"}]


@pytest.mark.slow
def test_real_photos_come_back_to_the_byte(photo_sets: Path) -> None:
    """All of variety, a few of each camera: what decodes is walked, edited and undone."""
    rng = np.random.default_rng(13)
    paths = real(photo_sets)
    chosen = [path for path in paths if path.parent.name == "variety"] + paths[::12]
    count = 0
    for path in chosen:
        source = path.read_bytes()
        try:
            structure = markers.parse(source)
            scans = coded_scans(source, structure)
        except (markers.MarkerError, ScanError):
            continue
        places = np.unique(
            [
                (i, *(rng.integers(size) for size in structure.blocks(component)))
                for i, component in enumerate(structure.components)
                for _ in range(8)
            ],
            axis=0,
        )
        found = entropy.walk(source, scans, places)
        old = found.coefficients(places)
        new = np.clip(old, -20, 20)
        try:
            patched = entropy.patch(source, found, places, new)
        except MissingCodeError:
            continue
        again = entropy.walk(patched.data, scans_of(patched.data), places)

        assert entropy.patch(source, found, places, old).data == source, path
        assert bits.undone(patched.data, patched.replaced) == source, path
        assert entropy.patch(patched.data, again, places, old).data == source, path
        count += 1
    assert count > 60


def scans_of(data: bytes) -> tuple[CodedScan, ...]:
    """Return the scans of a file."""
    return coded_scans(data, markers.parse(data))

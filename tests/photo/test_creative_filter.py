"""Creative filters as makers write them down, and photos that were taken with one."""

from __future__ import annotations

import struct

import pytest

from hotpixeld.photo import creative_filter, makernote
from photo.test_makernote import (
    FILLER,
    IFD,
    LONG,
    PLACE,
    SHORT,
    directory,
    exif,
    nikon,
    self_based,
    tiff_based,
)


def shorts(*values: int) -> tuple[int, bytes]:
    return SHORT, struct.pack(f"<{len(values)}H", *values)


def canon(mode: int = 1, **effects: int) -> bytes:
    """Return a Canon's note: EasyMode, and FilterInfo as a T5i writes it."""
    words: list[int] = []
    for number, tag in enumerate((0x101, 0x201, 0x301, 0x401, 0x501, 0x601, 0x701)):
        more = [0x402, 1, 0, 0x403, 1, 0, 0x404, 1, 0] if tag == 0x401 else []
        own = [1 + len(more) // 3, tag, 1, effects.get(f"x{tag:x}", -1), *more]
        words += [number + 1, 4 * len(own) + 4, *own]
    words = [4 * len(words) + 8, 7, *words]
    fields = {
        0x0001: shorts(*range(11), mode, *range(20)),
        0x4024: (LONG, struct.pack(f"<{len(words)}i", *words)),
    }
    return tiff_based("<", b"", fields)


def olympus(number: int) -> bytes:
    head = b"OLYMPUS\0II\3\0"
    pointer = len(head) + 2 + 12 + 4
    outer = {0x2020: (IFD, struct.pack("<I", pointer))}
    inner = {0x0529: shorts(number, 1280, 0, 0)}
    return head + directory("<", outer, len(head)) + directory("<", inner, pointer)


def fujifilm(number: int) -> bytes:
    head = b"FUJIFILM" + struct.pack("<I", 12)
    return self_based("<", head, 0, {0x1201: (LONG, struct.pack("<I", number))})


def panasonic(number: int) -> bytes:
    # The builder does not know ratios; eight bytes are eight bytes.
    fields = {0x00A1: (LONG, struct.pack("<II", 0, number))}
    return tiff_based("<", b"Panasonic\0\0\0", fields)


def sony(number: int) -> bytes:
    return tiff_based("<", b"SONY DSC \0\0\0", {0x200E: shorts(number)})


def retouched(*steps: int) -> bytes:
    return nikon("<", {0x009E: shorts(*steps, *[0] * (10 - len(steps)))})


def told(make: str, note: bytes) -> str:
    block = exif("<", note, PLACE)
    return creative_filter.name(makernote.directory(block, make), make)


@pytest.mark.parametrize(
    ("make", "note", "name"),
    [
        ("Canon", canon(47), "fisheye effect"),
        ("Canon", canon(48), "miniature effect"),
        ("Canon", canon(x501=0), "fisheye effect"),
        ("Canon", canon(x401=1), "miniature effect"),
        ("FUJIFILM", fujifilm(0x40000), "miniature"),
        ("NIKON CORPORATION", retouched(7, 25), "fisheye"),
        ("OLYMPUS IMAGING CORP.", olympus(12), "fish eye"),
        ("OM Digital Solutions", olympus(9), "diorama"),
        ("Panasonic", panasonic(0x20), "miniature effect"),
        ("SONY", sony(50), "miniature"),
    ],
)
def test_an_effect_that_moves_pixels_is_told_by_its_name(
    make: str, note: bytes, name: str
) -> None:
    assert told(make, note) == name


@pytest.mark.parametrize(
    ("make", "note"),
    [
        ("Canon", canon()),
        ("Canon", canon(7)),
        ("FUJIFILM", fujifilm(0x10000)),
        ("NIKON CORPORATION", retouched(7, 4)),
        ("OLYMPUS IMAGING CORP.", olympus(0)),
        ("OLYMPUS IMAGING CORP.", olympus(2)),
        ("Panasonic", panasonic(0)),
        ("Panasonic", panasonic(8)),
        ("SONY", sony(0)),
        ("SONY", sony(2)),
        ("Apple", b"Apple iOS\0\0\1MM\0\1"),
        ("Canon", b"\x0c"),
    ],
)
def test_tones_and_colours_no_effect_and_other_notes_are_none(
    make: str, note: bytes
) -> None:
    assert told(make, note) == ""


@pytest.mark.parametrize("length", [0, 2, 8, 100, 203])
def test_a_list_of_effects_that_ends_early_never_raises(length: int) -> None:
    raw = canon(x701=0)[-212:][:length]
    note = tiff_based("<", b"", {0x4024: (7, raw), **FILLER})

    assert told("Canon", note) == ""

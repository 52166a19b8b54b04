from __future__ import annotations

import contextlib
import os
import struct
import time
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from hotpixeld.errors import PhotoError
from hotpixeld.photo import edit_detection, makernote, metadata
from hotpixeld.photo.makernote import Directory

if TYPE_CHECKING:
    import random

PATH = Path("/import/fuzzed.jpg")
MAKES = [
    "NIKON CORPORATION", "Canon", "OLYMPUS IMAGING CORP.", "Panasonic", "FUJIFILM",
    "PENTAX", "RICOH", "SIGMA", "SAMSUNG", "SONY", "RECONYX", "LEICA CAMERA AG", "",
]  # fmt: skip
HEADS = [
    b"", b"Nikon\0\2\x10\0\0II*\0\x08\0\0\0", b"OLYMPUS\0II\3\0", b"OLYMP\0\1\0",
    b"Panasonic\0\0\0", b"FUJIFILM\x0c\0\0\0", b"AOC\0MM", b"PENTAX \0MM", b"RICOH\0II",
    b"Ricoh\0\0\0", b"SIGMA\0\0\0\1\0", b"OM SYSTEM\0\0\0II\4\0", b"\x01\xf1\3\0",
]  # fmt: skip
SECONDS = 0.5


@cache
def photos() -> tuple[bytes, ...]:
    """Return photos with every kind of metadata: two of our own, then the real ones."""
    exif = Image.Exif()
    exif.update({0x010F: "Canon", 0x0110: "Canon EOS 1100D", 0x0131: "GIMP 2.10"})
    exif.get_ifd(0x8769).update({0x9003: "2016:07:28 16:34:53", 0x829A: 0.1})
    small, file = BytesIO(), BytesIO()
    Image.effect_noise((40, 30), 60).save(small, "JPEG")
    picture = Image.effect_noise((64, 48), 60)
    picture.save(file, "JPEG", exif=exif, xmp=b"<rdf:li stEvt:changed='/'>")
    block = struct.pack("<4sIHIHHHIIHHIII", b"II*\0", 8, 0, 14, 2,
                        0x201, 4, 1, 44, 0x202, 4, 1, len(small.getvalue()), 0)  # fmt: skip
    payload = b"Exif\0\0" + block + small.getvalue()
    segment = b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
    own = (file.getvalue(), b"\xff\xd8" + segment + file.getvalue()[2:])
    folder = os.environ.get("HOTPIXELD_PHOTOS")
    real = sorted(Path(folder, "variety").glob("*.[jJ]*")) if folder else []
    return own + tuple(path.read_bytes()[:70_000] for path in real)


def read_everything(data: bytes) -> None:
    """Read a photo's metadata; only a `PhotoError` may come of it, and soon."""
    started = time.perf_counter()
    with contextlib.suppress(PhotoError):
        about = metadata.read(data, PATH)
        reason = edit_detection.why_edited(about)
        assert reason is None or reason.isprintable()
        metadata.camera(about, PATH)
    assert time.perf_counter() - started < SECONDS


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600))
@example(b"\xff\xd8\xff\xe1\x00\x02")
def test_random_bytes(data: bytes) -> None:
    read_everything(data)
    read_everything(b"\xff\xd8\xff\xe1" + data)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 99), st.randoms(use_true_random=False), st.integers(1, 12))
def test_damaged_headers(which: int, chance: random.Random, damages: int) -> None:
    data = bytearray(photos()[which % len(photos())])
    for _ in range(damages):
        place = chance.randrange(2, min(len(data), 3000))
        data[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    read_everything(bytes(data))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 99), st.data())
def test_headers_cut_short(which: int, draw: st.DataObject) -> None:
    data = photos()[which % len(photos())]
    read_everything(data[: draw.draw(st.integers(0, len(data)))])


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(MAKES),
    st.sampled_from(HEADS),
    st.sampled_from(["II*\0", "MM\0*"]),
    st.lists(
        st.tuples(
            st.sampled_from(
                [1, 2, 5, 0xC, 0x10, 0x1D, 0x25, 0x96, 0x101, 0x229, 0x2010]
            ),
            st.integers(0, 15),
            st.sampled_from([0, 1, 4, 5, 32, 0xFFFF, 0xFFFFFFFF]),
            st.integers(0, 200) | st.integers(0, 0xFFFFFFFF),
        ),
        max_size=6,
    ),
    st.binary(max_size=64),
)
def test_damaged_notes(
    make: str,
    head: bytes,
    header: str,
    fields: list[tuple[int, int, int, int]],
    rest: bytes,
) -> None:
    order = "<" if header.startswith("I") else ">"
    note = head + struct.pack(f"{order}H", len(fields))
    note += b"".join(struct.pack(f"{order}HHII", *field) for field in fields) + rest
    block = header.encode() + struct.pack(f"{order}I", 8)
    block += struct.pack(f"{order}HHHIII", 1, 0x927C, 7, len(note), 26, 0) + note
    started = time.perf_counter()
    serial = makernote.serial(Directory.first(block), make, "model")

    assert serial.isascii()
    assert serial == "" or serial.isprintable()
    assert time.perf_counter() - started < SECONDS


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 0xFFFF))
def test_damaged_directories(content: bytes, tag: int) -> None:
    for header in (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        first = Directory.first(header + content)
        for where in (first, first.child(tag), first.next()):
            assert len(where.raw(tag)) <= len(header + content)
            assert where.text(tag).isprintable()
            where.number(tag)
            where.ratio(tag)

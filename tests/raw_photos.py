"""A raw photo for the raw converters: the smallest DNG that they read.

Not a test: `formats/test_real_programs` has dcraw, RawTherapee and Siril repair it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

LEVEL, WHITE = 4000, 65535
"""Of the even surface that is photographed, and of a hot pixel, in 16 bits."""

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 2, 3, 4, 5, 10
_LETTERS = {_BYTE: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "I", _SRATIONAL: "i"}
_IDENTITY = [part for row in np.eye(3, dtype=int) for one in row for part in (one, 1)]

Tags = dict[int, tuple[int, object]]


def _packed(kind: int, value: object) -> tuple[int, bytes]:
    """Return the count and the bytes of a tag's values."""
    if kind == _ASCII:
        data = f"{value}\0".encode()
        return len(data), data
    parts = [int(part) for part in np.ravel(np.asarray(value))]
    data = struct.pack(f"<{len(parts)}{_LETTERS[kind]}", *parts)
    return len(parts) // (2 if kind in {_RATIONAL, _SRATIONAL} else 1), data


def _folder(tags: Tags, at: int) -> bytes:
    """Return an image file directory that begins `at` in the file, with what it names."""
    rows, tail = [], b""
    behind = at + 2 + 12 * len(tags) + 4
    for tag, (kind, value) in sorted(tags.items()):
        count, data = _packed(kind, value)
        if len(data) > 4:
            place = struct.pack("<I", behind + len(tail))
            tail += data + bytes(len(data) % 2)
        else:
            place = data.ljust(4, b"\0")
        rows.append(struct.pack("<HHI", tag, kind, count) + place)
    return struct.pack("<H", len(tags)) + b"".join(rows) + bytes(4) + tail


def mosaic(
    height: int, width: int, hot: Iterable[tuple[int, int]]
) -> NDArray[np.uint16]:
    """Return the raw levels of an even grey surface, with hot pixels at (row, col).

    Not quite even: Siril takes a photo of one level for none.
    """
    levels = np.full((height, width), LEVEL, np.uint16)
    levels += np.random.default_rng(3).integers(0, 40, levels.shape, np.uint16)
    for site in hot:
        levels[site] = WHITE
    return levels


def write_dng(
    path: Path,
    levels: NDArray[np.uint16],
    *,
    make: str = "NIKON CORPORATION",
    model: str = "NIKON D80",
    serial: str = "",
    when: str = "2024:05:03 12:00:00",
) -> None:
    """Write a DNG with a Bayer pattern, all of it visible.

    Parameters
    ----------
    levels : (H, W) uint16
    when : str
        As EXIF writes it.
    """
    height, width = levels.shape
    exif: Tags = {0x9003: (_ASCII, when), 0x8827: (_SHORT, 100)}
    exif |= {0x829A: (_RATIONAL, (1, 60)), 0x829D: (_RATIONAL, (8, 1))}
    if serial:
        exif[0xA431] = _ASCII, serial
    pixels_at = 8
    exif_at = pixels_at + levels.nbytes
    exif_part = _folder(exif, exif_at)
    tags: Tags = {
        0x00FE: (_LONG, 0),
        0x0100: (_LONG, width),
        0x0101: (_LONG, height),
        0x0102: (_SHORT, 16),
        0x0103: (_SHORT, 1),
        0x0106: (_SHORT, 32803),  # a colour filter array
        0x010F: (_ASCII, make),
        0x0110: (_ASCII, model),
        0x0111: (_LONG, pixels_at),
        0x0112: (_SHORT, 1),
        0x0115: (_SHORT, 1),
        0x0116: (_LONG, height),
        0x0117: (_LONG, levels.nbytes),
        0x011C: (_SHORT, 1),
        0x0132: (_ASCII, when),
        0x828D: (_SHORT, (2, 2)),
        0x828E: (_BYTE, (0, 1, 1, 2)),
        0x8769: (_LONG, exif_at),
        0xC612: (_BYTE, (1, 3, 0, 0)),
        0xC614: (_ASCII, f"{make} {model}"),
        0xC61A: (_SHORT, 0),
        0xC61D: (_LONG, WHITE),
        0xC621: (_SRATIONAL, _IDENTITY),
        0xC628: (_RATIONAL, (1, 1, 1, 1, 1, 1)),
        0xC65A: (_SHORT, 21),
    }
    if serial:
        tags[0xC62F] = _ASCII, serial
    at = exif_at + len(exif_part)
    header = struct.pack("<2sHI", b"II", 42, at)
    path.write_bytes(
        header + levels.astype("<u2").tobytes() + exif_part + _folder(tags, at)
    )

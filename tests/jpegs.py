"""JPEGs for tests: a seeded scene, encoded in every way that cameras encode."""

from __future__ import annotations

import ctypes
import io
import struct
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hotpixeld.jpeg.coefficients import SONAME

Frame = NDArray[np.uint8]
Sampling = Literal["4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey"]

FOOTPRINT = np.array([[0.12, 0.28, 0.12], [0.28, 1.0, 0.28], [0.12, 0.28, 0.12]])
EXIF = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"


def scene(height: int, width: int, seed: int = 0) -> Frame:
    """Return a smooth, slanted scene with an edge and fine grain: (H, W, 3)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    ramp = 60 + 90 * rows / height + 40 * columns / width
    edge = 25 * (columns > width * 0.6 + 0.2 * rows)
    colours = np.array([1.0, 0.9, 0.75])
    clean = (ramp + edge)[..., None] * colours
    noise = rng.normal(0, 2, (height, width, 3))
    return np.asarray(np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8))


def planted(frame: Frame, row: int, col: int, level: float = 80.0) -> Frame:
    """Return a copy with a grey hot pixel, 3x3 as a DSLR shows it."""
    out = np.pad(frame.astype(float), ((1, 1), (1, 1), (0, 0)))
    out[row : row + 3, col : col + 3] += level * FOOTPRINT[..., None]
    return np.asarray(np.clip(np.rint(out[1:-1, 1:-1]), 0, 255).astype(np.uint8))


def _with_440(frame: Frame, quality: int, *, progressive: bool) -> bytes:
    """Encode with libturbojpeg: Pillow writes no 4:4:0."""
    library = ctypes.CDLL(SONAME)
    library.tjInitCompress.restype = ctypes.c_void_p
    library.tjFree.argtypes = library.tjDestroy.argtypes = [ctypes.c_void_p]
    handle = library.tjInitCompress()
    buffer, size = ctypes.c_void_p(), ctypes.c_ulong()
    height, width = frame.shape[:2]
    flags = 16384 if progressive else 0
    failed = library.tjCompress2(
        *(ctypes.c_void_p(handle), ctypes.c_void_p(frame.ctypes.data)),
        *(width, 3 * width, height, 0, ctypes.byref(buffer), ctypes.byref(size)),
        *(4, quality, flags),
    )
    assert not failed
    data = ctypes.string_at(buffer, size.value)
    library.tjFree(buffer)
    library.tjDestroy(handle)
    return data


def jpeg(
    frame: Frame,
    sampling: Sampling = "4:2:0",
    *,
    quality: int = 92,
    progressive: bool = False,
    optimise: bool = False,
    restart_blocks: int = 0,
    trailing: bytes = b"",
) -> bytes:
    """Encode a frame, with an EXIF and a comment segment and bytes after EOI."""
    if sampling == "4:4:0":
        data = _with_440(frame, quality, progressive=progressive)
        comment = b"\xff\xfe" + struct.pack(">H", 2 + 4) + b"440!"
        return data[:2] + app(0xE1, EXIF) + comment + data[2:] + trailing
    image = Image.fromarray(frame)
    buffer = io.BytesIO()
    image.convert("L" if sampling == "grey" else "RGB").save(
        buffer,
        "JPEG",
        quality=quality,
        subsampling=-1 if sampling == "grey" else sampling,
        progressive=progressive,
        optimize=optimise,
        restart_marker_blocks=restart_blocks,
        exif=EXIF,
        comment=b"from a test",
    )
    return buffer.getvalue() + trailing


def app(marker: int, payload: bytes) -> bytes:
    """Return a segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(payload)) + payload


def with_segment(data: bytes, segment: bytes) -> bytes:
    """Return a JPEG with one more segment after SOI."""
    return data[:2] + segment + data[2:]


def with_second_image(data: bytes, second: bytes) -> bytes:
    """Return a JPEG with an MPF index and the image that it leads to behind EOI."""
    ifd = struct.pack("<HHHII", 1, 0xB002, 7, 32, 26) + bytes(4)
    length = len(data) + 4 + 4 + 8 + len(ifd) + 32
    # Offsets count from the index's own TIFF header, 8 bytes into its segment at 2.
    entries = struct.pack("<IIIHH", 0x30000, length, 0, 0, 0)
    entries += struct.pack("<IIIHH", 0, len(second), length - 10, 0, 0)
    index = b"MPF\0II*\0" + struct.pack("<I", 8) + ifd + entries
    out = with_segment(data, app(0xE2, index))
    assert len(out) == length
    return out + second


def second_image_offset(data: bytes) -> int:
    """Return where in the file the MPF index says the second image starts."""
    base = data.index(b"MPF\0") + 4
    (offset,) = struct.unpack_from("<I", data, base + 26 + 16 + 8)
    return int(base + offset)


TURNS = {"mirror": 1, "rotate 90": 5, "rotate 180": 6}
"""The numbers that libturbojpeg gives some of its transforms."""


class _Transform(ctypes.Structure):
    _fields_ = (
        ("region", ctypes.c_int * 4),
        ("op", ctypes.c_int),
        ("options", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("custom_filter", ctypes.c_void_p),
    )


def turned(data: bytes, how: str) -> bytes:
    """Return a JPEG flipped or turned without loss, its metadata as they are."""
    library = ctypes.CDLL(SONAME)
    library.tjInitTransform.restype = ctypes.c_void_p
    library.tjFree.argtypes = library.tjDestroy.argtypes = [ctypes.c_void_p]
    handle = library.tjInitTransform()
    buffer, size = ctypes.c_void_p(), ctypes.c_ulong()
    transform = _Transform(op=TURNS[how])
    failed = library.tjTransform(
        *(ctypes.c_void_p(handle), data, ctypes.c_ulong(len(data)), 1),
        *(ctypes.byref(buffer), ctypes.byref(size), ctypes.byref(transform), 0),
    )
    assert not failed
    out = ctypes.string_at(buffer, size.value)
    library.tjFree(buffer)
    library.tjDestroy(handle)
    return out

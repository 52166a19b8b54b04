"""Decoding by the system's libturbojpeg: what the strip decoder is held to."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.jpeg import coefficients, markers
from hotpixeld.jpeg.decoder import CodecError

if TYPE_CHECKING:
    from jpegs import Frame

RGB, STOP_ON_WARNING, LIMIT_SCANS = 0, 8192, 32768


def decode(data: bytes, width: int, height: int, out: Frame | None = None) -> Frame:
    """Decode a JPEG of a size, with the accurate DCT and smooth chroma: (H, W, 3) uint8."""
    structure = coefficients.header(data)
    if (structure.width, structure.height) != (width, height):
        size = f"{structure.width}x{structure.height}"
        raise CodecError(f"{size}, not {width}x{height}")
    data = markers.tidied(data, structure)
    frame = np.empty((height, width, 3), np.uint8) if out is None else out
    library = ctypes.CDLL(coefficients.SONAME)
    library.tjInitDecompress.restype = ctypes.c_void_p
    library.tjGetErrorStr2.restype = ctypes.c_char_p
    handle = ctypes.c_void_p(library.tjInitDecompress())
    try:
        if library.tjDecompress2(
            *(handle, ctypes.c_char_p(data), ctypes.c_ulong(len(data))),
            *(ctypes.c_void_p(frame.ctypes.data), width, 3 * width, height),
            *(RGB, STOP_ON_WARNING | LIMIT_SCANS),
        ):
            message = library.tjGetErrorStr2(handle).decode("utf-8", "replace").strip()
            truncated = message.startswith("Premature end of JPEG file")
            reason = "truncated" if truncated else f"corrupt: {message}"
            raise CodecError(reason, truncated=truncated)
    finally:
        library.tjDestroy(handle)
    return frame

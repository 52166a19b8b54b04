"""Large arrays in .npy files, a piece at a time: whoever looks sees that it gets on."""

from __future__ import annotations

import ctypes
import hashlib
import io
import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib import format as npy

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedReader
    from typing import BinaryIO

    from hotpixeld.welford import Plane

CHUNK = 1 << 24
"""Bytes of a piece: a disk of a megabyte a second takes seconds for it, not minutes."""
PIECE = 1 << 20
"""Bytes of a piece that is read back."""
_WAIT_WRITE_WAIT = 7
"""Flags of sync_file_range(2): all three."""


def _header(array: Plane) -> bytes:
    """Return the .npy header of a float32 array."""
    buffer = io.BytesIO()
    content = {"descr": "<f4", "fortran_order": False, "shape": array.shape}
    npy.write_array_header_1_0(buffer, content)
    return buffer.getvalue()


def write(file: BinaryIO, array: Plane, progress: Callable[[], None]) -> None:
    """Write `array` as .npy.

    Parameters
    ----------
    progress : callable
        Called after each `CHUNK`; the kernel has it then.
    """
    octets = np.ascontiguousarray(array, "<f4").reshape(-1).view(np.uint8).data
    file.write(_header(array))
    for start in range(0, len(octets), CHUNK):
        file.write(octets[start : start + CHUNK])
        file.flush()
        progress()


def sha256(file: BinaryIO, progress: Callable[[], None]) -> str:
    """Return the SHA-256, in hex, of all that was written to an open file.

    Parameters
    ----------
    progress : callable
        Called after each `PIECE`.
    """
    number, digest, buffer = file.fileno(), hashlib.sha256(), bytearray(PIECE)
    start = 0
    while size := os.preadv(number, [buffer], start):
        digest.update(memoryview(buffer)[:size])
        start += size
        progress()
    return digest.hexdigest()


def settle(file: BinaryIO) -> None:
    """Have the disk take what was written, before an fsync, which then has little to do.

    One fsync of a large file can take minutes on a slow disk, and does nothing meanwhile
    that anybody could see.  Where this is not possible it is left to the fsync.
    """
    number = file.fileno()
    call = ctypes.CDLL(None, use_errno=True).sync_file_range
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    for start in range(0, os.fstat(number).st_size, CHUNK):
        if call(number, start, CHUNK, _WAIT_WRITE_WAIT):
            return


def read(
    file: BufferedReader, shape: tuple[int, int, int], progress: Callable[[], None]
) -> tuple[bytes, Plane, str]:
    """Return the header of a .npy file, what follows as an array, and its SHA-256 in hex.

    What it is is for the caller to `check`, once the SHA-256 is right.

    Parameters
    ----------
    progress : callable
        Called after each `CHUNK`.
    """
    size = 10 + int.from_bytes(file.read(10)[8:], "little")  # NEP 1, version 1.0
    file.seek(0)
    header = file.read(size)
    digest = hashlib.sha256(header)
    array = np.empty(shape, np.float32)
    octets = array.reshape(-1).view(np.uint8).data
    for start in range(0, len(octets), CHUNK):
        chunk = octets[start : start + CHUNK]
        digest.update(chunk[: file.readinto(chunk)])
        progress()
    digest.update(file.read())
    return header, array, digest.hexdigest()


def check(header: bytes, shape: tuple[int, int, int]) -> None:
    """Raise ValueError where a header is not that of float32 in this shape."""
    file = io.BytesIO(header)
    npy.read_magic(file)
    found, _, dtype = npy.read_array_header_1_0(file)
    if found != shape or dtype != np.float32:
        raise ValueError(f"holds {dtype} {found}, not float32 {shape}")

"""A decoder with a fault: some photos bring down, or hang, the process that reads them.

Python imports this at its start where the folder is in PYTHONPATH.
"""

from __future__ import annotations

import ctypes
import signal
from typing import TYPE_CHECKING

from hotpixeld.jpeg import turbojpeg

if TYPE_CHECKING:
    from hotpixeld.jpeg.turbojpeg import Frame

_decode = turbojpeg.decode


def decode(data: bytes, width: int, height: int, out: Frame | None = None) -> Frame:
    """Decode, unless the photo is poisonous."""
    if b"POISON: CRASH" in data:
        ctypes.string_at(0)
    if b"POISON: HANG" in data:
        signal.pause()
    return _decode(data, width, height, out)


turbojpeg.decode = decode

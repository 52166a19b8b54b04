"""A decoder with a fault: some photos bring down, or hang, the process that reads them.

Python imports this at its start where the folder is in PYTHONPATH.
"""

from __future__ import annotations

import ctypes
import os
import signal

from hotpixeld.jpeg.decoder import StripDecoder

_begin = StripDecoder.__init__


def begin(
    self: StripDecoder, source: bytes | int, length: int = 0, *, memory: int = 0
) -> None:
    """Begin to decode, unless the photo is poisonous."""
    data = source if isinstance(source, bytes) else os.pread(source, length, 0)
    if b"POISON: CRASH" in data:
        ctypes.string_at(0)
    if b"POISON: HANG" in data:
        signal.pause()
    _begin(self, source, length, memory=memory)


StripDecoder.__init__ = begin  # type: ignore[method-assign] # the fault

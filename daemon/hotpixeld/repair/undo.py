"""From a copy back to the original's bytes: what must be kept for it, and the way.

A copy is the original but for some bits, fill bytes before the image's end, and offsets in
the MPF index.  The replaced bits are some 45 bytes a block; the other two are numbers.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hotpixeld.errors import RefusedError
from hotpixeld.jpeg import attach, bits
from hotpixeld.jpeg.bits import Replaced

if TYPE_CHECKING:
    from hotpixeld.repair.lossless import Repaired

# Fill bytes, bytes by which what follows the image moved; then the replaced bits.
_NUMBERS = struct.Struct("<ii")


def kept(repaired: Repaired) -> bytes | None:
    """Return what leads back from a copy, None where nothing does.

    It is empty where the copy is the original, as no defect showed.  Scans that were
    coded anew cannot be led back.
    """
    patch = repaired.patch
    if patch is None:
        is_original = repaired.method == "lossless" and not repaired.blocks
        return b"" if is_original else None
    return _NUMBERS.pack(patch.fill_bytes, patch.moved) + patch.replaced.packed()


def original(copy: bytes, way: bytes) -> bytes:
    """Return the original of a copy.

    Parameters
    ----------
    copy : bytes
        The file, to the bit as it was made.
    way : bytes
        What `kept` gave for it.

    Raises
    ------
    RefusedError
        They do not belong together, or one of them is damaged.
    """
    if not way:
        return copy
    try:
        fill_bytes, moved = _NUMBERS.unpack_from(way)
        image = attach.detached(attach.Attached(copy, (), fill_bytes, moved))
        return bits.undone(image, Replaced.unpacked(way[_NUMBERS.size :]))
    except (ValueError, struct.error) as error:
        raise RefusedError(
            f"what was kept of the original is damaged: {error}"
        ) from error

"""Put other bits in place of some in a JPEG file, all others kept, and back again.

What follows a change of another length moves by some bits, up to the end of its restart
interval; the work is done in ``c/bits.c``.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hotpixeld import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A change of this length goes to the end of the byte, with the padding that `offset` says.
PADDING = -1

CHANGE = np.dtype([(name, np.int64) for name in ("begin", "end", "offset", "length")])

# Of a change that leads back, as it is kept: its address, bits now, bits before.
_KEPT = np.dtype([("begin", "<u8"), ("now", "<u2"), ("before", "<u2")])

_NO_ROOM = 11
REASONS = {
    1: "bits that are not where they were",
    2: "a Huffman table whose codes do not fit",
    3: "bits that begin no code",
    4: "a run of zeros beyond the end of a block",
    5: "a symbol without a meaning",
    6: "a DC coefficient beyond 16 bits",
    7: "truncated: the coded data end too early",
    8: "a marker inside the coded data",
    9: "a restart marker is missing, or another one stands there",
    10: "more coded data than belongs there",
    12: "a marker among bits that would have to be moved",
}


class CodedDataError(ValueError):
    """The coded data are not what their tables and markers say.

    Attributes
    ----------
    reason : str
        What is wrong, in a few words.
    offset : int or None
        Byte of the file, None where the fault has no place.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        self.reason = reason
        self.offset = offset
        super().__init__(reason if offset is None else f"{reason}, at byte {offset}")


_place, _number, _data = ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p
_splice = compiled.function(
    "hotpixeld_splice_1",
    *(_data, _number, _number, _place, _data, _number),
    *(_place, _number, _place, _place, _number, _place),
    returns=ctypes.c_int,
)


@dataclass(frozen=True, slots=True, eq=False)
class Replaced:
    """The bits that a patch replaced, and where: what leads back to the original.

    Attributes
    ----------
    changes : (n,) structured
        Addresses in the copy, and each change's former bits: first byte and length.
    bits : bytes
        The former bits, each change's from a byte's beginning on.
    """

    changes: NDArray[Any]
    bits: bytes

    def packed(self) -> bytes:
        """Return it as bytes, 12 a change and the bits."""
        kept = np.empty(len(self.changes), _KEPT)
        kept["begin"] = self.changes["begin"]
        kept["now"] = self.changes["end"] - self.changes["begin"]
        kept["before"] = self.changes["length"]
        return len(kept).to_bytes(4, "little") + kept.tobytes() + self.bits

    @classmethod
    def unpacked(cls, packed: bytes) -> Replaced:
        """Return what `packed` gave.

        Raises
        ------
        ValueError
            It is damaged.
        """
        count = int.from_bytes(packed[:4], "little")
        end = 4 + count * _KEPT.itemsize
        if len(packed) < end:
            raise ValueError("the kept bits are cut short")
        kept = np.frombuffer(packed[4:end], _KEPT)
        changes = np.empty(count, CHANGE)
        changes["begin"] = kept["begin"]
        changes["end"] = changes["begin"] + kept["now"]
        changes["length"] = kept["before"]
        sizes = (changes["length"] + 7) // 8
        changes["offset"] = np.cumsum(sizes) - sizes
        if len(packed) != end + sizes.sum():
            raise ValueError("the kept bits are cut short")
        return cls(changes, packed[end:])


def spliced(
    data: bytes, changes: NDArray[Any], bits: bytes
) -> tuple[bytes, NDArray[Any], bytes]:
    """Return a file with changes made, the changes that lead back, and their bits."""
    inverse = np.zeros(len(changes), CHANGE)
    touched = (changes["end"] - changes["begin"] + 7) // 8
    former = np.empty(int(touched.sum()), np.uint8)
    written = ctypes.c_int64()
    # Bytes 0xFF are about as many as before; in the worst case all are.
    growth = len(data) // 64 + 4096
    while True:
        out = np.empty(len(data) + 2 * len(bits) + growth, np.uint8)
        reason = _splice(
            *(data, len(data), len(changes), changes.ctypes.data),
            *(bits, len(bits), out.ctypes.data, out.size),
            *(inverse.ctypes.data, former.ctypes.data, former.size),
            ctypes.byref(written),
        )
        if not reason:
            break
        if reason != _NO_ROOM:
            raise CodedDataError(REASONS[reason])
        growth += len(data)
    kept = int(((inverse["length"] + 7) // 8).sum())
    return out[: written.value].tobytes(), inverse, former[:kept].tobytes()


def undone(data: bytes, replaced: Replaced) -> bytes:
    """Return the original of a patched photo.

    Parameters
    ----------
    data : bytes
        The copy, as `patch` made it.
    replaced : Replaced
        Of the same patch.

    Raises
    ------
    CodedDataError
        It is not that copy.
    """
    return spliced(data, replaced.changes, replaced.bits)[0]

"""Decoding, a strip of rows at a time, by libjpeg-turbo's scanlines.

The levels are those of any libjpeg: accurate DCT, smooth chroma.  A photo takes some rows
and no whole frame, except where its coefficients come in several scans: they stay in
memory until the last scan is there.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from hotpixeld.compiled import function
from hotpixeld.errors import HotpixeldError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotpixeld.jpeg.block_reader import Window

Frame = NDArray[np.uint8]
"""Decoded rows: (rows, W, 3) uint8, red, green, blue, 0-255."""

MOST_SCANS = 500
"""Each is a pass over the whole frame; the limit of libturbojpeg."""
FIXED_BYTES, ROW_BYTES = 130_000, 36
"""Of a decoder's memory: in all, and per pixel of the frame's width, at most."""
_MESSAGE = 200
_STRIP_ROWS = 64
_GOOD, _TRUNCATED, _UNREADABLE, _OVER_MEMORY, _STOPPED = 0, 2, 3, 4, 6


class CodecError(HotpixeldError):
    """A JPEG cannot be decoded whole.

    Attributes
    ----------
    reason : str
        Why, in a few words.
    truncated : bool
        The file ends too early: perhaps it is still being written.
    """

    def __init__(self, reason: str, *, truncated: bool = False) -> None:
        self.reason = reason
        self.truncated = truncated
        super().__init__(reason)


class UnreadableError(CodecError):
    """The file cannot be read: an error of its disk.

    Attributes
    ----------
    error : int
        Its number in `errno`.
    """

    def __init__(self, error: int, reason: str) -> None:
        self.error = error
        super().__init__(reason)


class OverMemoryError(CodecError):
    """The coefficients of several scans need more memory than there may be."""


class _Report(ctypes.Structure):
    """`struct report` of strips.c."""

    _fields_ = (
        ("status", ctypes.c_int32),
        ("error", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("height", ctypes.c_int32),
        ("components", ctypes.c_int32),
        ("precision", ctypes.c_int32),
        ("coefficients", ctypes.c_uint64),
        ("message", ctypes.c_char * _MESSAGE),
    )


class _Window(ctypes.Structure):
    """`struct window` of strips.c."""

    _fields_ = (
        ("decoder", ctypes.c_void_p),
        ("rows", ctypes.c_void_p),
        ("number", ctypes.c_uint64),
    )


_HANDLE, _SIZE = ctypes.POINTER(_Report), ctypes.c_size_t
_open_strips = function(
    "hotpixeld_strips_open_1",
    *(ctypes.c_char_p, _SIZE, ctypes.c_int, ctypes.c_int, _SIZE),
    returns=_HANDLE,
)
_read_strips = function("hotpixeld_strips_read_1", _HANDLE, ctypes.c_void_p, _SIZE)
_close_strips = function("hotpixeld_strips_close_1", _HANDLE)
_share_strips = function(
    "hotpixeld_strips_share_1",
    *(ctypes.POINTER(_Window), _SIZE, ctypes.POINTER(_SIZE), _SIZE, _SIZE, _SIZE),
    *(ctypes.c_void_p, ctypes.c_void_p),
)


class Size(NamedTuple):
    """How many rows and columns a photo has."""

    height: int
    width: int


class StripDecoder:
    """One JPEG, decoded from its top to its bottom; used by one thread at a time.

    Parameters
    ----------
    source : bytes or int
        The file, or its descriptor: it is read by `pread`, from its first byte on.  What follows
        its first image is ignored.
    length : int
        Bytes of the descriptor's file.
    memory : int
        Most bytes for a photo of several scans; 0 is without limit.

    Attributes
    ----------
    size : Size
    coefficient_bytes : int
        What stays in memory while several scans are decoded; 0 for a single scan.

    Raises
    ------
    CodecError
        Malformed or truncated, 12 bits, or CMYK.
    OverMemoryError
        It has several scans that need more than `memory`.
    UnreadableError
        The descriptor cannot be read.
    """

    def __init__(
        self, source: bytes | int, length: int = 0, *, memory: int = 0
    ) -> None:
        self._data = source if isinstance(source, bytes) else None  # libjpeg reads it
        descriptor = source if isinstance(source, int) else -1
        size = length if self._data is None else len(self._data)
        self._handle = _open_strips(self._data, size, descriptor, MOST_SCANS, memory)
        if not self._handle:
            raise MemoryError("no memory for another decoder")
        try:
            self._check(memory)
        except CodecError:
            self.close()
            raise
        report = self._handle.contents
        self.size = Size(report.height, report.width)
        self.coefficient_bytes = int(report.coefficients)

    def _check(self, memory: int) -> None:
        """Raise what is wrong with the header."""
        report = self._handle.contents
        self.check()
        if report.components not in {1, 3}:
            raise CodecError(f"{report.components} colour components (CMYK)")
        if memory and report.coefficients > memory:
            raise OverMemoryError(
                f"its scans need {report.coefficients} bytes of memory, there are"
                f" {memory}"
            )

    def check(self) -> None:
        """Raise what went wrong; see the class."""
        report = self._handle.contents
        message = report.message.decode("utf-8", "replace")
        if report.precision not in {0, 8}:  # 0: no header yet
            raise CodecError(f"{report.precision} bits per sample")
        if report.status == _TRUNCATED:
            raise CodecError("truncated", truncated=True)
        if report.status == _UNREADABLE:
            raise UnreadableError(report.error, message)
        if report.status == _STOPPED:
            raise CodecError("given up")
        if report.status == _OVER_MEMORY:
            raise OverMemoryError(message)
        if report.status != _GOOD:
            raise CodecError(f"corrupt: {message}")

    def read(self, out: Frame) -> None:
        """Decode the next rows into `out`, (rows, W, 3) uint8, contiguous.

        Red, green and blue are equal in a grey photo.  Whether the image has its end is
        known with its last row.

        Raises
        ------
        CodecError
            See the class; nothing more can be read then.
        """
        if out.shape[1:] != (self.size.width, 3) or not out.flags.c_contiguous:
            raise ValueError(f"rows are {out.shape}, frame is {self.size}")
        _read_strips(self._handle, out.ctypes.data, len(out))
        self.check()

    def close(self) -> None:
        """Free its memory; fine when it is closed."""
        if self._handle:
            _close_strips(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def decode(data: bytes) -> Frame:
    """Decode a JPEG whole: (H, W, 3) uint8.

    Raises
    ------
    CodecError
    """
    with StripDecoder(data) as decoder:
        frame = np.empty((*decoder.size, 3), np.uint8)
        decoder.read(frame)
        return frame


def cut_out(data: bytes, windows: Sequence[Window]) -> list[Frame]:
    """Decode a JPEG a strip at a time, all of it, and return windows of it.

    Raises
    ------
    CodecError
    """
    with StripDecoder(data) as photo:
        height, width = photo.size
        found = [
            np.zeros((one.bottom - one.top, one.right - one.left, 3), np.uint8)
            for one in windows
        ]
        strip = np.empty((_STRIP_ROWS, width, 3), np.uint8)
        for first in range(0, height, _STRIP_ROWS):
            last = min(first + _STRIP_ROWS, height)
            photo.read(strip[: last - first])
            for one, out in zip(windows, found, strict=True):
                top, bottom = max(one.top, first), min(one.bottom, last)
                if top < bottom:
                    rows = strip[top - first : bottom - first, one.left : one.right]
                    out[top - one.top : bottom - one.top] = rows
        return found


class SideBySide:
    """Photos of one size, decoded side by side; each through a window of its rows.

    Parameters
    ----------
    decoders : sequence of StripDecoder
    numbers : sequence of int
        What a thread's mark says while it is in a photo; not 0.
    windows : (photos, kept + rows, W, 3) uint8, contiguous
        Where the rows come to: those kept of the strips before, then those of the strip.
    kept : int
    stop : (1,) uint32
        As soon as it is not 0, all photos are given up, in the middle of a strip too.
    """

    def __init__(
        self,
        decoders: Sequence[StripDecoder],
        numbers: Sequence[int],
        windows: Frame,
        kept: int,
        stop: NDArray[np.uint32],
    ) -> None:
        self._decoders, self._stop = decoders, stop
        self._kept = kept
        self._places = windows  # libjpeg writes there
        self._windows = (_Window * len(decoders))(
            *(
                _Window(
                    ctypes.cast(one._handle, ctypes.c_void_p),
                    window.ctypes.data,
                    number,
                )
                for one, number, window in zip(decoders, numbers, windows, strict=True)
            )
        )
        self._next = ctypes.c_size_t()
        self._former = self._count = 0

    def begin(self, count: int) -> None:
        """Go on to a strip of so many rows, which threads then `share`."""
        self._former, self._count = self._count, count
        self._next.value = 0

    def share(self, mark: int) -> None:
        """Decode photos of this strip until none is left that no thread has begun.

        `mark` is the address of eight bytes that tell which photo this thread is in.
        """
        _share_strips(
            self._windows,
            len(self._decoders),
            ctypes.byref(self._next),
            self._kept,
            self._former,
            self._count,
            mark,
            self._stop.ctypes.data,
        )

    def failures(self) -> dict[int, CodecError]:
        """Return what went wrong, by the photo's place among the decoders."""
        found = {}
        for place, decoder in enumerate(self._decoders):
            try:
                decoder.check()
            except CodecError as error:
                found[place] = error
        return found

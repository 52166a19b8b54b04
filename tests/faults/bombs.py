"""Files that are small and ask for much, or large and say nothing."""

from __future__ import annotations

import io
import struct

from PIL import Image

from hotpixeld.jpeg import markers


def _jpeg(width: int, height: int, *, progressive: bool) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("RGB", (width, height), (90, 90, 90))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Maker", "Bomb"
    image.save(buffer, "JPEG", quality=30, progressive=progressive, exif=exif)
    return buffer.getvalue()


def _sized(data: bytes, width: int, height: int) -> bytes:
    """Return a photo whose header says another size."""
    frame = next(
        one for one in markers.parse(data).segments if one.marker in markers.FRAMES
    )
    size = struct.pack(">HH", height, width)
    return data[: frame.offset + 5] + size + data[frame.offset + 9 :]


def _scans(data: bytes, count: int) -> bytes:
    """Return a progressive photo whose last scan comes `count` times."""
    found = markers.parse(data)
    last = found.scans[-1]
    scan = data[last.header.offset : last.end]
    return data[: last.end] + scan * count + data[last.end :]


def bombs() -> dict[str, bytes]:
    """Return files that are small and ask for much, or large and say nothing."""
    small, progressive = (
        _jpeg(64, 48, progressive=False),
        _jpeg(640, 480, progressive=True),
    )
    head = b"\xff\xd8"
    frame = small[2:]
    return {
        "65500x65500": _sized(small, 65500, 65500),
        "24 MP in 2 kB": _sized(small, 6000, 4000),
        "24 MP progressive in 2 kB": _sized(progressive, 6000, 4000),
        "24 MP of nothing": _jpeg(6000, 4000, progressive=False),
        "24 MP of nothing, progressive": _jpeg(6000, 4000, progressive=True),
        "200 MP in 700 bytes": _sized(small, 16000, 12500),
        "10,000 scans": _scans(progressive, 10_000),
        "a million segments": head + b"\xff\xe0\x00\x02" * 1_000_000 + frame,
        "50 MB of fill bytes": small[:-2] + b"\xff" * 50_000_000 + b"\xff\xd9",
        "50 MB of fill bytes in front": head + b"\xff" * 50_000_000 + frame,
        "50 MB of nothing": head + bytes(50_000_000),
        "50 MB of comments": head + (b"\xff\xfe\xff\xff" + bytes(65533)) * 760 + frame,
        "0x0": _sized(small, 0, 0),
        "1x65500": _sized(small, 1, 65500),
    }

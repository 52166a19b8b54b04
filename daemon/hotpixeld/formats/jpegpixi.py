"""Blocks for jpegpixi (``-f``), which jpeghotp writes too: ``X,Y,SIZE``, top left and size.

Also ``X,Y`` alone and ``X,Y,WIDTH,HEIGHT``, behind ``#`` comments; a direction in front
(``V:``) says how jpegpixi fills.  A block covers a defect with its footprint; its middle is
the defect.  One that the frame cuts off names the defect in a comment behind it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hotpixeld.defect import Defect
from hotpixeld.formats.form import Form, read_lines, to_repair

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.formats.form import CameraMaps, ReadPixel

MOST_SIZE = 33
"""Pixels across of the largest footprint that a configuration may give."""

_LINE = re.compile(r"(?:[2VvHh]:)?(\d{1,9}),(\d{1,9})(?:,(\d{1,9}))?(?:,(\d{1,9}))?")
_PLACE = re.compile(r"(\d{1,9}),(\d{1,9})")


def _cut(at: int, reach: int, extent: int) -> tuple[int, int]:
    """Return where a block begins and how long it is, in a frame of this extent."""
    first, last = max(at - reach, 0), min(at + reach, extent - 1)
    return first, last - first + 1


def _block(defect: Defect, camera: Camera) -> str:
    reach = 1 if defect.radius is None else defect.radius
    x, width = _cut(defect.x, reach, camera.width)
    y, height = _cut(defect.y, reach, camera.height)
    if width == height == 2 * reach + 1:
        return f"{x},{y},{width}"
    return f"{x},{y},{width},{height}  # {defect.x},{defect.y}"


def _write(maps: CameraMaps) -> bytes:
    camera = maps[0].camera
    blocks = [_block(listed.defect, camera) for listed in to_repair(maps)]
    return ("\n".join([f"# {camera.id}", *blocks]) + "\n").encode()


def _pixel(line: str, comment: str) -> Defect:
    match = _LINE.fullmatch(line)
    if match is None:
        advice = "X,Y or X,Y,SIZE or X,Y,WIDTH,HEIGHT in pixels"
        raise ValueError(f"{line!r} is no block: {advice}")
    x, y = int(match[1]), int(match[2])
    width = int(match[3] or 1)
    height = int(match[4] or width)
    if not (0 < width <= MOST_SIZE and 0 < height <= MOST_SIZE):
        raise ValueError(f"{line!r}: a block is of 1 to {MOST_SIZE} pixels each way")
    middle = x + (width - 1) // 2, y + (height - 1) // 2
    if place := _PLACE.fullmatch(comment):
        named = int(place[1]), int(place[2])
        is_inside = 0 <= named[0] - x < width and 0 <= named[1] - y < height
        middle = named if is_inside else middle
    defect = Defect.at(*middle)
    if width == height == 1:
        return defect
    reach = max(middle[0] - x, x + width - 1 - middle[0])
    reach = max(reach, middle[1] - y, y + height - 1 - middle[1])
    return replace(defect, radius=min(reach, MOST_SIZE // 2))


def _read(content: bytes, camera: Camera, source: Path) -> list[ReadPixel]:
    del camera
    return read_lines(content, source, _pixel)


FORM = Form("jpegpixi", ".jpegpixi.txt", _write, _read, _LINE)

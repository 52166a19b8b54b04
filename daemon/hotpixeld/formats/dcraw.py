"""Bad pixels for dcraw (``-P``), LibRaw (``bad_pixels``), rawpy and rawtoaces.

``column row time`` in each line, behind ``#`` comments: the pixel is repaired in photos
taken at that UNIX time or later, the photo's time read as local time; 0 is always.  They
skip a line in silence that is not exactly that, and so is done by photos without a Bayer
pattern.  Coordinates are those of the visible area.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hotpixeld.defect import Defect
from hotpixeld.formats.form import Form, begins, read_lines, to_repair

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.formats.form import CameraMaps, ReadPixel

_LINE = re.compile(r"(-?\d{1,9})\s+(-?\d{1,9})\s+(\d{1,10})")


def _write(maps: CameraMaps) -> bytes:
    lines = [f"# {one.camera.id}: column row time" for one in maps]
    for listed in to_repair(maps):
        began = begins(listed)
        time = 0 if began is None else max(int(began.timestamp()), 0)
        lines.append(f"{listed.defect.x} {listed.defect.y} {time}")
    return ("\n".join(lines) + "\n").encode()


def _pixel(line: str, comment: str) -> Defect:
    del comment
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is not `column row time`, three whole numbers")
    defect = Defect.at(int(match[1]), int(match[2]))
    time = int(match[3])
    if not time:
        return defect
    # Local time, as dcraw compares it: a camera's clock has no zone.
    return replace(defect, by=dt.datetime.fromtimestamp(time))  # noqa: DTZ006


def _read(content: bytes, camera: Camera, source: Path) -> list[ReadPixel]:
    del camera
    return read_lines(content, source, _pixel)


FORM = Form("dcraw", ".dcraw.txt", _write, _read, _LINE, is_raw=True)

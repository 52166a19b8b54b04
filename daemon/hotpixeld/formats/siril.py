"""Bad pixels for Siril: a ``.lst`` for ``cosme_cfa``, or ``calibrate -cc=bpm``.

``P x y H`` in each line for a hot pixel, ``C`` for a cold one; ``#`` comments.  x, y from the
top left of the raw frame, though Siril keeps its rows from the bottom up: it turns y over as
it reads a list, as it does a raw photo's rows (``apply_cosme_to_image`` in
src/filters/cosmetic_correction.c of lock042/siril at 019ff9f, ``readraw_in_cfa`` in
src/io/image_formats_libraries.c).  Columns (``C``) and lines (``L``) of a sensor are no
pixels.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hotpixeld.defect import Defect, Kind
from hotpixeld.formats.form import Form, read_lines, to_repair

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.formats.form import CameraMaps, ReadPixel

_LINE = re.compile(r"([PCL])\s+(-?\d{1,9})\s+(-?\d{1,9})(?:\s+([HC]))?")


def _write(maps: CameraMaps) -> bytes:
    lines = [f"# {one.camera.id}" for one in maps]
    for listed in to_repair(maps):
        letter = "C" if listed.defect.kind is Kind.DEAD else "H"
        lines.append(f"P {listed.defect.x} {listed.defect.y} {letter}")
    return ("\n".join(lines) + "\n").encode()


def _pixel(line: str, comment: str) -> Defect:
    del comment
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is not `P x y H` or `P x y C`")
    if match[1] != "P":
        what = "column" if match[1] == "C" else "line"
        raise ValueError(f"{line!r} is a whole {what}, not a pixel: take it out")
    kind = Kind.DEAD if match[4] == "C" else Kind.HOT
    return replace(Defect.at(int(match[2]), int(match[3])), kind=kind)


def _read(content: bytes, camera: Camera, source: Path) -> list[ReadPixel]:
    del camera
    return read_lines(content, source, _pixel)


FORM = Form("siril", ".lst", _write, _read, _LINE, is_raw=True)

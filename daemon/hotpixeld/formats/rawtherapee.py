"""Bad pixels for RawTherapee and ART: a ``.badpixels`` file in the folder of dark frames.

It is found by its name, upper and lower case told apart: dcraw's name of the camera with the
serial number of the EXIF data, else without it.  ``x y`` in each line; a number alone in the
first line is added to all that follow.  Lines that do not begin with two numbers are skipped
in silence.  So do both programs read it: rtengine/dfmanager.cc, ``scanBadPixelsFile`` and
``getBadPixels``, of Beep6581/RawTherapee at 024f456 and artraweditor/ART at e38db6d.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hotpixeld.defect import Defect
from hotpixeld.formats.form import Form, moved, read_lines, to_repair

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.formats.form import CameraMaps, ReadPixel

MAKERS = (
    "AgfaPhoto", "Canon", "Casio", "Epson", "Fujifilm", "Mamiya", "Minolta", "Motorola",
    "Kodak", "Konica", "Leica", "Nikon", "Nokia", "Olympus", "Pentax", "Phase One", "Ricoh",
    "Samsung", "Sigma", "Sinar", "Sony",
)  # fmt: skip
"""The makers whose names dcraw shortens to these, in its order: the first that is found in
what it has so far."""
_FILLERS = ("FinePix ", "Digital Camera ")
"""What dcraw takes off the front of a model."""

_LINE = re.compile(r"(-?\d{1,9})(?:\s+(-?\d{1,9}))?")


def dcraw_name(make: str, model: str) -> str:
    """Return maker and model as dcraw says them, and programs that are made of it.

    >>> dcraw_name("NIKON CORPORATION", "NIKON D80")
    'Nikon D80'
    >>> dcraw_name("Canon", "Canon EOS 1100D")
    'Canon EOS 1100D'
    >>> dcraw_name("RICOH IMAGING COMPANY, LTD.", "PENTAX K-3 II")
    'Pentax K-3 II'
    """
    for maker in MAKERS:
        if maker.casefold() in make.casefold():
            make = maker
    if model.casefold().startswith("pentax"):
        make = "Pentax"
    if make in {"Kodak", "Leica"}:
        model = re.split(" DIGITAL CAMERA|FILE VERSION", model, flags=re.IGNORECASE)[0]
    make, model = make.rstrip(), model.rstrip()
    if model.casefold().startswith(f"{make} ".casefold()):
        model = model[len(make) + 1 :]
    for filler in _FILLERS:
        model = model.removeprefix(filler)
    return f"{make} {model}".strip()


def _file_name(camera: Camera) -> str:
    words = f"{dcraw_name(camera.make, camera.model)} {camera.serial}".strip()
    return words.replace("/", "_") + ".badpixels"


def _write(maps: CameraMaps) -> bytes:
    lines = (f"{one.defect.x} {one.defect.y}\n" for one in to_repair(maps))
    return "".join(lines).encode()


def _read(content: bytes, camera: Camera, source: Path) -> list[ReadPixel]:
    del camera
    first, newline, rest = content.partition(b"\n")
    offset = 0
    if re.fullmatch(rb"\s*-?\d{1,9}\s*(#.*)?", first):
        offset, content = int(first.partition(b"#")[0]), newline + rest

    def pixel(line: str, comment: str) -> Defect:
        del comment
        match = _LINE.fullmatch(line)
        if match is None or match[2] is None:
            raise ValueError(f"{line!r} is not `x y`, two whole numbers")
        return moved(Defect.at(int(match[1]), int(match[2])), offset, offset)

    return read_lines(content, source, pixel)


FORM = Form(
    "rawtherapee",
    ".badpixels",
    _write,
    _read,
    _LINE,
    is_raw=True,
    file_name=_file_name,
)

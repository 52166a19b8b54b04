"""A mask as a PNG: white where a pixel is bad, for OpenCV, G'MIC, AviSynth, GIMP and others.

Grey, 8 bits, as large as the camera's photos.  What a defect smears into its surroundings in
a JPEG is a shade below white (254): every program takes that for white too, and whoever
reads the list again finds the defects, which alone are 255.  Of a mask of another's making
each pixel of its brightest level is listed.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hotpixeld.defect import Defect
from hotpixeld.errors import PixelListError
from hotpixeld.formats.form import Form, ReadPixel, check_size, to_repair

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from hotpixeld.camera import Camera
    from hotpixeld.formats.form import CameraMaps

SITE, FOOTPRINT = 255, 254
MOST_PIXELS = 100_000
"""A mask that has more is none: a photo, or one with black for bad."""

_NO_TEXT = re.compile(r"(?!)")


def _write(maps: CameraMaps) -> bytes:
    camera = maps[0].camera
    mask = np.zeros((camera.height, camera.width), np.uint8)
    defects = [listed.defect for listed in to_repair(maps)]
    for one in defects:
        reach = 1 if one.radius is None else one.radius
        rows = slice(max(one.row - reach, 0), one.row + reach + 1)
        mask[rows, max(one.col - reach, 0) : one.col + reach + 1] = FOOTPRINT
    for one in defects:
        mask[one.row, one.col] = SITE
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _levels(content: bytes, camera: Camera, source: Path) -> NDArray[np.generic]:
    """Return a mask's levels, (H, W); of one in colours the strongest.

    Raises
    ------
    PixelListError
        It is no PNG, or not of the size of the camera's photos.
    """
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            check_size(image.size, camera, source)
            colours = "RGB" if image.mode in {"P", "PA", "RGBA"} else image.mode
            levels = np.asarray(image.convert("L" if image.mode == "LA" else colours))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PixelListError([f"{source}: no PNG that can be read: {error}"]) from error
    return levels if levels.ndim == 2 else levels.max(axis=2)


def _read(content: bytes, camera: Camera, source: Path) -> list[ReadPixel]:
    levels = _levels(content, camera, source)
    is_bad = (levels == levels.max()) & (levels != 0)
    if (count := np.count_nonzero(is_bad)) > MOST_PIXELS:
        problem = (
            f"{source}: {count} white pixels: a mask is white where pixels are bad"
        )
        raise PixelListError([problem])
    return [
        ReadPixel(f"{col},{row}", Defect(int(row), int(col)))
        for row, col in np.argwhere(is_bad)
    ]


FORM = Form("png", ".png", _write, _read, _NO_TEXT)

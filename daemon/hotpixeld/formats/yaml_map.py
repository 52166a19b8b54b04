"""Maps as YAML, in the configuration's grammar: `map.yaml`, a configuration, or a part of it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from hotpixeld.config import load, map_yaml, yaml_positions
from hotpixeld.defect import Defect
from hotpixeld.errors import ConfigError, PixelListError
from hotpixeld.formats.form import (
    Form,
    ReadPixel,
    check_size,
    only_of,
    text_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import CameraConfig, Pixel
    from hotpixeld.formats.form import CameraMap, CameraMaps


def _entry(one: CameraMap) -> str:
    own = [listed for listed in one.pixels if not listed.prior]
    there = [listed for listed in own if not listed.ignored]
    return map_yaml.entry(
        one.camera,
        [listed.defect for listed in there if listed.is_certain],
        one.record.photos,
        [listed.defect for listed in own if listed.ignored],
        [listed.defect for listed in there if not listed.is_certain],
    )


def _write(maps: CameraMaps) -> bytes:
    entries = list(map(_entry, maps))
    text = f"{map_yaml.HEADER}cameras:\n{''.join(entries)}"
    return (text if entries else "cameras: []\n").encode()


def _defect(pixel: Pixel) -> Defect:
    """Return what a list says of a pixel; the first photo of a detected one is no date."""
    defect = pixel.defect()
    if defect.score is not None and defect.after is None:
        return replace(defect, by=None)
    return defect


def _name(entry: CameraConfig) -> str:
    said = (entry.name, entry.make, entry.model, entry.serial)
    return " ".join(part for part in said if part) or "one without a name"


def _read(content: bytes, camera: Camera, source: Path) -> list[ReadPixel]:
    text = text_of(content, source)
    try:
        cameras = load.parse(text, source).cameras
    except ConfigError as error:
        raise PixelListError(error.problems) from error
    wanted = [index for index, one in enumerate(cameras) if one.matches(camera)]
    at = only_of([_name(one) for one in cameras], wanted, camera, source)
    entry = cameras[at]
    if entry.size is not None:
        check_size(entry.size, camera, source)
    document = yaml_positions.parse(text, str(source))

    def line(key: str, index: int) -> str:
        return str(document.place(("cameras", at, key, index)).line)

    return [
        *(
            ReadPixel(line("pixels", index), _defect(pixel))
            for index, pixel in enumerate(entry.pixels)
        ),
        *(
            ReadPixel(line("ignore", index), Defect.at(one.x, one.y), ignored=True)
            for index, one in enumerate(entry.ignore)
        ),
    ]


FORM = Form(
    "yaml", ".yaml", _write, _read, re.compile(r"[a-z_]+\s*:.*"), knows_cameras=True
)

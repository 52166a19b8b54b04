"""What a list of another program adds to the configuration.

Pixels are checked against the camera's frame and the configuration's grammar; what is listed
there already is not added, nor what it says the opposite of.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from hotpixeld.config import edit, load, map_yaml
from hotpixeld.config.model import CameraConfig, Config, Pixel, Point
from hotpixeld.errors import ConfigError, HotpixeldError, PixelListError
from hotpixeld.formats.form import ReadPixel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.defect import Defect

    Sound = list[tuple[ReadPixel, Pixel]]
    """Pixels as a file lists them, and as the configuration would."""


def _pixel(defect: Defect) -> Pixel:
    """Return a pixel as the configuration has it.

    Raises
    ------
    ValueError
        It does not keep to the configuration's grammar.
    """
    since = {"after": defect.after, "by": defect.by}
    values = {
        "x": defect.x,
        "y": defect.y,
        "kind": defect.kind,
        "since": since if any(since.values()) else None,
        "until": defect.until,
        "radius": defect.radius,
        "focal": defect.focal,
    }
    try:
        return Pixel.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{key}: {first['msg']}") from error


def sound(pixels: Sequence[ReadPixel], camera: Camera, source: Path) -> Sound:
    """Return pixels with what the configuration would say of them.

    Parameters
    ----------
    source : Path
        The file that lists them, for messages.

    Raises
    ------
    PixelListError
        With each that lies outside the camera's frame, or is none that could be listed.
    """
    found, problems = list[tuple[ReadPixel, Pixel]](), list[str]()
    frame = f"the {camera.width} x {camera.height} frame of {camera.id}"
    for one in pixels:
        gap = ":" if one.where.isdigit() else ": "
        at = f"{source}{gap}{one.where}"
        x, y = one.defect.x, one.defect.y
        if not (0 <= x < camera.width and 0 <= y < camera.height):
            problems.append(f"{at}: {x},{y} is outside {frame}")
            continue
        try:
            found.append((one, _pixel(one.defect)))
        except ValueError as error:
            problems.append(f"{at}: {x},{y}: {error}")
    if problems:
        raise PixelListError(problems)
    return found


@dataclass(frozen=True, slots=True)
class Additions:
    """What a list adds.

    Attributes
    ----------
    pixels : list of Pixel
    ignore : list of Point
    known : list of Point
        Listed already, in the same words or others.
    opposite : list of Point
        Left out: the configuration ignores what the list has repaired, or the other way
        round.
    """

    pixels: list[Pixel] = field(default_factory=list)
    ignore: list[Point] = field(default_factory=list)
    known: list[Point] = field(default_factory=list)
    opposite: list[Point] = field(default_factory=list)


def additions(
    read: Sound, listed: Iterable[Pixel], ignored: Iterable[tuple[int, int]]
) -> Additions:
    """Return what a list adds to what the configuration says of a camera.

    Parameters
    ----------
    listed : iterable of Pixel
    ignored : iterable of (int, int)
        As x, y.
    """
    lives = defaultdict[tuple[int, int], list[Pixel]](list)
    for pixel in listed:
        lives[pixel.x, pixel.y].append(pixel)
    sound_ones = set(ignored)
    found = Additions()
    for one, pixel in sorted(read, key=lambda pair: pair[0].ignored):
        place = pixel.x, pixel.y
        point = Point(x=pixel.x, y=pixel.y)
        is_there, is_sound = place in lives, place in sound_ones
        if is_there if one.ignored else is_sound:
            found.opposite.append(point)
        elif is_sound or any(_overlap(pixel, other) for other in lives.get(place, ())):
            found.known.append(point)
        elif one.ignored:
            sound_ones.add(place)
            found.ignore.append(point)
        else:
            lives[place].append(pixel)
            found.pixels.append(pixel)
    return found


def _overlap(one: Pixel, other: Pixel) -> bool:
    starts, ends = zip(one.life, other.life, strict=True)
    return max(starts) < min(ends)


def added(
    text: str, source: Path, camera: Camera, index: int | None, new: Additions
) -> str:
    """Return the text of a configuration with additions to it.

    Parameters
    ----------
    text, source : str, Path
        A configuration without faults, and its file.
    index : int or None
        Which entry of `cameras` they go to; None is a new one.

    Raises
    ------
    HotpixeldError
        The text is written in a way that they cannot be put into.
    """
    config = load.parse(text, source)
    cameras = list(config.cameras)
    items = {
        "pixels": [map_yaml.pixel(one.defect()) for one in new.pixels],
        "ignore": [f"[{one.x}, {one.y}]" for one in new.ignore],
    }
    lists = {"pixels": tuple(new.pixels), "ignore": tuple(new.ignore)}
    if index is None:
        make, model, serial = camera.body
        size = camera.width, camera.height
        entry = CameraConfig(make=make, model=model, serial=serial, size=size)
        cameras.append(entry.model_copy(update=lists))
        after = edit.with_camera(text, camera, items)
    else:
        entry = cameras[index]
        both = {key: getattr(entry, key) + more for key, more in lists.items()}
        cameras[index] = entry.model_copy(update=both)
        after = edit.with_pixels(text, index, items)
    wanted = config.model_copy(update={"cameras": tuple(cameras)})
    if not _says(after, source, wanted):
        lines = "\n".join(f"  - {item}" for listed in items.values() for item in listed)
        raise HotpixeldError(
            f"{source}: `cameras` is written in a way that nothing can be added to: put"
            f" these into the entry of {camera.id} by hand:\n{lines}"
        )
    return after


def _says(text: str, source: Path, wanted: Config) -> bool:
    """Return whether a configuration's text says just what is wanted."""
    try:
        return load.parse(text, source).model_dump() == wanted.model_dump()
    except ConfigError:
        return False

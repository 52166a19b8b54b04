"""Names of cameras: what people call them, and which one a name on a command line means."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hotpixeld.errors import HotpixeldError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config


def _name(camera: Camera, config: Config) -> str:
    """Return what people call a camera: its name in the configuration, or its model."""
    named = [one.name for one in config.camera_entries(camera) if one.name]
    if named:
        return named[0]
    model, brand = camera.model or "unnamed camera", camera.make.split(maxsplit=1)
    if brand and not model.lower().startswith(brand[0].lower()):
        return f"{brand[0]} {model}"
    return model


def names(cameras: Sequence[Camera], config: Config) -> dict[str, str]:
    """Return the names of cameras by id; namesakes are told apart."""
    found = {camera.id: _name(camera, config) for camera in cameras}
    often = Counter(found.values())
    for camera in cameras:
        if often[found[camera.id]] > 1:
            size = f"{camera.width} x {camera.height}"
            apart = f"{camera.serial}, {size}" if camera.serial else size
            found[camera.id] += f" ({apart})"
    return found


def meant(cameras: Sequence[Camera], config: Config, named: str) -> list[Camera]:
    """Return the cameras that a name means.

    By id, a configured name or a serial number, which may stand for several: one body at
    two sizes; or by what begins one id only, or is part of one model or name only.

    Raises
    ------
    HotpixeldError
        It means no camera, or is a beginning or a part of several.
    """
    text, called = named.casefold(), names(cameras, config)
    whole: tuple[Callable[[Camera], bool], ...] = (
        lambda one: one.id == named,
        lambda one: named in {entry.name for entry in config.camera_entries(one)},
        lambda one: one.serial == named,
    )
    parts: tuple[Callable[[Camera], bool], ...] = (
        lambda one: one.id.startswith(text),
        lambda one: text in {one.model.casefold(), called[one.id].casefold()},
        lambda one: text in called[one.id].casefold() or text in one.model.casefold(),
    )
    for is_meant in (*whole, *parts):
        found = [camera for camera in cameras if is_meant(camera)]
        if len(found) > 1 and is_meant in parts:
            raise HotpixeldError(
                f"{named!r} may be any of {len(found)} cameras: {_known(found)}"
            )
        if found:
            return found
    raise HotpixeldError(f"no camera {named!r}; known: {_known(cameras)}")


def _known(cameras: Sequence[Camera]) -> str:
    """Return the ids of cameras in words."""
    return ", ".join(camera.id for camera in cameras) or "none yet"


def only(cameras: Sequence[Camera], named: str | None) -> Camera:
    """Return the one camera that is meant, of those found.

    Raises
    ------
    HotpixeldError
        There is none, or more than one.
    """
    if len(cameras) == 1:
        return cameras[0]
    if named is None:
        raise HotpixeldError(f"name a camera; known: {_known(cameras)}")
    many = f"{named!r} names {len(cameras)} cameras, say which: {_known(cameras)}"
    raise HotpixeldError(many)

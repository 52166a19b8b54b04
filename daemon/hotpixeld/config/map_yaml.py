"""The maintained map as YAML: a camera and its defects in the configuration's grammar.

The text depends on the map alone and holds one defect a line, so that two maps can be
compared with ``diff``; an entry can be copied into the configuration as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotpixeld.config.yaml_positions import quote
from hotpixeld.defect import conditions

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from hotpixeld.camera import Camera
    from hotpixeld.defect import Defect

HEADER = """\
# Maintained by hotpixeld: edits are overwritten.  To change what is repaired, copy an
# entry into `cameras` of the configuration, and pixels there into `pixels` or `ignore`.
"""


def dump(
    camera: Camera,
    defects: Iterable[Defect],
    photos: int,
    ignored: Iterable[Defect] = (),
) -> str:
    """Return the map of one camera as a YAML file.

    Parameters
    ----------
    camera : Camera
    defects : iterable of Defect
        In any order; a pixel may have several lives that do not overlap.
    photos : int
        How many photos the map was made from.
    ignored : iterable of Defect
        Detected as well, but not to be repaired: only their places are listed.
    """
    return f"{HEADER}cameras:\n{entry(camera, defects, photos, ignored)}"


def entry(
    camera: Camera,
    defects: Iterable[Defect],
    photos: int,
    ignored: Iterable[Defect] = (),
    unsure: Iterable[Defect] = (),
) -> str:
    """Return one camera's item of a ``cameras:`` list; see `dump`.

    Parameters
    ----------
    unsure : iterable of Defect
        Not certain enough to be repaired: they are in comments, as all that a configuration
        lists is repaired.
    """
    plural = "" if photos == 1 else "s"
    lines = [
        f"  # {camera.id}, from {photos} photo{plural}",
        f"  - make: {quote(camera.make)}",
        f"    model: {quote(camera.model)}",
        f"    serial: {quote(camera.serial)}",
        f"    size: [{camera.width}, {camera.height}]",
    ]
    pixels = [f"      - {_line(defect)}" for defect in sorted(defects, key=_order)]
    lines += ["    pixels:", *pixels] if pixels else ["    pixels: []"]
    weak = [f"      # - {_line(defect)}" for defect in sorted(unsure, key=_order)]
    lines += ["      # not certain yet:", *weak] if weak else []
    points = dict.fromkeys((one.x, one.y) for one in sorted(ignored, key=_order))
    if points:
        lines += ["    ignore:", *(f"      - [{x}, {y}]" for x, y in points)]
    return "\n".join(lines) + "\n"


def _order(defect: Defect) -> tuple[int, int, str]:
    life = defect.by or defect.after
    return defect.row, defect.col, life.isoformat() if life else ""


def _line(defect: Defect) -> str:
    """Return a line of the map: a defect, and in a comment when it shows."""
    told = conditions(defect)
    return pixel(defect) + (f"  # {told}" if told else "")


def pixel(defect: Defect) -> str:
    """Return a defect as a flow mapping."""
    parts = {"x": f"{defect.x}", "y": f"{defect.y}", "kind": defect.kind.value}
    if defect.radius is not None:
        parts["radius"] = f"{defect.radius}"
    if defect.score is not None:
        parts["score"] = f"{defect.score:.1f}"
    if defect.amplitude is not None:
        levels = ", ".join(f"{level:.1f}" for level in defect.amplitude)
        parts["amplitude"] = f"[{levels}]"
    if defect.focal is not None:
        parts["focal"] = "[{:g}, {:g}]".format(*defect.focal)
    since = _since(defect.after, defect.by)
    if since is not None:
        parts["since"] = since
    if defect.until is not None:
        parts["until"] = defect.until.isoformat()
    return f"{{{', '.join(f'{key}: {text}' for key, text in parts.items())}}}"


def _since(after: dt.datetime | None, by: dt.datetime | None) -> str | None:
    if after is None:
        return None if by is None else by.isoformat()
    end = "" if by is None else f", by: {by.isoformat()}"
    return f"{{after: {after.isoformat()}{end}}}"

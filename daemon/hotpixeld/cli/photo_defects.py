"""A camera's defects in one photo: where it shows each, how likely, and what was done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.camera import Bin
from hotpixeld.cli import copy_commands, tables
from hotpixeld.defect import VISIBLE_LEVELS, Kind
from hotpixeld.detection import light
from hotpixeld.detection.lens_correction import NOWHERE
from hotpixeld.engine import bodies
from hotpixeld.engine.repair_pass import camera_of
from hotpixeld.engine.sampling import cut_out
from hotpixeld.photo import photo_file
from hotpixeld.repair import pixel_list
from hotpixeld.statistics.contrast import LUMA

if TYPE_CHECKING:
    from pathlib import Path

    from hotpixeld.config.model import Config
    from hotpixeld.defect import Defect
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.repair.pixel_list import ListedPixel
    from hotpixeld.repair.shape import Shown
    from hotpixeld.service.status_file import Json
    from hotpixeld.store.ledger import Ledger


UNKNOWN = "nothing tells where a photo of this lens and focal length shows it"


def _probability(
    defect: Defect, photo: Photo, level: float, spread: float
) -> float | None:
    """Return how likely a photo shows a defect, by its law; None where it has none."""
    law, taken = defect.law, photo.metadata
    if law is None or defect.kind is not Kind.HOT:
        return None
    gain = law.gain(taken.celsius)
    expected = law.amplitude(level, taken.exposure_seconds, taken.iso, gain)
    chance = light.visibility(
        np.array(expected), np.array(spread), law.scatter, VISIBLE_LEVELS
    )
    return round(float(chance), 2)


def _why_not(listed: ListedPixel, *, allowed: bool, suppressed: bool) -> str:
    """Return why a pixel is not to be repaired in a photo, but for what it shows."""
    if allowed:
        return ""
    if listed.ignored:
        return "ignored, as you said"
    if suppressed:
        return "the photo shows none of the defects that it should"
    if not tables.is_certain(listed):
        return "not certain yet"
    return "not there at the photo's date, or another setting of `repair`"


def _looked_at(
    photo: Photo, there: Defect, size: tuple[int, int], shown: Shown
) -> Json:
    """Return what a photo shows where a defect is expected."""
    window = pixel_list.window(there, *size)
    (part,) = cut_out(photo, [window])
    above, spread = pixel_list.prominence(part, pixel_list.within(there, window))
    level, wide = float(np.median(part @ LUMA)), float(spread @ LUMA)
    return {
        "probability": _probability(there, photo, level, wide),
        "seen": round(float(above @ LUMA), 1),
        "spread": round(wide, 1),
        "shows": pixel_list.shows(part, window, there, shown),
    }


def of_photo(ledger: Ledger, path: Path, config: Config) -> Json:
    """Return the defects of a photo's camera in it, ready for JSON.

    Raises
    ------
    PhotoError
        It cannot be read.
    """
    photo = photo_file.examine(path, config.limits.max_bytes, config.limits.max_pixels)
    camera, image = camera_of(photo, config), ledger.images.find(photo.identity)
    if image is not None and (record := ledger.images.camera(image.camera)):
        camera = record.camera
    found = bodies.listing(ledger, config, camera)
    placed = copy_commands.pixel_list_of(photo, config, ledger)
    allowed = {(one.row, one.col) for one in (*placed.configured, *placed.detected)}
    is_held = image is not None and image.is_suppressed
    corrections = ledger.samples.suspects(camera.id).corrections
    where = Bin.of(photo.metadata.lens, photo.metadata.focal_mm)
    size = camera.height, camera.width
    sites = np.array([(one.defect.row, one.defect.col) for one in found], np.intp)
    places = corrections.places(sites.reshape(-1, 2), where, size)
    copy = ledger.copies.find(path.absolute())
    repaired = set(copy.pixels) if copy and copy.condition == "written" else set()
    pixels = []
    for one, (row, col) in zip(found, places.tolist(), strict=True):
        listed = {"x": one.defect.x, "y": one.defect.y}
        entry = {"x": col, "y": row, "listed": listed, "kind": str(one.defect.kind)}
        if row == NOWHERE:
            why = "outside of the frame" if where in corrections.of else UNKNOWN
            pixels.append(
                {**entry, "x": None, "y": None, "repaired": False, "why": why}
            )
            continue
        there = replace(one.defect, row=row, col=col)
        seen = _looked_at(photo, there, size, placed.shown)
        why = _why_not(one, allowed=(row, col) in allowed, suppressed=is_held)
        done = {"repaired": (col, row) in repaired, "why": why}
        if not why and not seen["shows"]:
            done["why"] = "cannot be seen in this photo"
        pixels.append({**entry, **seen, **done})
    return {
        "photo": str(path),
        "camera": camera.id,
        "bin": {"lens": where.lens, "focal": where.focal_mm},
        "corrected": corrections.move,
        "pixels": pixels,
    }


def text(found: Json) -> str:
    """Return the defects of a photo in lines for people."""
    lines = [f"{found['photo']}: {len(found['pixels'])} listed for {found['camera']}"]
    for one in found["pixels"]:
        listed = one["listed"]
        at = f"{listed['x']},{listed['y']}"
        if one["x"] is None:
            lines.append(f"  {at}: {one['why']}")
            continue
        here = f"{one['x']},{one['y']}"
        moved = f" (listed at {at})" if here != at else ""
        chance = one["probability"]
        likely = "" if chance is None else f", shows with {chance:.0%}"
        seen = f"{one['seen']:+.0f} levels over a spread of {one['spread']:g}"
        done = "repaired" if one["repaired"] else one["why"] or "to be repaired"
        lines.append(f"  {here}{moved}: {one['kind']}{likely}; {seen}; {done}")
    return "\n".join(lines) + "\n"

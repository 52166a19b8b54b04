"""What became of one photo: its outcome, its camera, its copy, the pixels repaired in it.

Asked for by its path; a file that the ledger does not know by that may be known by what it
is: the image of a photo that has another name by now, or a copy that hotpixeld wrote.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.cli.status_text import moment
from hotpixeld.config import camera_names
from hotpixeld.engine.copy_places import CopyPlaces
from hotpixeld.engine.output_folder import OutputFolder, place_of
from hotpixeld.errors import PhotoError
from hotpixeld.messages import counted, plain
from hotpixeld.photo import photo_file
from hotpixeld.watch import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotpixeld.config.model import Config
    from hotpixeld.service.status_file import Json
    from hotpixeld.store.copies import Copy
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger
    from hotpixeld.store.paths import PathRecord

OUTCOMES = {
    "folded": "folded: learned from",
    "pending": "pending: it is learned from with others, as soon as there are enough",
    "lost": "lost: its file was gone before it could be learned from; put back, it will be",
    "again": "to be learned again: by the service, or by the next `hotpixeld run`",
    "forgotten": "forgotten: not learned from any more, as `forget` asked",
    "duplicate": "duplicate: the same image was there before, and counts once",
    "skipped": "skipped: not learned from",
    "failed": "failed: cannot be used",
    "waiting": "waiting: it may still be being written, and is tried again",
}
CONDITIONS = {
    "writing": "being written",
    "written": "written",
    "withdrawn": "removed: nothing left to repair",
    "deleted": "deleted since, and stays so",
    "foreign": "left alone",
    "refused": "none",
}

COPY_NOW = {
    "gone": "; it is not there any more",
    "changed": "; changed since by somebody, and left alone as it is",
}


def _names(path: Path, config: Config) -> Iterator[Path]:
    """Yield the names by which the ledger may know a path, whatever links lead there."""
    yield Path(os.path.normpath(path.absolute()))
    real = Path(os.path.realpath(path.parent), path.name)
    yield real
    for folder in config.folders:
        top = os.path.realpath(folder.path)
        if real.is_relative_to(top):
            yield folder.path / real.relative_to(top)


def of_photo(ledger: Ledger, path: Path, config: Config) -> Json:
    """Return what became of a photo, ready for JSON.

    Raises
    ------
    PhotoError
        Nobody here has ever seen it.
    """
    image, limits = None, config.limits
    with contextlib.suppress(PhotoError):  # else it may be known by its name
        name = next(_names(path, config))
        photo = photo_file.examine(name, limits.max_bytes, limits.max_pixels)
        image = ledger.images.find(photo.identity)
        if copy := CopyPlaces(ledger, limits.max_bytes).own(photo, image):
            return {"photo": str(path), "outcome": "copy", "copy": _copy(copy)}
    for name in _names(path, config):
        if record := ledger.paths.find(name):
            return _known(ledger, record, config)
    if image is not None:
        places = [str(place) for place in ledger.paths.of_image(image.id)]
        return {"photo": str(path), **_image(ledger, image, config), "known_at": places}
    there = "" if path.exists() else "there is no such file, and "
    reason = (
        f"{there}no file of this name is known: was it renamed, is its folder watched?"
    )
    raise PhotoError(path, reason)


def _image(ledger: Ledger, image: Image, config: Config) -> Json:
    """Return what became of an image."""
    taken = image.captured and image.captured.isoformat()
    record = ledger.images.camera(image.camera)
    mapped = bool(record and record.mapped)
    cameras = [record.camera] if record else []
    return {
        "outcome": image.outcome,
        "camera": image.camera,
        "camera_name": camera_names.names(cameras, config).get(image.camera),
        "taken": taken,
        "mapped": mapped,
        "suppressed": image.is_suppressed,
    }


def _copy(copy: Copy) -> Json:
    """Return what is known of a copy."""
    return {
        "path": str(copy.target),
        "of": str(copy.source),
        "condition": copy.condition,
        "method": copy.method,
        "pixels": [list(pixel) for pixel in copy.pixels],
        "notes": copy.notes,
    }


def _known(ledger: Ledger, record: PathRecord, config: Config) -> Json:
    """Return what became of a path."""
    found: Json = {"photo": str(record.path), "outcome": record.outcome}
    image = None if record.image is None else ledger.images.with_id(record.image)
    if image is not None:
        found |= _image(ledger, image, config)
        places = ledger.paths.of_image(image.id)
        if record.outcome == "duplicate":
            found |= {"outcome": "duplicate", "counts_as": image.outcome}
        found["known_at"] = [str(place) for place in places if place != record.path]
    found["reason"] = record.reason
    found["looked_at_for_copy"] = record.repaired_with is not None
    with contextlib.suppress(OSError):
        now = walk.stat_photo(record.path)
        is_there = record.signature in (None, now)
        found["file"] = "there" if is_there else "changed"
        found["file"] = "gone" if now is None else found["file"]
        if found["outcome"] == "lost" and record.signature is None and now:
            found["outcome"] = "again"
    if copy := ledger.copies.find(record.path):
        found["copy"] = _copy(copy) | _now(copy, config)
    return found


def _now(copy: Copy, config: Config) -> Json:
    """Return what is at a copy's place: a run looks only when one is to be written anew."""
    if copy.condition != "written":
        return {}
    try:
        output = OutputFolder(place_of(copy), config.limits.max_bytes)
        there = output.sha256_of(copy.target)
    except OSError:
        return {}
    if there is None:
        return {"file": "gone"}
    return {"file": "there" if there == copy.sha256 else "changed"}


SUPPRESSED = (
    "what should be seen of the camera's pixels is not, as after noise reduction, a filter"
    " or a crop: no detected pixel is repaired in it, and it tells of none"
)


def _copy_line(found: Json) -> str:
    """Return what there is to say of the photo's copy."""
    copy = found.get("copy")
    if copy is None:
        if found.get("camera") is None:
            return "copy: none"
        if not found.get("mapped"):
            return "copy: none yet: its camera has no map yet"
        if found.get("looked_at_for_copy"):
            return "copy: none needed: none of the listed pixels shows in it"
        return "copy: not looked at yet"
    line = f"copy: {copy['path']}: {CONDITIONS[copy['condition']]}"
    if copy["condition"] == "written":
        pixels = " ".join(f"{x},{y}" for x, y in copy["pixels"])
        line += f", {counted(len(copy['pixels']), 'pixel')} repaired: {pixels}"
        line += COPY_NOW.get(copy.get("file", ""), "")
    return line + (f": {copy['notes']}" if copy["notes"] else "")


def text(found: Json) -> str:
    """Return what became of a photo, for people."""
    if found["outcome"] == "copy":
        copy = found["copy"]
        lines = [f"{found['photo']}: a copy that hotpixeld wrote of {copy['of']}"]
        return plain(lines[0]) + "\n"
    words = OUTCOMES[found["outcome"]]
    reason = found.get("reason")
    lines = [found["photo"], f"{words}: {reason}" if reason else words]
    if places := found.get("known_at"):
        lines.append(f"the same image: {', '.join(places)}")
    if file := {"gone": "is not there any more", "changed": "changed since"}.get(
        found.get("file", "")
    ):
        lines.append(f"file: {file}")
    if found.get("camera"):
        called = found.get("camera_name")
        known = f"{called} ({found['camera']})" if called else found["camera"]
        lines.append(f"camera: {known}")
    if found.get("taken"):
        lines.append(f"taken: {moment(found['taken'])}")
    if found.get("suppressed"):
        lines.append(f"held back: {SUPPRESSED}")
    lines.append(_copy_line(found))
    first, *rest = map(plain, lines)
    return "\n".join([first, *(f"  {line}" for line in rest)]) + "\n"

"""Repairable: which pixels of a camera may be repaired in which of its photos."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hotpixeld import hotmap
from hotpixeld.config import is_largest
from hotpixeld.repairs import PixelList

if TYPE_CHECKING:
    import datetime as dt

    from hotpixeld.camera import Camera
    from hotpixeld.config import Config
    from hotpixeld.metadata import Metadata
    from hotpixeld.pixels import Defect


def pixel_list(
    config: Config,
    camera: Camera,
    cameras: list[Camera],
    detected: list[Defect],
    taken: Metadata,
) -> PixelList:
    """Return what may be repaired in a photo of `camera`.

    Parameters
    ----------
    taken : Metadata
        When the photo was taken, and at which focal length.
    """
    when, focal = taken.captured, taken.focal_mm
    which = config.repair.pixels
    largest = is_largest(camera, cameras)
    configured = config.pixel_list(camera, when, largest=largest)
    certain = [
        one for one in detected if hotmap.is_certain(one) and _may_show(one, when)
    ]
    known, found = (
        tuple(one for one in defects if one.is_at(focal))
        for defects in (configured, certain)
    )
    return PixelList(
        known if which != "detected" else (),
        found if which != "configured" else (),
        version(config, camera, detected),
    )


def version(config: Config, camera: Camera, detected: list[Defect]) -> str:
    """Return the version of a camera's pixel list: it changes when the list does.

    Scores and amplitudes do not count: they move a little with every photo.
    """
    entries = config.camera_entries(camera)
    places = [
        (one.row, one.col, one.after, one.until, one.focal)
        for one in detected
        if hotmap.is_certain(one)
    ]
    listed = (camera.id, entries, places, config.repair, config.folders)
    return hashlib.sha256(repr(listed).encode()).hexdigest()[:16]


def _may_show(defect: Defect, when: dt.datetime | None) -> bool:
    """Tell whether a photo taken at `when` may lie in the defect's life.

    Between the two photos where it began the photo itself decides.
    """
    if when is None:
        return defect.until is None
    began = defect.after is None or when > defect.after
    return began and (defect.until is None or when < defect.until)

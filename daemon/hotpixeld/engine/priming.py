"""Priming: lens-cap frames that are named by hand, and the hot pixels that they show.

The frames are read only, and are no photos: they are neither folded, nor repaired, nor
counted.  What they show is listed at once, as primed, with the camera that they are of: it
is looked for in each of its photos (`bodies.priors`), until those have confirmed or denied
it (`dark_frames.outcome`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hotpixeld.detection import dark_frames
from hotpixeld.detection.dark_frames import DarkFrames, Exposure
from hotpixeld.engine import repair_pass
from hotpixeld.errors import PhotoError
from hotpixeld.jpeg import decoder
from hotpixeld.jpeg.decoder import CodecError
from hotpixeld.photo import edit_detection, photo_file
from hotpixeld.store.images import Taken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from hotpixeld.camera import Bin, Camera
    from hotpixeld.config.model import Config
    from hotpixeld.defect import Primed
    from hotpixeld.jpeg.decoder import Frame
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.store.ledger import Ledger

MOST = 10
"""Frames in one call: more say hardly more."""


@dataclass(frozen=True, slots=True)
class Found:
    """What frames of one camera, lens and focal length show.

    Attributes
    ----------
    camera : Camera
    bin : Bin
    frames : int
    pixels : list of Primed
    """

    camera: Camera
    bin: Bin
    frames: int
    pixels: list[Primed]


@dataclass(slots=True)
class _Set:
    """The frames of one camera, lens and focal length."""

    frames: DarkFrames = field(default_factory=DarkFrames)
    paths: list[Path] = field(default_factory=list)
    identities: set[str] = field(default_factory=set)


def _read(path: Path, config: Config) -> tuple[Photo, Frame]:
    """Return a dark frame, decoded.

    Raises
    ------
    PhotoError
        It cannot be read, is an edited photo, or is none.
    """
    limits = config.limits
    photo = photo_file.examine(path, limits.max_bytes, limits.max_pixels)
    photo_file.check_decodable(photo, limits.memory)
    if reason := edit_detection.why_edited(photo.metadata):
        raise PhotoError(path, reason)
    if effect := photo.metadata.creative_filter:
        raise PhotoError(path, f'a creative filter of the camera: "{effect}"')
    try:
        frame = decoder.decode(photo.data)
    except CodecError as error:
        raise PhotoError(path, f"cannot be decoded: {error.reason}") from error
    if reason := dark_frames.why_not_dark(frame):
        raise PhotoError(path, reason)
    return photo, frame


def _again(paths: Sequence[Path], config: Config) -> Iterator[Frame]:
    for path in paths:
        yield _read(path, config)[1]


def look(paths: Iterable[Path], config: Config) -> tuple[list[Found], list[PhotoError]]:
    """Return what dark frames show, by camera and lens; nothing is written.

    Returns
    -------
    found : list of Found
    refused : list of PhotoError
        Why others were not taken; those taken are as good without them.
    """
    sets: dict[tuple[Camera, Bin], _Set] = {}
    refused = []
    for path in paths:
        try:
            photo, frame = _read(path, config)
            camera = repair_pass.camera_of(photo, config)
        except PhotoError as error:
            refused.append(error)
            continue
        about = photo.metadata
        own = sets.setdefault((camera, Taken.of(about).bin), _Set())
        if photo.identity in own.identities:
            refused.append(PhotoError(path, "named twice, or a copy of another frame"))
            continue
        own.identities.add(photo.identity)
        own.paths.append(path)
        own.frames.add(frame, Exposure(about.exposure_seconds, about.iso))
    found = []
    for (camera, where), own in sets.items():
        sites = own.frames.sites()
        try:
            pixels = own.frames.hot_pixels(sites, _again(own.paths, config))
        except PhotoError as error:  # changed since it was read just now
            refused.append(error)
            continue
        found.append(Found(camera, where, len(own.paths), pixels))
    return found, refused


def keep(found: Iterable[Found], config: Config, ledger: Ledger) -> None:
    """List what was found, as primed; a camera that is not known is from now on.

    Raises
    ------
    LedgerError
        It cannot be written; nothing has changed.
    """
    with ledger.transaction(durable=True):
        for one in found:
            if one.pixels:
                camera = repair_pass.body(one.camera, config, ledger)
                ledger.images.add_camera(camera)
                ledger.primed.add(camera.id, one.pixels, one.bin)

"""One photo: read once from its file, examined, and decoded to a frame.

Nothing here writes: originals are opened read-only.  Everything that can be wrong with a
file becomes one of the photo errors, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotpixeld.errors import (
    PhotoError,
    PhotoGoneError,
    SkippedPhotoError,
    TruncatedPhotoError,
    UnreadablePhotoError,
    why,
)
from hotpixeld.files import (
    ChangedError,
    NotAFileError,
    Signature,
    UnsuitableError,
    read_regular,
)
from hotpixeld.jpeg import decoder, markers
from hotpixeld.jpeg.decoder import CodecError
from hotpixeld.photo import metadata as photo_metadata

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.jpeg.block_reader import Window
    from hotpixeld.jpeg.decoder import Frame
    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.photo.metadata import Metadata

MOST_SCANS = 100
"""Cameras write at most some ten; each is a pass over the whole frame for the decoder."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo's file, examined but not decoded.

    Attributes
    ----------
    path : Path
    data : bytes
        The whole file.
    signature : Signature
        Of the file as it was read.
    structure : Structure
        Its marker segments.
    identity : str
        SHA-256 of the primary image's coded data, in hex.
    metadata : Metadata
        What the photo says of itself.
    """

    path: Path
    data: bytes
    signature: Signature
    structure: Structure
    identity: str
    metadata: Metadata


def _read(path: Path, max_bytes: int, root: Path | None) -> tuple[bytes, Signature]:
    """Return the content and the signature of a photo's file."""
    try:
        data, status = read_regular(path, max_bytes, root)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PhotoGoneError(path, "gone") from error
    except ChangedError as error:
        raise TruncatedPhotoError(path, str(error)) from error
    except NotAFileError as error:
        raise SkippedPhotoError(path, str(error)) from error
    except UnsuitableError as error:
        raise PhotoError(path, str(error)) from error
    except OSError as error:
        reason = f"cannot be read: {why(error)}"
        raise UnreadablePhotoError(path, reason) from error
    return data, Signature.of(status)


def examine(
    path: Path, max_bytes: int, max_pixels: int, root: Path | None = None
) -> Photo:
    """Read a photo's file and examine it without decoding.

    Parameters
    ----------
    max_bytes, max_pixels : int
        Larger photos are refused, the pixels before anything is decoded.
    root : Path, optional
        Follow no link below it: what one leads to is not there.

    Raises
    ------
    PhotoGoneError
        There is no such file (any more).
    UnreadablePhotoError
        It cannot be read now.
    TruncatedPhotoError
        It ends too early: perhaps it is still being written.
    SkippedPhotoError
        It is a link, a pipe or the like.
    PhotoError
        It is no JPEG file, damaged, or too large.
    """
    data, signature = _read(path, max_bytes, root)
    if not data:
        raise TruncatedPhotoError(path, "empty")
    try:
        structure = markers.parse(data)
    except markers.TruncatedError as error:
        raise TruncatedPhotoError(path, f"truncated: {error}") from error
    except markers.MarkerError as error:
        raise PhotoError(path, f"not a usable JPEG: {error}") from error
    if structure.eoi is None:
        raise TruncatedPhotoError(path, "truncated: the image data has no end")
    count = structure.width * structure.height
    if count > max_pixels:
        size = f"{structure.width}x{structure.height}"
        raise PhotoError(
            path,
            f"{size} is {count} pixels, limit is {max_pixels}; see `limits` in the"
            " configuration",
        )
    if len(structure.scans) > MOST_SCANS:
        raise PhotoError(path, f"{len(structure.scans)} scans, limit is {MOST_SCANS}")
    about = photo_metadata.read(data, path)
    identity = markers.identity(data, structure)
    return Photo(path, data, signature, structure, identity, about)


def camera(source: Photo) -> Camera:
    """Return the camera that a photo says it is from.

    Raises
    ------
    SkippedPhotoError
        It names neither make nor model.
    """
    return photo_metadata.camera(source.metadata, source.path)


def coefficient_bytes(photo: Photo) -> int:
    """Return what the coefficients of a photo of several scans take, 0 for a single one."""
    structure = photo.structure
    if len(structure.scans) == 1:
        return 0
    sizes = (structure.blocks(component) for component in structure.components)
    return sum(128 * rows * columns for rows, columns in sizes)


def check_decodable(photo: Photo, memory: int) -> None:
    """Refuse a photo of a kind that is not supported, by its header.

    Parameters
    ----------
    memory : int
        Most bytes for the coefficients of several scans, which are needed all at once.

    Raises
    ------
    PhotoError
    """
    structure = photo.structure
    if len(structure.components) not in {1, 3}:
        count = len(structure.components)
        raise PhotoError(photo.path, f"{count} colour components, not 1 or 3")
    if structure.precision != 8:
        raise PhotoError(photo.path, f"{structure.precision} bits per sample, not 8")
    coefficients = coefficient_bytes(photo)
    if coefficients > memory:
        raise PhotoError(
            photo.path,
            f"its {len(structure.scans)} scans need {coefficients} bytes of memory, there"
            f" are {memory}; see `limits: memory` in the configuration",
        )


def cut_out(photo: Photo, windows: Sequence[Window], memory: int) -> list[Frame]:
    """Return windows of a photo that is decoded: each (rows, columns, 3) uint8, 0-255.

    In sensor order: EXIF Orientation is not applied.  Grey photos have three equal
    channels.

    Parameters
    ----------
    memory : int
        See `check_decodable`.

    Raises
    ------
    PhotoError
        The coded data is damaged, or of a kind that is not supported (CMYK).
    """
    check_decodable(photo, memory)
    try:
        return decoder.cut_out(photo.data, windows)
    except CodecError as error:
        kind = TruncatedPhotoError if error.truncated else PhotoError
        raise kind(photo.path, f"cannot be decoded: {error.reason}") from error

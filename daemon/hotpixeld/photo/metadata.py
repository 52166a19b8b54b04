"""Metadata: what a photo says about itself, read from its header alone.

Damage in the metadata is not the photo's: a field that cannot be read is missing, and
only bytes that are no JPEG raise.  `makernote.Directory` reads the EXIF tags: Pillow
warns and raises in a dozen ways on damaged ones.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotpixeld.camera import Camera
from hotpixeld.errors import PhotoError, SkippedPhotoError, TruncatedPhotoError
from hotpixeld.files import NotAFileError, open_regular
from hotpixeld.jpeg import markers
from hotpixeld.photo import creative_filter, makernote
from hotpixeld.photo.makernote import Directory

if TYPE_CHECKING:
    from pathlib import Path

_APP1 = 0xE1
_EXIF_HEAD = b"Exif\0\0"
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"

# Tags of the first directory (TIFF) and of the EXIF directory, CIPA DC-008.
_PROCESSING_SOFTWARE, _MAKE, _MODEL, _ORIENTATION = 0x000B, 0x010F, 0x0110, 0x0112
_SOFTWARE, _DATE_TIME, _EXIF = 0x0131, 0x0132, 0x8769
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_EXPOSURE_TIME, _SHUTTER_SPEED, _FOCAL_LENGTH, _ISO = 0x829A, 0x9201, 0x920A, 0x8827
_LONG_ISO = (0x8833, 0x8832, 0x8831)
_PIXEL_X, _PIXEL_Y, _BODY_SERIAL = 0xA002, 0xA003, 0xA431
_LENS_MODEL = 0xA434
_DATE_TIME_ORIGINAL, _DATE_TIME_DIGITIZED = 0x9003, 0x9004
_SUB_SEC, _SUB_SEC_ORIGINAL, _SUB_SEC_DIGITIZED = 0x9290, 0x9291, 0x9292

_DATE = re.compile(r"(\d{4})\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)\D(\d\d)", re.ASCII)
_DRONE_SERIAL = re.compile(
    rb"""drone-dji:(?:Camera|Drone)SerialNumber\s*(?:=\s*["']|>)\s*([\w-]{4,40})"""
)

# EXIF stands in the first 64 KB segment or two of a file.
_HEADER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a photo says about itself; texts are empty where it says nothing.

    Attributes
    ----------
    width, height : int
        Stored size in pixels, EXIF Orientation not applied.
    make, model, serial : str
        The camera; the serial number is the body's.
    software, processing_software : str
        Programs or firmware.
    xmp : bytes
        The XMP packet.
    captured : datetime or None
        Local time as the camera wrote it, without a zone.
    exposure_seconds, focal_mm : float or None
    iso : int or None
    lens : str
        Model of the lens; empty where the photo does not name it.
    celsius : float or None
        The camera's own temperature, degrees.
    creative_filter : str
        That moved or blurred what the sensor saw, see `creative_filter`.
    orientation : int
        1 to 8 as in EXIF; 1 where missing or impossible.
    exif_width, exif_height : int or None
        The size that EXIF claims.
    thumbnail : bytes or None
        A JPEG file.
    maker_note : bytes
        As the camera wrote it; empty where there is none.
    """

    width: int
    height: int
    make: str
    model: str
    serial: str
    software: str
    processing_software: str
    xmp: bytes
    captured: dt.datetime | None
    exposure_seconds: float | None
    focal_mm: float | None
    iso: int | None
    lens: str
    celsius: float | None
    creative_filter: str
    orientation: int
    exif_width: int | None
    exif_height: int | None
    thumbnail: bytes | None
    maker_note: bytes


def _time(date: str, fraction: str) -> dt.datetime | None:
    """Return the time that EXIF writes as YYYY:MM:DD HH:MM:SS and digits after it."""
    match = _DATE.match(date)
    if match is None:
        return None
    digits = re.match(r"[0-9]{1,6}", fraction)
    micros = int(digits[0].ljust(6, "0")) if digits else 0
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        return dt.datetime(
            year, month, day, hour, minute, second, micros
        )  # no zone: cameras write none
    except ValueError:
        return None


def _captured(first: Directory, exif: Directory) -> dt.datetime | None:
    sources = (
        (exif, _DATE_TIME_ORIGINAL, _SUB_SEC_ORIGINAL),
        (exif, _DATE_TIME_DIGITIZED, _SUB_SEC_DIGITIZED),
        (first, _DATE_TIME, _SUB_SEC),
    )
    times = (_time(where.text(tag), exif.text(sub)) for where, tag, sub in sources)
    return next((time for time in times if time is not None), None)


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _exposure(exif: Directory) -> float | None:
    """Return the exposure time, from the APEX shutter speed where need be."""
    speed = exif.ratio(_SHUTTER_SPEED)
    apex = 2.0**-speed if speed is not None and abs(speed) < 32 else None
    return _positive(exif.ratio(_EXPOSURE_TIME)) or apex


def _iso(exif: Directory) -> int | None:
    """Return the sensitivity; 65535 says that it is higher and stands elsewhere."""
    numbers = [exif.number(tag) for tag in (_ISO, *_LONG_ISO)]
    known = [number for number in numbers if number is not None and number > 0]
    return next(
        (number for number in known if number != 65535), max(known, default=None)
    )


def _thumbnail(first: Directory) -> bytes | None:
    second = first.next()
    start = second.number(_THUMBNAIL_OFFSET) or 0
    length = second.number(_THUMBNAIL_LENGTH) or 0
    inside = 0 < start < start + length <= len(first.block)
    thumbnail = first.block[start : start + length] if inside else b""
    return thumbnail if thumbnail.startswith(b"\xff\xd8") else None


def _serial(exif: Directory, make: str, model: str, xmp: bytes) -> str:
    standard = makernote.plain(exif.text(_BODY_SERIAL))
    if serial := standard or makernote.serial(exif, make, model):
        return serial
    match = _DRONE_SERIAL.search(xmp)
    return match[1].decode() if match else ""


def _segment(data: bytes, structure: markers.Structure, head: bytes) -> bytes:
    """Return what follows `head` in the first APP1 segment that begins with it."""
    for segment in structure.segments:
        start = segment.offset + 4
        if segment.marker == _APP1 and data.startswith(head, start):
            return data[start + len(head) : segment.end]
    return b""


def read(data: bytes, path: Path) -> Metadata:
    """Return what a photo says about itself, without decoding a pixel.

    Parameters
    ----------
    data : bytes
        The file; what follows the first scan header is not looked at.
    path : Path
        For messages.

    Raises
    ------
    TruncatedPhotoError
        The file ends before its first scan.
    PhotoError
        It is not a JPEG file.  Damaged metadata raises nothing.
    """
    try:
        structure = markers.parse(data, header_only=True)
    except markers.TruncatedError as error:
        raise TruncatedPhotoError(path, str(error)) from error
    except markers.MarkerError as error:
        raise PhotoError(path, str(error)) from error
    xmp = _segment(data, structure, _XMP_HEAD)
    first = Directory.first(_segment(data, structure, _EXIF_HEAD))
    exif = first.child(_EXIF)
    make, model = first.text(_MAKE), first.text(_MODEL)
    orientation = first.number(_ORIENTATION) or 1
    note = makernote.directory(exif, make)
    return Metadata(
        width=structure.width,
        height=structure.height,
        make=make,
        model=model,
        serial=_serial(exif, make, model, xmp),
        software=first.text(_SOFTWARE),
        processing_software=first.text(_PROCESSING_SOFTWARE),
        xmp=xmp,
        captured=_captured(first, exif),
        exposure_seconds=_exposure(exif),
        focal_mm=_positive(exif.ratio(_FOCAL_LENGTH)),
        iso=_iso(exif),
        lens=" ".join(exif.text(_LENS_MODEL).split()),
        celsius=makernote.celsius(note, make),
        creative_filter=creative_filter.name(note, make),
        orientation=orientation if 1 <= orientation <= 8 else 1,
        exif_width=exif.number(_PIXEL_X) or None,
        exif_height=exif.number(_PIXEL_Y) or None,
        thumbnail=_thumbnail(first),
        maker_note=exif.raw(makernote.MAKER_NOTE),
    )


def origin(path: Path) -> tuple[tuple[str, str, str], dt.datetime | None]:
    """Return make, model, serial and capture time, from the start of a photo's file.

    Never raises: a file that is damaged, no photo, not regular or gone has none.
    """
    try:
        descriptor = open_regular(path)
        try:
            head = os.read(descriptor, _HEADER_BYTES)
        finally:
            os.close(descriptor)
    except (OSError, NotAFileError):
        head = b""
    _, found, block = head.partition(_EXIF_HEAD)
    first = Directory.first(block if found else b"")
    exif, make, model = first.child(_EXIF), first.text(_MAKE), first.text(_MODEL)
    return (make, model, _serial(exif, make, model, b"")), _captured(first, exif)


def camera(metadata: Metadata, path: Path) -> Camera:
    """Return the camera that took a photo, as EXIF names it.

    Raises
    ------
    SkippedPhotoError
        The photo names neither make nor model.
    """
    make, model = metadata.make, metadata.model
    if make or model:
        return Camera(make, model, metadata.serial, metadata.width, metadata.height)
    raise SkippedPhotoError(
        path,
        "no camera identity: neither make nor model in EXIF;"
        " name a camera for its folder in the configuration",
    )

from __future__ import annotations

import datetime as dt
import os
import struct
import time
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from hotpixeld.camera import Camera
from hotpixeld.errors import PhotoError, SkippedPhotoError, TruncatedPhotoError
from hotpixeld.photo import edit_detection, metadata

PATH = Path("/import/one.jpg")
Tags = dict[int, object]


def jpeg(
    first: Tags | None = None,
    exif: Tags | None = None,
    *,
    size: tuple[int, int] = (48, 32),
    xmp: bytes = b"",
) -> bytes:
    """Return a small photo with these tags."""
    tags = Image.Exif()
    tags.update(first or {})
    tags[0x8769] = exif or {}  # Pillow 10 does not write what `get_ifd` adds
    file = BytesIO()
    picture = Image.effect_noise(size, 60).convert("RGB")
    picture.save(file, "JPEG", exif=tags)
    data, content = file.getvalue(), b"http://ns.adobe.com/xap/1.0/\0" + xmp
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content
    return data[:2] + segment + data[2:] if xmp else data


def picture(size: tuple[int, int]) -> bytes:
    file = BytesIO()
    Image.effect_noise(size, 80).save(file, "JPEG")
    return file.getvalue()


def with_thumbnail(size: tuple[int, int], thumbnail: bytes) -> bytes:
    """Return a photo whose second directory holds a thumbnail."""
    fields = struct.pack("<HHIIHHIII", 0x201, 4, 1, 44, 0x202, 4, 1, len(thumbnail), 0)
    block = struct.pack("<4sIHIH", b"II*\0", 8, 0, 14, 2) + fields
    payload = b"Exif\0\0" + block + thumbnail
    segment = b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload
    return b"\xff\xd8" + segment + picture(size)[2:]


def test_reads_what_a_camera_writes() -> None:
    first: Tags = {0x010F: "Canon\0\0", 0x0110: "Canon EOS 1100D   ", 0x0112: 8}
    first |= {0x0131: "Firmware 1.0", 0x000B: "none"}
    exif: Tags = {
        0x9003: "2016:07:28 16:34:53",
        0x9291: "20",
        0x829A: IFDRational(1, 10),
        0x8827: 200,
        0x920A: IFDRational(35),
        0xA002: 48,
        0xA003: 32,
        0xA431: "  0133062020855\0",
    }
    about = metadata.read(jpeg(first, exif, xmp=b"<x:xmpmeta/>"), PATH)

    assert (about.make, about.model) == ("Canon", "Canon EOS 1100D")
    assert about.serial == "0133062020855"
    assert (about.software, about.processing_software) == ("Firmware 1.0", "none")
    assert about.captured == dt.datetime(2016, 7, 28, 16, 34, 53, 200_000)
    assert about.exposure_seconds == pytest.approx(0.1)
    assert (about.iso, about.focal_mm) == (200, 35.0)
    assert (about.orientation, about.width, about.height) == (8, 48, 32)
    assert (about.exif_width, about.exif_height) == (48, 32)
    assert about.xmp == b"<x:xmpmeta/>"
    assert about.thumbnail is None


def test_a_photo_that_says_nothing_has_nothing() -> None:
    about = metadata.read(picture((48, 32)), PATH)

    assert (about.width, about.height, about.orientation) == (48, 32, 1)
    texts = (about.make, about.model, about.serial, about.software)
    assert texts == ("", "", "", "")
    numbers = (about.captured, about.exposure_seconds, about.iso, about.focal_mm)
    assert numbers == (None, None, None, None)
    assert (about.exif_width, about.exif_height, about.thumbnail) == (None, None, None)


@pytest.mark.parametrize(
    ("date", "fraction", "expected"),
    [
        ("2005:04:29 15:44:30", "", dt.datetime(2005, 4, 29, 15, 44, 30)),
        ("2005-04-29T15:44:30", "5", dt.datetime(2005, 4, 29, 15, 44, 30, 500_000)),
        ("2005:04:29 15:44:30", "012", dt.datetime(2005, 4, 29, 15, 44, 30, 12_000)),
        (
            "2005:04:29 15:44:30",
            "1234567",
            dt.datetime(2005, 4, 29, 15, 44, 30, 123456),
        ),
        ("2005:04:29 15:44:30", " x", dt.datetime(2005, 4, 29, 15, 44, 30)),
        ("0000:00:00 00:00:00", "", None),
        ("2005:02:30 15:44:30", "", None),
        ("2005:04:29 25:44:30", "", None),
        ("    :  :     :  :  ", "", None),
        ("yesterday", "", None),
    ],
)
def test_capture_times(date: str, fraction: str, expected: dt.datetime | None) -> None:
    about = metadata.read(jpeg(exif={0x9003: date, 0x9291: fraction}), PATH)

    assert about.captured == expected


def test_an_invalid_time_falls_back_to_the_next() -> None:
    exif: Tags = {0x9003: "0000:00:00 00:00:00", 0x9004: "2009:01:02 03:04:05"}
    digitized = metadata.read(jpeg({0x0132: "2011:01:01 01:01:01"}, exif), PATH)
    changed = metadata.read(jpeg({0x0132: "2011:01:01 01:01:01"}), PATH)

    assert digitized.captured == dt.datetime(2009, 1, 2, 3, 4, 5)
    assert changed.captured == dt.datetime(2011, 1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("exif", "seconds"),
    [
        ({0x829A: IFDRational(30)}, 30.0),
        ({0x9201: IFDRational(3)}, 0.125),
        ({0x829A: IFDRational(0, 1), 0x9201: IFDRational(2, -1)}, 4.0),
        ({0x9201: IFDRational(1_000_000)}, None),
        ({}, None),
    ],
)
def test_exposure_times(exif: Tags, seconds: float | None) -> None:
    assert metadata.read(jpeg(exif=exif), PATH).exposure_seconds == seconds


@pytest.mark.parametrize(
    ("exif", "iso"),
    [({0x8827: 65535, 0x8832: 102400}, 102400), ({0x8827: 65535}, 65535), ({}, None)],
)
def test_a_high_sensitivity_stands_in_the_long_tags(
    exif: Tags, iso: int | None
) -> None:
    assert metadata.read(jpeg(exif=exif), PATH).iso == iso


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_normal(orientation: int) -> None:
    assert metadata.read(jpeg({0x0112: orientation}), PATH).orientation == 1


@pytest.mark.parametrize("blank", ["0000000", "      ", "\0\0\0\0\0"])
def test_a_blank_serial_number_is_none(blank: str) -> None:
    assert metadata.read(jpeg(exif={0xA431: blank}), PATH).serial == ""


def test_a_drone_tells_its_serial_number_in_xmp() -> None:
    packet = (
        b'<rdf:Description drone-dji:CameraSerialNumber="0K8TG9J0020123"'
        b' drone-dji:GimbalReverse="0"/>'
    )
    about = metadata.read(jpeg({0x010F: "DJI", 0x0110: "FC6310"}, xmp=packet), PATH)

    assert about.serial == "0K8TG9J0020123"


def test_a_large_photo_raises_and_warns_nothing() -> None:
    data = bytearray(picture((48, 32)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 65_000)
    about = metadata.read(bytes(data), PATH)

    assert (about.width, about.height) == (65_000, 60_000)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", picture((48, 32))[:60]])
def test_a_file_that_ends_in_its_header_may_still_grow(data: bytes) -> None:
    with pytest.raises(TruncatedPhotoError, match=r"/import/one\.jpg: "):
        metadata.read(data, PATH)


def test_what_is_no_jpeg_is_refused() -> None:
    with pytest.raises(PhotoError, match="not a JPEG file"):
        metadata.read(b"GIF89a" + bytes(100), PATH)


def test_a_thumbnail_is_cut_out() -> None:
    small = picture((160, 120))

    assert metadata.read(with_thumbnail((48, 32), small), PATH).thumbnail == small


def test_a_thumbnail_on_its_side_is_evidence_of_an_edit() -> None:
    small = picture((160, 120))
    upright = metadata.read(with_thumbnail((48, 64), small), PATH)
    level = metadata.read(with_thumbnail((64, 48), small), PATH)

    assert (
        edit_detection.why_edited(upright)
        == "thumbnail shows another shape than the stored 48x64"
    )
    assert edit_detection.why_edited(level) is None


def test_a_letterboxed_or_broken_thumbnail_is_no_evidence() -> None:
    boxed = Image.new("L", (160, 120))
    boxed.paste(Image.effect_noise((90, 120), 80), (35, 0))
    file = BytesIO()
    boxed.save(file, "JPEG")
    thumbnails = [file.getvalue(), picture((160, 120))[:400], b"\xff\xd8\xff\xd9"]
    for thumbnail in thumbnails:
        about = metadata.read(with_thumbnail((48, 64), thumbnail), PATH)

        assert about.thumbnail == thumbnail
        assert edit_detection.why_edited(about) is None


def test_a_photo_without_camera_identity_is_refused() -> None:
    about = metadata.read(picture((48, 32)), PATH)

    with pytest.raises(SkippedPhotoError, match="no camera identity"):
        metadata.camera(about, PATH)


def test_the_camera_is_the_one_that_exif_names() -> None:
    first: Tags = {0x010F: "NIKON CORPORATION", 0x0110: "NIKON D80"}
    about = metadata.read(jpeg(first, {0xA431: "3012345"}), PATH)
    expected = Camera("NIKON CORPORATION", "NIKON D80", "3012345", 48, 32)

    assert metadata.camera(about, PATH) == expected


def test_the_capture_time_is_read_from_the_start_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    data = jpeg(exif={0x9003: "2016:07:28 16:34:53", 0x9291: "20"})
    path.write_bytes(data[: data.index(b"\xff\xdb")])

    assert metadata.origin(path)[1] == dt.datetime(2016, 7, 28, 16, 34, 53, 200_000)


def test_whatever_has_no_capture_time_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("Exif? no.")
    (tmp_path / "header").write_bytes(b"\xff\xd8Exif\0\0II*\0\xff\xff\xff\xff")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    descriptors = len(list(Path("/proc/self/fd").iterdir()))

    for path in [*tmp_path.iterdir(), tmp_path, tmp_path / "gone"]:
        assert metadata.origin(path)[1] is None
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


CAMERAS = {
    "canon-1100d": "133062020855",
    "canon-450d": "1670520998",
    "canon-t5i-2592": "202032036383",
    "fuji-a200": "",
    "panasonic-zx3": "F121004280381",
    "reconyx-trailcam": "P900HG05179781",
}
# Files of the variety set that say themselves that software changed their pixels.
EDITED = 39


def photos_in(name: str) -> list[Path]:
    folder = os.environ.get("HOTPIXELD_PHOTOS")
    if folder is None:
        pytest.skip("HOTPIXELD_PHOTOS names no folder of photos")
    paths = sorted(Path(folder, name).iterdir())
    return [path for path in paths if path.suffix.lower() == ".jpg"]


@pytest.mark.parametrize("name", list(CAMERAS))
def test_every_photo_of_a_real_camera_is_its_own_and_unedited(name: str) -> None:
    cameras = set()
    for path in photos_in(name):
        about = metadata.read(path.read_bytes(), path)
        cameras.add(metadata.camera(about, path))

        assert edit_detection.why_edited(about) is None
        assert about.captured is not None
        assert metadata.origin(path)[1] == about.captured

    assert [camera.serial for camera in cameras] == [CAMERAS[name]]


def test_every_file_of_the_variety_set_is_read_or_refused() -> None:
    outcomes = {}
    for path in photos_in("variety"):
        try:
            about = metadata.read(path.read_bytes(), path)
        except PhotoError as error:
            outcomes[path.name] = error.reason
        else:
            outcomes[path.name] = edit_detection.why_edited(about) or ""

    evidence = ("edited with ", "stored size ")
    assert sum(reason.startswith(evidence) for reason in outcomes.values()) == EDITED
    assert not any(reason.startswith("thumbnail") for reason in outcomes.values())
    assert outcomes["exif-samples__jpg__gps__DSCN0029.jpg"] == ""
    assert outcomes["testerarm-images__DJI_0054.JPG"] == ""


def test_a_header_takes_about_a_millisecond() -> None:
    path = photos_in("canon-1100d")[0]
    data = path.read_bytes()
    times = []
    for _ in range(20):
        started = time.perf_counter()
        edit_detection.why_edited(metadata.read(data, path))
        times.append(time.perf_counter() - started)

    assert min(times) < 0.003

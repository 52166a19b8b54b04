from __future__ import annotations

import time

import numpy as np
import pytest

from hotpixeld.photo import edit_detection

SIZE = (4000, 3000)


def xmp(body: str, attributes: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description'
        f' rdf:about="" {attributes}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def saved(agent: str, changed: str) -> str:
    return (
        f'<rdf:li stEvt:action="saved" stEvt:softwareAgent="{agent}"'
        f' stEvt:changed="{changed}"/>'
    )


def history(*events: str) -> bytes:
    return xmp(
        f"<xmpMM:History><rdf:Seq>{''.join(events)}</rdf:Seq></xmpMM:History>",
        'xmp:CreatorTool="Ver.1.0  "',
    )


@pytest.mark.parametrize(
    "name",
    [
        "Adobe Photoshop CS3 Windows",
        "Adobe Photoshop Lightroom Classic 13.2 (Windows)",
        "Adobe Photoshop Express",
        "GIMP 2.10.34",
        "paint.net 4.2.13",
        "Corel PaintShop Pro 21.00",
        "darktable 4.6.1",
        "RawTherapee 5.10",
        "Capture One 23 Windows",
        "Capture NX 2.4.7 W",
        "Digital Photo Professional",
        "DxO PhotoLab 7.1",
        "Affinity Photo 2.3.1",
        "ACD Systems Digital Imaging",
        "OLYMPUS CAMEDIA Master",
        "Microsoft Windows Photo Viewer 6.1.7600.16385",
        "Windows Photo Editor 10.0.10011.16384",
        "Picasa",
        "Google",
        "QuickTime 7.7.1",
        "Photos 1.5",
        "Snapseed 2.0",
        "Instagram",
        "PTGui 12.16 (www.ptgui.com)",
    ],
)
def test_a_known_editor_is_evidence_and_is_named(name: str) -> None:
    assert edit_detection.reason(SIZE, SIZE, ["", name], b"") == f'edited with "{name}"'


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Ver.1.00",
        "Ver.1.00 ",
        "Firmware Version 1.0.2",
        "COOLPIX P6000V1.0",
        "Digital Camera FinePix A200   Ver1.00",
        "HDR+ 1.0.345618096zd",
        "HDR+ 1.0.540104767zdr",
        "MediaTek Camera Application",
        "17.1.2",
        "G930FXXU2DRB6",
        "HD6.01.01.51.00",
        "v01.25.5432",
        "DJI FC300S Ver.1.00",
        "Google Pixel 7",
        "hp photosmart 735",
        "DxO ONE v3.2",
        "KODAK PIXPRO 1.00",
        "Android RP1A.200720.012",
        "fw 05.15 prm 07.53",
        "ILCE-7M3 v3.10",
        "SLT-A77V v1.05",
        "Optio S4i Ver 1.01",
        "Nikon Transfer 1.1 W",
        "Photo Mechanic 6.0",
        "ExifTool 12.57",
        "digiKam-8.2.0",
        "Microsoft Windows Live Photo Gallery 15.4",
        "Camera Trap File Manager",
        "a program that nobody knows 3.1",
    ],
)
def test_firmware_unknown_and_metadata_programs_are_no_evidence(name: str) -> None:
    creator = xmp("", f'xmp:CreatorTool="{name}"')

    assert edit_detection.reason(SIZE, SIZE, [name, name], creator) is None


@pytest.mark.parametrize(
    ("size", "exif_size", "words"),
    [
        ((450, 600), (600, 450), "450x600 differs from the EXIF size 600x450"),
        ((640, 480), (4320, 3240), "640x480 differs from the EXIF size 4320x3240"),
        ((4000, 2992), (4000, 3000), "4000x2992 differs from the EXIF size 4000x3000"),
    ],
    ids=["rotated", "resized", "trimmed"],
)
def test_another_size_than_exif_says_is_evidence(
    size: tuple[int, int], exif_size: tuple[int, int], words: str
) -> None:
    assert edit_detection.reason(size, exif_size, [], b"") == f"stored size {words}"


@pytest.mark.parametrize("exif_size", [SIZE, (None, None), (4000, None), (None, 3000)])
def test_an_equal_or_missing_exif_size_is_no_evidence(
    exif_size: tuple[int | None, int | None],
) -> None:
    assert edit_detection.reason(SIZE, exif_size, [], b"") is None


@pytest.mark.parametrize(
    "packet",
    [
        xmp("", 'xmp:CreatorTool="Adobe Photoshop CS5 Windows"'),
        xmp("", "xmp:CreatorTool='Adobe Photoshop CS5 Windows'"),
        xmp("<xmp:CreatorTool>Adobe Photoshop CS5 Windows</xmp:CreatorTool>"),
        history(
            saved("Some Browser 3", "/metadata"),
            saved("Adobe Photoshop CS5 Windows", "/"),
        ),
        history(
            "<rdf:li rdf:parseType='Resource'><stEvt:action>saved</stEvt:action>"
            "<stEvt:softwareAgent>Adobe Photoshop CS5 Windows</stEvt:softwareAgent>"
            "<stEvt:changed>/content;/metadata</stEvt:changed></rdf:li>"
        ),
    ],
    ids=["attribute", "ExifTool's quotes", "element", "history", "history elements"],
)
def test_xmp_that_names_an_editor_is_evidence(packet: bytes) -> None:
    expected = 'edited with "Adobe Photoshop CS5 Windows"'

    assert edit_detection.reason(SIZE, SIZE, ["Ver.1.0"], packet) == expected


def test_camera_raw_settings_that_are_applied_are_evidence() -> None:
    packet = xmp("", 'crs:Exposure2012="+0.50" crs:AlreadyApplied="True"')

    assert edit_detection.reason(SIZE, SIZE, [], packet) == 'edited with "Camera Raw"'


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        history(),
        history(saved("Adobe Photoshop Lightroom 6.14 (Macintosh)", "/metadata")),
        history('<rdf:li stEvt:action="saved" stEvt:changed="/"/>'),
        history('<rdf:li stEvt:action="created" stEvt:softwareAgent="ILCE-7M4 v1"/>'),
        xmp("", 'crs:Exposure2012="+0.50" crs:AlreadyApplied="False"'),
        xmp("<xmp:Rating>4</xmp:Rating>", 'photomechanic:ColorClass="2"'),
        b"\xff\xfe not xmp at all <rdf:li <rdf:li stEvt:changed=",
    ],
)
def test_xmp_of_metadata_edits_is_no_evidence(packet: bytes) -> None:
    assert edit_detection.reason(SIZE, SIZE, ["Ver.1.00"], packet) is None


def test_a_long_name_is_cut() -> None:
    reason = edit_detection.reason(SIZE, SIZE, ["GIMP " + "x" * 500], b"")

    assert reason == f'edited with "GIMP {"x" * 55}"'


@pytest.mark.parametrize(
    "packet",
    [
        b"xmp:CreatorTool" * 4000,
        b"<rdf:li" * 9000,
        b"xmp:CreatorTool=" + b" " * 64_000,
        b"stEvt:changed>" * 4500,
    ],
)
def test_a_hostile_packet_takes_no_time(packet: bytes) -> None:
    started = time.perf_counter()

    assert edit_detection.reason(SIZE, SIZE, [], packet) is None
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    "size", [(4000, 3000), (6000, 4000), (4000, 2250), (3000, 3000), (160, 120)]
)
def test_a_camera_may_fit_its_formats_into_one_thumbnail(size: tuple[int, int]) -> None:
    assert edit_detection.same_shape(size, (160, 120))


@pytest.mark.parametrize("size", [(3000, 4000), (4000, 6000), (9000, 2000)])
def test_a_picture_on_its_side_or_a_strip_has_another_shape(
    size: tuple[int, int],
) -> None:
    assert not edit_detection.same_shape(size, (160, 120))


def scene(rows: int, columns: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.random.default_rng(3).integers(0, 256, (rows, columns), np.uint8)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_bars_that_leave_room_for_the_shape_are_seen(level: int) -> None:
    upright, strip = scene(120, 160), scene(120, 160)
    upright[:, :35] = upright[:, -35:] = level
    strip[:42] = strip[-42:] = level

    assert edit_detection.is_letterboxed((3000, 4000), upright)
    assert edit_detection.is_letterboxed((9000, 2000), strip)
    assert not edit_detection.is_letterboxed((9000, 2000), upright)


def test_a_picture_that_fills_the_thumbnail_has_no_bars() -> None:
    thumbnail = scene(120, 160)
    before = thumbnail.copy()

    assert not edit_detection.is_letterboxed((3000, 4000), thumbnail)
    assert not edit_detection.is_letterboxed((4000, 3000), thumbnail)
    assert np.array_equal(thumbnail, before)

"""Each export is read by the program that it is for, which repairs the right pixels.

Photos are made here: a JPEG, and a small DNG (`raw_photos`).  A program that is not installed
skips its tests, which say so.  Those of dcraw, LibRaw and jpegpixi are small: `deploy/setup
test` installs them.  RawTherapee and Siril come with 70 packages, 280 MB: have them with

    apt-get install --no-install-recommends rawtherapee siril

or unpack them (`--download-only`, `dpkg -x`) and lay them over /usr in a mount namespace of
the tests' own (`unshare -m`, an overlay): 60 MB to fetch, nothing installed.  ART, which Debian
does not have, reads as RawTherapee does (`formats/rawtherapee.py`).

Measured on Debian 12 with dcraw 9.28, LibRaw 0.20.2, RawTherapee 5.9, Siril 1.0.6 and jpegpixi
1.1.1: all pass.  Siril's y counts from the top, and RawTherapee takes no photo of 200 x 150.
"""

from __future__ import annotations

import datetime as dt
import io
import os
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from hotpixeld.camera import Camera
from hotpixeld.defect import Defect, Kind
from hotpixeld.formats import rawtherapee
from hotpixeld.formats.form import CameraMap
from hotpixeld.formats.known_forms import FORMS, files, written
from hotpixeld.jpeg import compare
from hotpixeld.repair.pixel_list import ListedPixel, Source
from hotpixeld.store.images import CameraRecord
from raw_photos import mosaic, write_dng
from sensor import write_jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

HEIGHT, WIDTH = 600, 800
BORDER = 12, 4
"""Of the raw photo, around what the JPEG shows: to the right, down."""
CAMERA = Camera("NIKON CORPORATION", "NIKON D80", "3012345", WIDTH - 24, HEIGHT - 8)
SITES = [(0, 0), (36, 58), (96, 19), (300, CAMERA.width - 1), (CAMERA.height - 1, 400)]
"""Hot pixels, (row, col) in the JPEG: one at each edge, of each colour."""
UNLISTED = 200, 201
TAKEN = "2024:05:03 12:00:00"


PACKAGES = {
    "dcraw": "dcraw",
    "dcraw_emu": "libraw-bin",
    "jpegpixi": "jpegpixi",
    "rawtherapee-cli": "rawtherapee",
    "siril-cli": "siril",
}


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: apt-get install {PACKAGES[program]}")


def maps(listed: list[ListedPixel]) -> list[CameraMap]:
    return [CameraMap(CameraRecord(CAMERA, 0, 0, 0, 0.0, 0, 0, 0.0, 0), listed)]


LISTED = [ListedPixel(Defect(*site, radius=1)) for site in SITES]


def in_raw(sites: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(row + BORDER[1], col + BORDER[0]) for row, col in sites]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Return a raw photo with hot pixels, of which the list knows all but one."""
    path = tmp_path / "photo.dng"
    levels = mosaic(HEIGHT, WIDTH, in_raw([*SITES, UNLISTED]))
    write_dng(path, levels, serial=CAMERA.serial, when=TAKEN)
    return path


def run(
    *command: str | Path, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def by_dcraw(raw: Path, zone: str) -> bytes:
    command = "dcraw", "-d", "-4", "-j", "-t", "0", "-P", "list", "-c", raw
    return run(*command, cwd=raw.parent, TZ=zone).stdout


def by_libraw(raw: Path, zone: str) -> bytes:
    command = "dcraw_emu", "-disinterp", "-4", "-j", "-t", "0", "-P", "list", raw
    run(*command, cwd=raw.parent, TZ=zone)
    return raw.with_name(f"{raw.name}.ppm").read_bytes()


def developed(
    program: str, raw: Path, listed: list[ListedPixel], zone: str = "UTC"
) -> NDArray[np.int32]:
    """Return what a program makes of a raw photo with a list, not interpolated."""
    needs(program)
    raw.with_name("list").write_bytes(written(FORMS["dcraw"], maps(listed), BORDER))
    made = (by_dcraw if program == "dcraw" else by_libraw)(raw, zone)
    with Image.open(io.BytesIO(made)) as image:
        levels = np.asarray(image).astype(np.int32)
    return levels if levels.ndim == 2 else levels.max(axis=2)


def hot(levels: NDArray[np.int32]) -> set[tuple[int, int]]:
    """Return where an even surface is bright."""
    return {
        (int(row), int(col)) for row, col in np.argwhere(levels > 3 * np.median(levels))
    }


READERS = pytest.mark.parametrize("program", ["dcraw", "dcraw_emu"])


@READERS
def test_dcraw_and_libraw_repair_what_the_list_names_and_nothing_else(
    program: str, raw: Path
) -> None:
    assert hot(developed(program, raw, [])) == set(in_raw([*SITES, UNLISTED]))
    assert hot(developed(program, raw, LISTED)) == set(in_raw([UNLISTED]))


@READERS
def test_photos_that_are_older_than_the_defect_are_left_alone(
    program: str, raw: Path
) -> None:
    taken = dt.datetime.strptime(TAKEN, "%Y:%m:%d %H:%M:%S")
    hour = dt.timedelta(hours=1)
    one = LISTED[1].defect
    before, after = (
        developed(
            program,
            raw,
            [ListedPixel(replace(one, by=by), Source.CONFIGURED)],
            os.environ.get("TZ", ""),
        )
        for by in (taken - hour, taken + hour)
    )

    (site,) = in_raw(SITES[1:2])
    assert site not in hot(before)
    assert site in hot(after)


NAMES = [
    ("NIKON CORPORATION", "NIKON D80"),
    ("NIKON", "COOLPIX L6"),
    ("Canon", "Canon EOS 1100D"),
    ("Canon", "Canon EOS REBEL T5i"),
    ("Canon", "Canon PowerShot ELPH 300 HS"),
    ("SONY", "SLT-A58"),
    ("FUJIFILM", "FinePix S5000"),
    ("FUJIFILM", "X100S"),
    ("OLYMPUS IMAGING CORP.", "E-M5"),
    ("OLYMPUS CORPORATION", "E-M1MarkII"),
    ("OLYMPUS OPTICAL CO.,LTD", "C5050Z"),
    ("Panasonic", "DMC-ZX3"),
    ("PENTAX Corporation", "PENTAX K10D"),
    ("RICOH IMAGING COMPANY, LTD.", "PENTAX K-3 II"),
    ("KONICA MINOLTA", "DYNAX 5D"),
    ("Minolta Co., Ltd.", "DiMAGE A1"),
    ("EASTMAN KODAK COMPANY", "KODAK P880 ZOOM DIGITAL CAMERA"),
    ("SAMSUNG", "NX300"),
    ("LEICA CAMERA AG", "LEICA M8 Digital Camera"),
    ("Leica Camera AG", "M9 Digital Camera"),
    ("CASIO COMPUTER CO.,LTD.", "EX-Z750"),
    ("SEIKO EPSON CORP.", "R-D1s"),
    ("Hasselblad", "Hasselblad H3D"),
    ("DJI", "FC6310"),
    ("Phase One A/S", "IQ180"),
    ("Mamiya-OP Co.,Ltd.", "MAMIYA ZD"),
    ("Apple", "iPhone 12 Pro"),
    ("HMD Global", "Nokia 7.1"),
]


@pytest.mark.parametrize(("make", "model"), NAMES)
def test_dcraw_calls_cameras_what_rawtherapees_file_is_called(
    make: str, model: str, tmp_path: Path
) -> None:
    needs("dcraw")
    write_dng(tmp_path / "photo.dng", mosaic(60, 80, []), make=make, model=model)
    said = run("dcraw", "-i", "-v", "photo.dng", cwd=tmp_path).stdout.decode()
    (name,) = (
        line.removeprefix("Camera: ")
        for line in said.splitlines()
        if "Camera: " in line
    )

    assert rawtherapee.dcraw_name(make, model) == name


PLAIN = """[Version]
AppVersion=5.9
Version=346
[RAW]
CA=false
HotPixelEnabled=false
DeadPixelEnabled=false
[RAW Bayer]
Method=fast
Border=0
[Sharpening]
Enabled=false
"""
"""A RawTherapee profile that repairs nothing by itself."""


@pytest.mark.parametrize("serial", [CAMERA.serial, ""])
def test_rawtherapee_finds_the_list_by_its_name_and_repairs(
    raw: Path, serial: str
) -> None:
    needs("rawtherapee-cli")
    folder = raw.parent
    for name in ("settings", "cache", "dark"):
        (folder / name).mkdir()
    (folder / "plain.pp3").write_text(PLAIN)
    (folder / "settings" / "options").write_text(
        f"[General]\nVersion=5.9\nVerbose=true\nDarkFramesPath={folder}/dark\n"
    )
    camera = replace(CAMERA, serial=serial)
    record = CameraRecord(camera, 0, 0, 0, 0.0, 0, 0, 0.0, 0)
    for name, content in files(
        FORMS["rawtherapee"], [CameraMap(record, LISTED)], BORDER
    ).items():
        (folder / "dark" / name).write_bytes(content)
    command = (
        "rawtherapee-cli",
        "-o",
        "out.tif",
        "-t",
        "-b8",
        "-p",
        "plain.pp3",
        "-Y",
        "-c",
        raw,
    )
    places = {"RT_SETTINGS": f"{folder}/settings", "RT_CACHE": f"{folder}/cache"}
    said = run(*command, cwd=folder, **places).stdout.decode()
    with Image.open(folder / "out.tif") as image:
        levels = np.asarray(image).max(axis=2).astype(np.int32)

    assert f"Correcting {len(SITES)} pixels from .badpixels" in said
    bright = {
        (int(row), int(col))
        for row, col in np.argwhere(levels > 1.3 * np.median(levels))
    }
    (spot,) = in_raw([UNLISTED])
    assert spot in bright
    for row, col in bright:  # the demosaicing spreads it
        assert max(abs(row - spot[0]), abs(col - spot[1])) <= 2


def test_siril_repairs_what_the_list_names_and_nothing_else(raw: Path) -> None:
    needs("siril-cli")
    folder = raw.parent
    (folder / "list.lst").write_bytes(written(FORMS["siril"], maps(LISTED), BORDER))
    script = "requires 1.0.0\nload photo.dng\nsavetif before\ncosme_cfa list\nsavetif after\nclose\n"
    (folder / "script.ssf").write_text(script)
    run("siril-cli", "-d", folder, "-s", "script.ssf", cwd=folder, HOME=str(folder))
    found = []
    for name in ("before.tif", "after.tif"):
        with Image.open(folder / name) as image:
            found.append(hot(np.asarray(image).astype(np.int32)))

    assert found == [set(in_raw([*SITES, UNLISTED])), set(in_raw([UNLISTED]))]


def test_siril_writes_what_is_read_as_it_means_it(raw: Path) -> None:
    needs("siril-cli")
    folder = raw.parent
    script = "requires 1.0.0\nload photo.dng\nfind_hot found 3 3\nclose\n"
    (folder / "script.ssf").write_text(script)
    run("siril-cli", "-d", folder, "-s", "script.ssf", cwd=folder, HOME=str(folder))
    found = folder / "found.lst"
    read = FORMS["siril"].read(found.read_bytes(), CAMERA, found)

    sites = {(one.defect.row, one.defect.col) for one in read}
    assert sites == set(in_raw([*SITES, UNLISTED]))
    assert {one.defect.kind for one in read} == {Kind.HOT}


def test_jpegpixi_repairs_the_blocks_that_the_list_names_and_no_others(
    tmp_path: Path,
) -> None:
    needs("jpegpixi")
    frame = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)
    for row, col in [*SITES, UNLISTED]:
        frame[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2] = 130
        frame[row, col] = 250
    write_jpeg(tmp_path / "photo.jpg", frame)
    (tmp_path / "list").write_bytes(written(FORMS["jpegpixi"], maps(LISTED)))
    run("jpegpixi", "-f", "list", "photo.jpg", "out.jpg", cwd=tmp_path)
    with Image.open(tmp_path / "out.jpg") as image:
        levels = np.asarray(image.convert("L")).astype(np.int32)

    for row, col in SITES:
        around = levels[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2]
        assert abs(around - 90).max() < 12
    assert levels[UNLISTED] > 200
    before, after = (
        (tmp_path / name).read_bytes() for name in ("photo.jpg", "out.jpg")
    )
    assert compare.compare(before, after).is_repair

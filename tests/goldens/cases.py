"""The cases of the goldens: which photos are put where, and what is configured.

Generated photos are those of the seeded sensors in `sensor`, encoded in the ways of many
cameras; the real ones are the sets below HOTPIXELD_PHOTOS.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from sensor import START, Frame, Planted, Sensor, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Fill = Callable[[Path], None]

PHOTO_SUFFIXES = {".jpg", ".jpeg"}
ENCODINGS: tuple[dict[str, Any], ...] = (
    {"subsampling": "4:2:2"},
    {"subsampling": "4:2:0", "quality": 85},
    {"subsampling": "4:4:4", "quality": 97},
    {"subsampling": "4:2:0", "progressive": True},
    {"subsampling": "4:2:2", "restart_marker_blocks": 7},
    {"subsampling": "4:4:4", "progressive": True, "quality": 75},
    {"subsampling": "4:2:0", "optimize": True, "restart_marker_rows": 1},
)
EXPOSURES = (0.004, 0.02, 0.5)


@dataclass(frozen=True, slots=True)
class Case:
    """What is given to the program.

    Attributes
    ----------
    fills : tuple of callable
        Each puts photos into the import folder; after each, ``run --once`` works them off.
    folder, detection : dict
        More of the folder's configuration, and of the detection's.
    cameras : tuple of dict
        The cameras of the configuration.
    jobs : tuple of int
        Of ``--jobs``; all of them must give the same.
    by_hand : tuple of str
        Pixels that ``repair`` is given for every photo; none: it is not run.
    maps : tuple of tuple of str
        Arguments of ``map``, each of which lists places, besides ``history``.
    """

    fills: tuple[Fill, ...]
    folder: dict[str, Any] = field(default_factory=dict)
    detection: dict[str, Any] = field(default_factory=dict)
    cameras: tuple[dict[str, Any], ...] = ()
    jobs: tuple[int, ...] = (2,)
    by_hand: tuple[str, ...] = ()
    maps: tuple[tuple[str, ...], ...] = ()


FIRST = Sensor(
    height=200,
    width=280,
    seed=11,
    defects=(
        Planted(31, 44, 70),
        Planted(120, 201, 35, tint=(1.0, 0.3, 0.2)),
        Planted(60, 150, 250, kind="stuck"),
        Planted(150, 90, 4, kind="dead"),
        Planted(0, 12, 80),
        Planted(170, 250, 60, onset=16),
        Planted(90, 230, 60, until=20),
        Planted(100, 30, 90, radius=2),
    ),
)
WARM = Planted(180, 140, 60)
"""Shows at long exposures only."""
SECOND = Sensor(height=218, width=300, seed=12)
"""Its size is no multiple of a block."""
MOVED = {4.3: Planted(80, 100, 80), 17.0: Planted(84, 105, 80)}
"""One defect, where the lens correction puts it at two focal lengths."""
LATE = Sensor(
    height=160,
    width=240,
    seed=13,
    defects=(Planted(40, 60, 60), Planted(100, 200, 70, onset=26)),
)


def _grey(frame: Frame) -> Frame:
    return np.asarray(Image.fromarray(frame).convert("L"))


def _write_first(folder: Path, index: int) -> None:
    """Write a photo of the first camera: exposures and encodings take turns."""
    seconds = EXPOSURES[index % len(EXPOSURES)]
    there = (*FIRST.defects, WARM) if seconds > 0.1 else FIRST.defects
    frame = replace(FIRST, defects=there).frame(index)
    encoding = ENCODINGS[index % len(ENCODINGS)]
    if index % 11 == 10:
        frame, encoding = _grey(frame), {"subsampling": -1}
    path, taken = folder / f"IMG_{index:04d}.JPG", START + dt.timedelta(hours=index)
    write_jpeg(path, frame, taken, exposure=seconds, iso=100 << index % 3, **encoding)


def _write_second(folder: Path, index: int) -> None:
    """Write a photo of the second camera, in one of two focal lengths."""
    focal = 17.0 if index % 4 == 3 else 4.3
    frame = replace(SECOND, defects=(MOVED[focal],)).frame(index)
    path, taken = folder / f"DSCF{index:04d}.jpg", START + dt.timedelta(minutes=index)
    write_jpeg(path, frame, taken, focal=focal, serial="777", subsampling="4:2:0")


def _write_odd(folder: Path) -> None:
    """Write what is no new photo, beside one of each."""
    whole = (folder / "day1" / "IMG_0001.JPG").read_bytes()
    (folder / "same bytes.jpg").write_bytes(whole)
    comment = b"\xff\xfe\x00\x08edited"
    (folder / "same image.jpg").write_bytes(whole[:2] + comment + whole[2:])
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "no photo.jpg").write_bytes(b"no photo at all\n" * 40)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "link.jpg").symlink_to("same bytes.jpg")
    frame = FIRST.frame(900)
    write_jpeg(folder / "edited.jpg", frame, software="Adobe Photoshop CS3 Windows")
    Image.fromarray(frame).save(folder / "no camera.jpg", "JPEG", quality=92)
    Image.fromarray(frame).convert("CMYK").save(folder / "cmyk.jpg", "JPEG")


def mixed(folder: Path) -> None:
    """Put two cameras, 36 and 28 photos, and all that is no new photo into a folder."""
    day1, day2 = folder / "day1", folder / "day2"
    day1.mkdir()
    day2.mkdir()
    for index in range(36):
        _write_first(day1 if index < 20 else day2, index)
    for index in range(28):
        _write_second(folder, index)
    _write_odd(folder)


def first_camera(folder: Path) -> None:
    """Put 18 photos of the first camera into a folder, and an edited one."""
    for index in range(18):
        _write_first(folder, index)
    frame = FIRST.frame(901)
    write_jpeg(folder / "edited.jpg", frame, software="Adobe Photoshop CS3 Windows")


def encodings(folder: Path) -> None:
    """Put one photo of each encoding into a folder, and a broken one."""
    for index in range(len(ENCODINGS)):
        _write_first(folder, index)
    _write_first(folder, 10)  # grey
    whole = (folder / "IMG_0001.JPG").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])


def late(folder: Path, start: int, stop: int) -> None:
    """Put photos of a camera with a late defect into a folder."""
    LATE.write(folder, stop - start, start)


GENERATED = {
    "mixed": Case((mixed,), jobs=(2, 1)),
    "configured": Case(
        (first_camera,),
        folder={"edited": "fold", "unchanged": "copy"},
        cameras=(
            {
                "model": "Model One",
                "serial": "0123456",
                "pixels": [
                    [200, 20],
                    {"x": 33, "y": 77, "radius": 1, "since": "2024-03-01T20:00:00"},
                    {"x": 130, "y": 40, "until": "2024-03-01T20:00:00"},
                ],
                "ignore": [[44, 31]],
            },
        ),
    ),
    "continued": Case(
        (partial(late, start=0, stop=20), partial(late, start=20, stop=44)),
        folder={"unchanged": "link"},
        maps=((), ("--method", "contrast"), ("--method", "variance")),
    ),
    "encodings": Case((encodings,), by_hand=("44,31", "150,60", "12,0", "201,120")),
}


def of_set(folder: Path, source: Path) -> None:
    """Put a real set into a folder."""
    for path in sorted(source.iterdir()):
        if path.suffix.lower() in PHOTO_SUFFIXES:
            shutil.copyfile(path, folder / path.name)


def of_sets(sets: Path) -> dict[str, Case]:
    """Return the cases of the real sets below a folder."""

    def one(name: str, **more: Any) -> Case:
        return Case((partial(of_set, source=sets / name),), **more)

    few = {"detection": {"min_photos": 4}}
    return {
        "canon-t5i-2592": one("canon-t5i-2592"),
        "fuji-a200": one("fuji-a200"),
        "canon-1100d": one("canon-1100d"),
        "nikon-l6": one("nikon-l6"),
        "canon-elph300": one("canon-elph300", folder={"edited": "fold"}, **few),
        "canon-450d": one("canon-450d", **few),
        "panasonic-zx3": one("panasonic-zx3"),
        "reconyx-trailcam": one("reconyx-trailcam"),
        # All makers, encodings and damages; at places that most of the photos have.
        "variety": one(
            "variety",
            folder={"edited": "fold"},
            cameras=({"pixels": [[60, 40], [17, 32]]},),
            by_hand=("3,3",),
        ),
    }


def filled(fill: Fill, folder: Path) -> None:
    """Fill the import folder, with files that have been still since long ago."""
    fill(folder)
    then = START.replace(tzinfo=dt.UTC).timestamp()
    for path in folder.rglob("*"):
        os.utime(path, (then, then), follow_symlinks=False)

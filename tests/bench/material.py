"""What the benchmarks work on: many photos, large ones, small ones, each another image."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import itertools
import re
import shutil
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = dt.datetime(2024, 3, 1, 12)


_TIME = re.compile(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_HEAD = 1 << 16


def _later(data: bytes, minutes: int) -> bytes:
    """Return a photo with all times in its head so much later."""

    def later(found: re.Match[bytes]) -> bytes:
        with contextlib.suppress(ValueError):
            time = dt.datetime.strptime(found[0].decode(), "%Y:%m:%d %H:%M:%S")
            time += dt.timedelta(minutes=minutes)
            return f"{time:%Y:%m:%d %H:%M:%S}".encode()
        return found[0]

    return _TIME.sub(later, data[:_HEAD]) + data[_HEAD:]


def another(data: bytes, number: int) -> bytes:
    """Return the same picture as another shot, with an unused quantisation table."""
    data = _later(data, number)
    digits = bytes((number >> shift & 15) + 1 for shift in range(0, 32, 4))
    payload = bytes([3]) + digits + bytes([1]) * 56
    return data[:2] + b"\xff\xdb" + (67).to_bytes(2, "big") + payload + data[2:]


def photos_in(folder: Path) -> list[Path]:
    """Return the JPEGs in a folder."""
    suffixes = {".jpg", ".jpeg"}
    return sorted(one for one in folder.iterdir() if one.suffix.lower() in suffixes)


def copies(folder: Path, target: Path, count: int) -> list[Path]:
    """Fill `target` with `count` photos of `folder`; none of them is a duplicate."""
    target.mkdir(parents=True, exist_ok=True)
    found = photos_in(folder)
    for index, path in enumerate(itertools.islice(itertools.cycle(found), count)):
        name = target / f"{index:06d}_{path.name}"
        if index < len(found):
            shutil.copy2(path, name)
        else:
            name.write_bytes(another(path.read_bytes(), index))
            shutil.copystat(path, name)  # settled long ago
    return photos_in(target)


NOISE = 4.0
"""Levels of noise in enlarged photos: without any their files would be far too small."""
_SERIAL = b"SERIAL-00"


def _noisy(image: Image.Image, seed: int) -> Image.Image:
    """Return a photo with a sensor's noise, the same in all colours."""
    frame = np.asarray(image).astype(np.int16)
    tile = np.random.default_rng(seed).normal(0, NOISE, (512, 512)).astype(np.int16)
    high, wide = (-(-size // 512) for size in frame.shape[:2])
    frame += np.tile(tile, (high, wide))[: len(frame), : frame.shape[1], None]
    return Image.fromarray(frame.clip(0, 255).astype(np.uint8))


def _enlarge(path: Path, made: Path, megapixels: float, seed: int) -> None:
    """Write a photo as a camera of so many megapixels has it, and a progressive one."""
    with Image.open(path) as image:
        factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
        size = (int(image.width * factor) // 16 * 16, int(image.height * factor))
        exif = image.getexif()
        about = {0xA002: size[0], 0xA003: size[1], 0xA431: _SERIAL.decode()}
        exif.get_ifd(0x8769).update(about)
        large = _noisy(image.resize(size, Image.Resampling.BICUBIC), seed)
    for kind, subsampling in (("single", 1), ("several", 2)):
        large.save(
            made / kind / path.name,
            quality=92,
            exif=exif,
            subsampling=subsampling,
            progressive=kind == "several",
        )


def enlarged(
    folder: Path,
    target: Path,
    count: int,
    megapixels: float,
    *,
    progressive: int = 0,
    cameras: int = 1,
) -> list[Path]:
    """Fill `target` with photos of `folder` as a camera of so many megapixels has them.

    Parameters
    ----------
    progressive : int
        How many of them are: spread among the others.
    cameras : int
        Bodies that took them in turn.
    """
    target.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f"{target.name}-enlarged")
    for kind in ("single", "several"):
        (made / kind).mkdir(parents=True)
    for seed, path in enumerate(photos_in(folder)[:4]):
        _enlarge(path, made, megapixels, seed)
    several = set(range(1, count, count // progressive) if progressive else ())
    for index in range(count):
        sources = photos_in(made / ("several" if index in several else "single"))
        source = sources[index % len(sources)]
        body = b"SERIAL-%02d" % (index % cameras)
        name = target / f"{index:06d}_{source.name}"
        name.write_bytes(another(source.read_bytes(), index).replace(_SERIAL, body, 1))
        shutil.copystat(source, name)
    shutil.rmtree(made)
    return photos_in(target)


def tiny(target: Path, count: int, a_folder: int = 1000) -> None:
    """Fill folders below `target` with `count` photos of 320x240, one camera's."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 200, (16, 15, 20, 3), np.uint8)
    bases = []
    for frame in coarse.repeat(16, axis=1).repeat(16, axis=2):
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Maker", "Model One"
        exif.get_ifd(0x8769).update({0x9003: "0" * 19, 0xA431: "0123456"})
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=85, exif=exif)
        bases.append(buffer.getvalue())
    for index in range(count):
        folder = target / f"{index // a_folder:04d}"
        if index % a_folder == 0:
            folder.mkdir(parents=True)
        taken = f"{MOMENT + dt.timedelta(minutes=index):%Y:%m:%d %H:%M:%S}".encode()
        data = bases[index % len(bases)].replace(b"0" * 19, taken)
        (folder / f"IMG_{index:06d}.JPG").write_bytes(another(data, index))

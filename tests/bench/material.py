"""What the benchmarks work on: many photos, large ones, small ones, each another image."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import shutil
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

MOMENT = dt.datetime(2024, 3, 1, 12)


def another(data: bytes, number: int) -> bytes:
    """Return the same picture as another image: with an unused quantisation table."""
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


def enlarged(folder: Path, target: Path, count: int, megapixels: float) -> list[Path]:
    """Fill `target` with photos of `folder` as a camera of so many megapixels has them."""
    target.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f"{target.name}-enlarged")
    made.mkdir(exist_ok=True)
    for path in photos_in(folder)[: min(count, 4)]:
        with Image.open(path) as image:
            factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
            size = (int(image.width * factor) // 16 * 16, int(image.height * factor))
            exif = image.getexif()
            exif.get_ifd(0x8769).update({0xA002: size[0], 0xA003: size[1]})
            image.resize(size, Image.Resampling.BICUBIC).save(
                made / path.name, quality=92, subsampling=1, exif=exif
            )
    return copies(made, target, count)


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

"""A seeded camera: scenes, noise and planted defects, as frames, truth and JPEG files.

Not a test: what a bare clone tests with, where no real photos are at hand. Scenes are
smooth light, edges of objects, and patches of fine texture; every one is new unless told
otherwise, and what hides a defect (texture, noise, clipping) is in all of them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Frame = NDArray[np.uint8]

# Excess of the neighbours over that of the peak, as published in DESIGN.md for a DSLR and
# a compact.
FOOTPRINTS = {
    0: np.ones((1, 1)),
    1: np.array([[0.12, 0.28, 0.12], [0.28, 1.0, 0.28], [0.12, 0.28, 0.12]]),
    2: np.array(
        [
            [-0.1, -0.2, -0.2, -0.2, -0.1],
            [-0.1, 0.15, 0.35, 0.15, -0.1],
            [-0.1, 0.45, 1.0, 0.45, -0.1],
            [-0.1, 0.15, 0.35, 0.15, -0.1],
            [-0.1, -0.2, -0.2, -0.2, -0.1],
        ]
    ),
}
START = dt.datetime(2024, 3, 1, 12)


@dataclass(frozen=True, slots=True)
class Planted:
    """A defect of the seeded sensor.

    `level` is added (hot), shown (stuck, dead) at `row`, `col`, times `tint` per channel,
    in the photos from `onset` up to, not with, `until`.
    """

    row: int
    col: int
    level: float = 40.0
    kind: str = "hot"
    radius: int = 1
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    onset: int = 0
    until: int = 1_000_000_000


def _smooth(rng: np.random.Generator, height: int, width: int, cell: int) -> np.ndarray:
    """Return (H, W) bilinear noise of standard deviation 1 on a grid of `cell` pixels."""
    rows, cols = height // cell + 2, width // cell + 2
    grid = rng.normal(size=(rows, cols))
    y, x = np.arange(height) / cell, np.arange(width) / cell
    top, left = y.astype(int), x.astype(int)
    down, right = (y - top)[:, None], x - left
    upper = grid[top][:, left] * (1 - right) + grid[top][:, left + 1] * right
    lower = grid[top + 1][:, left] * (1 - right) + grid[top + 1][:, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)


def _object(image: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a tilted rectangle of one colour into `image`, in place."""
    height, width, _ = image.shape
    row, col = int(rng.integers(height)), int(rng.integers(width))
    angle, reach = rng.uniform(0, np.pi), int(rng.integers(10, 70))
    far = 2 * reach
    part = image[max(row - far, 0) : row + far, max(col - far, 0) : col + far]
    y = np.arange(part.shape[0])[:, None] - min(row, far)
    x = np.arange(part.shape[1]) - min(col, far)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    inside = np.clip(reach - np.maximum(abs(along), 2 * abs(across)), 0, 1)
    there = inside > 0
    old = part[there]
    part[there] = old + inside[there][:, None] * (rng.uniform(10, 250, 3) - old)


@dataclass(frozen=True, slots=True)
class Sensor:
    """A camera with `defects`; the same `seed` always gives the same frames."""

    height: int = 400
    width: int = 560
    seed: int = 0
    defects: tuple[Planted, ...] = ()
    noise: float = 1.5
    texture: float = 12.0
    scenes: int = 0
    """Photos repeat so many scenes; 0: every photo has its own."""
    _kept: dict[int, np.ndarray] = field(
        default_factory=dict, repr=False, compare=False
    )

    def scene(self, number: int) -> np.ndarray:
        """Return the light of one scene, (H, W, 3) float, 0-255."""
        if number in self._kept:
            return self._kept[number]
        rng = np.random.default_rng((self.seed, 1, number))
        shape = self.height, self.width
        light = 110 + 35 * _smooth(rng, *shape, 80) + 8 * _smooth(rng, *shape, 23)
        image = light[..., None] * (1 + 0.15 * rng.normal(size=3))
        for _ in range(30):
            _object(image, rng)
        strength = np.clip(_smooth(rng, *shape, 60), 0, None) * self.texture
        image += (strength * rng.normal(size=shape))[..., None]
        if self.scenes:
            self._kept[number] = image
        return np.asarray(image)

    def frame(self, index: int) -> Frame:
        """Return the photo `index`, (H, W, 3) uint8."""
        rng = np.random.default_rng((self.seed, 2, index))
        number = index % self.scenes if self.scenes else index
        light = self.scene(number) * rng.uniform(0.9, 1.1)
        there = [one for one in self.defects if one.onset <= index < one.until]
        return exposed(light, rng, self.noise, there)

    def frames(self, count: int, start: int = 0) -> Iterator[Frame]:
        """Yield `count` photos."""
        return (self.frame(index) for index in range(start, start + count))

    def truth(self) -> dict[str, object]:
        """Return the defects as a truth.json lists them."""
        listing = [
            {"x": one.col, "y": one.row, "kind": one.kind, "onset": one.onset}
            for one in self.defects
        ]
        return {"width": self.width, "height": self.height, "defects": listing}

    def write(self, folder: Path, count: int, start: int = 0) -> list[Path]:
        """Write `count` photos as camera JPEGs, one a minute, and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for index in range(start, start + count):
            path = folder / f"IMG_{index:04d}.JPG"
            write_jpeg(path, self.frame(index), START + dt.timedelta(minutes=index))
            paths.append(path)
        return paths


def _plant(levels: np.ndarray, defect: Planted) -> None:
    """Add a defect to `levels`, in place."""
    kernel, reach = FOOTPRINTS[defect.radius], defect.radius
    height, width, _ = levels.shape
    top, left = max(defect.row - reach, 0), max(defect.col - reach, 0)
    down = min(defect.row + reach + 1, height)
    right = min(defect.col + reach + 1, width)
    part = kernel[
        top - defect.row + reach : down - defect.row + reach,
        left - defect.col + reach : right - defect.col + reach,
    ]
    peak = np.full(3, defect.level)
    if defect.kind != "hot":
        peak = defect.level - levels[defect.row, defect.col]
    levels[top:down, left:right] += part[..., None] * (peak * np.array(defect.tint))


def exposed(
    light: np.ndarray,
    rng: np.random.Generator,
    noise: float,
    defects: Iterable[Planted],
) -> Frame:
    """Return the photo of some `light`, (H, W, 3) float, that a sensor takes."""
    levels = light + rng.normal(scale=noise, size=light.shape)
    for defect in defects:
        _plant(levels, defect)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def scattered(
    count: int,
    height: int,
    width: int,
    *,
    seed: int = 0,
    levels: Sequence[float] = (40,),
) -> tuple[Planted, ...]:
    """Return hot pixels of the `levels` in turn, at least 20 pixels apart."""
    rng = np.random.default_rng((seed, 3))
    places: list[tuple[int, int]] = []
    while len(places) < count:
        row, col = int(rng.integers(height)), int(rng.integers(width))
        if all(max(abs(row - r), abs(col - c)) >= 20 for r, c in places):
            places.append((row, col))
    return tuple(
        Planted(row, col, float(levels[index % len(levels)]))
        for index, (row, col) in enumerate(places)
    )


def write_jpeg(
    path: Path,
    frame: Frame,
    taken: dt.datetime = START,
    *,
    exposure: float = 0.01,
    iso: int = 200,
    focal: float = 35.0,
    make: str = "Maker",
    model: str = "Model One",
    serial: str = "0123456",
    software: str = "",
    maker_note: bytes = b"",
    **encoding: object,
) -> None:
    """Write a frame as a camera would: with make, model, serial and time.

    It is 4:2:2 of quality 92, unless `encoding` says otherwise in Pillow's words.
    """
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = make, model
    if software:
        exif[0x0131] = software
    height, width = frame.shape[:2]
    tags = {
        0x829A: IFDRational(round(exposure * 10_000), 10_000),
        0x8827: iso,
        0x9003: taken.strftime("%Y:%m:%d %H:%M:%S"),
        0x920A: IFDRational(round(focal * 10), 10),
        0xA002: width,
        0xA003: height,
    }
    if serial:
        tags[0xA431] = serial
    if maker_note:
        tags[0x927C] = maker_note
    exif[0x8769] = tags
    options = {"quality": 92, "subsampling": 1, **encoding}
    Image.fromarray(frame).save(path, "JPEG", exif=exif, **options)

"""Measure repairs against clean twins, beside the ways it was done before.

    python tests/bench/repair.py FOLDER... [--variety FOLDER] [--photos 4] [--count 24]

Defects are planted into photos of each folder by the project's planting script (found by
--plant, or beside $HOTPIXELD_PHOTOS), which also encodes the clean twin.  Our repair gets
the places of the defects and nothing else.  The last line of each table compares it with the
best size of jpegpixi for that set and with the original method; then come the times for
many defects in one photo.  Times are processor times; set
OPENBLAS_NUM_THREADS=1, as the service does.  jpegpixi is the yardstick; it is installed
when it is absent and apt-get is allowed to.  With --variety, real files of every kind are
repaired as they are, and compared coefficient by coefficient.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hotpixeld.defect import Defect
from hotpixeld.errors import RefusedError
from hotpixeld.jpeg import coefficients, markers
from hotpixeld.jpeg.coefficients import Area
from hotpixeld.jpeg.decoder import CodecError
from hotpixeld.repair import lossless, reencode

Frame = NDArray[np.uint8]
Method = Callable[[bytes, list[Defect]], bytes]

TRAILER = b"bytes after the end of the image"
# Half width of what is judged, and of the blocks that a repair may change.
JUDGED, REACH = 4, 6
RUNS = 3


@dataclass
class Result:
    """What one method did to all photos of a set."""

    errors: list[float] = field(default_factory=list)
    elsewhere: int = 0
    lost: set[str] = field(default_factory=set)
    sizes: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, other: Result) -> None:
        """Add the photos of another result."""
        self.errors += other.errors
        self.elsewhere += other.elsewhere
        self.lost |= other.lost
        self.sizes += other.sizes
        self.seconds += other.seconds

    def row(self, name: str) -> str:
        """Return a line of the table."""
        return (
            f"{name:34}{np.mean(self.errors):8.2f}{np.max(self.errors):8.1f}"
            f"{self.elsewhere:12d}{np.mean(self.sizes):7.2f}"
            f"{1000 * np.mean(self.seconds):8.0f}  {', '.join(sorted(self.lost))}"
        )


def processor_seconds() -> float:
    """Return the processor time so far, of the programs started as well.

    On a busy machine the clock on the wall counts others.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def decoded(data: bytes) -> Frame:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def eight_neighbours(data: bytes, defects: list[Defect]) -> bytes:
    """Repair as the original program: one pixel, whole photo at quality 97."""
    frame = reencode.filled(decoded(data), defects, fill="neighbours")
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=97)
    return buffer.getvalue()


def jpegpixi(size: int) -> Method:
    """Return jpegpixi with squares of `size` pixels, cut to the frame."""

    def repair(data: bytes, defects: list[Defect]) -> bytes:
        header = markers.parse(data, header_only=True)
        squares = []
        for defect in defects:
            left, top = (max(p - size // 2, 0) for p in (defect.x, defect.y))
            right = min(defect.x + size // 2, header.width - 1)
            bottom = min(defect.y + size // 2, header.height - 1)
            squares.append(f"{left},{top},{right - left + 1},{bottom - top + 1}")
        with tempfile.TemporaryDirectory() as folder:
            source, out = Path(folder, "in.jpg"), Path(folder, "out.jpg")
            source.write_bytes(data)
            subprocess.run(
                ["jpegpixi", source, out, *squares], check=True, capture_output=True
            )
            return out.read_bytes()

    return repair


METHODS: dict[str, Method] = {
    "no repair": lambda data, _: data,
    "8-neighbour mean, quality 97": eight_neighbours,
    "8-neighbour mean, same tables": lambda data, defects: (
        reencode.reencoded(data, defects, fill="neighbours").data
    ),
    "adaptive, same tables": lambda data, defects: (
        reencode.reencoded(data, defects).data
    ),
    "jpegpixi 1x1": jpegpixi(1),
    "jpegpixi 3x3": jpegpixi(3),
    "jpegpixi 5x5": jpegpixi(5),
    "jpegpixi 7x7": jpegpixi(7),
    "hotpixeld": lambda data, defects: lossless.repaired(data, defects).data,
}


def changed_elsewhere(before: bytes, after: bytes, defects: Sequence[Defect]) -> int:
    """Count coefficients that differ in blocks that no footprint reaches."""
    one, two = markers.parse(before), markers.parse(after)
    h, v = one.sampling
    count = 0
    for index, component in enumerate(one.components):
        area = [Area(index, 0, 0, *one.blocks(component))]
        if one.blocks(component) != two.blocks(two.components[index]):
            return 64 * one.blocks(component)[0] * one.blocks(component)[1]
        differs = (
            coefficients.read(before, area)[0] != coefficients.read(after, area)[0]
        )
        across, down = 8 * h // component.h, 8 * v // component.v
        for defect in defects:
            rows = (max(defect.row - REACH, 0) // down, (defect.row + REACH) // down)
            cols = (
                max(defect.col - REACH, 0) // across,
                (defect.col + REACH) // across,
            )
            differs[rows[0] : rows[1] + 1, cols[0] : cols[1] + 1] = False
        count += int(differs.sum())
    return count


def lost(before: bytes, after: bytes) -> set[str]:
    """Name what the photo had and the copy has not."""
    one, two = markers.parse(before), markers.parse(after)
    gone = set()
    if not after.endswith(before[one.tail :]):
        gone.add("trailing bytes")
    if one.restart_interval and not two.restart_interval:
        gone.add("restart markers")
    if one.progressive and not two.progressive:
        gone.add("progressive")

    def metadata(data: bytes, structure: markers.Structure) -> list[bytes]:
        return [
            data[s.offset : s.end]
            for s in structure.segments
            if 0xE0 <= s.marker <= 0xEF or s.marker == markers.COM
        ]

    if metadata(before, one) != metadata(after, two):
        gone.add("metadata")
    return gone


def judge(
    result: Result, method: Method, data: bytes, clean: Frame, defects: list[Defect]
) -> None:
    """Add one photo, repaired by one method, to a result."""
    seconds = []
    copy = data
    for _ in range(RUNS if method is METHODS["hotpixeld"] else 1):
        start = processor_seconds()
        copy = method(data, defects)
        seconds.append(processor_seconds() - start)
    frame = decoded(copy).astype(int)
    for defect in defects:
        rows, columns = (
            slice(max(place - JUDGED, 0), place + JUDGED + 1)
            for place in (defect.row, defect.col)
        )
        difference = np.abs(frame[rows, columns] - clean[rows, columns])
        result.errors.append(float(difference.mean()))
    result.elsewhere += changed_elsewhere(data, copy, defects)
    result.lost |= lost(data, copy)
    result.sizes.append(len(copy) / len(data))
    result.seconds.append(min(seconds))


def planted(
    plant: Any, path: Path, count: int, seed: int
) -> tuple[bytes, Frame, list[Defect]]:
    """Return a photo with planted defects, its clean twin's frame, and the defects."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
        rng = np.random.default_rng(seed)
        count = min(count, pixels.shape[0] * pixels.shape[1] // 20_000)
        truth = plant.choose_defects(*image.size, count, rng)
        data = plant.encode_like(image, plant.apply_defects(pixels, truth, 0, rng))
        clean = decoded(plant.encode_like(image, pixels))
    return data + TRAILER, clean, [Defect.at(d["x"], d["y"]) for d in truth]


def pillow_seconds(data: bytes) -> float:
    """Return the time that Pillow takes to decode and encode a photo."""
    times = []
    for _ in range(RUNS):
        start = processor_seconds()
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            image.save(io.BytesIO(), "JPEG", quality="keep")
        times.append(processor_seconds() - start)
    return min(times)


def _pixels(path: Path) -> int:
    """Return how many pixels a photo has."""
    with Image.open(path) as image:
        return image.width * image.height


HEADER = (
    f"{'':34}{'mean':>8}{'worst':>8}{'elsewhere':>12}{'size':>7}{'ms':>8}  lost"
    "\n(mean absolute error in the 9x9, and of the worst defect; coefficients changed"
    " elsewhere)"
)


def verdict(results: dict[str, Result]) -> str:
    """Return how our error compares with the others'."""
    errors = {name: float(np.mean(r.errors)) for name, r in results.items()}
    best = min((e, name) for name, e in errors.items() if name.startswith("jpegpixi"))
    ours = errors["hotpixeld"]
    original = errors["8-neighbour mean, quality 97"]
    return (
        f"hotpixeld: {ours / best[0]:.2f} of {best[1]}, {ours / original:.2f} of the"
        " original method"
    )


def many(path: Path) -> None:
    """Print the time that many defects in one photo take."""
    data = path.read_bytes()
    header = markers.parse(data, header_only=True)
    rng = np.random.default_rng(0)
    places = rng.integers((header.height, header.width), size=(1000, 2)).tolist()
    length = min(1000, header.height, header.width)
    cases = {
        "1000 scattered": [Defect(row, col) for row, col in places],
        f"{length} in a row": [Defect(header.height // 2, x) for x in range(length)],
        f"{length} in a column": [Defect(y, header.width // 2) for y in range(length)],
        "a block of 20 x 20": [Defect(99 + y, 99 + x) for y, x in np.ndindex(20, 20)],
    }
    print(f"\n{path.parent.name}, {header.width} x {header.height}: many defects")
    for name, defects in cases.items():
        start = processor_seconds()
        lossless.repaired(data, defects)
        print(f"{name:34}{1000 * (processor_seconds() - start):8.0f} ms")


def measure(plant: Any, folders: Sequence[Path], arguments: argparse.Namespace) -> None:
    """Print a table for each folder, and one for all."""
    total = {name: Result() for name in METHODS}
    for folder in folders:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".jpg")
        results = {name: Result() for name in METHODS}
        pillow = []
        for index, path in enumerate(files[:: max(1, len(files) // arguments.photos)]):
            if index == arguments.photos:
                break
            photo = planted(plant, path, arguments.count, arguments.seed + index)
            pillow.append(pillow_seconds(photo[0]))
            for name, method in METHODS.items():
                judge(results[name], method, *photo)
        print(
            f"\n{folder.name}: Pillow decode + encode {1000 * np.mean(pillow):.0f} ms"
        )
        print(HEADER)
        for name, result in results.items():
            print(result.row(name))
            total[name].add(result)
        print(verdict(results))
    print(f"\nall sets\n{HEADER}")
    for name, result in total.items():
        print(result.row(name))
    print(verdict(total))
    many(max((p for f in folders for p in f.glob("*.[jJ][pP][gG]")), key=_pixels))


def survey(folder: Path, method: Method) -> tuple[int, int, int, list[str]]:
    """Return repaired, refused, coefficients changed elsewhere, and what was lost."""
    repaired = refused = elsewhere = 0
    gone: list[str] = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        try:
            header = markers.parse(data)
            rng = np.random.default_rng(len(data))
            places = rng.integers((header.height, header.width), size=(3, 2))
            defects = [Defect(int(row), int(col)) for row, col in places]
            copy = method(data, defects)
            elsewhere += changed_elsewhere(data, copy, defects)
        except (
            *(markers.MarkerError, RefusedError, CodecError),
            subprocess.CalledProcessError,
        ):
            refused += 1
            continue
        repaired += 1
        gone += lost(data, copy)
    return repaired, refused, elsewhere, gone


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--variety", type=Path)
    parser.add_argument("--plant", type=Path)
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if shutil.which("jpegpixi") is None:
        subprocess.run(["apt-get", "install", "-y", "jpegpixi"], check=True)
    beside = Path(os.environ.get("HOTPIXELD_PHOTOS", "photos")).parent
    script = arguments.plant or beside / "defects" / "plant.py"
    spec = importlib.util.spec_from_file_location("plant", script)
    if spec is None or spec.loader is None:
        parser.error(f"{script} is no Python file: name one by --plant")
    plant = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(plant)
    if arguments.folders:
        measure(plant, arguments.folders, arguments)
    if arguments.variety:
        for name in ("jpegpixi 3x3", "hotpixeld"):
            done = survey(arguments.variety, METHODS[name])
            kinds = {kind: done[3].count(kind) for kind in sorted(set(done[3]))}
            print(
                f"\n{arguments.variety.name}, {name}: {done[0]} repaired, {done[1]}"
                f" refused, {done[2]} coefficients changed elsewhere, lost {kinds}"
            )


if __name__ == "__main__":
    main()

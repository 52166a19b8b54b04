#!/usr/bin/env python3
"""Prove of copies that they are their originals but for the blocks of defects.

    python tests/bench/copies.py [--pixels 200] [--djpeg PROGRAM] [--reader PYTHON | --offline]
                                 [FOLDER ...]

Takes every JPEG below the folders, without one those of HOTPIXELD_PHOTOS; repairs random
pixels of each, once with the adaptive fill and once with the mean of the neighbours; changes
random blocks of it, so that plain pictures have a copy, too; and checks of every copy that

- all bits but those of touched blocks are the original's (`hotpixeld diff`, counted);
- restart markers, tables and what follows the image are the original's;
- an independent reader, jpeglib in a process and an environment of its own, finds the wanted
  coefficients in the touched blocks, and no others changed;
- Pillow, with warnings as errors, and djpeg open it as they open the original;
- undo gives back the original's bytes.

The reader's environment is made in a temporary folder, unless `--reader` names its Python;
`--offline` does without it.  djpeg is in Debian's libjpeg-turbo-progs; without it that column
stays empty.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

import numpy as np
from PIL import Image

from hotpixeld.defect import Defect
from hotpixeld.errors import RefusedError
from hotpixeld.jpeg import attach, compare, entropy, markers, scans
from hotpixeld.repair import lossless
from hotpixeld.repair.lossless import Patch, Repaired

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from hotpixeld.jpeg.entropy import Coefficients, Patched, Walked
    from hotpixeld.jpeg.scans import Integers
    from hotpixeld.repair.separation import Fill

# None: random blocks.
FILLS: tuple[Fill | None, ...] = ("adaptive", "neighbours", None)
TABLES = {markers.DQT, markers.DHT, markers.DRI}
RESTART = re.compile(rb"\xff[\xd0-\xd7]")
SUFFIXES = {".jpg", ".jpeg", ".mpo"}
READER = "jpeglib==1.0.2"
Block = tuple[int, int, int]


class Reader:
    """The independent reader, in a process of its own."""

    def __init__(self, python: Path) -> None:
        script = Path(__file__).with_name("coefficient_reader.py")
        self._process = subprocess.Popen(
            [python, "-I", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libjpeg's warnings: djpeg gives them, too
        )

    def different(self, first: Path, second: Path) -> dict[Block, list[int]] | str:
        """Return the blocks in which two files differ, or why they cannot be read."""
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("made with pipes")
        request = json.dumps([str(first), str(second)])
        self._process.stdin.write(f"{request}\n".encode())
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"the independent reader ended at {first}")
        found = json.loads(line)
        if isinstance(found, str):
            return found
        return {(i, row, column): values for i, row, column, values in found}


def installed(folder: Path) -> Path:
    """Make the reader's environment; return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", READER]
    subprocess.run(command, check=True)
    return python


class Wanted(NamedTuple):
    """What a block held, and what it was to hold."""

    before: NDArray[np.int16]
    after: NDArray[np.int16]

    def is_met(self, values: NDArray[np.int16], *, nearly: bool = False) -> bool:
        """Return whether a block holds what it was to, or is `nearly` there."""
        if not nearly:
            return bool((values == self.after).all())
        far, near = (
            ((part.astype(float) - self.after) ** 2).sum()
            for part in (self.before, values)
        )
        return bool(near < far)


class Made(NamedTuple):
    """A repair, and what its blocks were to hold, where it was a patch."""

    repaired: Repaired
    wanted: dict[Block, Wanted]


def made(data: bytes, defects: Sequence[Defect], fill: Fill | None) -> Made:
    """Repair a photo, or change random blocks, and hear what the patch is asked for.

    Raises
    ------
    RefusedError
    """
    wanted: dict[Block, Wanted] = {}

    def heard(
        data: bytes, walked: Walked, places: Integers, blocks: Coefficients
    ) -> Patched:
        patched = patch(data, walked, places, blocks)
        pairs = map(Wanted, walked.coefficients(places), blocks)
        wanted.update(zip(map(tuple, places.tolist()), pairs, strict=True))
        return patched

    patch = entropy.patch
    with mock.patch.object(entropy, "patch", heard):
        if fill is None:
            return Made(with_other_blocks(data), wanted)
        return Made(lossless.repaired(data, defects, fill=fill), wanted)


def with_other_blocks(data: bytes) -> Repaired:
    """Return a photo with some other coefficients in a few random blocks.

    Raises
    ------
    RefusedError
        It is not sequential, or its tables have no codes for them.
    """
    structure = markers.parse(data)
    rng = np.random.default_rng(zlib.crc32(data))
    places = np.unique(
        [
            (i, *rng.integers(structure.blocks(component)))
            for i, component in enumerate(structure.components)
            for _ in range(8)
        ],
        axis=0,
    )
    try:
        walked = entropy.walk(data, scans.coded_scans(data, structure), places)
        blocks = walked.coefficients(places)
        blocks[:, :2, :2] += rng.integers(-2, 3, (len(places), 2, 2), np.int16)
        patched = entropy.patch(data, walked, places, np.clip(blocks, -1000, 1000))
        out = attach.attached(data, structure, patched.data)
    except (scans.ScanError, entropy.MissingCodeError, attach.OffsetError) as error:
        raise RefusedError(str(error)) from error
    patch = Patch(
        patched.mcus, patched.bits, patched.replaced, out.fill_bytes, out.moved
    )
    return Repaired(out.data, "lossless", out.notes, len(patched.places), patch)


def opened(data: bytes) -> str:
    """Return what Pillow makes of a file, with warnings as errors, all its images."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with Image.open(io.BytesIO(data)) as image:
                count = getattr(image, "n_frames", 1)
                sizes = []
                for number in range(count):
                    image.seek(number)
                    image.load()
                    sizes.append(image.size)
        except Exception as error:  # noqa: BLE001 - whatever it is, the original has it too
            return f"{type(error).__name__}: {error}"
    return f"{count} images: {sizes}"


def decoded(djpeg: str, data: bytes) -> str:
    """Return what djpeg says of a file."""
    command = [djpeg, "-outfile", os.devnull]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    return f"{done.returncode}: {done.stderr.decode().strip()}"


def scans_of(data: bytes) -> bytes:
    """Return the coded data of all scans."""
    parts = markers.parse(data).scans
    return b"".join(data[scan.start : scan.end] for scan in parts)


def kept_whole(data: bytes) -> tuple[list[bytes], bytes, bytes]:
    """Return restart markers, tables, and what follows the image."""
    structure = markers.parse(data)
    tables = [s.payload(data) for s in structure.segments if s.marker in TABLES]
    restarts = b"".join(RESTART.findall(scans_of(data)))
    return tables, restarts, data[structure.tail :]


@dataclass(slots=True)
class Tally:
    """What was counted over some photos, and what was wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def check(self, name: str, *, holds: bool, what: object = "") -> None:
        """Count a check that holds, note one that does not."""
        self.counts[name] += holds
        if not holds:
            self.faults.append(f"{name}: {what}")


class Proof:
    """The checks of one run."""

    def __init__(self, reader: Reader | None, djpeg: str | None, folder: Path) -> None:
        self._reader = reader
        self._djpeg = djpeg
        self._files = folder / "original.jpg", folder / "copy.jpg"

    def photo(self, data: bytes, defects: Sequence[Defect], tally: Tally) -> None:
        """Repair a photo in each way, and check every copy."""
        tally.counts["photos"] += 1
        made_before = tally.counts["copies"] + tally.counts["coded anew"]
        for fill in FILLS:
            try:
                repair = made(data, defects, fill)
            except RefusedError as error:
                if fill is None:
                    tally.counts["random blocks refused"] += 1
                else:
                    tally.counts["refused"] += 1
                    tally.reasons[re.sub(r"\d+", "N", error.reason)] += 1
                break
            repaired = repair.repaired
            way = lossless.way_back(repaired)
            if repaired.data == data:
                tally.counts["without a change"] += 1
            elif way is None:
                tally.counts["coded anew"] += 1
                self._check(data, repair, tally)
            else:
                tally.counts["copies"] += 1
                self._check(data, repair, tally)
                self._check_bits(data, repaired, tally)
                back = lossless.original(repaired.data, way)
                tally.check("undone", holds=back == data)
        made_now = tally.counts["copies"] + tally.counts["coded anew"]
        tally.counts["with a copy"] += made_now > made_before

    def _check_bits(self, data: bytes, repaired: Repaired, tally: Tally) -> None:
        """Check and count what the patch of a copy left alone."""
        difference = compare.compare(data, repaired.data)
        proved = difference.is_repair and difference.bits is not None
        tally.check("proved", holds=proved, what=compare.text(difference))
        before, after = kept_whole(data), kept_whole(repaired.data)
        tally.check("markers, tables, trailer", holds=before == after)
        coded = scans_of(data)
        every = 8 * (len(coded) - coded.count(b"\xff\x00"))
        counts = {
            "blocks": len(difference.blocks),
            "bits replaced": difference.bits or 0,
            "bits identical": every - (difference.bits or 0),
            "restart markers": len(before[1]) // 2,
            "trailing bytes": len(before[2]),
            "offsets moved": difference.offsets,
            "fill bytes": difference.fill_bytes,
        }
        tally.counts.update(counts)

    def _check(self, data: bytes, repair: Made, tally: Tally) -> None:
        """Check what holds of every copy, of a progressive photo, too."""
        copy = repair.repaired.data
        before, after = opened(data), opened(copy)
        tally.check("Pillow", holds=before == after, what=(before, after))
        tally.counts["Pillow refuses both"] += "Error" in before or "Warning" in before
        if self._djpeg:
            before, after = (decoded(self._djpeg, part) for part in (data, copy))
            tally.check("djpeg", holds=before == after, what=(before, after))
            tally.counts["djpeg warns of both"] += before != "0: "
        if self._reader:
            for path, part in zip(self._files, (data, copy), strict=True):
                path.write_bytes(part)
            found = self._reader.different(*self._files)
            right, what = self._is_wanted(found, repair, tally)
            tally.check("jpeglib", holds=right, what=what)

    @staticmethod
    def _is_wanted(
        found: dict[Block, list[int]] | str, repair: Made, tally: Tally
    ) -> tuple[bool, str]:
        """Return whether the independent reader found what was wanted and no more."""
        if isinstance(found, str):
            return False, found
        if not repair.wanted:  # coded anew: the blocks are counted
            return len(found) == repair.repaired.blocks, f"{len(found)} blocks"
        others = found.keys() - repair.wanted.keys()
        if others:
            return False, f"other blocks differ: {sorted(others)[:3]}"
        # One that is missing has no code for what was wanted, and stayed as it was.
        wrong = []
        for place, values in found.items():
            block, wanted = np.array(values).reshape(8, 8), repair.wanted[place]
            if not wanted.is_met(block):
                tally.counts["blocks with a nearest code"] += 1
                if not wanted.is_met(block, nearly=True):
                    wrong.append(place)
        return not wrong, f"other coefficients: {wrong[:3]}"


def sets(folders: Sequence[Path]) -> Iterator[tuple[str, list[Path]]]:
    """Yield the photos below some folders, by the folder that holds them."""
    for top in folders:
        inner = sorted({path.parent for path in top.rglob("*") if path.is_file()})
        for folder in inner:
            found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
            if found:
                yield folder.name, found


COLUMNS = (
    *("photos", "refused", "with a copy", "copies", "coded anew", "without a change"),
    "random blocks refused",
    *(
        "proved",
        "markers, tables, trailer",
        "jpeglib",
        "Pillow",
        "djpeg",
        "undone",
        "blocks",
    ),
    *("bits replaced", "bits identical", "restart markers", "trailing bytes"),
    *("offsets moved", "fill bytes", "blocks with a nearest code"),
    *("Pillow refuses both", "djpeg warns of both"),
)


def defects_of(data: bytes, count: int, seed: int) -> list[Defect]:
    """Return random pixels of a photo; one of a file that is no photo."""
    try:
        structure = markers.parse(data, header_only=True)
    except markers.MarkerError:
        return [Defect(0, 0)]
    size = structure.height, structure.width
    places = np.random.default_rng(seed).integers(size, size=(count, 2))
    return [Defect(row, column) for row, column in places.tolist()]


def proved(proof: Proof, paths: Sequence[Path], count: int) -> Tally:
    """Check the copies of some photos."""
    tally = Tally()
    for path in paths:
        data = path.read_bytes()
        faults = len(tally.faults)
        proof.photo(data, defects_of(data, count, zlib.crc32(data)), tally)
        tally.faults[faults:] = [f"{path.name}: {f}" for f in tally.faults[faults:]]
    return tally


def table(tallies: dict[str, Tally]) -> str:
    """Return the counts as a table in Markdown, a column a set."""
    names = list(tallies)
    lines = [
        "| | " + " | ".join([*names, "all"]) + " |",
        "|---" * (len(names) + 2) + "|",
    ]
    for column in COLUMNS:
        counts = [tallies[name].counts[column] for name in names]
        cells = [f"{count:,}" for count in [*counts, sum(counts)]]
        lines.append(f"| {column} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Check all photos, and print the table and every fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--pixels", type=int, default=200)
    parser.add_argument("--djpeg", default=shutil.which("djpeg"))
    parser.add_argument("--reader", type=Path)
    parser.add_argument("--offline", action="store_true")
    arguments = parser.parse_args()
    folders = arguments.folders or [Path(os.environ["HOTPIXELD_PHOTOS"])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reader = None
        if not arguments.offline:
            reader = Reader(arguments.reader or installed(folder / "reader"))
        proof = Proof(reader, arguments.djpeg, folder)
        tallies = {
            name: proved(proof, paths, arguments.pixels)
            for name, paths in sets(folders)
        }
    print(table(tallies))
    reasons = sum((tally.reasons for tally in tallies.values()), Counter[str]())
    print(*(f"refused {n}: {reason}" for reason, n in reasons.items()), sep="\n")
    faults = [fault for tally in tallies.values() for fault in tally.faults]
    print(*faults, sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()

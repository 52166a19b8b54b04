"""Fuzz the compiled JPEG core under sanitisers: the long form, by one command.

    .venv/bin/python tests/fuzz/entropy.py --cases 1000000 [--seed N] [PHOTO ...]

Without photos it takes small ones that it makes itself, coded in every way; CI runs a few
thousand cases of those, by tests/fuzz/test_entropy_fuzz.py.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import coder  # noqa: E402 - found by the line above when run as a command
import jpegs  # noqa: E402 - the same
from coder import Photo  # noqa: E402 - the same

CORE = ROOT / "daemon" / "hotpixeld" / "jpeg" / "c"
FLAGS = ("-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror")
SANITISERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def built(folder: Path) -> Path:
    """Compile the fuzz program with the sanitisers."""
    program = folder / "entropy_fuzz"
    sources = [Path(__file__).with_name("entropy_fuzz.c")]
    sources += [CORE / f"{name}.c" for name in ("bits", "entropy", "levels")]
    command = ["gcc", *FLAGS, *SANITISERS, "-o", str(program), *map(str, sources)]
    subprocess.run(command, check=True)
    return program


def photos() -> list[bytes]:
    """Return small photos, coded in every way that is walked, and some that is not."""
    frame = jpegs.scene(40, 56)
    samplings: tuple[jpegs.Sampling, ...] = ("4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey")
    made = [
        jpegs.jpeg(frame, sampling, quality=quality, restart_blocks=restart)
        for sampling, quality, restart in itertools.product(samplings, (60, 97), (0, 2))
    ]
    made += [jpegs.jpeg(frame, optimise=True), jpegs.jpeg(frame, progressive=True)]
    rng = np.random.default_rng(8)
    known = coder.standard()
    complete = coder.table(list(range(12))), coder.table(list(range(256)))
    for dc, ac in ((known[0], known[0x10]), (known[1], known[0x11]), complete):
        for groups in (((0,), (1,), (2,)), ((0,), (1, 2)), ((0, 1, 2),)):
            factors = ((2, 2), (1, 2), (1, 1))
            blocks = tuple(
                rng.choice([0, 0, 0, 1, -1, 5], (*shape, 8, 8)).astype(np.int16)
                for shape in Photo.shapes(30, 44, factors)
            )
            photo = Photo(
                *(30, 44, factors, blocks, groups, (dc,) * 3, (ac,) * 3, 3),
                fill=len(groups) - 1,
                trailing=b"behind",
            )
            made.append(photo.coded())
    return made


def run(program: Path, cases: int, seed: int, seeds: list[Path]) -> str:
    """Run some cases; return what the program prints.

    Raises
    ------
    subprocess.CalledProcessError
        A sanitiser reported something, a comparison failed, or a case did not end.
    """
    command = [str(program), str(cases), str(seed), *map(str, seeds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def written(folder: Path) -> list[Path]:
    """Write the made photos into a folder."""
    paths = []
    for number, data in enumerate(photos()):
        paths.append(folder / f"{number}.jpg")
        paths[-1].write_bytes(data)
    return paths


def main() -> None:
    """Run the long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("photos", nargs="*", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = built(Path(folder))
        seeds = arguments.photos or written(Path(folder))
        try:
            print(run(program, arguments.cases, arguments.seed, seeds), end="")
        except subprocess.CalledProcessError as error:
            sys.exit(f"{error}\n{error.stderr}")


if __name__ == "__main__":
    main()

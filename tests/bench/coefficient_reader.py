"""Read two JPEGs with jpeglib, and print the blocks in which they differ: an independent eye.

`copies.py` runs it in an environment of its own, which has jpeglib and no hotpixeld.  Each
line of standard input names two files as a JSON list; each line of output is a JSON list of
[component, row, column, 64 coefficients of the second file, row-major], or the error as a
string.
"""

from __future__ import annotations

import json
import sys

import jpeglib  # type: ignore[import-not-found]  # is installed where this runs
import numpy as np

Found = list[tuple[int, int, int, list[int]]]


def planes(path: str) -> list[np.ndarray]:
    """Return the coefficients of each component: (rows, columns, 8, 8)."""
    image = jpeglib.read_dct(path)
    return [part for part in (image.Y, image.Cb, image.Cr) if part is not None]


def different(first: str, second: str) -> Found | str:
    """Return the blocks that differ, as the second file has them."""
    one, two = planes(first), planes(second)
    if [part.shape for part in one] != [part.shape for part in two]:
        return "other planes"
    found = []
    for component, (before, after) in enumerate(zip(one, two, strict=True)):
        differing = (before != after).any(axis=(2, 3))
        for row, column in np.argwhere(differing).tolist():
            values = after[row, column].ravel().tolist()
            found.append((component, row, column, values))
    return found


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin:
        try:
            answer = different(*json.loads(line))
        except Exception as error:  # noqa: BLE001 - whatever jpeglib raises is an answer
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

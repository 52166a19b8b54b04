"""Pixel lists in and out: `map` into the files of other programs, `import` of theirs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.errors import HotpixeldError
from hotpixeld.files import (
    make_folder,
    write,
)
from hotpixeld.formats import known_forms

if TYPE_CHECKING:
    from hotpixeld.formats.form import CameraMaps, Form

MAX_BYTES = 64_000_000
"""Of a list: a mask of 200 million pixels, or a million lines."""


def raw_offset(text: str) -> tuple[int, int]:
    """Return where the photos' top left pixel lies in the raw frame: ``X,Y``.

    Raises
    ------
    ValueError
        The text is not two whole numbers.

    >>> raw_offset("9,4")
    (9, 4)
    """
    match = re.fullmatch(r"\s*([+-]?\d{1,5})\s*,\s*([+-]?\d{1,5})\s*", text)
    if match is None:
        raise ValueError(f"{text!r} is not X,Y: two whole numbers")
    return int(match[1]), int(match[2])


def border(form: Form, offset: tuple[int, int] | None) -> str:
    """Return what to know about a form's coordinates; empty where there is nothing."""
    if not form.is_raw or offset is not None:
        return ""
    return (
        f"{form.name} counts in the raw frame, which is that of the camera's full-size"
        " photos with a border around: say where their top left pixel lies in it with"
        " --raw-offset X,Y (0,0 where there is no border)"
    )


def is_folder(output: str) -> bool:
    """Return whether an `--output` is for a file of each camera."""
    return output.endswith("/") or Path(output).is_dir()


def export(
    form: Form, maps: CameraMaps, offset: tuple[int, int], folder: Path
) -> list[Path]:
    """Write a file for each camera; return what was written.

    Raises
    ------
    HotpixeldError
        There is no camera, or two would have one file.
    """
    found = known_forms.files(form, maps, offset)
    if not found:
        raise HotpixeldError("no camera is known yet")
    make_folder(folder.absolute())
    for name, content in found.items():
        write(folder / name, content)
    return [folder / name for name in found]

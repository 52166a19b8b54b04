"""The cameras of a state, and the bins of each: where their lens corrections move defects."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hotpixeld.config import camera_names
from hotpixeld.detection.lens_correction import NONE
from hotpixeld.errors import HotpixeldError
from hotpixeld.formats.json_map import of_bin
from hotpixeld.messages import counted, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from hotpixeld.camera import Bin, Camera
    from hotpixeld.config.model import Config
    from hotpixeld.service.status_file import Json
    from hotpixeld.store.images import CameraRecord
    from hotpixeld.store.ledger import Ledger

FIELDS = (
    *("camera", "width", "height", "photos", "lens", "focal", "bin_photos", "locked"),
    *("scale", "k1", "k2", "k3", "why"),
)
"""Of a line in a pipe, one for each bin; its first line names them."""
AS_ONE = "every photo is taken to show a defect at the same place"


def _squeezed(text: str) -> str:
    """Return a bin's name as it is compared: what is blank or a comma does not count."""
    return re.sub(r"[\s,]+", "", text).casefold()


def spellings(bins: Collection[Bin]) -> dict[str, Bin]:
    """Return the shortest word that names each bin: its focal length if that does.

    >>> from hotpixeld.camera import Bin
    >>> list(spellings([Bin("Kit zoom", 16.0), Bin("Kit zoom", 50.0), Bin("Macro", 50.0)]))
    ['16mm', 'Kitzoom,50mm', 'Macro,50mm']
    """
    focals = Counter(one.focal_mm for one in bins)
    found = {}
    for one in bins:
        is_short = one.focal_mm is not None and focals[one.focal_mm] == 1
        word = f"{one.focal_mm:g}mm" if is_short else re.sub(r"\s+", "", str(one))
        found[word] = one
    return found


def meant(bins: Collection[Bin], named: str) -> Bin:
    """Return the bin that a word names: as `cameras` prints it, or one part of that.

    Raises
    ------
    HotpixeldError
        It names none, or not only one.

    >>> from hotpixeld.camera import Bin
    >>> lenses = [Bin("Kit zoom", 16.0), Bin("Kit zoom", 50.0), Bin("Macro", 50.0)]
    >>> [str(meant(lenses, named)) for named in ("kit zoom, 50 mm", "16", "macro")]
    ['Kit zoom, 50 mm', 'Kit zoom, 16 mm', 'Macro, 50 mm']
    """
    word = _squeezed(named)

    def parts(one: Bin) -> set[str]:
        focal = "" if one.focal_mm is None else f"{one.focal_mm:g}"
        return {_squeezed(one.lens), focal, f"{focal}mm"}

    found = [one for one in bins if _squeezed(str(one)) == word]
    found = found or [one for one in bins if word and word in parts(one)]
    if len(found) == 1:
        return found[0]
    known = "; ".join(str(one) for one in found or bins) or "none"
    what = "may mean" if found else "names no lens and focal length of"
    raise HotpixeldError(f"{named!r} {what}: {known}")


def choosable(ledger: Ledger, camera: Camera) -> list[Bin]:
    """Return the bins of a camera at whose places its list may be given."""
    known = ledger.samples.suspects(camera.id).corrections
    return list(dict.fromkeys([*ledger.images.bins(camera.id), *known.of]))


def of_state(ledger: Ledger, records: Sequence[CameraRecord], config: Config) -> Json:
    """Return the cameras with their bins, ready for JSON."""
    every = [record.camera for record in ledger.images.cameras()]
    names, cameras = camera_names.names(every, config), []
    for record in records:
        camera = record.camera
        known = ledger.samples.suspects(camera.id).corrections
        bins = ledger.images.bins(camera.id)
        sizes = [
            [one.width, one.height]
            for one in every
            if one.body == camera.body and one != camera
        ]
        cameras.append(
            {
                "id": camera.id,
                "name": names[camera.id],
                **asdict(camera),
                "photos": record.photos,
                "other_sizes": sizes,
                "corrected": known.move,
                "bins": [of_bin(one, photos, known) for one, photos in bins.items()],
            }
        )
    return {"cameras": cameras}


def _says(camera: Json, one: Json) -> str:
    """Return in words what is known of a bin."""
    if one["reference"]:
        return "the reference"
    if not one["locked"]:
        return one["why"] or "not looked at yet"
    moves = one["correction"] != asdict(NONE)
    return f"{'moved' if moves else 'not moved'}, {one['why']}"


def _heading(camera: Json) -> str:
    """Return a camera's line, and what it means for its photos."""
    size = f"{camera['width']} x {camera['height']}"
    others = ", ".join(f"{width} x {height}" for width, height in camera["other_sizes"])
    also = f"; also {others}" if others else ""
    head = f"{camera['name']}: {counted(camera['photos'], 'photo')} of {size}{also}"
    if camera["corrected"]:
        return f"{head}; its lens correction moves defects"
    tells = any(one["locked"] and not one["reference"] for one in camera["bins"])
    several = len(camera["bins"]) > 1
    why = ": too few defects show to tell otherwise" if several and not tells else ""
    return f"{head}; {AS_ONE}{why}"


def _fields(camera: Json) -> Iterator[str]:
    """Yield a line of fields for each bin, in the order of `FIELDS`."""
    for one in camera["bins"]:
        correction = one["correction"] or {}
        numbers = [correction.get(name) for name in ("scale", "k1", "k2", "k3")]
        cells = (
            *(camera["id"], camera["width"], camera["height"], camera["photos"]),
            *(one["lens"], "" if one["focal"] is None else f"{one['focal']:g}"),
            *(one["photos"], "yes" if one["locked"] else "no"),
            *("" if number is None else f"{number:.6g}" for number in numbers),
            _says(camera, one),
        )
        yield "\t".join(map(str, cells))


def _table(camera: Json) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    table.add_column("lens and focal length", overflow="fold")
    table.add_column("photos", justify="right", no_wrap=True)
    table.add_column("correction", overflow="fold")
    for one in camera["bins"]:
        table.add_row(plain(one["name"]), f"{one['photos']:,}", _says(camera, one))
    return table


def text(found: Json, *, is_terminal: bool | None = None) -> str:
    """Return the cameras: tables on a terminal, else lines of fields between tabs.

    Parameters
    ----------
    found : dict
        See `of_state`.
    is_terminal : bool, optional
        Whether the text goes to a terminal; if not given, standard output is asked.
    """
    cameras = found["cameras"]
    if not (sys.stdout.isatty() if is_terminal is None else is_terminal):
        lines = [line for camera in cameras for line in _fields(camera)]
        return "\n".join(["\t".join(FIELDS), *lines]) + "\n"
    console = Console(highlight=False)
    with console.capture() as captured:
        for number, camera in enumerate(cameras):
            if number:
                console.print()
            console.print(Text(plain(_heading(camera)), style="bold"))
            if len(camera["bins"]) > 1:
                console.print(_table(camera))
        if not cameras:
            console.print("no camera yet: `hotpixeld run` learns from photos")
    return captured.get()

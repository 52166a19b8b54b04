"""Pictures of defects on a terminal: enlarged crops, before and after repair.

Two pixels a character, by half blocks in the terminal's colours; or PNG files, for any
other program.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from PIL import Image
from rich.columns import Columns
from rich.console import Console, Group
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from hotpixeld.cli import commands
from hotpixeld.defect import level
from hotpixeld.errors import HotpixeldError
from hotpixeld.files import make_folder, write
from hotpixeld.messages import counted, plain
from hotpixeld.report import findings
from hotpixeld.report.crops import SIDE, Cropper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from rich.console import ConsoleOptions, RenderableType, RenderResult

    from hotpixeld.config.model import Config
    from hotpixeld.report.crops import Pair
    from hotpixeld.report.findings import CameraFindings, Finding
    from hotpixeld.store.images import CameraRecord
    from hotpixeld.store.ledger import Ledger

    Frame = NDArray[np.uint8]

SHOWN = 17
"""Pixels of a picture on a terminal with its frame, each way: two pairs stand beside each
other in 80 columns."""
FRAME = 128
"""Grey level of the frame: a crop of the night has its edge, on a dark terminal too."""
MOST_READ = 24
"""Photos that are read for the pictures of one camera."""
ENLARGED = 8
"""Pixels of a PNG file for one of the photo's, each way."""
GAP = 8
"""Pixels of a PNG file between before and after."""
NO_PICTURES = (
    "this is no terminal of 256 colours or more, and UTF-8, which pictures need: name a"
    " folder for PNG files with --output"
)


class HalfBlocks:
    """A small picture: a character for two pixels, one above the other.

    Parameters
    ----------
    picture : (H, W, 3) uint8, 0-255
    """

    def __init__(self, picture: Frame) -> None:
        height = picture.shape[0]
        # An odd last row stands above one that is as the row itself.
        self._rows = np.pad(picture, ((0, height % 2), (0, 0), (0, 0)), "edge")

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """Yield the characters, row by row."""
        for upper, lower in zip(self._rows[::2], self._rows[1::2], strict=True):
            for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
                fore, back = ("rgb({},{},{})".format(*one) for one in (above, below))
                yield Segment("▀", Style(color=fore, bgcolor=back))
            yield Segment.line()


def _picture(uri: str) -> Frame:
    """Return the pixels of a crop."""
    data = base64.b64decode(uri.partition(",")[2])
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _middle(picture: Frame) -> Frame:
    """Return the middle of a crop, as much as a terminal shows, in its frame."""
    edge = (SIDE - SHOWN) // 2
    framed = np.full((SHOWN, SHOWN, 3), FRAME, np.uint8)
    framed[1:-1, 1:-1] = picture[edge:, edge:][1 : SHOWN - 1, 1 : SHOWN - 1]
    return framed


def _of_camera(
    ledger: Ledger, config: Config, camera: CameraFindings
) -> Iterator[tuple[Finding, Pair | None]]:
    """Yield the living defects of a camera, each with a photo that shows it best."""
    cropper = Cropper(ledger, camera.record.camera, config)
    strips = cropper.strips(camera.living, MOST_READ)
    for one, pairs in zip(camera.living, strips, strict=True):
        # One with a copy says more, and one that is there more than a name.
        ranked = sorted(pairs, key=lambda pair: (not pair.before, not pair.after))
        yield one, ranked[0] if ranked else None


def _caption(one: Finding, pair: Pair | None) -> str:
    """Return what stands above a picture."""
    added = level(one.defect)
    parts = [f"{one.defect.x},{one.defect.y} {one.defect.kind}"]
    if added is not None:
        parts.append(f"{added:+d} levels")
    if pair is not None and pair.before and not pair.after:
        parts.append("as it is")
    return ", ".join(parts)


def _block(one: Finding, pair: Pair | None) -> RenderableType:
    """Return one defect: what it is, and its pictures beside each other."""
    lines: list[RenderableType] = [Text(_caption(one, pair), style="bold")]
    if pair is None or not pair.before:
        reason = pair.why_not if pair else "no photo that shows it is known"
        return Group(*lines, Text(plain(reason)))
    shown = [
        HalfBlocks(_middle(_picture(uri))) for uri in (pair.before, pair.after) if uri
    ]
    pictures = Table.grid(padding=(0, 1, 0, 0))
    for _ in shown:
        pictures.add_column(width=SHOWN)
    pictures.add_row(*shown)
    moved = pair.at != (one.defect.x, one.defect.y)
    at = "at {},{}".format(*pair.at) if moved else ""
    taken = f", {pair.taken}" if pair.taken else ""
    about = [plain(f"{pair.photo}{taken}"), *([at] if at else [])]
    return Group(*lines, pictures, *(Text(line, style="dim") for line in about))


def shows_pictures(console: Console) -> bool:
    """Return whether a terminal has colours and half blocks."""
    has_blocks = "utf" in console.encoding.lower()
    has_colours = console.color_system in {"256", "truecolor"} and not console.no_color
    return console.is_terminal and has_blocks and has_colours


def show(
    ledger: Ledger,
    config: Config,
    records: Sequence[CameraRecord],
    console: Console | None = None,
) -> None:
    """Print pictures of the cameras' defects on standard output.

    Raises
    ------
    HotpixeldError
        The terminal shows none.
    """
    console = console or Console(highlight=False)
    if not shows_pictures(console):
        raise HotpixeldError(NO_PICTURES)
    cameras = _cameras(ledger, config, records)
    if not cameras:
        console.print(
            "no hot pixel is known yet: `hotpixeld status` says what is missing"
        )
    for camera in cameras:
        title = f"{camera.name}: before and after repair"
        console.print(Text(plain(title), style="bold underline"))
        blocks = [_block(one, pair) for one, pair in _of_camera(ledger, config, camera)]
        width = 2 * SHOWN + 2
        console.print(Columns(blocks, width=width, padding=(1, 2)))
        console.print()


def _cameras(
    ledger: Ledger, config: Config, records: Sequence[CameraRecord]
) -> list[CameraFindings]:
    """Return the cameras that have living defects."""
    found = findings.collect(ledger, config, records).cameras
    return [camera for camera in found if camera.living]


def _png(pair: Pair) -> bytes:
    """Return before and after side by side, enlarged, as a PNG file."""
    shown = [_picture(uri) for uri in (pair.before, pair.after) if uri]
    large = [one.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1) for one in shown]
    gap = np.full((large[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [large[0], *(part for one in large[1:] for part in (gap, one))]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(parts, axis=1)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def save(
    ledger: Ledger, config: Config, records: Sequence[CameraRecord], folder: Path
) -> int:
    """Write a PNG file for each defect, before and after side by side; return how many.

    Raises
    ------
    OSError
        The folder cannot be written to.
    """
    make_folder(folder.absolute())
    written = 0
    for camera in _cameras(ledger, config, records):
        for one, pair in _of_camera(ledger, config, camera):
            if pair is None or not pair.before:
                continue
            name = f"{camera.record.camera.id}_{one.defect.x}_{one.defect.y}.png"
            write(folder / name, _png(pair))
            written += 1
    return written


def draw(folder: Path, config: Config, camera: str | None, output: str | None) -> None:
    """Draw the defects of a state on the terminal, or into a folder.

    Parameters
    ----------
    camera : str or None
        Of one only, as `commands.chosen` takes it.
    """
    with commands.opened(folder) as ledger:
        records = commands.chosen(ledger, config, camera)
        if not output:
            show(ledger, config, records)
            return
        written = save(ledger, config, records, Path(output))
    click.echo(f"{Path(output)}: {counted(written, 'picture')}, before and after")

"""Repair a photo by encoding it anew: where it cannot be done without loss."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, JpegImagePlugin

from hotpixeld.errors import RefusedError
from hotpixeld.jpeg import attach, markers
from hotpixeld.repair import separation
from hotpixeld.repair.field import Dense, Subsampling, window
from hotpixeld.repair.footprint import Spot
from hotpixeld.repair.lossless import Repaired, whole
from hotpixeld.repair.shape import USUAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hotpixeld.defect import Defect
    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.repair.separation import Fill
    from hotpixeld.repair.shape import Footprints

_ONE = Subsampling(1, 1)
_APP0, _APP14 = 0xE0, 0xEE


def _decoded(data: bytes) -> tuple[Image.Image, NDArray[np.uint8]]:
    """Return the opened photo and its samples, in the photo's own colours."""
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG",))
        frame = np.asarray(image)
    # Pillow's decompression bomb is no OSError, its broken headers are SyntaxErrors.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RefusedError(f"corrupt: {error}") from error
    return image, frame[..., None] if frame.ndim == 2 else frame


def filled(
    frame: NDArray[np.uint8],
    defects: Sequence[Defect],
    *,
    fill: Fill = "adaptive",
    footprints: Footprints = USUAL,
) -> NDArray[np.uint8]:
    """Return a copy of a frame without some defects.

    Parameters
    ----------
    frame : (H, W, channels) uint8
    defects : sequence of Defect
        Inside the frame.
    fill : str
        ``adaptive``, or ``neighbours`` for the weighted mean of eight.
    footprints : Footprints
        What was learned of the camera's: used is what all of its defects share.
    """
    spots = tuple(dict.fromkeys(Spot.of(defect) for defect in defects))
    camera = footprints.camera
    priors = separation.Priors(camera.luma if camera else None)
    out = frame.astype(np.float32)
    for channel in range(frame.shape[2]):
        field = Dense(frame[..., channel])
        for excess in separation.excesses(field, _ONE, spots, fill=fill, priors=priors):
            rows, columns = window(excess.tops, excess.lefts, excess.mean.shape[1:3])
            inside = (rows >= 0) & (rows < len(frame))
            inside = inside & (columns >= 0) & (columns < frame.shape[1])
            sites = tuple(index[inside] for index in np.broadcast_arrays(rows, columns))
            np.subtract.at(out[..., channel], sites, excess.mean[inside])
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _is_rgb(data: bytes, structure: Structure) -> bool:
    """Return whether three components are stored as red, green and blue."""
    adobe = [
        segment.payload(data)
        for segment in structure.segments
        if segment.marker == _APP14 and segment.payload(data).startswith(b"Adobe")
    ]
    if len(structure.components) != 3:
        return False
    if adobe and len(adobe[0]) >= 12:
        return adobe[0][11] == 0
    return bytes(c.id for c in structure.components) == b"RGB"


def _encoded(
    image: Image.Image, frame: NDArray[np.uint8], structure: Structure, *, rgb: bool
) -> bytes:
    """Encode a frame with the tables, sampling and coding of the opened photo."""
    assert isinstance(image, JpegImagePlugin.JpegImageFile)  # noqa: S101 - for mypy: formats says so
    sampling = JpegImagePlugin.get_sampling(image)
    if sampling < 0 and len(structure.components) == 3:
        first = structure.components[0]
        raise RefusedError(f"sampling {first.h}x{first.v} cannot be encoded anew")
    buffer = io.BytesIO()
    new = Image.fromarray(frame[..., 0] if frame.shape[2] == 1 else frame, image.mode)
    new.save(
        buffer,
        "JPEG",
        qtables=image.quantization,
        subsampling=sampling,
        progressive=structure.progressive,
        keep_rgb=rgb,
    )
    return buffer.getvalue()


def _primary(source: bytes, structure: Structure, coded: bytes) -> bytes:
    """Return the new image with the source's metadata, up to EOI.

    How the new colours are coded is for the encoder's Adobe segment to say.
    """
    kept = [
        source[segment.offset : segment.end]
        for segment in structure.segments
        if (segment.marker & 0xF0 == _APP0 or segment.marker == markers.COM)
        and segment.marker != _APP14
    ]
    recoded = markers.parse(coded)
    ends = {scan.header.offset: scan.end for scan in recoded.scans}
    new = [
        coded[segment.offset : ends.get(segment.offset, segment.end)]
        for segment in recoded.segments
        if segment.marker not in {_APP0, markers.COM}
    ]
    return b"".join([b"\xff\xd8", *kept, *new])


def reencoded(
    data: bytes,
    defects: Sequence[Defect],
    *,
    fill: Fill = "adaptive",
    footprints: Footprints = USUAL,
) -> Repaired:
    """Return a repaired copy, encoded anew with the photo's own settings.

    Quantisation tables, sampling, progressive coding, metadata segments and the bytes
    after EOI are kept; nearly every block changes a little.

    Raises
    ------
    RefusedError
        The photo is truncated or corrupt, cannot be decoded, or a defect is outside.
    """
    structure = whole(data, defects)
    image, frame = _decoded(data)
    rgb = _is_rgb(data, structure)
    clean = filled(frame, defects, fill=fill, footprints=footprints)
    coded = _encoded(image, clean, structure, rgb=rgb)
    try:
        new = _primary(data, structure, coded) + data[structure.tail - 2 :]
        out = attach.attached(data, structure, new)
    except attach.OffsetError as error:
        raise RefusedError(str(error)) from error
    count = sum(
        rows * columns for rows, columns in map(structure.blocks, structure.components)
    )
    notes = "every block encoded anew", *out.notes
    return Repaired(out.data, "reencoded", notes, count)

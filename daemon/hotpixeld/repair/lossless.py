"""Repair a JPEG in its DCT coefficients: blocks without a defect stay bit for bit.

A sequential photo is walked: only the blocks around listed pixels are decoded, and the
bits of those that change take the place of the old ones.  A progressive photo is
transformed: all its scans are coded anew.

And back: a copy is the original but for some bits, fill bytes before the image's end, and
offsets in the MPF index.  The replaced bits are some 45 bytes a block; the other two are
numbers.
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hotpixeld.errors import RefusedError
from hotpixeld.jpeg import attach, bits, coefficients, entropy, markers, scans
from hotpixeld.jpeg.bits import Replaced
from hotpixeld.jpeg.block_reader import BlockReader
from hotpixeld.jpeg.decoder import CodecError
from hotpixeld.repair import pixel_list, shape
from hotpixeld.repair.component import Component, ComponentRepair
from hotpixeld.repair.field import Box, Subsampling
from hotpixeld.repair.footprint import Spot
from hotpixeld.repair.separation import Expected, Priors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hotpixeld.defect import Defect
    from hotpixeld.jpeg.block_reader import Window
    from hotpixeld.jpeg.dct_blocks import Coefficients
    from hotpixeld.jpeg.entropy import Walked
    from hotpixeld.jpeg.markers import Structure
    from hotpixeld.jpeg.scans import Integers
    from hotpixeld.repair.separation import Fill
    from hotpixeld.repair.shape import Footprints, Shapes, Shown


@dataclass(frozen=True, slots=True)
class Repaired:
    """A repaired copy.

    Attributes
    ----------
    data : bytes
        The file.
    method : str
        How it was made.
    notes : tuple of str
        What had to change besides the blocks that hold defects.
    blocks : int
        Blocks, of all components, that were given other coefficients.
    patch : Patch or None
        What was changed, where all else was kept bit for bit.
    """

    data: bytes
    method: Literal["lossless", "reencoded"]
    notes: tuple[str, ...]
    blocks: int
    patch: Patch | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """What differs in a copy that is the original in all other bits.

    Attributes
    ----------
    mcus, bits : int
        MCUs that hold changed bits, and how many bits of the original were replaced.
    replaced : Replaced
        Those bits.
    fill_bytes, moved : int
        As in `attach.Attached`.
    """

    mcus: int
    bits: int
    replaced: Replaced
    fill_bytes: int
    moved: int


def _is_inside(structure: Structure, defect: Defect) -> bool:
    """Return whether a photo has the pixel of a defect."""
    within = 0 <= defect.row < structure.height
    return within and 0 <= defect.col < structure.width


def _check_inside(structure: Structure, defects: Sequence[Defect]) -> None:
    """Refuse a defect outside the photo."""
    for defect in defects:
        if not _is_inside(structure, defect):
            size = f"{structure.width}x{structure.height}"
            raise RefusedError(f"pixel {defect.x},{defect.y} is outside {size}")


def whole(data: bytes, defects: Sequence[Defect]) -> Structure:
    """Return the structure of a photo that is whole and has room for all defects.

    Raises
    ------
    RefusedError
        It is truncated or malformed, or a defect is outside.
    """
    try:
        structure = markers.parse(data)
    except markers.MarkerError as error:
        raise RefusedError(str(error)) from error
    if structure.eoi is None:
        raise RefusedError("truncated: the file ends before its image does")
    _check_inside(structure, defects)
    return structure


def _check_coding(structure: Structure) -> None:
    """Refuse a kind of coding whose coefficients cannot be changed."""
    count = len(structure.components)
    reasons = {
        "arithmetic coding": structure.arithmetic,
        "a coding process without DCT or Huffman codes": (
            structure.process not in markers.HUFFMAN
        ),
        f"{structure.precision} bits per sample": structure.precision != 8,
        f"{count} colour components (CMYK)": count not in {1, 3},
    }
    for reason, holds in reasons.items():
        if holds:
            raise RefusedError(reason)


def _components(data: bytes, structure: Structure) -> list[Component]:
    """Return the photo's components."""
    tables = markers.quantisation(data, structure)
    h, v = structure.sampling
    components = []
    for index, component in enumerate(structure.components):
        if h % component.h or v % component.v:
            raise RefusedError(f"sampling {component.h}x{component.v} of {h}x{v}")
        if component.table not in tables:
            raise RefusedError(f"quantisation table {component.table} is missing")
        table = np.array(tables[component.table], np.float32).reshape(8, 8)
        if not table.all():
            raise RefusedError("a quantisation table (DQT) holds a zero")
        subsampling = Subsampling(v // component.v, h // component.h)
        frame = Box(0, 0, *structure.plane(component))
        components.append(Component(index, subsampling, frame, table))
    return components


class _Edit:
    """The repair of some defects in all components, and what came of it."""

    def __init__(
        self,
        components: Sequence[Component],
        defects: Sequence[Defect],
        fill: Fill,
        shown: Shown,
    ) -> None:
        self._defects = _each_once(defects)
        self._shown = shown
        self._repairs = [
            ComponentRepair(
                component,
                _spots(self._defects, component.index, shown.footprints),
                fill,
            )
            for component in components
        ]
        each = [repair.places for repair in self._repairs]
        self._ends = np.cumsum([len(places) for places in each])[:-1]
        self.places = np.concatenate(each)
        self.moved = np.zeros(len(self.places), bool)

    def __call__(self, old: Coefficients) -> Coefficients:
        """Return the blocks at `places` without the defects."""
        parts = np.split(old, self._ends)
        mosaics = [
            repair.samples(part)
            for repair, part in zip(self._repairs, parts, strict=True)
        ]
        own = self._shown.footprints.by_site
        levels = self._repairs[0].levels(mosaics[0]) if own else None
        new = [
            repair.edited(part, mosaic, self._priors(index, own, levels))
            for index, (repair, part, mosaic) in enumerate(
                zip(self._repairs, parts, mosaics, strict=True)
            )
        ]
        out = np.concatenate(new)
        self.moved = (out != old).any(axis=(1, 2))
        return out

    def _priors(
        self,
        component: int,
        own: Mapping[tuple[int, int], Shapes],
        levels: Sequence[float] | None,
    ) -> Priors:
        """Return what is known of the footprints in a component, luma being as told."""
        known = {}
        for defect, level in zip(self._defects, levels or (), strict=False):
            if (shapes := own.get((defect.row, defect.col))) is not None:
                one = shape.known(shapes, component)
                amplitude = shape.expected(
                    shapes, level, self._shown.exposure, component
                )
                spot = Spot(defect.row, defect.col, one.half)
                known[spot] = Expected(one, amplitude)
        # What is learned of a camera is how its luma shows a defect.
        camera = self._shown.footprints.camera
        return Priors(camera.luma if camera and not component else None, known)


def _each_once(defects: Sequence[Defect]) -> tuple[Defect, ...]:
    """Return defects of different places."""
    sites: dict[tuple[int, int], Defect] = {}
    for one in defects:
        sites.setdefault((one.row, one.col), one)
    return tuple(sites.values())


def _spots(
    defects: Sequence[Defect], component: int, footprints: Footprints
) -> tuple[Spot, ...]:
    """Return the spot of each defect in a component."""
    shapes = footprints.by_site
    found = []
    for defect in defects:
        own = shapes.get((defect.row, defect.col))
        if own is None:
            found.append(Spot.of(defect))
        else:
            half = own.components[component].half
            found.append(Spot(defect.row, defect.col, half))
    return tuple(found)


def _unchanged(data: bytes) -> Repaired:
    """Return a photo whose defects do not show."""
    return Repaired(data, "lossless", (), 0)


def _check_memory(structure: Structure, memory: int | None) -> None:
    """Refuse to code scans anew where all coefficients need more than `memory` bytes."""
    blocks = (structure.blocks(component) for component in structure.components)
    needed = sum(128 * rows * columns for rows, columns in blocks)
    if memory is not None and needed > memory:
        raise RefusedError(
            f"coding its scans anew needs {needed} bytes of memory, there are {memory};"
            " see `limits: memory` in the configuration"
        )


def _coded_anew(
    data: bytes, structure: Structure, places: Integers, blocks: Coefficients
) -> Repaired:
    """Return a sequential photo with other tables: its own have no code for a value."""
    coded = coefficients.rewrite(data, places, lambda _: blocks)
    out = attach.spliced(data, structure, coded)
    notes = "the scans coded anew: the tables lack a code", *out.notes
    return Repaired(out.data, "lossless", notes, len(places))


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Refuse what cannot be repaired for any of the reasons that `jpeg` has."""
    try:
        yield
    except CodecError as error:
        raise RefusedError(error.reason) from error
    except (
        *(markers.MarkerError, scans.ScanError, bits.CodedDataError),
        attach.OffsetError,
    ) as error:
        raise RefusedError(str(error)) from error


def _windows(structure: Structure, defects: Sequence[Defect]) -> list[Window]:
    """Return what is looked at around each of some defects."""
    size = structure.height, structure.width
    return [pixel_list.window(defect, *size) for defect in defects]


@dataclass(frozen=True, slots=True, eq=False)
class WalkedPhoto:
    """A sequential photo, walked to its end, of which the blocks around defects are known."""

    data: bytes
    structure: Structure
    _shown: Shown
    _components: list[Component]
    _reader: BlockReader
    _walked: Walked

    @classmethod
    def of(
        cls,
        data: bytes,
        structure: Structure,
        listed: Sequence[Defect],
        looked_at: Sequence[Defect] = (),
        shown: Shown = shape.AS_USUAL,
    ) -> WalkedPhoto:
        """Walk a photo.

        Parameters
        ----------
        data : bytes
        structure : Structure
            Of `data`.
        listed : sequence of Defect
            What may be repaired.
        looked_at : sequence of Defect
            Those of them that `visible` is asked about.
        shown : Shown
            How it shows them.

        Raises
        ------
        RefusedError
            It is not sequential, or cannot be walked to its end.
        """
        _check_coding(structure)
        with _refusing():
            components = _components(data, structure)
            coded = scans.coded_scans(data, structure)
            reader = BlockReader(data, structure, coded)
            inside = [d for d in listed if _is_inside(structure, d)]
            looked_at = [d for d in looked_at if _is_inside(structure, d)]
            places = [
                component.seen(
                    _spots(_each_once(inside), component.index, shown.footprints)
                )
                for component in components
            ]
            if looked_at:
                places.append(reader.needed(_windows(structure, looked_at)))
            walked = entropy.walk(data, coded, np.concatenate(places))
        return cls(data, structure, shown, components, reader, walked)

    def visible(self, defects: Sequence[Defect]) -> tuple[Defect, ...]:
        """Return those of `defects`, which were to be looked at, that can be seen."""
        inside = [d for d in defects if _is_inside(self.structure, d)]
        windows = _windows(self.structure, inside)
        levels = self._reader.levels(self._walked, windows)
        seen = (
            pixel_list.seen_at(part, window, defect, self._shown)
            for defect, window, part in zip(inside, windows, levels, strict=True)
        )
        return tuple(filter(None, seen))

    def repaired(
        self,
        defects: Sequence[Defect],
        *,
        fill: Fill = "adaptive",
        memory: int | None = None,
    ) -> Repaired:
        """Return a copy without some defects, all of them listed; see `repaired`."""
        _check_inside(self.structure, defects)
        edit = _Edit(self._components, defects, fill, self._shown)
        new = edit(self._walked.coefficients(edit.places))
        if not edit.moved.any():
            return _unchanged(self.data)
        places, blocks = edit.places[edit.moved], new[edit.moved]
        with _refusing():
            try:
                patched = entropy.patch(self.data, self._walked, places, blocks)
            except entropy.MissingCodeError:
                _check_memory(self.structure, memory)
                return _coded_anew(self.data, self.structure, places, blocks)
            out = attach.attached(self.data, self.structure, patched.data)
        patch = Patch(
            patched.mcus, patched.bits, patched.replaced, out.fill_bytes, out.moved
        )
        return Repaired(out.data, "lossless", out.notes, len(patched.places), patch)


def _transformed(data: bytes, structure: Structure, edit: _Edit) -> Repaired:
    """Return a progressive photo with all its scans coded anew."""
    coded = coefficients.rewrite(data, edit.places, edit, progressive=True)
    if not edit.moved.any():
        return _unchanged(data)
    out = attach.spliced(data, structure, coded)
    return Repaired(out.data, "lossless", out.notes, int(edit.moved.sum()))


def repaired(
    data: bytes,
    defects: Sequence[Defect],
    *,
    fill: Fill = "adaptive",
    shown: Shown = shape.AS_USUAL,
    memory: int | None = None,
) -> Repaired:
    """Return a copy of a photo without some defects; all else in it stays as it is.

    Parameters
    ----------
    data : bytes
        The photo's file.
    defects : sequence of Defect
        All are taken to be visible.
    fill : str
        ``adaptive``, or ``neighbours`` for the weighted mean of eight.
    shown : Shown
        How it shows them.
    memory : int or None
        Most bytes for coefficients, which are needed all at once where scans are coded
        anew; None is any number.

    Raises
    ------
    RefusedError
        The photo cannot be repaired without loss.
    MissingLibraryError
        libturbojpeg is not installed, and the photo's scans must be coded anew.
    """
    structure = whole(data, defects)
    if not structure.progressive:
        walked = WalkedPhoto.of(data, structure, defects, shown=shown)
        return walked.repaired(defects, fill=fill, memory=memory)
    _check_coding(structure)
    _check_memory(structure, memory)
    with _refusing():
        components = _components(data, structure)
        edit = _Edit(components, defects, fill, shown)
        return _transformed(data, structure, edit)


# Fill bytes, bytes by which what follows the image moved; then the replaced bits.
_NUMBERS = struct.Struct("<ii")


def way_back(repaired: Repaired) -> bytes | None:
    """Return what leads back from a copy, None where nothing does.

    It is empty where the copy is the original, as no defect showed.  Scans that were
    coded anew cannot be led back.
    """
    patch = repaired.patch
    if patch is None:
        is_original = repaired.method == "lossless" and not repaired.blocks
        return b"" if is_original else None
    return _NUMBERS.pack(patch.fill_bytes, patch.moved) + patch.replaced.packed()


def original(copy: bytes, way: bytes) -> bytes:
    """Return the original of a copy.

    Parameters
    ----------
    copy : bytes
        The file, to the bit as it was made.
    way : bytes
        What `way_back` gave for it.

    Raises
    ------
    RefusedError
        They do not belong together, or one of them is damaged.
    """
    if not way:
        return copy
    try:
        fill_bytes, moved = _NUMBERS.unpack_from(way)
        image = attach.detached(attach.Attached(copy, (), fill_bytes, moved))
        return bits.undone(image, Replaced.unpacked(way[_NUMBERS.size :]))
    except (ValueError, struct.error) as error:
        raise RefusedError(
            f"what was kept of the original is damaged: {error}"
        ) from error

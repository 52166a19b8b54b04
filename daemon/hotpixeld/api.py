"""hotpixeld as a library: read what it has learned, learn from arrays, repair.

Frames are (H, W, 3) uint8 arrays of red, green and blue, as the sensor has them: not turned,
cropped or resized.  Pixels are (x, y), 0-based, from the top left.  What is not here may
change with any version.

Twenty-four photos of different scenes, one pixel of the sensor being hot:

>>> import numpy as np
>>> from hotpixeld import api
>>> rng = np.random.default_rng(1)
>>> def photo():
...     scene = np.kron(rng.uniform(40, 160, (11, 15, 1)), np.ones((8, 8, 3)))
...     scene += rng.normal(0, 3, scene.shape)
...     scene[30, 50] += 60
...     return scene.astype(np.uint8)
>>> photos = [photo() for _ in range(24)]

What is known of them, and which pixels are defects:

>>> learned = api.Learned(height=88, width=120)
>>> for frame in photos:
...     learned.fold(frame)
>>> learned.photos, learned.mean.shape, learned.variance().dtype
(24, (88, 120, 3), dtype('float32'))
>>> [(defect.x, defect.y, str(defect.kind)) for defect in api.find_defects(photos)]
[(50, 30, 'hot')]

A photo without it:

>>> clean = api.repair_frame(photos[0], [(50, 30)])
>>> int(photos[0][30, 50, 0]) - int(clean[30, 50, 0]) > 40
True
>>> int((clean != photos[0]).any(axis=2).sum()) < 100
True

The same in a file, in whose other blocks no bit changes:

>>> import io
>>> from PIL import Image
>>> file = io.BytesIO()
>>> Image.fromarray(photos[0]).save(file, "JPEG", quality=95)
>>> repaired = api.repair_jpeg(file.getvalue(), [(50, 30)])
>>> repaired[:20] == file.getvalue()[:20], repaired == file.getvalue()
(True, False)

What the daemon has learned is read beside it, and never changed:

>>> with api.open_state("/no/such/state") as state:
...     for camera in state.cameras():
...         print(camera.id, state.mean(camera.id).mean(), state.defects(camera.id))
Traceback (most recent call last):
hotpixeld.errors.LedgerError: /no/such/state/ledger.sqlite3: no such state yet
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotpixeld.defect import Defect, Kind
from hotpixeld.detection import evidence, lives, suspects
from hotpixeld.detection.evidence import EvidenceTable, SampledPhoto
from hotpixeld.errors import HotpixeldError, LedgerError, RefusedError, StateError
from hotpixeld.repair import lossless, reencode
from hotpixeld.statistics.generation import (
    KEPT,
    M2,
    MEAN,
    TELLING,
    TOTAL,
    Counts,
    Folding,
    Planes,
    State,
    strips,
)
from hotpixeld.statistics.trace import Trace
from hotpixeld.store import generation_files, state_folder
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from hotpixeld.repair.separation import Fill

    Frame = NDArray[np.uint8]

__all__ = [
    "CameraState",
    "Defect",
    "HotpixeldError",
    "Kind",
    "Learned",
    "LedgerError",
    "RefusedError",
    "StateError",
    "StateReader",
    "find_defects",
    "open_state",
    "repair_frame",
    "repair_jpeg",
]

FEWEST_PHOTOS = 4
"""That `find_defects` takes; 16 to 24 of different scenes are needed for weak defects."""


class CameraState(NamedTuple):
    """A camera of a state: a body at one image size.

    Attributes
    ----------
    id : str
        By which the other methods know it.
    make, model, serial : str
        As its photos say; empty where they say nothing.
    width, height : int
        Of its photos, in pixels.
    photos : int
        Photos that were learned from.
    weight : float
        Photos that still count: `photos`, until there are more than are remembered.
    """

    id: str
    make: str
    model: str
    serial: str
    width: int
    height: int
    photos: int
    weight: float


class StateReader:
    """A state folder that is read; see `open_state`.  Used by one thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def cameras(self) -> list[CameraState]:
        """Return its cameras.

        Raises
        ------
        LedgerError
            The ledger cannot be read.
        """
        return [
            CameraState(
                *(one.camera.id, one.camera.make, one.camera.model, one.camera.serial),
                *(one.camera.width, one.camera.height, one.photos, one.weight),
            )
            for one in self._ledger.images.cameras()
        ]

    def mean(self, camera_id: str) -> NDArray[np.float32]:
        """Return the mean of a camera's photos, (H, W, 3) float32, 0-255; read-only.

        It stays what it is, whatever the daemon learns meanwhile.  Raises what `m2` does.
        """
        return self._state(camera_id).mean

    def m2(self, camera_id: str) -> NDArray[np.float32]:
        """Return the sum of squared differences from the mean, (H, W, 3) float32; read-only.

        In levels squared; over weight - 1 it is the variance.

        Raises
        ------
        KeyError
            There is no such camera, or nothing was learned of it yet.
        StateError
            What was learned is damaged, or cannot be read.
        """
        return self._state(camera_id).m2

    def defects(self, camera_id: str) -> list[Defect]:
        """Return the list that the daemon maintains: defects found in the camera's photos.

        Without what the configuration lists or ignores, which is not in the state.  Several
        of one place are its lives, one after the other.

        Raises
        ------
        LedgerError
            The ledger cannot be read.
        """
        return self._ledger.defects.of(camera_id)

    def _state(self, camera_id: str) -> State:
        record = self._ledger.images.camera(camera_id)
        if record is None or not record.generation:
            raise KeyError(camera_id)
        folder = state_folder.camera_folder(self._ledger.folder, camera_id)
        return generation_files.opened(
            generation_files.folder_of(folder, record.generation)
        )


@contextlib.contextmanager
def open_state(folder: str | os.PathLike[str]) -> Iterator[StateReader]:
    """Open a state folder to be read, beside a running daemon.

    Parameters
    ----------
    folder : str or path
        Such as /var/lib/hotpixeld; this user must be one who may read it.

    Raises
    ------
    LedgerError
        There is no state, it cannot be read, or it is of another version of hotpixeld.
    """
    path = state_folder.ledger_file(Path(folder).absolute())
    if not path.exists():
        raise LedgerError(f"{path}: no such state yet")
    ledger = Ledger(path, read_only=True)
    try:
        yield StateReader(ledger)
    finally:
        ledger.close()


class Learned:
    """What photos of one camera taught, in memory; edited in place by `fold`.

    Photo by photo it is, to the bit, what the daemon keeps in its files.  Takes 28 bytes a
    pixel.

    Parameters
    ----------
    height, width : int
        Of the frames, at least 7.
    memory : int
        Photos to remember, as `detection: memory` has it; 0 never forgets.

    Raises
    ------
    ValueError
        The frames are smaller.

    References
    ----------
    B. P. Welford, "Note on a method for calculating corrected sums of squares and
    products", Technometrics 4 (1962) 419-420; D. H. D. West, "Updating mean and variance
    estimates: an improved method", Communications of the ACM 22 (1979) 532-535.
    """

    def __init__(self, height: int, width: int, *, memory: int = 0) -> None:
        self.shape = height, width, 3
        self._memory = memory
        self._counts = Counts()
        self._window = np.zeros((1, KEPT + height, width, 3), np.uint8)
        self._planes = Planes(height, width, height)
        (self._strip,) = strips(height, height)
        self._folding()  # refuses what is too small

    def _folding(self) -> Folding:
        height = self.shape[0]
        return Folding(self._counts, self._memory, self._window, height, threads=1)

    def fold(self, frame: Frame) -> None:
        """Take one more photo into account.

        Parameters
        ----------
        frame : (H, W, 3) uint8, 0-255
            Stays as it is.

        Raises
        ------
        ValueError
            It has another shape or type.
        """
        _check_frame(frame, self.shape)
        self._window[0, KEPT:] = frame
        folding = self._folding()
        folding.begin(self._strip, self._planes)
        folding.share()
        self._counts = folding.after

    @property
    def photos(self) -> int:
        """Return how many photos were folded."""
        return self._counts.photos

    @property
    def weight(self) -> float:
        """Return how many photos still count."""
        return self._counts.weight

    @property
    def mean(self) -> NDArray[np.float32]:
        """Return the mean, (H, W, 3) float32, 0-255; a copy."""
        return self._planes.of(MEAN, self._strip).astype(np.float32)

    @property
    def m2(self) -> NDArray[np.float32]:
        """Return the sum of squared differences from the mean, (H, W, 3) float32; a copy."""
        return self._planes.of(M2, self._strip).astype(np.float32)

    def variance(self) -> NDArray[np.float32]:
        """Return the variance of each subpixel, (H, W, 3) float32, levels squared.

        M2 / (weight - 1); of fewer than two photos it is NaN.
        """
        if self.weight <= 1:
            return np.full(self.shape, np.nan, np.float32)
        return self.m2 / np.float32(self.weight - 1)

    def _state(self) -> State:
        """Return what detection takes; not copied."""
        total = self._planes.of(TOTAL, self._strip).astype(np.int16, copy=False)
        telling = self._planes.of(TELLING, self._strip).astype(np.float32, copy=False)
        trace = Trace(self._counts.traced, total, telling)
        mean, m2 = (
            self._planes.of(name, self._strip).astype(np.float32, copy=False)
            for name in (MEAN, M2)
        )
        return State(self.photos, self.weight, mean, m2, trace)


def _check_frame(frame: Frame, shape: tuple[int, ...] | None = None) -> None:
    """Refuse what is no frame, or one of another size."""
    is_frame = frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == np.uint8
    if not is_frame or (shape is not None and frame.shape != shape):
        wanted = shape or "(H, W, 3)"
        raise ValueError(f"frame is {frame.shape} {frame.dtype}, not {wanted} uint8")


def find_defects(frames: Sequence[Frame], *, memory: int = 0) -> list[Defect]:
    """Return the defects that photos of one camera show, as the daemon's first map has them.

    By the evidence of each photo: what is at the same place in a scene that does not change
    is no defect, and where there are too few different scenes there is none.  Without
    exposures and capture times a defect that shows in a few photos only may be missed, and
    none has a date.

    Parameters
    ----------
    frames : sequence of (H, W, 3) uint8, 0-255
        Of one size, in the order in which they were taken.  Each is asked for twice, so
        that a sequence may decode its files as it goes.
    memory : int
        See `Learned`.

    Returns
    -------
    list of Defect
        By row and column; `score` is its signal-to-noise ratio, `amplitude` its mean excess
        in levels of red, green and blue.

    Raises
    ------
    ValueError
        There are fewer than `FEWEST_PHOTOS`, or they have no size in common.
    """
    if len(frames) < FEWEST_PHOTOS:
        raise ValueError(f"{len(frames)} photos, and {FEWEST_PHOTOS} are needed")
    _check_frame(frames[0])
    height, width, _ = frames[0].shape
    learned = Learned(height, width, memory=memory)
    for frame in frames:
        learned.fold(frame)
    state = learned._state()
    assert state.trace is not None  # noqa: S101 - for mypy: it has one
    sites = suspects.nominated(state, state.trace)
    everywhere = np.concatenate([sites, evidence.controls(height, width)])
    samples = np.stack(
        [
            evidence.sample_rows(
                np.ascontiguousarray(one)[None], 0, height, everywhere
            )[0]
            for one in frames
        ]
    )
    photos = [
        SampledPhoto(number, None, None, None, None, None, "", 1, row)
        for number, row in enumerate(samples)
    ]
    split = len(sites)
    table = EvidenceTable(sites, samples[:, :split], samples[:, split:], photos)
    found = lives.defects(state, table, (), lives.scenes_needed(len(frames)))
    return sorted(found, key=lambda one: (one.row, one.col))


def _defects(pixels: Iterable[Defect | tuple[int, int]]) -> list[Defect]:
    """Return pixels as defects."""
    return [one if isinstance(one, Defect) else Defect.at(*one) for one in pixels]


def repair_frame(
    frame: Frame,
    pixels: Iterable[Defect | tuple[int, int]],
    *,
    fill: Fill = "adaptive",
) -> Frame:
    """Return a copy of a frame without some defects.

    Parameters
    ----------
    frame : (H, W, 3) uint8, 0-255
        Stays as it is.
    pixels : iterable of Defect or (x, y)
        All are taken to be visible.
    fill : str
        ``adaptive`` follows edges and grain; ``neighbours`` is the weighted mean of eight.

    Returns
    -------
    (H, W, 3) uint8

    Raises
    ------
    ValueError
        It is no frame, or a pixel is outside.
    """
    _check_frame(frame)
    defects = _defects(pixels)
    for one in defects:
        if not (0 <= one.row < frame.shape[0] and 0 <= one.col < frame.shape[1]):
            size = f"{frame.shape[1]}x{frame.shape[0]}"
            raise ValueError(f"pixel {one.x},{one.y} is outside {size}")
    return reencode.filled(frame, defects, fill=fill)


def repair_jpeg(
    data: bytes,
    pixels: Iterable[Defect | tuple[int, int]],
    *,
    fill: Fill = "adaptive",
) -> bytes:
    """Return a JPEG file without some defects: other blocks keep every bit.

    So do its metadata, and what follows the image.  A progressive one is coded anew, its
    other coefficients unchanged, and needs libturbojpeg.

    Parameters
    ----------
    data : bytes
        The file.
    pixels, fill
        As in `repair_frame`.

    Raises
    ------
    RefusedError
        It is truncated, no JPEG, of a coding that cannot be repaired without loss, or a
        pixel is outside.
    HotpixeldError
        libturbojpeg is needed and not installed.
    """
    return lossless.repaired(data, _defects(pixels), fill=fill).data

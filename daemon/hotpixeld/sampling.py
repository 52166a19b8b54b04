"""Sampling: each photo's evidence about its camera's suspects, now or from its file.

The suspects come from the state and change slowly.  A photo is sampled as it is folded,
at the list of the day; for a new list, earlier photos are sampled again from their files,
as many as the caller has time for, the newest first.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import evidence, photo
from hotpixeld.calibration import vote_shares
from hotpixeld.errors import PhotoError
from hotpixeld.jobs import ahead
from hotpixeld.revisits import JUDGED
from hotpixeld.samples import SampledPhoto, Suspects
from hotpixeld.suspects import distinct, nominated
from hotpixeld.weighing import Taken

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hotpixeld.camera import Camera
    from hotpixeld.config import Config, Limits
    from hotpixeld.evidence import Samples
    from hotpixeld.images import Image
    from hotpixeld.ledger import Ledger
    from hotpixeld.memory import Frames
    from hotpixeld.photo import Photo
    from hotpixeld.pixels import Defect
    from hotpixeld.welford import Frame, State
    from hotpixeld.workers import Workers

log = logging.getLogger(__name__)

UNTOLD = 255
"""`clipped` of a sample that was never taken: it tells nothing."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The evidence about a camera's suspects.

    Attributes
    ----------
    sites : (N, 2) intp
    suspects : (photos, N) of `evidence.SAMPLE`
        By capture time.
    controls : (photos, C) of `evidence.SAMPLE`
    photos : sequence of SampledPhoto
    """

    sites: NDArray[np.intp]
    suspects: Samples
    controls: Samples
    photos: Sequence[SampledPhoto]

    def since(self, when: dt.datetime) -> Grid:
        """Return the photos taken at `when` or later, or nobody knows when."""
        late = [one.captured is None or one.captured >= when for one in self.photos]
        kept = np.array(late, np.bool_)
        photos = [
            one for one, is_kept in zip(self.photos, late, strict=True) if is_kept
        ]
        return Grid(self.sites, self.suspects[kept], self.controls[kept], photos)

    @property
    def taken(self) -> Taken:
        """Return how the photos were taken."""
        exposure = [(one.exposure_seconds or 0) * (one.iso or 0) for one in self.photos]
        focal = [one.focal_mm or 0 for one in self.photos]
        return Taken(np.array(exposure, np.float64), np.array(focal, np.float64))

    @property
    def scenes(self) -> float:
        """Return how many different scenes the photos amount to."""
        return float(vote_shares(self.controls).sum()) if self.photos else 0.0


def scan(state: State) -> NDArray[np.intp]:
    """Return the (N, 2) places that stand out most: reads all of the state."""
    if state.trace is None:
        raise AssertionError("a state that keeps no trace has no suspects")
    return nominated(state, state.trace)


def take(frame: Frame, suspects: Suspects) -> Samples:
    """Return the samples of a frame: of the suspects, then of the controls."""
    height, width, _ = frame.shape
    sites = np.concatenate([suspects.sites, evidence.controls(height, width)])
    return evidence.sample(frame, sites)


def sampled(
    source: Photo, image: Image, frame: Frame, suspects: Suspects
) -> SampledPhoto:
    """Return what a photo tells about the suspects."""
    about = source.metadata
    return SampledPhoto(
        image.id,
        about.captured,
        about.exposure_seconds,
        about.iso,
        about.focal_mm,
        suspects.version,
        take(frame, suspects),
    )


def _columns(old: NDArray[np.intp], new: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for each new site the place of the same one among the old, -1 if new."""
    places = {(row, col): index for index, (row, col) in enumerate(old.tolist())}
    return np.array([places.get((row, col), -1) for row, col in new.tolist()], np.intp)


def _look_again(
    wanted: tuple[Image, list[Path]],
    *,
    limits: Limits,
    suspects: Suspects,
    frames: Frames,
) -> SampledPhoto | None:
    """Sample a photo from wherever its file is now, if it still is anywhere."""
    image, paths = wanted
    for path in paths:
        try:
            source = photo.examine(path, limits.max_bytes, limits.most_pixels)
            if source.identity == image.identity:
                size = source.structure.height, source.structure.width
                frame = photo.decode(source, frames.take(*size))
                return sampled(source, image, frame, suspects)
        except PhotoError as error:
            log.debug("not sampled again: %s", error)
    return None


class Sampling:
    """The samples of all cameras; used by one thread.

    `workers` decode earlier photos again into `frames`, `window` more of them than are
    in use.
    """

    def __init__(
        self,
        ledger: Ledger,
        config: Config,
        workers: Workers,
        window: int,
        frames: Frames,
    ) -> None:
        self._ledger = ledger
        self._config = config
        self._workers = workers
        self._window = window
        self._frames = frames

    def renew(
        self, camera_id: str, found: NDArray[np.intp], listed: Sequence[Defect]
    ) -> Suspects:
        """List the suspects that the state shows now (`scan`), and what is in the map."""
        known = np.array([(one.row, one.col) for one in listed], np.intp).reshape(-1, 2)
        sites = distinct(np.concatenate([known, found]))
        with self._ledger.transaction():
            return self._ledger.samples.list_suspects(camera_id, sites)

    def sample_again(
        self, camera: Camera, chosen: Sequence[Image], progress: Callable[[], None]
    ) -> Generator[None, None, int]:
        """Sample earlier photos at the present suspects, from their files, one a step.

        Returns
        -------
        int
            How many could be.
        """
        suspects = self._ledger.samples.suspects(camera.id)
        wanted = [(one, self._ledger.paths.of_image(one.id)) for one in chosen]
        look = partial(
            _look_again,
            limits=self._config.limits,
            suspects=suspects,
            frames=self._frames,
        )
        count = 0
        for told in ahead(self._workers, look, wanted, self._window):
            if told is not None:
                count += 1
                with self._ledger.transaction():
                    self._ledger.samples.record(camera.id, told)
            progress()
            yield
        return count


def grid_of(ledger: Ledger, camera: Camera) -> Grid:
    """Return the evidence of the newest photos about the present suspects."""
    tables = ledger.samples
    sites = tables.suspects(camera.id).sites
    photos = tables.newest(camera.id, JUDGED)
    controls = len(evidence.controls(camera.height, camera.width))
    told = np.zeros((len(photos), len(sites)), evidence.SAMPLE)
    told["clipped"] = UNTOLD
    told["spread"] = 1.0
    columns: dict[int, NDArray[np.intp]] = {}
    for row, one in zip(told, photos, strict=True):
        if one.version not in columns:
            old = tables.suspects(camera.id, one.version).sites
            columns[one.version] = _columns(old, sites)
        known = columns[one.version]
        row[known >= 0] = one.samples[:-controls][known[known >= 0]]
    ordinary = [one.samples[-controls:] for one in photos]
    empty = np.empty((0, controls), evidence.SAMPLE)
    return Grid(sites, told, np.stack(ordinary) if ordinary else empty, photos)

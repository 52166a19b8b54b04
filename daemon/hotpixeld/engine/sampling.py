"""Sampling: each photo's evidence about its camera's suspects, now or from its file.

The suspects come from the state and change slowly.  A photo is sampled as it is folded,
at the present list; for a new list, earlier photos are sampled again from their files,
as many as the caller has time for, the newest first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.detection import evidence
from hotpixeld.detection.evidence import (
    NOT_SAMPLED,
    EvidenceTable,
    SampledPhoto,
    Suspects,
)
from hotpixeld.detection.suspects import distinct, nominated
from hotpixeld.engine.earlier_photos import JUDGED, EarlierPhotos

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.defect import Defect
    from hotpixeld.detection.evidence import Samples
    from hotpixeld.engine.photos_under_way import Frames
    from hotpixeld.engine.workers import Workers
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.statistics.welford import Frame, State
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger


def nominate(state: State) -> NDArray[np.intp]:
    """Return the (N, 2) row and column of what stands out most: reads all of the state."""
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
    """Return the samples of a photo at the suspects, with how it was taken."""
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
        self._earlier = EarlierPhotos(ledger, config.limits, frames)
        self._workers = workers
        self._window = window

    def renew(
        self, camera_id: str, found: NDArray[np.intp], listed: Sequence[Defect]
    ) -> Suspects:
        """List the suspects that the state shows now (`nominate`), and what is in the map."""
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
        wanted = [(image, self._earlier.files(image)) for image in chosen]

        def sample(earlier: tuple[Image, list[Path]]) -> SampledPhoto | None:
            decoded = self._earlier.decode(*earlier)
            return decoded and sampled(decoded[0], earlier[0], decoded[1], suspects)

        count = 0
        for photo in self._workers.ahead(sample, wanted, self._window):
            if photo is not None:
                count += 1
                with self._ledger.transaction():
                    self._ledger.samples.record(camera.id, photo)
            progress()
            yield
        return count


def evidence_of(ledger: Ledger, camera: Camera) -> EvidenceTable:
    """Return the evidence of the newest photos about the present suspects."""
    tables = ledger.samples
    sites = tables.suspects(camera.id).sites
    photos = tables.newest(camera.id, JUDGED)
    controls = len(evidence.controls(camera.height, camera.width))
    samples = np.zeros((len(photos), len(sites)), evidence.SAMPLE)
    samples["clipped"] = NOT_SAMPLED
    samples["spread"] = 1.0
    columns: dict[int, NDArray[np.intp]] = {}
    for row, photo in zip(samples, photos, strict=True):
        if photo.version not in columns:
            old = tables.suspects(camera.id, photo.version).sites
            columns[photo.version] = _columns(old, sites)
        known = columns[photo.version]
        row[known >= 0] = photo.samples[:-controls][known[known >= 0]]
    ordinary = [photo.samples[-controls:] for photo in photos]
    empty = np.empty((0, controls), evidence.SAMPLE)
    return EvidenceTable(
        sites, samples, np.stack(ordinary) if ordinary else empty, photos
    )

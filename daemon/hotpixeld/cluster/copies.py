"""Copies that are made by a cluster: the workers write them, the ledger here names them.

A worker gets a photo's path and its pixel list, repairs it and writes the copy beside its
place.  Which photos are due, whose copy may be touched, and what becomes of it is decided
here, as ever; so a copy gets its name only once the ledger knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from distributed import KilledWorker

from hotpixeld.cluster import tasks
from hotpixeld.cluster.archive import RETRIES
from hotpixeld.errors import UnreadablePhotoError

if TYPE_CHECKING:
    from distributed import Client

    from hotpixeld.config.model import Config, Folder
    from hotpixeld.engine.copy_writer import RepairResult
    from hotpixeld.engine.repair_pass import MakeCopy, Pixels
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.repair.pixel_list import PixelList

AHEAD = 2
"""Photos under way for each thread of the cluster: one is read while another is repaired."""
MOST_AHEAD = 64


def jobs(client: Client) -> int:
    """Return how many photos are to be under way at once."""
    threads: int = sum(client.nthreads().values())
    return min(AHEAD * threads + 2, MOST_AHEAD)


def maker(client: Client, config: Config) -> MakeCopy:
    """Return what has the cluster repair a photo; called by many threads."""

    def make_copy(
        photo: Photo, folder: Folder, pixels: PixelList, known: Pixels | None
    ) -> RepairResult:
        due = tasks.Due(photo.path, photo.identity, folder, pixels, known)
        future = client.submit(
            tasks.make_copy, due, config, pure=False, retries=RETRIES
        )
        try:
            made: RepairResult = future.result()
        except KilledWorker as error:
            reason = f"workers die as they repair it: {error}"
            raise UnreadablePhotoError(photo.path, reason) from error
        return made

    return make_copy

"""The schedule: when a camera's learning pass is due, and when one that is due begins.

A pass writes all of a camera's state, however few its photos are.  So it is due for a share
of what the camera has, and while more photos come it waits for them; those that are pending
are in the spool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotpixeld.store.images import CameraRecord, Images
    from hotpixeld.store.spool import Spool

FEWEST = 4
"""Photos in a camera's first generation: a stray photo costs its file, and no state.
Passes that are interrupted are halved down to so many."""
FEWEST_NEW, MOST_NEW = 8, 20
"""A pass is due after 10 % more photos, at least and at most so many: a defect that begins
after a map is to be listed within 40, of which some come while it is made."""
PATIENCE_SECONDS = 86_400.0
"""After so long a pending photo is folded, however few there are."""
MOST_WAITING, MOST_WAIT_SECONDS = 64, 300.0
"""While photos still come a pass that is due waits until so many are pending, or one for so
long: a generation is written for many photos, not for some."""


def is_enough(pending: int, photos: int) -> bool:
    """Return whether pending photos may be folded; the parameters are as of `is_due`.

    >>> is_enough(3, 0), is_enough(4, 0), is_enough(0, 16)
    (False, True, False)
    """
    return pending > 0 and photos + pending >= FEWEST


def is_due(pending: int, photos: int, min_photos: int) -> bool:
    """Return whether a pass is due: the first one as soon as there can be a map.

    Parameters
    ----------
    pending, photos : int
        Photos that are to be folded, and that are in the state.

    >>> [is_due(pending, 16, 16) for pending in (7, 8)]
    [False, True]
    >>> is_due(15, 0, 16), is_due(16, 0, 16), is_due(19, 1000, 16)
    (False, True, False)
    """
    if photos + pending < min_photos:
        return False
    return not photos or pending >= min(max(photos // 10, FEWEST_NEW), MOST_NEW)


class Schedule:
    """When the passes of all cameras are due; used by one thread.

    Parameters
    ----------
    min_photos : int
        That a map needs.
    wall : callable
        Seconds since the epoch.

    Attributes
    ----------
    unfinished : set of str
        Cameras whose photos of the last pass were not all folded: by a pass that was too
        small for them, or interrupted, by a process before this one, too.
    """

    def __init__(
        self,
        images: Images,
        spool: Spool,
        min_photos: int,
        wall: Callable[[], float],
    ) -> None:
        self._images, self._spool = images, spool
        self._min_photos, self._wall = min_photos, wall
        self.unfinished = {one.camera.id for one in images.cameras() if one.pass_photos}

    def _pending(self, record: CameraRecord) -> int:
        return self._images.counts(record.camera.id)["pending"]

    def may_fold(self, record: CameraRecord) -> bool:
        """Return whether there is anything to fold, and a camera that is no stray photo's."""
        return is_enough(self._pending(record), record.photos)

    def may_map(self, record: CameraRecord) -> bool:
        """Return whether there are enough photos for a map."""
        return record.photos >= self._min_photos

    def is_due(self, record: CameraRecord) -> bool:
        """Return whether the pass of a camera is due."""
        pending = self._pending(record)
        return is_enough(pending, record.photos) and (
            record.camera.id in self.unfinished
            or is_due(pending, record.photos, self._min_photos)
            or self._age(record) >= PATIENCE_SECONDS
        )

    def may_wait(self, record: CameraRecord) -> bool:
        """Return whether a pass that is due may wait for photos that come."""
        return (
            record.camera.id not in self.unfinished
            and self._pending(record) < MOST_WAITING
            and self._age(record) < MOST_WAIT_SECONDS
            and not self._spool.is_half_full
        )

    def _age(self, record: CameraRecord) -> float:
        """Return for how many seconds a photo has been pending, at most."""
        since = self._images.pending_since(record.camera.id)
        return 0.0 if since is None else self._wall() - since

    def next_deadline(self) -> float | None:
        """Return in how many seconds the next pass is due by age, None without any."""
        waits = [
            PATIENCE_SECONDS - self._age(record)
            for record in self._images.cameras()
            if self.may_fold(record)
        ]
        return max(min(waits), 0.0) if waits else None

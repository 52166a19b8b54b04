"""Earlier photos again: the frame of an admitted image, from wherever its file is now."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hotpixeld import photo
from hotpixeld.errors import PhotoError
from hotpixeld.messages import MessageId

if TYPE_CHECKING:
    from hotpixeld.config import Limits
    from hotpixeld.images import Image
    from hotpixeld.ledger import Ledger
    from hotpixeld.memory import Frames
    from hotpixeld.photo import Photo
    from hotpixeld.welford import Frame
    from hotpixeld.workers import Workers

log = logging.getLogger(__name__)


class Again:
    """Has `workers` decode pending images again; used by one thread."""

    def __init__(
        self,
        ledger: Ledger,
        limits: Limits,
        frames: Frames,
        workers: Workers,
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self._frames = frames
        self.workers = workers

    def frame(self, image: Image) -> Frame | None:
        """Return the frame of a pending image; without a file of it, it is lost."""
        most = self._limits.max_bytes, self._limits.most_pixels
        for path in self._ledger.paths.of_image(image.id):
            try:
                found = self.workers.call(photo.examine, path, *most)
                if found.identity == image.identity:
                    return self._decode(found)
            except PhotoError as error:
                log.debug("pending photo: %s", error)
        self._lose(image)
        return None

    def _decode(self, found: Photo) -> Frame:
        hazards = self._ledger.hazards
        if reason := hazards.reason(found.identity, found.data):
            raise PhotoError(found.path, reason)
        size = found.structure.height, found.structure.width
        with hazards.under_way(found.identity):
            frame = self.workers.call(photo.decode, found, self._frames.take(*size))
        self.workers.progress()
        return frame

    def _lose(self, image: Image) -> None:
        log.warning(
            "lost before checkpoint: image %s of %s, its file cannot be read any more",
            image.identity[:16],
            image.camera,
            extra={"MESSAGE_ID": MessageId.PHOTO_LOST, "CAMERA": image.camera},
        )
        with self._ledger.transaction():
            self._ledger.images.mark_lost(image)
            for path in self._ledger.paths.of_image(image.id):
                # When its folder is there again, it is read and folded after all.
                self._ledger.paths.mark_unseen(path, None)

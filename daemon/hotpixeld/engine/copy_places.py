"""Where copies are, as the configuration changes and photos are renamed.

A copy whose place is not that of the configuration any more is *former*: it stays as it is,
and is named in the status, until it is tidied away; its successor is written at the new
place.  It is still ours: never taken for a photo, and the current copy again if the
configuration goes back.  A copy whose photo was renamed follows it.
"""

from __future__ import annotations

import functools
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hotpixeld.engine.output_folder import OutputFolder, is_same_file, place_of
from hotpixeld.errors import SkippedPhotoError, said
from hotpixeld.store.copies import Copy

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from hotpixeld.config.model import Config, Folder
    from hotpixeld.photo.fingerprint import Fingerprint
    from hotpixeld.photo.photo_file import Photo
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger
    from hotpixeld.store.paths import PathRecord

log = logging.getLogger(__name__)

BY_HAND = "by hand"
"""Condition and method of copies that `hotpixeld repair` made of pixels that it was told."""
EDITED = "changed since it was written"
"""Why a copy is left for good."""
_MOST_NAMES = 8
"""Of one image are looked at, to see which of them was renamed."""


def follow(ledger: Ledger, config: Config) -> None:
    """Have the photos looked at whose copies are not where the configuration has them.

    What was skipped in folders that hold copies now is nobody's concern any more.
    """
    places = [_place(folder) for folder in config.folders]
    if ledger.other_copies.places() == places:
        return
    with ledger.transaction():
        for source in _misplaced(ledger, config):
            ledger.paths.set_repaired_with(Path(source), None)
        for folder in config.folders:
            ledger.paths.forget_skipped(folder.repaired)
        ledger.other_copies.set_places(places)


def _place(folder: Folder) -> tuple[Path, Path, str]:
    return folder.path, folder.repaired, folder.name


def _misplaced(ledger: Ledger, config: Config) -> Iterator[str]:
    """Yield the photos in watched folders whose copies are elsewhere."""

    @functools.lru_cache(maxsize=64)
    def around(parent: str) -> str | None:
        """Return what stands before the name of a photo in the path of its copy."""
        photo = Path(parent, "x")
        folder = _folder_of(config, photo)
        # `name` ends in the photo's own, see `Folder`.
        return None if folder is None else str(folder.copy_path(photo))[:-1]

    for source, target in ledger.copies.targets():
        parent, _, name = source.rpartition("/")
        before = around(parent)
        if before is not None and target != before + name:
            yield source


def _folder_of(config: Config, photo: Path) -> Folder | None:
    try:
        return config.folder_of(photo)
    except SkippedPhotoError:
        return None


def _among_photos(ledger: Ledger, config: Config) -> dict[str, str]:
    """Return the sources of copies that lie where photos are looked for, by target."""

    @functools.lru_cache(maxsize=64)
    def is_watched(parent: str) -> bool:
        return _folder_of(config, Path(parent, "x")) is not None

    return {
        target: source
        for source, target in ledger.copies.targets()
        if is_watched(target.rpartition("/")[0])
    }


def _has_entries(folder: Path) -> bool:
    """Return whether a folder is there and holds anything: an empty one may be offline."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _in_words(error: OSError, copy: Copy) -> str:
    return said(error, None if error.filename else copy.target)


class CopyPlaces:
    """Says which copy is the current one, and what becomes of others; for one thread.

    Parameters
    ----------
    max_bytes : int
        Bounds what is read to recognise a copy.
    """

    def __init__(self, ledger: Ledger, max_bytes: int) -> None:
        self._ledger = ledger
        self._max_bytes = max_bytes
        self._among_photos: dict[str, str] | None = None  # until it is asked for

    def _at(self, copy: Copy) -> OutputFolder:
        return OutputFolder(place_of(copy), self._max_bytes)

    # What is current

    def known(self, photo: Photo, folder: Folder) -> tuple[tuple[int, int], ...] | None:
        """Return what the current copy of a photo has repaired, None without one."""
        target = folder.copy_path(photo.path)
        copy = self._ledger.copies.find(photo.path)
        if copy is None or copy.target != target:
            copy = self._to_take_back(target, OutputFolder.of(folder, self._max_bytes))
        elif copy.condition != "written":
            return None
        return copy.pixels if copy and copy.is_of(photo.identity) else None

    def _to_take_back(self, target: Path, output: OutputFolder) -> Copy | None:
        """Return the copy that was at `target` before, if it still is as written."""
        former = self._ledger.other_copies.find(target)
        if former is None:
            return None
        try:
            return former if output.sha256_of(target) == former.sha256 else None
        except OSError:
            return None

    def current(self, photo: Photo, folder: Folder) -> Copy:
        """Return the copy of a photo at its configured place; another becomes former.

        Raises
        ------
        OSError
        """
        target = folder.copy_path(photo.path)
        copy = self._ledger.copies.find(photo.path)
        if copy is None:
            copy = Copy(photo.path, target, "withdrawn")
            if self._ledger.other_copies.find(target):
                copy = self._settle(copy, photo.path, folder, "former")
        elif copy.target != target:
            copy = self._settle(copy, photo.path, folder, "former")
        if copy.is_of(photo.identity):
            return copy
        # Another photo by that name: that the former one's copy was deleted is past.
        is_gone = copy.condition == "deleted" or self._sha256_at_old_place(copy) is None
        condition = "withdrawn" if is_gone else copy.condition
        return replace(copy, condition=condition, pixels=(), original="", method="")

    def have_looked_at(self, source: Path, folder: Folder) -> None:
        """Have a photo looked at whose copy a command puts where the daemon has none yet.

        The configuration may be changed back before the daemon takes it up: to the daemon
        it did not change then, and no copy is misplaced.
        """
        if _place(folder) not in self._ledger.other_copies.places():
            with self._ledger.transaction():
                self._ledger.paths.set_repaired_with(source, None)

    def _settle(self, copy: Copy, source: Path, folder: Folder, now: str) -> Copy:
        """Record, and return, what is at the place of `source`; `copy` is there no more.

        Parameters
        ----------
        now : str
            "former" or "renamed": what the copy is from now on.
        """
        target = folder.copy_path(source)
        there = OutputFolder.of(folder, self._max_bytes).sha256_of(target)
        here = None if copy.target == target else self._sha256_at_old_place(copy)
        taken = self._ledger.other_copies.find(target)
        before = self._ledger.copies.find(source) if copy.source != source else None
        elsewhere = before if before and before.target != target else None
        past = self._sha256_at_old_place(elsewhere) if elsewhere else None
        new = Copy(source, target, "withdrawn")
        if taken is not None and there == taken.sha256:
            method = BY_HAND if taken.condition == BY_HAND else taken.method
            new = replace(taken, source=source, condition="written", method=method)
        elif copy.sha256 and there == copy.sha256:
            new = replace(copy, source=source, target=target, condition="written")
        elif before and before.target == target and there and there == before.sha256:
            new = before  # of the photo that had this name: it is to be replaced
        elif here is None and self._was_deleted(copy, source, folder, now):
            new = replace(copy, source=source, target=target, condition="deleted")
        with self._ledger.transaction():
            self._ledger.other_copies.forget(target)
            if copy.target != target and copy.sha256:
                self._leave(copy, source, target, here, now)
            if elsewhere and elsewhere.sha256:  # of the photo that had this name, too
                self._leave(elsewhere, source, target, past, "former")
            if copy.source != source:
                self._ledger.copies.forget(copy.source)
            self._ledger.copies.record(new)
        return new

    def _sha256_at_old_place(self, copy: Copy) -> str | None:
        """Return what is where a copy was; while that cannot be read, it counts as ours."""
        try:
            return self._at(copy).sha256_of(copy.target)
        except OSError:
            return copy.sha256

    def _was_deleted(self, copy: Copy, source: Path, folder: Folder, now: str) -> bool:
        """Return whether the user deleted this one copy, not the place with all of them."""
        if copy.condition not in {"written", "deleted"}:
            return False
        if copy.condition == "deleted" and copy.source != source:
            return True
        if now == "renamed":
            return folder.repaired.is_dir()
        return _has_entries(copy.target.parent)

    def _leave(
        self, copy: Copy, source: Path, target: Path, here: str | None, now: str
    ) -> None:
        """Keep what is known of a copy at its old place, unless it is gone from there."""
        is_gone = copy.condition == "deleted" or copy.target.parent.is_dir()
        if here == "" or (here is None and is_gone):
            return
        if here is not None and is_same_file(copy.target, target):
            return
        self._record_former(copy, source, here, now)

    def _record_former(
        self, copy: Copy, source: Path, here: str | None, now: str
    ) -> None:
        ours = here in {None, copy.sha256, copy.former}
        condition = BY_HAND if copy.method == BY_HAND else now
        sha256 = here if ours and here else copy.sha256
        left = replace(copy, source=source, sha256=sha256, former="", notes="")
        condition = condition if ours else "edited"
        self._ledger.other_copies.record(replace(left, condition=condition))

    # Renamed photos

    def follow_rename(self, photo: Photo, image: Image, config: Config) -> None:
        """Record that a photo is at another path now, if it was renamed or moved.

        Its copy is due to follow it.
        """
        if before := self._renamed_from(photo, image, config):
            self._rename(before, photo, config)

    def _renamed_from(
        self, photo: Photo, image: Image, config: Config
    ) -> PathRecord | None:
        """Return what the path was at which a photo is no more, if there was one."""
        signature = photo.signature
        holding = self._ledger.paths.holding
        for record in holding(image.id, signature.inode, _MOST_NAMES):
            if record.path == photo.path or os.path.lexists(record.path):
                continue
            folder = _folder_of(config, record.path)
            is_same = record.signature and signature.is_still(record.signature)
            # Else it may be on a drive that is not there now.
            if is_same or folder is None or _has_entries(folder.path):
                return record
        return None

    def _rename(self, record: PathRecord, photo: Photo, config: Config) -> None:
        folder, before = config.folder_of(photo.path), _folder_of(config, record.path)
        copy = self._ledger.copies.find(record.path)
        # Its copy first: after a crash between, the photo is found to be renamed again.
        if copy is not None:
            in_place = before and before.copy_path(record.path) == copy.target
            now = "renamed" if in_place else "former"
            try:
                self._settle(copy, photo.path, folder, now)
            except OSError as error:  # it is settled when it can be written
                log.debug("copy cannot follow now: %s: %s", copy.target, error)
                other = self._ledger.copies.find(photo.path)
                past = self._sha256_at_old_place(other) if other else None
                with self._ledger.transaction():
                    if other and past:  # of the photo that had this name
                        self._record_former(other, photo.path, past, "former")
                    self._ledger.copies.forget(copy.source)
                    self._ledger.copies.record(replace(copy, source=photo.path))
        with self._ledger.transaction():
            self._ledger.paths.rename(record.path, photo.path)
            self._ledger.undo.rename(record.path, photo.path)
        log.info("renamed: %s is %s now", record.path, photo.path)

    def leave_behind(self, path: Path, config: Config) -> None:
        """Have the copy of a photo that is gone be former, if the photo lives on.

        It does where another of its paths is there, with a copy of its own: a program moved
        the photo by writing it anew before it removed the old file.
        """
        copy, record = self._ledger.copies.find(path), self._ledger.paths.find(path)
        folder = _folder_of(config, path)
        is_gone = folder is not None and _has_entries(folder.path)
        is_gone = is_gone and not os.path.lexists(path)
        if copy is None or copy.condition != "written" or not record or not is_gone:
            return
        now = BY_HAND if copy.method == BY_HAND else "former"
        for other in self._ledger.paths.holding(record.image or 0, 0, _MOST_NAMES):
            current = self._ledger.copies.find(other.path)
            lives_on = current is not None and current.condition == "written"
            if lives_on and other.path != path and os.path.lexists(other.path):
                with self._ledger.transaction():
                    left = replace(copy, source=other.path, condition=now, notes="")
                    self._ledger.other_copies.record(left)
                    self._ledger.copies.forget(path)
                return

    def give_way(self, source: Path, photo: Path, folder: Folder) -> None:
        """Leave the copy of what was made of `photo`, and is no photo any more, to that.

        It goes once the photo's own is written: here no file is touched, so that a crash
        leaves nothing that nobody looks at.  In the transaction that admits the photo.
        """
        copy, target = self._ledger.copies.find(source), folder.copy_path(photo)
        if copy is None or copy.condition not in {"written", "writing"}:
            return
        here = self._sha256_at_old_place(copy)
        self._leave(copy, photo, target, here, "renamed")
        self._ledger.copies.forget(source)
        self._ledger.undo.rename(source, photo)
        if self._ledger.copies.find(photo) is None:
            self._ledger.copies.record(Copy(photo, target, "withdrawn"))

    def own(self, photo: Photo, image: Image | None) -> Copy | None:
        """Return the copy of ours that a file is, wherever it is now; None if it is none.

        A copy of a photo that showed nothing is the photo again: its place or name tells.
        """
        if self._ledger.copies.is_own(photo.identity):
            return self._ledger.copies.with_identity(photo.identity)
        if image is None:
            return None
        other = self._ledger.other_copies.find(photo.path)
        if other is not None and other.is_of(photo.identity):
            return other
        for record in self._ledger.paths.holding(image.id, 0, _MOST_NAMES):
            copy = self._ledger.copies.find(record.path)
            if copy is None or not copy.is_plain:
                continue
            has_its_name = photo.path.name == copy.target.name != record.path.name
            if copy.target == photo.path or has_its_name:
                return copy
        return None

    def changed(
        self, photo: Photo, config: Config, own: Fingerprint | None = None
    ) -> Copy | None:
        """Return the copy of ours of which somebody made a file of an unknown image.

        Its place tells, which was another configuration's.  What was taken at another time
        than the copy's original is a photo that has got its name.

        Parameters
        ----------
        config : Config
            The same at each call.
        own : Fingerprint or None
            Of the photo; None where it is none to learn from, whatever it is.
        """
        captured = photo.metadata.captured
        copy = self._ledger.other_copies.find(photo.path)
        if copy is None and captured and own:
            copy = self._of_shot(photo.path, captured, own)
        elif copy is None:
            if self._among_photos is None:  # a look at all copies
                self._among_photos = _among_photos(self._ledger, config)
            source = self._among_photos.get(str(photo.path))
            copy = self._ledger.copies.find(Path(source)) if source else None
        if copy is None or copy.target != photo.path:
            return None
        original = self._ledger.images.find(copy.original) if copy.original else None
        is_other = captured and not (original and original.captured == captured)
        return None if is_other else copy

    def _of_shot(
        self, target: Path, captured: dt.datetime, own: Fingerprint
    ) -> Copy | None:
        """Return the copy at `target`, if it is of a photo that was taken then."""
        for relative in self._ledger.fingerprints.relatives(captured, own):
            for record in self._ledger.paths.holding(relative.id, 0, _MOST_NAMES):
                copy = self._ledger.copies.find(record.path)
                if copy is not None and copy.target == target:
                    return copy
        return None

    def is_left(self, path: Path, identity: str) -> bool:
        """Return whether one of our copies lies where it was written, former or about to be.

        Parameters
        ----------
        identity : str
            Of the image at `path`.
        """
        if (other := self._ledger.other_copies.find(path)) is not None:
            return other.condition != "edited"
        copy = self._ledger.copies.with_identity(identity)
        return copy is not None and copy.target == path

    # Tidying

    def tidy(self, source: Path, conditions: frozenset[str]) -> None:
        """Remove copies of one photo that have had their day, as far as they may be."""
        for copy in self._ledger.other_copies.of(source):
            if copy.condition in conditions and (reason := self.remove(copy)):
                log.debug("left at its former place: %s: %s", copy.target, reason)

    def why_kept(self, copy: Copy) -> str:
        """Return why a former copy would not be removed, empty if it would."""
        try:
            return self._why_kept(copy)
        except OSError as error:
            return _in_words(error, copy)

    def _why_kept(self, copy: Copy) -> str:
        """Return why a former copy is not to be removed; empty if it is.

        Raises
        ------
        OSError
            It, or its successor, cannot be read now.
        """
        current = self._ledger.copies.find(copy.source)
        is_over = copy.condition == "renamed"
        if current is None or current.condition not in {"written", "withdrawn"}:
            return "there is no copy at the new place"
        if current.condition == "withdrawn" and not is_over:
            return "there is no copy at the new place"
        if current.condition == "written":
            found = self._at(current).sha256_of(current.target)
            if found != current.sha256:
                return "the copy at the new place is not as it was written"
            if is_same_file(copy.target, current.target):
                return "it is the copy at the new place, by another path"
        found = self._at(copy).sha256_of(copy.target)
        return "" if found in {None, copy.sha256} else EDITED

    def remove(self, copy: Copy) -> str:
        """Remove a former copy; return why it stays, empty if it does not."""
        others = self._ledger.other_copies
        try:
            # Held until it is gone: somebody else may be taking it back.
            with self._ledger.transaction():
                if others.find(copy.target) != copy:
                    return "it is not a former copy any more"
                reason = self._why_kept(copy)
                if reason == EDITED:
                    others.record(replace(copy, condition="edited"))
                if reason:
                    return reason
                self._at(copy).remove(copy.target)
                others.forget(copy.target)
                self._ledger.paths.forget_skipped(copy.target)
                current = self._ledger.copies.find(copy.source) or copy
        except OSError as error:
            return _in_words(error, copy)
        for each in (copy, current):  # the folder of a renamed photo's is not its place
            self._at(each).prune(copy.target.parent)
        return ""


def former_places(copies: list[Copy]) -> dict[Path, list[Copy]]:
    """Return former copies by the folder that holds all of one place."""
    places: dict[Path, list[Copy]] = {}
    for copy in copies:
        places.setdefault(place_of(copy), []).append(copy)
    return {
        Path(os.path.commonpath([copy.target.parent for copy in group])): group
        for place, group in places.items()
    }


def tidied(
    ledger: Ledger, max_bytes: int, *, dry_run: bool = False
) -> Iterator[tuple[Copy, str]]:
    """Remove the copies at former places; yield each with the reason why it stays.

    Parameters
    ----------
    dry_run : bool
        Look, and remove nothing.
    """
    places = CopyPlaces(ledger, max_bytes)
    for copy in ledger.other_copies.former():
        if not copy.target.parent.is_dir():  # nor is its drive, perhaps
            continue
        if not os.path.lexists(copy.target):
            if not dry_run:
                places.remove(copy)
        elif not dry_run:
            yield copy, places.remove(copy)
        else:
            yield copy, places.why_kept(copy)

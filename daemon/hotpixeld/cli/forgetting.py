"""Forgetting a camera, and learning it again: first in numbers, then done.

What was learned is a camera's generations, samples and map, and what dark frames have shown,
which only a `forget` of all its photos drops.  `forget` drops it; photos stay
in the ledger as forgotten, so that the next walk does not bring them back.  `relearn` drops
it too, and has the next run take the photos as if they were new, by the configuration of
then: in the order in which they were taken, each once, those of other bodies to those.
Copies stay as they are until another map can speak for them (`Maps.keeps`).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotpixeld.cli import commands
from hotpixeld.config import camera_names
from hotpixeld.detection import lives
from hotpixeld.errors import PhotoError
from hotpixeld.messages import counted, plain
from hotpixeld.photo import photo_file
from hotpixeld.store import disk_room, generation_files, state_folder
from hotpixeld.store import ledger as ledger_file
from hotpixeld.watch import walk

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.store.images import Image
    from hotpixeld.store.ledger import Ledger
    from hotpixeld.store.paths import PathRecord


@contextlib.contextmanager
def held(folder: Path) -> Iterator[Ledger]:
    """Open the ledger of a state folder for writing; no daemon may hold it.

    Raises
    ------
    StateInUseError
        One does: it is to be stopped first.
    LedgerError
        There is no ledger, or it cannot be used.
    """
    commands.existing_ledger(folder)
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(ledger_file.held(folder))
        except OSError as error:
            raise commands.closed(folder, error) from error
        yield opened


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to happen.

    Attributes
    ----------
    camera : Camera
    since : datetime or None
        Concerns photos taken from here on.
    taken : tuple of Image
        To be forgotten, or to be taken again.
    earlier : tuple of Image
        To be folded again, taken before `since`.
    gone : set of int
        Ids of those that cannot be read any more where they were.
    learned : str
        What is deleted; empty if nothing is.
    stays : str
        What is not.
    """

    camera: Camera
    since: dt.datetime | None
    taken: tuple[Image, ...]
    earlier: tuple[Image, ...]
    gone: set[int]
    learned: str
    stays: str

    def count(self, images: tuple[Image, ...], outcome: str = "") -> int:
        """Return how many of the images there are, or came to an outcome."""
        return sum(outcome in {"", image.outcome} for image in images)

    def count_gone(self, images: tuple[Image, ...]) -> int:
        """Return how many of the images are gone."""
        return sum(image.id in self.gone for image in images)

    @property
    def is_empty(self) -> bool:
        """Return whether nothing is going to happen."""
        return not (self.taken or self.earlier or self.learned)

    @property
    def loses(self) -> int:
        """Return of how many folded photos what they taught cannot be had again."""
        folded = [image for image in self.taken if image.outcome == "folded"]
        return self.count_gone(tuple(folded))

    @property
    def subject(self) -> str:
        """Return in words which photos it is about."""
        photos = counted(len(self.taken), "photo")
        when = f" taken since {self.since.isoformat()}" if self.since else ""
        return f"{photos} of {self.camera.id}{when}"


class _Files:
    """Where the photos of a camera are now.

    Parameters
    ----------
    config : Config
        Its folders are the watched ones, if it names any.
    """

    def __init__(self, ledger: Ledger, config: Config, camera: Camera) -> None:
        self.paths = ledger.paths.of_camera(camera.id)
        self._limits = config.limits
        self._spool = state_folder.spool(ledger.folder)
        self._folders = [folder.path for folder in config.folders]

    def _is_at(self, image: Image, record: PathRecord) -> bool:
        watched = map(record.path.is_relative_to, self._folders)
        if self._folders and not any(watched):
            return False
        try:
            found = walk.stat_photo(record.path)
        except OSError:
            return False
        if found and record.signature and found.is_still(record.signature):
            return True
        bounds = self._limits.max_bytes, self._limits.max_pixels
        with contextlib.suppress(PhotoError):
            return photo_file.examine(record.path, *bounds).identity == image.identity
        return False

    def is_there(self, image: Image) -> bool:
        """Return whether a watched folder holds the photo."""
        return any(self._is_at(image, one) for one in self.paths.get(image.id, []))

    def is_kept(self, image: Image) -> bool:
        """Return whether the photo waits in the spool to be folded."""
        return image.outcome == "pending" and (self._spool / image.identity).is_file()


def _learned(ledger: Ledger, camera: Camera, *, with_primed: bool) -> str:
    """Return in words what was learned of a camera; empty if nothing."""
    record, found = ledger.images.camera(camera.id), ledger.defects.of(camera.id)
    has_generations = record is not None and record.generation > 0
    primed = len(ledger.primed.of(camera.id)) if with_primed else 0
    if not (has_generations or found or primed):
        return ""
    size = disk_room.used(state_folder.camera_folder(ledger.folder, camera.id))
    samples, defects = ledger.samples.count(camera.id), lives.places(found)
    parts = (
        f"{size / 1e6:,.1f} MB of generations" if has_generations else "",
        f"the samples of {counted(samples, 'photo')}" if samples else "",
        f"a map of {counted(defects, 'defect')}" if defects else "",
        counted(primed, "primed pixel") if primed else "",
    )
    return ", ".join(filter(None, parts))


def _stays(ledger: Ledger, paths: dict[int, list[PathRecord]]) -> str:
    """Return in words what belongs to a camera besides."""
    places = [record.path for records in paths.values() for record in records]
    copies = [ledger.copies.find(path) for path in places]
    written = sum(copy is not None and copy.condition == "written" for copy in copies)
    photos = counted(len(places), "photo")
    return f"{photos} and {counted(written, 'copy')}" if written else photos


def _one_camera(ledger: Ledger, config: Config, named: str | None) -> Camera:
    """Return the camera that a command names, or the only one there is."""
    records = commands.chosen(ledger, config, named)
    return camera_names.only([record.camera for record in records], named)


def _is_since(image: Image, since: dt.datetime | None) -> bool:
    return since is None or image.captured is None or image.captured >= since


def to_forget(
    ledger: Ledger, config: Config, named: str | None, since: dt.datetime | None
) -> Plan:
    """Return what `forget` is going to do.

    Parameters
    ----------
    named : str
        The camera, as the command line names it.
    since : datetime or None
        Photos taken before are folded again.

    Raises
    ------
    HotpixeldError
        It names no camera.
    """
    camera = _one_camera(ledger, config, named)
    files = _Files(ledger, config, camera)
    known = [
        image
        for image in ledger.images.of_camera(camera.id)
        if image.outcome != "forgotten"
    ]
    taken = tuple(image for image in known if _is_since(image, since))
    earlier = tuple(
        image
        for image in known
        if not _is_since(image, since) and image.outcome != "lost"
    )
    gone = {image.id for image in taken if not files.is_there(image)}
    gone |= {
        image.id
        for image in earlier
        if not files.is_there(image) and not files.is_kept(image)
    }
    learned = _learned(ledger, camera, with_primed=since is None)
    texts = learned, _stays(ledger, files.paths)
    return Plan(camera, since, taken, earlier, gone, *texts)


def forget_text(plan: Plan) -> str:
    """Return what `forget` is going to do, in numbers."""
    if plan.is_empty:
        return plain(f"nothing is known of {plan.camera.id} that is not forgotten")
    pending = plan.count(plan.taken, "pending")
    lines = [f"to be forgotten: {plan.subject}"]
    if pending:
        lines[0] += f", {pending:,} of them not folded yet"
    if plan.earlier:
        gone = plan.count_gone(plan.earlier)
        but = f", but for {gone:,} whose files are gone" if gone else ""
        lines.append(f"to be folded again: {len(plan.earlier):,} earlier ones{but}")
    if plan.learned:
        lines.append(f"deleted: {plan.learned}")
    lines.append(f"stay as they are: {plan.stays}")
    back = len(plan.taken) - plan.count_gone(plan.taken)
    lines.append(
        f"`hotpixeld relearn {plan.camera.id}` brings back {back:,} of the"
        f" {len(plan.taken):,}, as long as their files are there"
    )
    return "\n".join(map(plain, lines))


def forget(ledger: Ledger, plan: Plan) -> str:
    """Do it; return in words what was done."""
    camera_id = plan.camera.id
    _unpublish(ledger, camera_id)
    with ledger.transaction(durable=True):
        ledger.images.forget(camera_id, plan.since)
        _drop(ledger, camera_id)
        if plan.since is None:
            ledger.primed.forget(camera_id)
    for image in plan.taken:
        (state_folder.spool(ledger.folder) / image.identity).unlink(missing_ok=True)
    _tidy(ledger, camera_id)
    return plain(f"forgot {plan.subject}")


def _drop(ledger: Ledger, camera_id: str) -> None:
    """Drop a camera's map and samples; in a transaction."""
    ledger.defects.replace(camera_id, [])
    ledger.samples.forget(camera_id)
    ledger.primed.open_again(camera_id)


def _unpublish(ledger: Ledger, camera_id: str) -> None:
    """Remove map and footprint, before the ledger's word: what it names is made again."""
    for file in (state_folder.map_file, state_folder.footprint_file):
        file(ledger.folder, camera_id).unlink(missing_ok=True)


def _tidy(ledger: Ledger, camera_id: str) -> None:
    """Remove the generations that the ledger names no more."""
    folder = state_folder.camera_folder(ledger.folder, camera_id)
    generation_files.tidy(folder, 0, None)


def to_relearn(
    ledger: Ledger, config: Config, named: str | None, since: dt.datetime | None
) -> Plan:
    """Return what `relearn` is going to do.

    Parameters
    ----------
    named : str
        The camera, as the command line names it.
    since : datetime or None
        Of the forgotten photos, those taken before stay forgotten.

    Raises
    ------
    HotpixeldError
        It names no camera.
    """
    camera = _one_camera(ledger, config, named)
    files = _Files(ledger, config, camera)
    taken, gone = [], set()
    for image in ledger.images.of_camera(camera.id):
        if image.outcome == "lost" or (
            image.outcome == "forgotten" and not _is_since(image, since)
        ):
            continue
        is_there = files.is_there(image)
        if not is_there and files.is_kept(image):
            continue  # it goes on waiting to be folded
        taken.append(image)
        gone |= set() if is_there else {image.id}
    texts = _learned(ledger, camera, with_primed=False), _stays(ledger, files.paths)
    return Plan(camera, since, tuple(taken), (), gone, *texts)


def relearn_text(plan: Plan) -> str:
    """Return what `relearn` is going to do, in numbers."""
    if plan.is_empty:
        return plain(f"no photo of {plan.camera.id} is to be taken again")
    outcomes = Counter(image.outcome for image in plan.taken)
    were = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())
    lines = [f"to be taken again: {plan.subject}" + (f" ({were})" if were else "")]
    if gone := plan.count_gone(plan.taken):
        lines[0] += f", but for {gone:,} whose files are in no watched folder now"
    if plan.loses:
        lines.append(f"what {plan.loses:,} of those have taught is lost")
    if plan.learned:
        lines.append(f"deleted, and made anew: {plan.learned}")
    lines.append(f"stay as they are until then: {plan.stays}")
    return "\n".join(map(plain, lines))


def relearn(ledger: Ledger, plan: Plan) -> str:
    """Do it; return in words what was done."""
    camera_id = plan.camera.id
    _unpublish(ledger, camera_id)
    with ledger.transaction(durable=True):
        for image in plan.taken:
            ledger.paths.mark_unseen_of(image.id)
        ledger.images.relearn(camera_id, [image.id for image in plan.taken])
        _drop(ledger, camera_id)
    _tidy(ledger, camera_id)
    back = counted(len(plan.taken) - plan.count_gone(plan.taken), "photo")
    return plain(
        f"{back} of {camera_id} will be learned again by the service once it is started,"
        " or by the next `hotpixeld run`"
    )

"""Joining: what another state learned comes to this one, camera by camera.

A camera that only one of them knows is taken over bit for bit.  Of a camera that both know,
the generations are merged, and all that the ledgers know is joined by the photos' identity.
A photo that both have folded must count once, and no generation can take a photo out again:
so where they share some, the photos that one side has besides are folded anew, from their
files, into the generation of the other; where these cannot be read, it is refused.

One transaction names all that was joined.  Maps are due then: the next run judges anew.
"""

from __future__ import annotations

import contextlib
import heapq
import os
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import files
from hotpixeld.detection import lives
from hotpixeld.engine import footprints
from hotpixeld.errors import CheckpointError, PhotoError, StateError
from hotpixeld.messages import counted
from hotpixeld.photo import photo_file
from hotpixeld.statistics.generation import Generation, Planes, strips
from hotpixeld.statistics.merging import Merging, Side, weights
from hotpixeld.store import disk_room, generation_files, other_ledger, state_folder
from hotpixeld.store.generation_files import GenerationReader
from hotpixeld.store.spool import BOUNDS, Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from hotpixeld.camera import Camera
    from hotpixeld.config.model import Config
    from hotpixeld.repair.shape import Footprints
    from hotpixeld.statistics.generation import Counts
    from hotpixeld.store.images import CameraRecord
    from hotpixeld.store.ledger import Ledger
    from hotpixeld.store.other_ledger import Folded

LIGHT = 0.01
"""Share of a side's weight that photos of both may have and count twice: long forgotten."""
ROWS = 64
SNAPSHOTS = 5
"""Times that a state is looked at whose daemon ends a pass meanwhile."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of one camera.

    Attributes
    ----------
    camera_id : str
    before, other : int
        Photos folded in this state, and in the other.
    both : int
        Of these, in both.
    photos : int
        Folded now.
    again : int
        Pending now, to be folded again from their files.
    """

    camera_id: str
    before: int
    other: int
    both: int
    photos: int
    again: int


class SharedPhotosError(StateError):
    """Both states have folded some photos, and neither side can be folded anew."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which generations make the next one.

    Attributes
    ----------
    order : sequence of Folded
        What it holds.
    mine, others : float
        What the photos of each side weigh in it; 0 where its generation is not taken.
    is_other_newer : bool
    again : frozenset of str
        Identities of the photos that are folded anew after it.
    """

    order: Sequence[Folded]
    mine: float
    others: float
    is_other_newer: bool = True
    again: frozenset[str] = frozenset()


def _in_order(
    mine: Sequence[Folded], others: Sequence[Folded]
) -> Iterator[tuple[bool, Folded]]:
    """Yield the photos of both by order of capture, each side's in its own sequence.

    With whether each is the other's.  One without a time comes with the one before it.
    """

    def timed(
        images: Sequence[Folded], *, is_other: bool
    ) -> Iterator[tuple[str, bool, Folded]]:
        latest = ""
        for image in images:
            latest = max(latest, image.captured)
            yield latest, is_other, image

    sides = timed(mine, is_other=False), timed(others, is_other=True)
    for _, is_other, image in heapq.merge(*sides, key=lambda one: one[:2]):
        yield is_other, image


def _merged(
    mine: Sequence[Folded], others: Sequence[Folded], memory: int, left: set[str]
) -> _Choice:
    """Return both generations; those `left` out have their place in this side only."""
    rest = [one for one in others if one.identity not in left]
    order = list(_in_order(mine, rest))
    is_other = np.array([is_other for is_other, _ in order])
    weight, places = weights(len(order), memory), np.arange(len(order))
    is_newer = bool(places[is_other].mean() >= places[~is_other].mean())
    shares = float(weight[~is_other].sum()), float(weight[is_other].sum())
    return _Choice([image for _, image in order], *shares, is_newer)


def _is_light(side: Sequence[Folded], both: set[str], memory: int) -> bool:
    """Return whether what is left of some photos in a side is too little to matter."""
    weight = weights(len(side), memory)
    shared = np.array([one.identity in both for one in side])
    return float(weight[shared].sum()) < LIGHT * float(weight.sum())


def choose(
    mine: Sequence[Folded],
    others: Sequence[Folded],
    memory: int,
    is_there: Callable[[str], bool],
) -> _Choice:
    """Return which generations make the next one of a camera.

    Parameters
    ----------
    mine, others : sequence of Folded
        What each side's holds; empty without one.
    memory : int
        Photos to remember; 0 never forgets.
    is_there : callable
        Whether the photo with this identity can be read.

    Raises
    ------
    SharedPhotosError
        They share photos, and neither side can be folded anew.
    """
    of_mine, of_others = ({one.identity for one in side} for side in (mine, others))
    both = of_mine & of_others
    if both == of_others:
        return _Choice(mine, 1.0, 0.0)
    if both == of_mine:
        return _Choice(others, 0.0, 1.0)
    if not both or _is_light(others, both, memory):
        return _merged(mine, others, memory, both)
    if _is_light(mine, both, memory):
        rest = [one for one in mine if one.identity not in both]
        return _merged(rest, others, memory, set())
    sides = [(of_others - both, _Choice(mine, 1.0, 0.0)),
             (of_mine - both, _Choice(others, 0.0, 1.0))]  # fmt: skip
    for besides, choice in sorted(sides, key=lambda one: len(one[0])):
        if all(map(is_there, besides)):
            return replace(choice, again=frozenset(besides))
    raise SharedPhotosError(
        f"both states have folded the same {counted(len(both), 'photo')}, and the photos"
        " that one of them has folded besides would have to be folded anew:"
        f" {len(of_mine - both):,} of the first, or {len(of_others - both):,} of the"
        " second; not all files of either can be read here: join them on a machine that"
        " has them, under the paths that their state knows"
    )


class _Other:
    """The other state, as it was when it was opened."""

    def __init__(
        self, folder: Path, ledger: Ledger, stack: contextlib.ExitStack
    ) -> None:
        self.folder, self.ledger = folder, ledger
        self.records = list(ledger.images.cameras())
        self.generations: dict[str, tuple[Generation, GenerationReader]] = {}
        for record in self.records:
            if record.generation:
                camera_folder = state_folder.camera_folder(folder, record.camera.id)
                path = generation_files.folder_of(camera_folder, record.generation)
                generation = generation_files.read_manifest(path)
                reader = stack.enter_context(GenerationReader(path, generation))
                self.generations[record.camera.id] = generation, reader


def _snapshot(folder: Path, stack: contextlib.ExitStack, looks: int) -> _Other:
    """Open another state as it is now, at the last of so many looks."""
    try:
        with contextlib.ExitStack() as attempt:
            ledger = attempt.enter_context(other_ledger.opened(folder))
            other = _Other(folder, ledger, attempt)
            stack.push(attempt.pop_all())
    except CheckpointError:
        # Its daemon may have named another generation since, and removed this one.
        if looks == 1:
            raise
        return _snapshot(folder, stack, looks - 1)
    return other


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[_Other]:
    """Open another state, whose daemon may go on; its generations stay readable.

    Raises
    ------
    StateError
        It is no state folder, of another version, or damaged.
    """
    with contextlib.ExitStack() as stack:
        yield _snapshot(folder, stack, SNAPSHOTS)


class _Joining:
    """One state that takes over what another one knows; inside a transaction."""

    def __init__(
        self,
        ledger: Ledger,
        other: _Other,
        config: Config,
        progress: Callable[[], None],
    ) -> None:
        self._ledger, self._other = ledger, other
        self._config, self._progress = config, progress
        self.rows = other_ledger.Joint(ledger, other.ledger)
        self._pending: dict[str, Camera] = {}
        self._footprints: dict[str, Footprints] = {}

    def _is_there(self, identity: str) -> bool:
        """Return whether a file that either ledger knows holds a photo."""
        limits = self._config.limits
        for ledger in (self._ledger, self._other.ledger):
            image = ledger.images.find(identity)
            for path in ledger.paths.of_image(image.id) if image else ():
                with contextlib.suppress(PhotoError):
                    found = photo_file.examine(
                        path, limits.max_bytes, limits.max_pixels
                    )
                    if found.identity == identity:
                        return True
        return False

    def camera(self, record: CameraRecord) -> Joined:
        """Join what both know of a camera."""
        camera_id = record.camera.id
        mine_id = self.rows.camera(record.camera)
        mine = self._ledger.images.camera(mine_id)
        if mine is None:
            raise AssertionError(f"{mine_id} is not in the ledger")
        is_new = not mine.sequence and not mine.generation
        before = other_ledger.folded(self._ledger, mine_id) if mine.generation else []
        others = (
            other_ledger.folded(self._other.ledger, camera_id)
            if record.generation
            else []
        )
        memory = self._config.detection.memory
        choice = choose(before, others, memory, self._is_there)
        held = {one.identity for one in choice.order}
        pending = self.rows.take_images(
            camera_id, mine_id, choice.again, frozenset(held)
        )
        if is_new:
            self.rows.copy_camera(camera_id, mine_id)
        if choice.others:
            counts = self._write(mine, record, choice)
            if not is_new:
                self._name(mine, record, counts, choice)
        self.rows.take_samples(camera_id, mine_id)
        self._join_map(camera_id, mine_id)
        self._join_primed(camera_id, mine_id)
        self._pending |= dict.fromkeys(pending, mine.camera)
        both = len({one.identity for one in before} & {one.identity for one in others})
        return Joined(
            *(mine_id, len(before), len(others), both, len(held), len(choice.again))
        )

    def _name(
        self, mine: CameraRecord, record: CameraRecord, counts: Counts, choice: _Choice
    ) -> None:
        """Name the new generation; there is none before it to fall back on."""
        images, camera_id = self._ledger.images, mine.camera.id
        order = (one.identity for one in choice.order)
        last = self.rows.set_sequence(camera_id, order)
        images.commit_generation(camera_id, counts, last)
        self._ledger.generations.drop_previous(camera_id)
        images.limit_pass(camera_id, 0)
        images.set_mapped(camera_id, 0, max(mine.scenes, record.scenes), "")

    def _write(
        self, mine: CameraRecord, record: CameraRecord, choice: _Choice
    ) -> Counts:
        """Write the camera's next generation; return what it counts."""
        height, width = mine.camera.height, mine.camera.width
        disk_room.check(self._ledger.folder, height, width)
        folder = state_folder.camera_folder(self._ledger.folder, mine.camera.id)
        is_new = not mine.generation and not mine.sequence
        number = record.generation if is_new else mine.generation + 1
        target = generation_files.folder_of(folder, number)
        generation, reader = self._other.generations[record.camera.id]
        with contextlib.ExitStack() as stack:
            readers, counts, merging = [reader], generation.counts, None
            bins = Counter(generation.bins)
            if choice.mine:
                path = generation_files.folder_of(folder, mine.generation)
                own = generation_files.read_manifest(path)
                readers = [stack.enter_context(GenerationReader(path, own)), reader]
                sides = [
                    Side(one.counts, min(kept, one.counts.weight))
                    for one, kept in ((own, choice.mine), (generation, choice.others))
                ]
                if not choice.is_other_newer:
                    readers, sides = readers[::-1], sides[::-1]
                bins.update(own.bins)
                merging = Merging(sides[0], sides[1], len(choice.order), bins)
                counts = merging.counts
            whole = Generation(height, width, counts, {}, bins)
            self._merge(target, whole, readers, merging)
        return counts

    def _merge(
        self,
        target: Path,
        whole: Generation,
        readers: Sequence[GenerationReader],
        merging: Merging | None,
    ) -> None:
        """Write one generation, or two that are merged, the older first."""
        size, names = (whole.height, whole.width), whole.planes
        planes = [Planes(*size, ROWS, names) for _ in readers]
        with generation_files.writing(target, *size, self._progress, names) as writer:
            for strip in strips(size[0], ROWS):
                for reader, held in zip(readers, planes, strict=True):
                    held.clear()  # not each has a trace of every bin
                    reader.read(strip, held)
                if merging is not None:
                    merging.merge(strip, *planes)
                writer.write(strip, planes[0])
                self._progress()
            for reader in readers:
                reader.check()
            writer.end(whole.counts, whole.bins)

    def _join_map(self, camera_id: str, mine: str) -> None:
        """Join the lives of both maps, and how defects show."""
        ledger = self._ledger
        found = lives.of_both(
            ledger.defects.of(mine), self._other.ledger.defects.of(camera_id)
        )
        ledger.defects.replace(mine, found)
        learned = footprints.kept(ledger.folder, mine)
        both = learned.or_better(footprints.kept(self._other.folder, camera_id))
        if both != learned:
            self._footprints[mine] = both

    def _join_primed(self, camera_id: str, mine: str) -> None:
        """Take over what dark frames have shown; the next map says what photos do."""
        known = {one.pixel.frame for one in self._ledger.primed.of(mine)}
        for one in self._other.ledger.primed.of(camera_id):
            if one.pixel.frame not in known:
                self._ledger.primed.add(mine, [one.pixel], one.bin)
        self._ledger.primed.open_again(mine)

    def keep_footprints(self) -> None:
        """Write how defects show, once the ledger is committed."""
        for camera_id, learned in self._footprints.items():
            footprints.keep(self._ledger.folder, camera_id, learned)

    def keep_pending(self) -> None:
        """Copy the other's pending photos into the spool, where it has them."""
        spool = Spool(state_folder.spool(self._ledger.folder), *BOUNDS)
        source = state_folder.spool(self._other.folder)
        for identity, camera in self._pending.items():
            leave = disk_room.needed(camera.height, camera.width)

            def original(path: Path = source / identity) -> int:
                return files.open_regular(path)

            spool.keep_if_it_can(identity, original, leave)


def join(
    ledger: Ledger,
    source: Path,
    config: Config,
    progress: Callable[[], None],
) -> list[Joined]:
    """Take over what another state learned.

    Parameters
    ----------
    ledger : Ledger
        Of the state that it comes to, whose folder is locked.
    source : Path
        The other state's folder, which is only read; its daemon may go on.
    config : Config
        Says how many photos are remembered, and which are too large to be read.
    progress : callable
        Called after each strip of a generation; may raise.

    Raises
    ------
    StateError
        One of the states cannot be used, or they cannot be joined; nothing has changed.
    OSError
        The disk is full or faulty; nothing has changed.
    """
    if os.path.realpath(source) == os.path.realpath(ledger.folder):
        raise StateError(f"{source}: a state cannot be joined with itself")
    with opened(source) as other, ledger.transaction(durable=True):
        joining = _Joining(ledger, other, config, progress)
        done = [joining.camera(record) for record in other.records]
        joining.keep_pending()
        joining.rows.take_files()
    joining.keep_footprints()
    return done

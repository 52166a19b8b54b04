"""The learning pass: a camera's pending photos come to its next generation.

They are decoded side by side, a strip of rows at a time; each strip is folded into the next
generation, traced, and sampled at the camera's suspects.  No frame is ever whole in memory.
The result is, to the bit, that of folding the photos one after the other, wherever passes
end.

A pass makes a new folder, complete or not at all; it changes nothing else.  What raises in
it (a full disk, a damaged generation, whoever stops it at a strip's border) leaves nothing
behind.  A bad photo makes it decode on without folding, so that every bad one is known
then, and begin once more without them; those that could not be read get another try.
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotpixeld.camera import UNKNOWN_BIN, Bin
from hotpixeld.detection import evidence
from hotpixeld.errors import (
    HotpixeldError,
    PhotoError,
    TruncatedPhotoError,
    UnreadablePhotoError,
    why,
)
from hotpixeld.jpeg import decoder
from hotpixeld.jpeg.decoder import CodecError, SideBySide, Size, StripDecoder
from hotpixeld.statistics.generation import (
    KEPT,
    OF_BIN,
    Counts,
    Folding,
    Generation,
    Planes,
    Strip,
    own_planes,
    planes_of,
    strips,
)
from hotpixeld.store.generation_files import GenerationReader, keep_planes, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hotpixeld.detection.evidence import Samples

LEAST_ROWS, MOST_ROWS = 32, 64
"""Rows of a strip: fewer make the rows around it count, more leave the cores' cache."""
STATE_BYTES, BIN_BYTES = 27, 3
"""A pixel of a strip: mean, M2 and trace; and the trace of each bin."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A photo that is to be folded.

    Attributes
    ----------
    number : int
        Names it in marks and outcomes; not 0.
    path : Path
        Its file, for messages.
    open : callable
        Returns a descriptor of the file, which the pass closes; raises PhotoError where it
        is gone, or not what was examined.
    open_again : callable, optional
        The same, where that file could not be read: of another one, if there is one.
    """

    number: int
    path: Path
    open: Callable[[], int]
    open_again: Callable[[], int] | None = None
    bin: Bin = UNKNOWN_BIN


@dataclass(frozen=True, slots=True)
class Folder:
    """A generation and the folder that it is in."""

    path: Path
    generation: Generation


def _nothing() -> None:
    """Stand in for what a caller does at borders."""


def _unnoted(_: int) -> None:
    """Stand in for a caller who wants to know what a pass holds."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a pass may use.

    Attributes
    ----------
    memory : int
        Bytes for rows, decoders and coefficients; decides how many photos a pass takes.
    threads : int
    at_border : callable
        Called at each strip's border, and while the disk writes, to make progress known or
        to let others go first; what it raises ends the pass.
    stop : (1,) uint32
        As soon as it is not 0, the pass ends with `PassStoppedError`.
    marks : (threads,) uint64
        Which photo each thread is in; 0 for none.
    scans : int
        Most bytes for the coefficients of one photo of several scans, which may be more
        than `memory`; 0 is as much as that.
    holds : callable
        Told what the pass holds, in bytes, once that is known.
    rows : int
        Most rows of a strip: a multiple of 16.
    """

    memory: int
    threads: int = 1
    at_border: Callable[[], None] = _nothing
    stop: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(1, np.uint32))
    marks: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(64, np.uint64))
    scans: int = 0
    holds: Callable[[int], None] = _unnoted
    rows: int = MOST_ROWS


@dataclass(frozen=True, slots=True)
class Task:
    """What a pass is to do.

    Attributes
    ----------
    size : Size
        Of the camera's frames.
    before : Folder or None
        The generation that the photos come to.
    target : Path
        Folder of the new one.
    remembered : int
        Photos to remember; 0 never forgets.
    sites : (N, 2) intp
        Where each photo is sampled: row, column.
    places : mapping of Bin to (N, 2) intp
        Where photos of a bin are, in place of that: what their lens correction moves.
    bins : sequence of Bin
        Those whose traces are kept.
    only : Bin or None
        The bin of all photos so far, where they are of one: the camera's trace is its, too,
        and its own begins as a copy of it.
    """

    size: Size
    before: Folder | None
    target: Path
    remembered: int
    sites: NDArray[np.intp]
    places: Mapping[Bin, NDArray[np.intp]] = field(default_factory=dict)
    bins: Sequence[Bin] = ()
    only: Bin | None = None

    @property
    def counts(self) -> Counts:
        """Return what the generation before counts."""
        return self.before.generation.counts if self.before else Counts()

    @property
    def traced(self) -> dict[Bin, int]:
        """Return the photos in the trace of each bin, before these.

        A trace that begins is that of the camera where all photos so far are of its bin.
        """
        known = self.before.generation.bins if self.before else {}
        alone = {self.only: self.counts.traced} if self.only else {}
        return {one: known.get(one, alone.get(one, 0)) for one in self.bins}


@dataclass(frozen=True, slots=True)
class Passed:
    """What came of a pass.

    Attributes
    ----------
    generation : Generation or None
        Complete and durable in its folder; None where no photo was good.
    folded : tuple of int
        Numbers of the photos in it that were not in the one before, in sequence.
    samples : (photos, N) of `evidence.SAMPLE`
        Of these photos at the sites.
    bad : mapping of int to PhotoError
        What is wrong with others.  Photos in neither are left for the next pass.
    """

    generation: Generation | None
    folded: tuple[int, ...]
    samples: Samples
    bad: Mapping[int, PhotoError]


class PassStoppedError(HotpixeldError):
    """The pass was asked to stop; nothing is left of it."""


class _Opened(NamedTuple):
    """A photo that is being read."""

    pending: Pending
    descriptor: int
    status: os.stat_result
    decoder: StripDecoder


@dataclass(frozen=True, slots=True)
class _Faults:
    """What is known of photos, from attempt to attempt."""

    bad: dict[int, PhotoError] = field(default_factory=dict)
    unread: set[int] = field(default_factory=set)
    """Those that could not be read once, and are given another try."""

    def add(self, found: Mapping[int, PhotoError]) -> None:
        """Note what an attempt found."""
        for number, error in found.items():
            if isinstance(error, UnreadablePhotoError) and number not in self.unread:
                self.unread.add(number)
            else:
                self.bad[number] = error


class _BadPhotoFoundError(Exception):
    """Some photo is bad: the generation that is being written is given up."""


def _outcome(photo: Pending, error: CodecError) -> PhotoError:
    """Return what is wrong with a photo."""
    if isinstance(error, decoder.UnreadableError):
        fault = OSError(error.error, os.strerror(error.error))
        reason = f"cannot be read: {why(fault)}"
        return UnreadablePhotoError(photo.path, reason)
    reason = f"cannot be decoded: {error.reason}"
    if isinstance(error, decoder.OverMemoryError):
        reason += "; see `limits: memory` in the configuration"
    kind = TruncatedPhotoError if error.truncated else PhotoError
    return kind(photo.path, reason)


def _open(photo: Pending, size: Size, memory: int, *, again: bool) -> _Opened:
    """Open a photo and read its header.

    Raises
    ------
    PhotoError
    """
    descriptor = (photo.open_again or photo.open)() if again else photo.open()
    try:
        status = os.fstat(descriptor)
        with contextlib.suppress(OSError):  # many files are read in turn
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        source = StripDecoder(descriptor, status.st_size, memory=memory)
        if source.size != size:
            source.close()
            found, wanted = (f"{one.width}x{one.height}" for one in (source.size, size))
            raise CodecError(f"{found}, not {wanted}")  # noqa: TRY301 - as the decoder's
    except CodecError as error:
        os.close(descriptor)
        raise _outcome(photo, error) from error
    except BaseException:
        os.close(descriptor)
        raise
    return _Opened(photo, descriptor, status, source)


def _open_readable(photo: Pending, size: Size, memory: int, faults: _Faults) -> _Opened:
    """Open a photo, another time where it cannot be read; see `_open`."""
    if photo.number not in faults.unread:
        try:
            return _open(photo, size, memory, again=False)
        except UnreadablePhotoError:
            faults.unread.add(photo.number)
    return _open(photo, size, memory, again=True)


def _least_bytes(source: StripDecoder) -> int:
    """Return what a photo takes of the memory, at least."""
    width = source.size.width
    rows = 3 * width * (KEPT + LEAST_ROWS)
    working = decoder.FIXED_BYTES + decoder.ROW_BYTES * width
    return rows + working + source.coefficient_bytes


def _state_bytes(task: Task, rows: int) -> int:
    """Return what the strip of the state takes."""
    return (STATE_BYTES + BIN_BYTES * len(task.bins)) * task.size.width * rows


@contextlib.contextmanager
def _opened(
    photos: Sequence[Pending], task: Task, means: Means, faults: _Faults
) -> Iterator[list[_Opened]]:
    """Open as many photos as the memory is enough for, the first ones; add to `faults`."""
    size = task.size
    left = means.memory - _state_bytes(task, LEAST_ROWS)
    taken: list[_Opened] = []
    with contextlib.ExitStack() as stack:
        for photo in photos:
            means.marks[0] = photo.number  # its header may bring the process down, too
            try:
                one = _open_readable(photo, size, means.scans or means.memory, faults)
            except PhotoError as error:
                faults.bad[photo.number] = error
                continue
            finally:
                means.marks[0] = 0
            stack.callback(os.close, one.descriptor)
            stack.callback(one.decoder.close)
            left -= _least_bytes(one.decoder)
            if left < 0 and taken:
                break  # the first one always is, as its coefficients are within the limit
            taken.append(one)
        yield taken


def _rows(taken: Sequence[_Opened], task: Task, means: Means) -> int:
    """Return how many rows a strip has, as the memory allows."""
    spare = means.memory - sum(_least_bytes(one.decoder) for one in taken)
    spare -= _state_bytes(task, LEAST_ROWS)
    row = 3 * task.size.width * len(taken) + _state_bytes(task, 1)
    return max(min(LEAST_ROWS + spare // row // 16 * 16, means.rows), 16)


class _Crew:
    """Threads that share the work of a strip with their owner."""

    def __init__(self, threads: int, marks: NDArray[np.uint64]) -> None:
        self._marks = [marks[i : i + 1].ctypes.data for i in range(threads)]
        self._pool = ThreadPoolExecutor(max(threads - 1, 1), "pass")

    @contextlib.contextmanager
    def sharing(self, share: Callable[[int], None]) -> Iterator[None]:
        """Let the others begin to `share`; after the block, share too, until all is done.

        `share` is given the address of its thread's mark.
        """
        others = [self._pool.submit(share, mark) for mark in self._marks[1:]]
        try:
            yield
            share(self._marks[0])
        finally:
            wait(others)  # they use memory that is freed soon
        for one in others:
            one.result()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


class _Pass:
    """One attempt at a pass over photos that are open."""

    def __init__(self, task: Task, taken: Sequence[_Opened], means: Means) -> None:
        height, width = task.size
        rows = _rows(taken, task, means)
        self._task, self._taken, self._means = task, taken, means
        self._windows = np.empty((len(taken), KEPT + rows, width, 3), np.uint8)
        self._photos = SideBySide(
            [one.decoder for one in taken],
            [one.pending.number for one in taken],
            self._windows,
            KEPT,
            means.stop,
        )
        bins = [one.pending.bin for one in taken]
        begun = task.traced
        # The bins that no photo of this pass is of keep their traces as they are.
        touched = {*bins, task.only}
        self._traced = {one: begun[one] for one in task.bins if one in touched}
        self._folding = Folding(
            *(task.counts, task.remembered, self._windows, height),
            threads=means.threads,
            traced=self._traced,
            bins=bins,
        )
        self._names = planes_of(self._traced)
        self._planes = Planes(height, width, rows, self._names)
        held = sum(_least_bytes(one.decoder) for one in taken)
        held += (rows - LEAST_ROWS) * 3 * width * len(taken)
        means.holds(held + _state_bytes(task, rows))
        self._strips = iter(strips(height, rows))
        self.samples = evidence.none_taken(len(taken), len(task.sites))

    def run(self, crew: _Crew) -> tuple[Generation | None, dict[int, PhotoError]]:
        """Return the new generation, or what is wrong with photos."""
        try:
            return self._fold(crew), {}
        except _BadPhotoFoundError:
            for strip in self._strips:
                with self._decoding(strip, crew):
                    pass
            return None, self._bad()

    @contextlib.contextmanager
    def _decoding(self, strip: Strip, crew: _Crew) -> Iterator[None]:
        """Let others decode a strip; after the block, help until it is decoded."""
        self._means.at_border()
        self._photos.begin(strip.last - strip.first)
        with crew.sharing(self._photos.share):
            yield
        if self._means.stop[0]:
            raise PassStoppedError("asked to stop")

    def _fold(self, crew: _Crew) -> Generation:
        """Write the next generation.

        Raises
        ------
        _BadPhotoFoundError
        """
        with (
            self._reading() as reader,
            writing(
                *(self._task.target, *self._task.size, self._means.at_border),
                self._names,
            ) as writer,
        ):
            former: Strip | None = None
            for strip in self._strips:
                with self._decoding(strip, crew):
                    if former:
                        writer.write(former, self._planes)
                    self._read(reader, strip)
                if self._photos.failures():
                    raise _BadPhotoFoundError
                self._folding.begin(strip, self._planes)
                with crew.sharing(lambda _: self._folding.share()):
                    self._sample(strip)
                former = strip
            if former:
                writer.write(former, self._planes)
            if reader:
                reader.check()
            if self._bad():
                raise _BadPhotoFoundError
            bins, kept = self._keep_untouched()
            return writer.end(self._folding.after, {**bins, **self._folding.bins}, kept)

    def _keep_untouched(self) -> tuple[dict[Bin, int], dict[str, str]]:
        """Take traces over that no photo came to; return them, with their checksums."""
        before, begun = self._task.before, self._task.traced
        bins = {one: begun[one] for one in begun if one not in self._traced}
        if before is None or not bins:
            return {}, {}
        known = before.generation
        found = {one: count for one, count in bins.items() if one in known.bins}
        names = [name for one in found for name in own_planes(one)]
        keep_planes(before.path, self._task.target, names)
        return found, {name: known.checksums[name] for name in names}

    @contextlib.contextmanager
    def _reading(self) -> Iterator[GenerationReader | None]:
        """Open the generation before, where there is one."""
        before = self._task.before
        if before is None:
            yield None
        else:
            known = (
                name for name in self._names if name in before.generation.checksums
            )
            with GenerationReader(before.path, before.generation, known) as reader:
                yield reader

    def _read(self, reader: GenerationReader | None, strip: Strip) -> None:
        """Bring a strip of the generation before into memory."""
        self._planes.clear()
        if reader is not None:
            reader.read(strip, self._planes)
        only = self._task.only
        if only is not None and only in self._traced:
            for name in own_planes(only):
                like = self._planes.of(OF_BIN[name.rpartition("_")[2]], strip)
                self._planes.of(name, strip)[...] = like

    def _sample(self, strip: Strip) -> None:
        """Sample the sites whose neighbourhoods are complete."""
        task = self._task
        if not task.places:
            self._sample_photos(strip, slice(None), task.sites)
            return
        for photo, one in enumerate(self._taken):
            places = task.places.get(one.pending.bin, task.sites)
            self._sample_photos(strip, slice(photo, photo + 1), places)

    def _sample_photos(
        self, strip: Strip, photos: slice, places: NDArray[np.intp]
    ) -> None:
        """Sample photos that have the sites at the same places."""
        here = (places[:, 0] >= strip.first_whole) & (places[:, 0] < strip.last_whole)
        if here.any():
            self.samples[photos, here] = evidence.sample_rows(
                self._windows[photos],
                strip.first - KEPT,
                self._task.size.height,
                places[here],
            )

    def _bad(self) -> dict[int, PhotoError]:
        """Return what is wrong with photos, all of them being read."""
        bad: dict[int, PhotoError] = {}
        for place, error in self._photos.failures().items():
            photo = self._taken[place].pending
            bad[photo.number] = _outcome(photo, error)
        for one in self._taken:
            now, then = os.fstat(one.descriptor), one.status
            if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
                reason = "changed while it was read"
                bad[one.pending.number] = TruncatedPhotoError(one.pending.path, reason)
        return bad


def learn(task: Task, photos: Sequence[Pending], means: Means) -> Passed:
    """Fold photos, in this sequence, into a new generation.

    It takes as many as the memory is enough for, at least one.

    Raises
    ------
    CheckpointError
        The generation before is missing or damaged.
    OSError
        The disk is full or faulty.
    PassStoppedError
        It was told to stop.

    Whatever is raised, nothing is left of the pass.
    """
    faults = _Faults()
    crew = _Crew(means.threads, means.marks)
    try:
        while True:
            good = [one for one in photos if one.number not in faults.bad]
            with _opened(good, task, means, faults) as taken:
                if not taken:
                    nobody = np.zeros((0, len(task.sites)), evidence.SAMPLE)
                    return Passed(None, (), nobody, faults.bad)
                attempt = _Pass(task, taken, means)
                generation, found = attempt.run(crew)
            if generation is not None:
                numbers = tuple(one.pending.number for one in taken)
                return Passed(generation, numbers, attempt.samples, faults.bad)
            faults.add(found)
    finally:
        crew.close()

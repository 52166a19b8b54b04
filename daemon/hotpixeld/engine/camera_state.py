"""One camera's state in memory: frames that wait for it, who reads it, what is unsaved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from hotpixeld.statistics.welford import Frame, State
    from hotpixeld.store.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Saving:
    """A checkpoint that is being written.

    Attributes
    ----------
    written : Future of Checkpoint
        Done when it is durable.
    folded_to, photos : int
        Sequence of the last image in it, and how many the one before does not hold.
    oldest : float
        As `Running.oldest`.
    """

    written: Future[Checkpoint]
    folded_to: int
    photos: int
    oldest: float


@dataclass(slots=True)
class Running:
    """A camera's state in memory, and how far it is ahead of its checkpoint.

    Attributes
    ----------
    state : State or None
        None before the 4th photo.  Lacks the frames in `waiting`.
    folded_to : int
        Sequence of the image folded last, or waiting last.
    generation : int
        Of the checkpoint that the ledger names; 0 is none.
    unsaved : int
        Photos folded since, or waiting.
    oldest : float
        When the first of these came, by the clock that `States` was given.
    waiting : list of (int, Frame)
        Sequence and frame of what is to be folded, in this order: several at once cost
        little more than one.
    readers : list of Future
        Threads that read the arrays: nothing is folded before they are done.
    saving : Saving or None
    held : int
        Bytes of frames that wait though their photos have ended.
    """

    state: State | None
    folded_to: int
    generation: int
    unsaved: int = 0
    oldest: float = 0.0
    waiting: list[tuple[int, Frame]] = field(default_factory=list)
    readers: list[Future[Any]] = field(default_factory=list)
    saving: Saving | None = None
    held: int = 0

    def add(self, frame: Frame, sequence: int, now: float) -> None:
        """Let a frame wait to be folded."""
        self.waiting.append((sequence, frame))
        self.folded_to = sequence
        if not self.unsaved:
            self.oldest = now
        self.unsaved += 1

    def fold(self, memory: int) -> None:
        """Fold the frames that wait, with this `memory`; nobody may read the arrays."""
        if self.state is None:
            raise AssertionError("folding before the arrays are allocated")
        self.state.fold_all([frame for _, frame in self.waiting], memory)
        self.waiting.clear()

    @property
    def is_read(self) -> bool:
        """Tell whether somebody reads the arrays."""
        return not all(reader.done() for reader in self.readers)

    def still(self, wait: Callable[[Future[Any]], None]) -> None:
        """Wait, by `wait`, until nobody reads the arrays."""
        while self.readers:
            wait(self.readers[0])
            self.readers.pop(0)

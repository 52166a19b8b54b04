"""File system events by inotify, and the means to notice that they stopped coming.

The library behind it, watchdog 7.1, says nothing when the kernel's queue overflows, when a folder below cannot be
watched, when the root is unmounted, and when its reading thread dies (measured).  So the
overflow is read off its log, what is truly watched off the kernel's own list, and the
thread's life off a canary: a file that is written here and whose event must come back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import warnings
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver

from hotpixeld.watch import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchdog.observers.api import ObservedWatch

    from hotpixeld.watch.walk import Identity

# Not FileModified: a photo is written in hundreds of pieces, whoever writes also closes,
# and the quiet time is judged by the file itself.  Nothing about reading: that is us.
_WANTED_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,  # for the root's own end
]
_WATCH = re.compile(rb"^inotify .*?\bino:([0-9a-f]+) sdev:([0-9a-f]+)", re.MULTILINE)
_LOGGERS = ("watchdog.observers.inotify_c", "watchdog.observers.inotify")


class EventKind(Enum):
    """What happened to the path of an event."""

    FILE = auto()
    """A file appeared, was renamed to this path, or was written and closed."""
    FOLDER = auto()
    """A folder appeared; what was in it by then may have raised no event."""
    ENDED = auto()
    """The watched folder itself is gone, and no event will come any more."""


class _Handler(FileSystemEventHandler):
    """Passes on what may matter; called in watchdog's thread, which an error would end."""

    def __init__(
        self, root: str, sink: Callable[[EventKind, str], None], excluded: Iterable[str]
    ) -> None:
        self._root = root
        self._inside = root.rstrip("/") + "/"
        self._excluded = tuple(folder.rstrip("/") + "/" for folder in excluded)
        self._sink = sink

    def dispatch(self, event: FileSystemEvent) -> None:
        path = os.fsdecode(event.dest_path or event.src_path)
        relative = path.removeprefix(self._inside)
        if isinstance(event, DirDeletedEvent):
            if path == self._root:
                self._sink(EventKind.ENDED, "")
        elif (path + "/").startswith(self._excluded):
            return
        elif event.is_directory:
            if not any(map(walk.is_ignored, relative.split("/"))):
                self._sink(EventKind.FOLDER, relative)
        elif walk.is_candidate(relative):
            self._sink(EventKind.FILE, relative)


class _CanaryHandler(FileSystemEventHandler):
    """Notes that the canary's event came."""

    def __init__(self, canary_came: threading.Event) -> None:
        self._canary_came = canary_came

    def dispatch(self, event: FileSystemEvent) -> None:
        del event
        self._canary_came.set()


class _OverflowFilter(logging.Filter):
    """Reports an overflow of the queue, which watchdog shows in its log alone."""

    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__()
        self._lost = lost

    def filter(self, record: logging.LogRecord) -> bool:
        if "queue overflowed" not in record.msg:
            return True
        if record.name == _LOGGERS[0]:
            self._lost()
        return False  # the watcher says it once, in the user's words


class KernelWatches:
    """The folders that the kernel watches for this process, as it lists them itself.

    Notes
    -----
    proc(5), ``/proc/PID/fdinfo``: inode and device of every inotify watch.  Btrfs gives
    subvolumes device numbers of their own that are not listed, so for a device that is
    not listed at all the inode alone decides.
    """

    def __init__(self, descriptors: frozenset[str]) -> None:
        self._pairs: set[tuple[bytes, bytes]] = set()
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                text = Path("/proc/self/fdinfo", descriptor).read_bytes()
                self._pairs.update(_WATCH.findall(text))
        self._inodes = {inode for inode, _ in self._pairs}
        self._devices = {device for _, device in self._pairs}

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, identity: Identity) -> bool:
        device, number = identity
        inode = b"%x" % number
        kernel = b"%x" % (os.major(device) << 20 | os.minor(device))
        if kernel in self._devices:
            return (inode, kernel) in self._pairs
        return inode in self._inodes


def _inotify_descriptors() -> frozenset[str]:
    """Return the numbers of this process's inotify descriptors."""
    descriptors = set()
    with contextlib.suppress(OSError):  # without /proc nothing can be verified
        for descriptor in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # closed in between
                if str(descriptor.readlink()) == "anon_inode:inotify":
                    descriptors.add(descriptor.name)
    return frozenset(descriptors)


class Events:
    """One observer and its watches; when it has died, it is replaced by a new one.

    Methods may be called from any thread.

    Parameters
    ----------
    lost : callable
        Called when the kernel's queue overflowed: events were lost, nobody knows which.
        This and every sink are called in other threads; they must be quick and not raise.
    canary : Path or None
        A file that may be written, in a folder for it alone; without one, a dead
        observer is not noticed.

    Raises
    ------
    OSError
        The kernel has no inotify instance left (``fs.inotify.max_user_instances``).
    """

    def __init__(self, lost: Callable[[], None], canary: Path | None = None) -> None:
        # Under renames in quick succession it warns with all its tables: megabytes.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        self._canary_came = threading.Event()
        self._watches: dict[str, ObservedWatch] = {}
        self._filter = _OverflowFilter(lost)
        before = _inotify_descriptors()
        self._observer = InotifyObserver()
        self._descriptors = _inotify_descriptors() - before
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self._filter)
        self._observer.start()
        self._canary = canary
        if canary is not None:
            self._watch_canary(canary)

    def _watch_canary(self, canary: Path) -> None:
        try:
            canary.parent.mkdir(parents=True, exist_ok=True)
            self._observer.schedule(
                _CanaryHandler(self._canary_came),
                canary.parent,
                event_filter=_WANTED_EVENTS,
            )
        except OSError:  # full, read-only, no watch left: go without
            self._canary = None

    def watch(
        self,
        root: str,
        sink: Callable[[EventKind, str], None],
        excluded: Iterable[str] = (),
    ) -> None:
        """Watch a folder and as many of the folders below it as the kernel takes.

        Parameters
        ----------
        root : str
            Absolute and without symlinks: inotify would watch the link.
        sink : callable
            Gets the kind and the relative path of what may be a photo or hold one.
        excluded : iterable of str
            Folders, without symlinks too, whose events are left out.

        Raises
        ------
        OSError
            The folder itself cannot be watched: it is not there, or a limit is reached.
        """
        self.unwatch(root)
        self._watches[root] = self._observer.schedule(
            _Handler(root, sink, excluded),
            root,
            recursive=True,
            event_filter=_WANTED_EVENTS,
        )

    def unwatch(self, root: str) -> None:
        """Stop watching a folder, if it is watched."""
        watch = self._watches.pop(root, None)
        if watch is not None:
            # A watch that ended by itself may be half removed.
            with contextlib.suppress(OSError, KeyError):
                self._observer.unschedule(watch)

    def kernel_watches(self) -> KernelWatches:
        """Return what the kernel watches now; takes 8 microseconds a folder."""
        return KernelWatches(self._descriptors)

    def is_alive(self, root: str | None = None) -> bool:
        """Return whether the threads that pass events on (from `root`) still run."""
        if root is None:
            return self._observer.is_alive()
        watch = self._watches.get(root)
        emitters = self._observer.emitters.copy()
        return any(each.is_alive() for each in emitters if each.watch == watch)

    def write_canary(self) -> None:
        """Write the canary, whose event must come soon: see `canary_came`."""
        self._canary_came.clear()
        try:
            if self._canary is not None:
                self._canary.write_bytes(b"")
                return
        except OSError:
            pass
        self._canary_came.set()  # without a canary nothing can be said

    @property
    def canary_came(self) -> bool:
        """Return whether the canary's event came since it was written."""
        return self._canary_came.is_set()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop watching; an observer that hangs is left behind."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._filter)

        def end() -> None:
            with contextlib.suppress(OSError, KeyError):
                self._observer.stop()
            self._observer.join()

        ending = threading.Thread(target=end, name="events-end", daemon=True)
        ending.start()
        ending.join(timeout)

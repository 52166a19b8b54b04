"""Events: watchdog's inotify observer, and the means to notice that it went blind.

watchdog 7.1 keeps quiet when the kernel's queue overflows, when a folder below cannot be
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

    Identity = tuple[int, int]

# Not FileModified: a photo is written in hundreds of pieces, whoever writes also closes,
# and the quiet time is judged by the file itself.  Nothing about reading: that is us.
_KINDS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileMovedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,  # for the root's own end
]
_WATCH = re.compile(rb"^inotify .*?\bino:([0-9a-f]+) sdev:([0-9a-f]+)", re.MULTILINE)
_LOGGERS = ("watchdog.observers.inotify_c", "watchdog.observers.inotify")


class Kind(Enum):
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
        self, root: str, sink: Callable[[Kind, str], None], excluded: Iterable[str]
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
                self._sink(Kind.ENDED, "")
        elif (path + "/").startswith(self._excluded):
            return
        elif event.is_directory:
            if not any(map(walk.is_ignored, relative.split("/"))):
                self._sink(Kind.FOLDER, relative)
        elif walk.is_candidate(relative):
            self._sink(Kind.FILE, relative)


class _Ear(FileSystemEventHandler):
    """Hears the canary."""

    def __init__(self, heard: threading.Event) -> None:
        self._heard = heard

    def dispatch(self, event: FileSystemEvent) -> None:
        del event
        self._heard.set()


class _OverflowFilter(logging.Filter):
    """Takes watchdog's word for an overflow out of its log, where alone it is."""

    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__()
        self._lost = lost

    def filter(self, record: logging.LogRecord) -> bool:
        if "queue overflowed" not in record.msg:
            return True
        if record.name == _LOGGERS[0]:
            self._lost()
        return False  # whoever listens says it once, in the user's words


class KernelWatches:
    """The folders that the kernel watches for us, as it lists them itself.

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
    found = set()
    with contextlib.suppress(OSError):  # without /proc nothing can be verified
        for descriptor in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # closed in between
                if str(descriptor.readlink()) == "anon_inode:inotify":
                    found.add(descriptor.name)
    return frozenset(found)


class Events:
    """One observer and its watches; when it has died, it is replaced by a new one.

    Methods may be called from any thread.

    Parameters
    ----------
    lost : callable
        Called when the kernel's queue overflowed: events were lost, nobody knows which.
        This and every sink are called in other threads; they must be quick and not raise.
    canary : Path or None
        A file that may be written, in a folder for it alone; None goes without.

    Raises
    ------
    OSError
        The kernel has no inotify instance left (``fs.inotify.max_user_instances``).
    """

    def __init__(self, lost: Callable[[], None], canary: Path | None = None) -> None:
        # Under renames in quick succession it warns with all its tables: megabytes.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
        self._heard = threading.Event()
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
                _Ear(self._heard), canary.parent, event_filter=_KINDS
            )
        except OSError:  # full, read-only, no watch left: then without
            self._canary = None

    def watch(
        self,
        root: str,
        sink: Callable[[Kind, str], None],
        excluded: Iterable[str] = (),
    ) -> None:
        """Watch a folder and all below it; folders below are watched as far as it goes.

        Parameters
        ----------
        root : str
            Absolute and without symlinks: inotify would watch the link.
        sink : callable
            Gets kind and relative path of what may be a photo or hold one.
        excluded : iterable of str
            Folders, without symlinks too, whose events are nobody's concern.

        Raises
        ------
        OSError
            The folder itself cannot be watched: it is not there, or a limit is reached.
        """
        self.unwatch(root)
        self._watches[root] = self._observer.schedule(
            _Handler(root, sink, excluded), root, recursive=True, event_filter=_KINDS
        )

    def unwatch(self, root: str) -> None:
        """Let go of a folder; fine when it is not watched."""
        watch = self._watches.pop(root, None)
        if watch is not None:
            # What ended by itself may be half taken down.
            with contextlib.suppress(OSError, KeyError):
                self._observer.unschedule(watch)

    def kernel_watches(self) -> KernelWatches:
        """Return what the kernel watches for us now; 8 microseconds a folder."""
        return KernelWatches(self._descriptors)

    def is_alive(self, root: str | None = None) -> bool:
        """Return whether the threads that pass events on (from `root`) still run."""
        if root is None:
            return self._observer.is_alive()
        watch = self._watches.get(root)
        emitters = [
            each for each in self._observer.emitters.copy() if each.watch == watch
        ]
        return any(each.is_alive() for each in emitters)

    def beat(self) -> None:
        """Write the canary, whose event must be `heard` soon."""
        self._heard.clear()
        try:
            if self._canary is not None:
                self._canary.write_bytes(b"")
                return
        except OSError:
            pass
        self._heard.set()  # no canary, no verdict

    @property
    def heard(self) -> bool:
        """Return whether the canary's event came since the last `beat`."""
        return self._heard.is_set()

    def stop(self, timeout: float = 5.0) -> None:
        """Let go of everything; an observer that hangs is left behind."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self._filter)

        def end() -> None:
            with contextlib.suppress(OSError, KeyError):
                self._observer.stop()
            self._observer.join()

        ending = threading.Thread(target=end, name="events-end", daemon=True)
        ending.start()
        ending.join(timeout)

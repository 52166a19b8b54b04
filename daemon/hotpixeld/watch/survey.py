"""Survey: one look at a watched folder: is it there, can it be watched, what is in it.

A survey runs in a thread of its own, because a network drive whose server is gone makes
every call wait, and must not make the other folders wait.  The mount table says which
file system a folder is on, and where inotify is silent.
"""

from __future__ import annotations

import errno
import os
import re
import select
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hotpixeld.errors import why
from hotpixeld.watch import walk as watch_walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hotpixeld.files import Signature
    from hotpixeld.watch.events import EventKind, Events
    from hotpixeld.watch.walk import Closed

TABLE = "/proc/self/mountinfo"

# Changes that another machine makes raise no event here.  FUSE too: most of its file
# systems (sshfs, rclone, mergerfs over NFS) show something else that can change behind
# the kernel's back.  fuseblk (NTFS on a local disk) cannot.
_SILENT = (
    *("9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "fuse", "gpfs", "lustre"),
    *("ncpfs", "nfs", "nfs4", "orangefs", "prl_fs", "pvfs2", "smb3", "smbfs", "vboxsf"),
    *("virtiofs", "vmhgfs"),
)


class Mount(NamedTuple):
    """One line of the mount table."""

    identifier: str
    device: str
    root: str
    point: str
    type: str
    options: str

    @property
    def is_silent(self) -> bool:
        """Return whether files can change here without an inotify event."""
        return self.type in _SILENT or self.type.startswith("fuse.")


def _unescape(text: str) -> str:
    octal = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
    return octal.encode("latin-1").decode("utf-8", "surrogateescape")


def parse_mounts(table: str) -> tuple[Mount, ...]:
    r"""Return the mounts of a mountinfo table, read as latin-1; see proc(5).

    >>> parse_mounts("36 35 8:1 / /mnt/my\\040card rw shared:1 - vfat /dev/sdb1 rw")[0].point
    '/mnt/my card'
    """
    mounts = []
    for line in table.splitlines():
        fields, _, filesystem = line.partition(" - ")
        identifier, _, device, root, point, *_ = fields.split(" ")
        type_, _, options = filesystem.split(" ", 2)
        mounts.append(
            Mount(
                identifier,
                device,
                _unescape(root),
                _unescape(point),
                type_,
                _unescape(options),
            )
        )
    return tuple(mounts)


def mount_table() -> tuple[Mount, ...]:
    """Return the mounts that this process sees; none where there is no /proc."""
    try:
        with open(TABLE, encoding="latin-1") as table:  # noqa: PTH123 - as `MountTable`
            return parse_mounts(table.read())
    except OSError:
        return ()


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def holding(path: str, mounts: tuple[Mount, ...]) -> Mount | None:
    """Return the mount that holds a path without symlinks; a later one lies on top."""
    holder = None
    for mount in mounts:
        if _is_within(path, mount.point) and (
            holder is None or len(mount.point) >= len(holder.point)
        ):
            holder = mount
    return holder


def at_and_below(path: str, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Return the mount that holds the path, and those below it."""
    holder = holding(path, mounts)
    below = tuple(
        mount for mount in mounts if mount != holder and _is_within(mount.point, path)
    )
    return below if holder is None else (holder, *below)


def _layers(mount: Mount) -> list[str]:
    """Return the folders that an overlay is made of."""
    texts = re.findall(
        r"(?:^|,)(?:lowerdir|upperdir)\+?=((?:\\.|[^,])*)", mount.options
    )
    return [layer for text in texts for layer in re.split(r"(?<!\\):+", text)]


def silent(path: str, mounts: tuple[Mount, ...]) -> str | None:
    """Return the type of a file system at or below `path` where inotify is silent.

    Parameters
    ----------
    path : str
        Absolute and without symlinks (`os.path.realpath`).
    mounts : tuple of Mount
    """
    for mount in at_and_below(path, mounts):
        if mount.is_silent:
            return mount.type
        if mount.type == "overlay":
            for layer in _layers(mount):
                below = holding(layer, mounts)
                if below is not None and below.is_silent:
                    return f"overlay on {below.type}"
    return None


class MountTable:
    """Notices that the mount table changed, without reading it; close it after use."""

    def __init__(self) -> None:
        self._poll = select.poll()
        try:
            self._file = os.open(TABLE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = -1
        else:
            self._poll.register(self._file, select.POLLPRI)

    def has_changed(self) -> bool:
        """Return whether anything was mounted or unmounted since the last call."""
        return self._file >= 0 and bool(self._poll.poll(0))

    def close(self) -> None:
        """Close the table."""
        if self._file >= 0:
            self._poll.unregister(self._file)
            os.close(self._file)
            self._file = -1


BATCH = 500
"""Hints that are handed over at once: a tree of a million photos costs no memory."""

_LIMITS = (errno.ENOSPC, errno.EMFILE)


@dataclass(frozen=True, slots=True)
class ImportFolder:
    """A folder to watch.

    Attributes
    ----------
    path : Path
        Absolute.
    settle_seconds : float
        How long a photo in it must be still.
    excluded : tuple of Path
        Folders in it that hold our own output.
    """

    path: Path
    settle_seconds: float
    excluded: tuple[Path, ...] = ()


class Hint(NamedTuple):
    """A path that may hold a new photo.

    Attributes
    ----------
    parent : Path
        The folder that it is in, below ``folder.path``, whatever symlinks that goes
        through; one object for many hints, of which a walk has very many.
    name : str
    folder : ImportFolder
    signature : Signature or None
        What a walk saw; None for an event, after which the file was not looked at.
    aged : bool
        On a local folder, and unchanged for the settle time already.
    """

    parent: Path
    name: str
    folder: ImportFolder
    signature: Signature | None = None
    aged: bool = False

    @property
    def path(self) -> Path:
        """Return the path that may hold a photo."""
        return self.parent / self.name


@dataclass(frozen=True, slots=True)
class Ground:
    """What a path led to: another ground means that all must be looked at anew."""

    real: str
    identity: watch_walk.Identity
    mounts: tuple[Mount, ...]

    @classmethod
    def of(cls, path: Path) -> Ground:
        """Return what a path leads to now.

        Raises
        ------
        OSError
            Nothing, no folder, or it cannot be reached.
        """
        real = os.path.realpath(path)
        mounts = at_and_below(real, mount_table())
        return cls(real, watch_walk.identity(real), mounts)

    def has_lost_its_mount(self, now: Ground) -> bool:
        """Return whether `now` is the empty mount point that was below this ground."""
        before, after = self.mounts[:1], now.mounts[:1]
        is_bare = bool(before and after) and len(after[0].point) < len(before[0].point)
        return is_bare and not os.listdir(now.real)  # noqa: PTH208 - empty or not


@dataclass(slots=True)
class Findings:
    """What a survey found.

    Attributes
    ----------
    ground : Ground or None
        None when the folder is offline.
    offline : str
        Why it is.
    silent : str
        The file system, where inotify is silent.
    limit : OSError or None
        Why the folder cannot be watched although it is there.
    unwatched : list of str
        Folders in it that the kernel does not watch, though it should.
    is_renewed : bool
        It was watched anew, so that before this walk anything may have happened.
    faults, links : list of Closed
        What could not be read below it, and what links below it lead elsewhere.
    seconds : float
        How long the walk took, without the waiting for its hints to be taken.
    """

    ground: Ground | None = None
    offline: str = ""
    silent: str = ""
    limit: OSError | None = None
    unwatched: list[str] = field(default_factory=list)
    is_renewed: bool = False
    faults: list[Closed] = field(default_factory=list)
    links: list[Closed] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Survey:
    """What to look at, and who gets what it shows.

    Attributes
    ----------
    folder : ImportFolder
    before : Ground or None
        What the last survey found.
    events : Events or None
    wanted : bool
        Whether to watch the folder by events, if its file system has any.
    renew : bool
        Whether to watch it anew even if it seems watched.
    parts : tuple of str
        Folders below to walk, relative; ``("",)`` is all of it.
    sink, deliver, attached : callable
        Get events; get a batch of hints and return whether to go on; are called when the
        folder is watched, or will not be.
    wall : callable
        The time in seconds since the epoch.
    """

    folder: ImportFolder
    before: Ground | None
    events: Events | None
    wanted: bool
    renew: bool
    parts: tuple[str, ...]
    sink: Callable[[EventKind, str], None]
    deliver: Callable[[list[Hint]], bool]
    attached: Callable[[], None]
    wall: Callable[[], float]

    def run(self) -> Findings:
        """Look, watch, then walk: in this order nothing falls between."""
        findings = Findings()
        try:
            findings.ground = ground = self._find(findings)
            self._attach(ground, findings)
            self.attached()
            self._walk(ground, findings)
        except OSError as error:
            if self.events is not None and self.before is not None:
                self.events.unwatch(self.before.real)
            findings.ground = None
            findings.offline = why(error)
        finally:
            self.attached()
        return findings

    def _find(self, findings: Findings) -> Ground:
        ground = Ground.of(self.folder.path)
        if self.before is not None and self.before.has_lost_its_mount(ground):
            raise OSError(errno.ENODEV, "not mounted")
        findings.silent = silent(ground.real, ground.mounts) or ""
        return ground

    def _attach(self, ground: Ground, findings: Findings) -> None:
        wanted = self.wanted and not findings.silent
        if self.events is None:
            if wanted:
                findings.limit = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return
        is_same = ground == self.before and self.events.is_alive(ground.real)
        if wanted and is_same and not self.renew:
            return
        if self.before is not None:
            self.events.unwatch(self.before.real)
        if not wanted:
            return
        try:
            self.events.watch(ground.real, self.sink, self._excluded())
            findings.is_renewed = True
        except OSError as error:
            if error.errno not in _LIMITS:
                raise
            findings.limit = error

    def _excluded(self) -> list[str]:
        return [os.path.realpath(path) for path in self.folder.excluded]

    def _walk(self, ground: Ground, findings: Findings) -> None:
        excluded = [Path(path) for path in self._excluded()]
        entered: dict[str, watch_walk.Identity] = {}
        for part in self.parts:
            walk = watch_walk.Walk(Path(ground.real, part), excluded)
            try:
                if not self._hand_over(walk, ground, findings):
                    return
            except (FileNotFoundError, NotADirectoryError):
                if not part:
                    raise
            entered |= walk.folders
            findings.faults += walk.faults
            findings.links += walk.links
        if self.events is not None and self.wanted and not findings.silent:
            started = time.monotonic()
            watched = self.events.kernel_watches()
            findings.unwatched = [
                path for path, who in entered.items() if who not in watched
            ]
            findings.seconds += time.monotonic() - started

    def _hand_over(
        self, walk: watch_walk.Walk, ground: Ground, findings: Findings
    ) -> bool:
        """Deliver the hints of one walk; return whether to go on."""
        hints = self._hints(walk, ground, is_local=not findings.silent)
        while True:
            started = time.monotonic()
            batch = list(islice(hints, BATCH))
            findings.seconds += time.monotonic() - started
            if not batch:
                return True
            if not self.deliver(batch):
                return False

    def _hints(
        self, walk: watch_walk.Walk, ground: Ground, *, is_local: bool
    ) -> Iterator[Hint]:
        start, base = len(ground.real.rstrip("/")) + 1, self.folder.path
        settle_seconds = self.folder.settle_seconds
        folder, parent = ground.real, base
        for path, signature in walk:
            inner, _, name = path.rpartition("/")
            if inner != folder:
                folder, parent = inner, base / inner[start:]
            aged = is_local and signature.is_aged(settle_seconds, self.wall())
            yield Hint(parent, name, self.folder, signature, aged)

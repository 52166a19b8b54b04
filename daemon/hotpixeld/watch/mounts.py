"""The mount table: which file system a folder is on, and where inotify is silent."""

from __future__ import annotations

import os
import re
import select
from typing import NamedTuple

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


def parse(table: str) -> tuple[Mount, ...]:
    r"""Return the mounts of a mountinfo table, read as latin-1; see proc(5).

    >>> parse("36 35 8:1 / /mnt/my\\040card rw shared:1 - vfat /dev/sdb1 rw")[0].point
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


def read() -> tuple[Mount, ...]:
    """Return the mounts that this process sees; none where there is no /proc."""
    try:
        with open(TABLE, encoding="latin-1") as table:  # noqa: PTH123 - as `MountTable`
            return parse(table.read())
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

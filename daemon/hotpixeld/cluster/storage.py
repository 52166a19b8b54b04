"""State folders under names, in a storage that all machines of a cluster share.

Each is one object, a tar archive: the ledger and the generations that it names.  It is
complete as soon as it has its name, and nobody changes it then.  fsspec reaches the storage:
a folder, S3, and whatever else it has a package for.
"""

from __future__ import annotations

import posixpath
import secrets
import tarfile
from typing import TYPE_CHECKING

from fsspec.core import url_to_fs

from hotpixeld.cluster.scheduler import ClusterError
from hotpixeld.store import state_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PIECE = 4 << 20
"""Bytes that are written at once."""


def _kept(folder: Path) -> Iterator[Path]:
    """Yield what a state folder is, without the lock and what is pending."""
    yield state_folder.ledger_file(folder)
    for path in sorted(state_folder.cameras(folder).glob("*/*")):
        if path.name.isdigit():
            yield path


class Storage:
    """A shared storage; used by one thread.

    Parameters
    ----------
    url : str
        Such as ``/srv/share``, ``s3://bucket/prefix`` or ``memory://shards``.

    Raises
    ------
    ClusterError
        fsspec knows no such storage, or lacks the package for it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            self._files, self._root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ClusterError(
                f"{url}: cannot be used as a storage: {error}"
            ) from error

    def _place(self, name: str) -> str:
        return posixpath.join(self._root, f"{name}.tar")

    def has(self, name: str) -> bool:
        """Return whether there is a state of this name."""
        self._files.invalidate_cache()
        return bool(self._files.exists(self._place(name)))

    def put(self, name: str, folder: Path) -> None:
        """Keep a state folder, which nobody has open, under a name."""
        target = self._place(name)
        part = f"{target}.{secrets.token_hex(8)}"
        self._files.makedirs(self._root, exist_ok=True)
        try:
            with (
                self._files.open(part, "wb", block_size=PIECE * 4) as file,
                tarfile.open(fileobj=file, mode="w|", bufsize=PIECE) as archive,
            ):
                for path in _kept(folder):
                    archive.add(path, path.relative_to(folder).as_posix())
            self._files.mv(part, target)
        finally:
            self._files.invalidate_cache()
            if self._files.exists(part):
                self._files.rm_file(part)

    def fetch(self, name: str, folder: Path) -> None:
        """Put the state of this name into an empty folder.

        Raises
        ------
        ClusterError
            There is none.
        """
        self._files.invalidate_cache()
        try:
            with (
                self._files.open(self._place(name), "rb") as file,
                tarfile.open(fileobj=file, mode="r|", bufsize=PIECE) as archive,
            ):
                archive.extractall(folder, filter="data")
        except FileNotFoundError as error:
            raise ClusterError(
                f"{self._url}: {name[:16]} is not there: all machines must reach the"
                " same storage under this name"
            ) from error

    def remove(self, names: Iterable[str]) -> None:
        """Remove what is there of these states."""
        self._files.invalidate_cache()
        for name in names:
            if self._files.exists(self._place(name)):
                self._files.rm_file(self._place(name))

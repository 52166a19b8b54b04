"""A user on a walk: their home, what they put there, and what runs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from days.world import Body, Daemon, Home, sha256
from hotpixeld.jpeg import markers
from sensor import Planted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

FOLDERS = ("", "anna", "2024", "2024/march")


@dataclass
class Mine:
    """A file that the user put there.

    Attributes
    ----------
    kind : str
        "photo" (as a camera took it, whatever its name and metadata), "own" (what
        hotpixeld wrote, put somewhere by the user), "twin" (likewise, of a photo without
        a defect: the same image), "edit", "torn" or "other".
    sha256, stamp : str, tuple
        Of the file, as the user left it.
    """

    kind: str
    sha256: str
    stamp: tuple[int, ...]


def stamp(path: Path) -> tuple[int, ...]:
    """Return what changes whenever a file does."""
    status = path.lstat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def identity(data: bytes) -> str:
    """Return the identity of a photo's image."""
    return markers.identity(data, markers.parse(data))


def _bodies() -> list[Body]:
    """Return two cameras: one with defects that begin and end, one of the same model."""
    first = (
        Planted(44, 107, 80.0),
        Planted(20, 30, 90.0, onset=14),
        Planted(70, 60, 85.0, until=26),
    )
    second = (Planted(31, 77, 90.0), Planted(60, 20, 80.0))
    return [
        Body(serial="3012345", defects=first),
        Body(serial="3012346", seed=1, defects=second),
    ]


@dataclass
class User:
    """The user: their home, what they put there, and what runs.

    Attributes
    ----------
    files : dict of Path to Mine
        What the user put there.
    photos : dict of str to list of bytes
        The files of every photo that was ever taken, by its identity: as it was taken,
        and with each rating that it was given.
    own : set of str
        The identities of all that was ever written.
    gone : set of Path
        Where the user took a file away, or put or changed one.
    spoilt : set of str
        The identities of photos of whose copies the user took one away, or changed it.
    calm : bool
        Whether everything that was due has been done since the last change.
    """

    home: Home
    bodies: list[Body] = field(default_factory=_bodies)
    files: dict[Path, Mine] = field(default_factory=dict)
    photos: dict[str, list[bytes]] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    gone: set[Path] = field(default_factory=set)
    spoilt: set[str] = field(default_factory=set)
    daemon: Daemon | None = None
    second: Home | None = None
    calm: bool = False

    def tree(self) -> list[Path]:
        """Return the files in the user's folders, whoever wrote them."""
        roots = self.home.photos, self.home.root / "elsewhere"
        # Not `rglob`: it raises where the daemon removes an empty folder meanwhile.
        walked = (step for root in roots for step in os.walk(root))
        paths = (Path(folder) / name for folder, _, names in walked for name in names)
        return sorted(path for path in paths if path.is_file())

    def kept(self, path: Path, kind: str) -> None:
        """Note a file as the user's."""
        if kind == "photo":
            data = path.read_bytes()
            self.photos.setdefault(identity(data), []).insert(0, data)
        self.files[path] = Mine(kind, sha256(path), stamp(path))
        self.gone.add(path)

    def put(self, path: Path, data: bytes, kind: str) -> None:
        """Put a file there, whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.tmp")
        part.write_bytes(data)
        part.rename(path)
        self.kept(path, kind)

    def move(self, old: Path, new: Path) -> str:
        """Move a file, the user's or not."""
        new.parent.mkdir(parents=True, exist_ok=True)
        kind = self.kind(old)
        old.rename(new)
        self.files.pop(old, None)
        self.gone.add(old)
        self.kept(new, kind)
        return f"{self.home.name(old)} -> {self.home.name(new)}"

    def remove(self, path: Path) -> str:
        """Delete a file."""
        path.unlink()
        self.files.pop(path, None)
        self.gone.add(path)
        return self.home.name(path)

    def spoil(self, path: Path) -> None:
        """Note that the user is about to take a copy away, or to change it."""
        query = (
            "SELECT lower(hex(original)) FROM copies WHERE target = ?1"
            " UNION SELECT lower(hex(original)) FROM other_copies WHERE target = ?1"
        )
        with self.home.ledger() as ledger:
            rows = ledger.connection.execute(query, (os.fsencode(path),))
            self.spoilt.update(original for (original,) in rows)

    def kind(self, path: Path) -> str:
        """Return the kind of a file that the user is about to take."""
        if path in self.files:
            return self.files[path].kind
        return "twin" if identity(path.read_bytes()) in self.photos else "own"

    def originals(self) -> list[Path]:
        """Return the photos in the import folders, in an order that is always the same."""
        outputs = self.home.outputs()
        return sorted(
            path
            for path, mine in self.files.items()
            if mine.kind == "photo"
            and path.is_relative_to(self.home.photos)
            and not any(path.is_relative_to(output) for output in outputs)
        )

    def copies(self) -> list[Path]:
        """Return what hotpixeld wrote and nobody has touched since."""
        return [
            path
            for path in self.tree()
            if path not in self.files and not path.name.startswith(".")
        ]

    def new_place(self, random_: Random, path: Path, prefix: str = "") -> Path:
        """Return a place below the import folder where there is no file yet."""
        folder = self.home.photos / random_.choice(FOLDERS)
        number = random_.randrange(1000)
        return folder / f"{prefix}{number:03d}_{path.name[-40:]}"

    def took(self, paths: Iterable[Path]) -> None:
        """Note photos that a camera took."""
        for path in paths:
            self.kept(path, "photo")

    def reloaded(self) -> None:
        """Have a running daemon read the configuration that was changed."""
        self.calm = self.daemon is not None
        if self.daemon is not None:
            self.daemon.reload()

    def entry(self, body: Body) -> dict[str, object]:
        """Return a camera's entry in the configuration, made where there is none."""
        cameras = self.home.settings.setdefault("cameras", [])
        for entry in cameras:
            if entry["serial"] == body.serial:
                return dict(entry)
        return {
            "model": body.model,
            "serial": body.serial,
            "size": [body.width, body.height],
        }

    def set_entry(self, body: Body, **keys: object) -> None:
        """Change a camera's entry; None removes a key."""
        entry = self.entry(body) | keys
        others = [
            one
            for one in self.home.settings.get("cameras", [])
            if one["serial"] != body.serial
        ]
        entry = {key: value for key, value in entry.items() if value is not None}
        self.home.configure(cameras=[*others, entry])
        self.reloaded()

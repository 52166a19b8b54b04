"""A program in a root file system of its own, by namespaces: what an engine does, without one.

The root file system cannot be written to; there is no network; the program is process 1.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_SCRIPT = """
mount --make-rprivate /
mount --bind "$root" "$root"
for pair in $mounts; do mount --bind "${pair%%=*}" "$root${pair#*=}"; done
for place in $closed; do mount -o remount,bind,ro "$root$place"; done
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for name in null urandom; do : >"$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
mount -o remount,bind,ro "$root"
user=$1; shift
exec env -i $environment chroot --userspec="$user" "$root" "$@"
"""


@dataclass
class Contained:
    """An unpacked image, and how it is run.

    Attributes
    ----------
    root : Path
        Its file system.
    settings : dict
        Of the image: Env, Entrypoint, Cmd, Healthcheck.
    mounts : dict
        What is seen where; paths without spaces.
    closed : tuple
        Those of the mounts that cannot be written to.
    user : str
        "UID:GID", as of the engine's `--user`.
    """

    root: Path
    settings: dict[str, Any]
    mounts: dict[str, Path] = field(default_factory=dict)
    closed: tuple[str, ...] = ()
    user: str = "0:0"
    variables: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        """Return what runs it, with these arguments or its own."""
        given = arguments or tuple(self.settings["Cmd"])
        environment = self.settings["Env"] + [
            f"{name}={value}" for name, value in self.variables.items()
        ]
        values = {
            "root": str(self.root),
            "mounts": " ".join(f"{own}={at}" for at, own in self.mounts.items()),
            "closed": " ".join(self.closed),
            "environment": " ".join(environment),
        }
        return [
            *("env", *(f"{name}={value}" for name, value in values.items())),
            *("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child"),
            *("sh", "-euc", _SCRIPT, "sh", self.user),
            *self.settings["Entrypoint"],
            *given,
        ]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.command(*arguments), check=False, capture_output=True, text=True
        )


def unpacked(archive: Path, folder: Path) -> Contained:
    """Unpack an image's archive, as `docker load` would take it."""
    with tarfile.open(archive) as outer:
        outer.extractall(folder / "archive", filter="data")
    (manifest,) = json.loads((folder / "archive" / "manifest.json").read_text())
    root = folder / "root"
    root.mkdir()
    for layer in manifest["Layers"]:
        subprocess.run(
            ["tar", "-xf", folder / "archive" / layer, "-C", root], check=True
        )
    described = json.loads((folder / "archive" / manifest["Config"]).read_text())
    return Contained(root, described["config"])

"""The administrator's steps on a root file system with nothing but Debian's packages.

Takes minutes and the network, so only with HOTPIXELD_LONG=1; needs debootstrap.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

import documents
from deploy.conftest import SOURCE, put_source
from deploy.machine import Machine, until
from sensor import Sensor, scattered

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("HOTPIXELD_LONG"), reason="HOTPIXELD_LONG is not set"
    ),
    pytest.mark.skipif(
        not shutil.which("debootstrap"), reason="debootstrap is not installed"
    ),
]

SHARED = "/srv/hotpixeld"
AUTHORITIES = "/etc/package-index.crt"


def mirror() -> str:
    """Return the mirror that this machine's apt uses."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return listed.stdout.split()[0]


def environment() -> list[str]:
    """Return what the package index needs: its authorities, where a proxy has its own."""
    names = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    return [f"{name}={AUTHORITIES}" for name in names if name in os.environ]


@pytest.fixture(params=["bookworm", "trixie"])
def fresh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """Return a machine with a release of Debian on it, as small as it boots."""
    root = tmp_path_factory.mktemp("root")
    smallest = ["debootstrap", "--variant=minbase", "--include=systemd"]
    subprocess.run([*smallest, request.param, root, mirror()], check=True)
    # Where a proxy speaks for the package index, with a certificate of its own.
    if certificate := os.environ.get("PIP_CERT"):
        shutil.copy(certificate, root / AUTHORITIES[1:])
    folder = tmp_path_factory.mktemp("machine")
    guest = Machine(folder, root)
    try:
        guest.boot()
        yield guest
    finally:
        guest.close()
        shutil.rmtree(root)


def test_one_command_of_the_readme_repairs_photos_where_nothing_is(
    fresh: Machine,
) -> None:
    """The first one; the report and the table after it, too."""
    put_source(fresh)
    sensor = Sensor(height=200, width=280, defects=scattered(3, 200, 280, levels=(80,)))
    sensor.write(fresh.path("/root/Pictures"), 16)
    first, *others = documents.commands()[:3]
    for command in (first, *others):
        done = fresh.run("env", *environment(), "sh", "-euc", f"cd {SOURCE}; {command}")
        print(done)  # noqa: T201 - a record of the steps

    assert "deploy/setup" in first
    assert len(list(fresh.path("/root/Pictures/repaired").iterdir())) == 16
    assert fresh.path("/root/hot-pixels.html").read_text().count("<article") == 3


def test_one_command_installs_it_where_nothing_is(fresh: Machine) -> None:
    put_source(fresh)
    print(fresh.run("env", *environment(), f"{SOURCE}/deploy/install"))  # noqa: T201 - a record of the steps
    sensor = Sensor(height=200, width=280, defects=scattered(1, 200, 280, levels=(80,)))
    defect = sensor.defects[0]
    settings = fresh.path("/etc/hotpixeld/hotpixeld.yaml")
    pixel = f"[{defect.col}, {defect.row}]"
    camera = f"cameras: [{{model: Model One, size: [280, 200], pixels: [{pixel}]}}]\n"
    settings.write_text(settings.read_text() + camera)
    fresh.run("systemctl", "reload", "hotpixeld")
    (photo,) = sensor.write(fresh.path("/root"), 1)
    fresh.run("mv", f"/root/{photo.name}", SHARED)
    copy = fresh.path(f"{SHARED}/repaired/c_{photo.name}")

    until(copy.exists, "the copy of the photo")
    print(fresh.run("systemctl", "status", "--no-pager", "hotpixeld"))  # noqa: T201 - likewise
    print(fresh.run("systemd-analyze", "security", "--no-pager", "hotpixeld")[-80:])  # noqa: T201 - likewise
    fresh.run(f"{SOURCE}/deploy/install", "remove", "--purge")
    assert copy.exists()

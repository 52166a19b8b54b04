"""The Debian package: built by its one command, installed, used, upgraded and removed.

Takes minutes, so only with HOTPIXELD_LONG=1.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from deploy.conftest import ROOT
from deploy.machine import Machine, NoMachineError, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("HOTPIXELD_LONG"), reason="HOTPIXELD_LONG is not set"
    ),
]


@pytest.fixture(scope="module")
def package() -> Path:
    """Return the package; its command fails if lintian finds an error."""
    done = subprocess.run(
        [ROOT / "deploy" / "package"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert not re.search("^E:", done.stdout, re.MULTILINE)
    return ROOT / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def own_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Return a machine of its own: the installer must not have been there."""
    try:
        guest = Machine(tmp_path_factory.mktemp("package"))
    except NoMachineError as error:
        pytest.skip(f"no machine to install on: {error}")
    try:
        guest.boot()
        # What keeps packages from starting services while a container image is built.
        guest.path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)
        yield guest
    finally:
        guest.close()


def test_the_package_lives_from_installing_to_purging(
    package: Path, own_machine: Machine
) -> None:
    machine = own_machine
    shutil.copy(package, machine.path("/root/hotpixeld.deb"))
    machine.run("apt-get", "install", "-qy", "/root/hotpixeld.deb")
    machine.run("systemd-analyze", "verify", "hotpixeld.service", "hotpixeld@a.service")
    machine.run("systemd-analyze", "verify", "hotpixeld-notify.service")
    timer = ("systemctl", "is-enabled", "hotpixeld-notify.timer")
    assert machine.run(*timer, check=False) == "disabled\n"
    machine.run("hotpixeld-apply")

    shell_files = machine.run("dpkg", "--listfiles", "hotpixeld")
    for name in (
        "man/man1/hotpixeld-run.1.gz",
        "bash-completion/completions/hotpixeld",
        "zsh/vendor-completions/_hotpixeld",
        "fish/vendor_completions.d/hotpixeld.fish",
    ):
        assert f"/usr/share/{name}\n" in shell_files
    assert machine.run("systemctl", "is-active", "hotpixeld") == "active\n"
    assert "defect in camera" in machine.run("journalctl", "--list-catalog")
    show = ("systemctl", "show", "--property=MainPID", "--value", "hotpixeld")
    pid = machine.run(*show)
    settings = machine.path("/etc/hotpixeld/hotpixeld.yaml").read_text()
    machine.run("apt-get", "install", "-qy", "--reinstall", "/root/hotpixeld.deb")
    until(lambda: machine.run(*show) not in {pid, "0\n"}, "the new version runs")
    assert machine.run("systemctl", "is-active", "hotpixeld") == "active\n"
    assert machine.path("/etc/hotpixeld/hotpixeld.yaml").read_text() == settings
    machine.path("/srv/hotpixeld/photo.jpg").write_bytes(b"")
    machine.run("apt-get", "remove", "-qy", "hotpixeld")
    assert machine.path("/var/lib/hotpixeld/ledger.sqlite3").exists()
    assert not machine.path("/opt/hotpixeld").exists()
    machine.run("apt-get", "purge", "-qy", "hotpixeld")
    assert not machine.path("/var/lib/hotpixeld").exists()
    assert not machine.path("/etc/hotpixeld").exists()
    assert machine.path("/srv/hotpixeld/photo.jpg").exists()

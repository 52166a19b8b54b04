"""The container image: built by its one command, and run on photos as an engine would.

Takes minutes and the package indexes, so only with HOTPIXELD_LONG=1, and as root, who may
make namespaces; what the entry point does by itself is tested without.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata
from typing import TYPE_CHECKING

import pytest
import yaml

from days.world import files
from deploy.conftest import ROOT
from deploy.contained import Contained, unpacked
from deploy.machine import until
from hotpixeld.config.load import load
from sensor import Sensor, scattered

if TYPE_CHECKING:
    from pathlib import Path

START = ROOT / "deploy" / "container" / "start.py"
long = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("HOTPIXELD_LONG"), reason="HOTPIXELD_LONG is not set"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make namespaces"),
]
SENSOR = Sensor(200, 280, defects=scattered(3, 200, 280, levels=(80,)))


def started(**variables: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point here, with these variables."""
    environment = {**os.environ, **variables}
    command = [sys.executable, str(START), "status", "--health", "--state", "/nowhere"]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment
    )


def test_a_user_that_is_no_number_is_named() -> None:
    done = started(PUID="anna")

    assert (done.returncode, done.stderr) == (1, "hotpixeld: PUID=anna is no number\n")


def test_the_configuration_is_the_own_one_unless_there_is_another() -> None:
    done = started(UMASK="027")

    assert done.returncode == 78
    assert "/etc/hotpixeld/hotpixeld.yaml: No such file" in done.stderr


def test_the_compose_file_names_this_version_and_its_mirror_is_a_configuration(
    tmp_path: Path,
) -> None:
    text = (ROOT / "deploy" / "container" / "compose.yaml").read_text()
    service = yaml.safe_load(text)["services"]["hotpixeld"]
    mirror = re.sub("(?m)^# ?", "", text[text.index("# state: /state") :])
    (tmp_path / "hotpixeld.yaml").write_text(mirror)
    config = load(tmp_path / "hotpixeld.yaml")

    assert service["image"] == f"hotpixeld:{metadata.version('hotpixeld')}"
    assert "./photos:/photos:ro" in service["volumes"]
    assert (config.folders[0].name, config.folders[0].unchanged) == ("{name}", "copy")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Contained:
    """Return the unpacked image of this machine's architecture."""
    command = ["dpkg", "--print-architecture"]
    architecture = subprocess.run(command, check=True, capture_output=True, text=True)
    done = subprocess.run(
        [ROOT / "deploy" / "container" / "build", architecture.stdout.strip()],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)  # noqa: T201 - a record of the sizes
    archive = ROOT / done.stdout.splitlines()[-1].split(":")[0]
    return unpacked(archive, tmp_path_factory.mktemp("image"))


@pytest.fixture
def home(image: Contained, tmp_path: Path) -> Contained:
    """Return the image with folders mounted; the photos cannot be written to."""
    mounts = {f"/{name}": tmp_path / name for name in ("photos", "repaired", "state")}
    for folder in mounts.values():
        folder.mkdir()
        folder.chmod(0o777)
    SENSOR.write(mounts["/photos"], 20)
    return dataclasses.replace(image, mounts=mounts, closed=("/photos",))


def owners(folder: Path) -> set[tuple[int, int, int]]:
    """Return user, group and permissions of all that lies in a folder."""
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return {(one.st_uid, one.st_gid, one.st_mode & 0o777) for one in found}


def first_process(engine: subprocess.Popen[str]) -> int:
    """Return the number, here, of the container's process 1."""
    children = f"/proc/{engine.pid}/task/{engine.pid}/children"
    with open(children, encoding="ascii") as file:  # noqa: PTH123 - of the kernel
        return int(file.read().split()[0])


class TestImage:
    pytestmark = long

    def test_photos_are_repaired_without_any_configuration(
        self, home: Contained, tmp_path: Path
    ) -> None:
        """Those that a NAS makes for itself are left alone, and so is every original."""
        shutil.copytree(tmp_path / "photos", tmp_path / "photos" / "@eaDir" / "a")
        before = files(tmp_path / "photos"), owners(tmp_path / "photos")
        home = dataclasses.replace(
            home, variables={"PUID": "1026", "PGID": "100", "UMASK": "027"}
        )
        done = home.run("run", "--once")
        assert done.returncode == 0, done.stderr
        copies = files(tmp_path / "repaired")

        assert "photos: 20 folded" in done.stdout
        assert sorted(copies)[:2] == ["c_IMG_0000.JPG", "c_IMG_0001.JPG"]
        assert len(copies) == 21  # and the report
        assert owners(tmp_path / "repaired") == {(1026, 100, 0o640)}
        assert (files(tmp_path / "photos"), owners(tmp_path / "photos")) == before

    def test_a_program_here_and_the_container_write_the_same_copies(
        self, home: Contained, tmp_path: Path
    ) -> None:
        home = dataclasses.replace(home, user="4711:4711")
        assert home.run("run", "--once").returncode == 0
        copy = tmp_path / "here"
        shutil.copytree(tmp_path / "photos", copy)
        here = [sys.executable, "-m", "hotpixeld", "run", "--once", str(copy)]
        subprocess.run([*here, "--state", str(tmp_path / "other")], check=True)
        (tmp_path / "repaired" / "hot-pixels.html").unlink()

        assert files(tmp_path / "repaired") == files(copy / "repaired")

    def test_it_watches_tells_its_health_and_stops_in_two_seconds(
        self, home: Contained, tmp_path: Path
    ) -> None:
        health = home.settings["Healthcheck"]["Test"]
        assert health[:2] == ["CMD", *home.settings["Entrypoint"]]
        dead = home.run(*health[2:])
        with subprocess.Popen(
            home.command(), stderr=subprocess.PIPE, text=True
        ) as engine:
            until(lambda: len(files(tmp_path / "repaired")) >= 20, "copies")
            well = home.run(*health[2:])
            (late,) = SENSOR.write(tmp_path / "photos", 1, start=20)
            copy = tmp_path / "repaired" / f"c_{late.name}"
            until(copy.exists, "the copy of a new photo")
            began = time.monotonic()
            os.kill(first_process(engine), signal.SIGTERM)
            code, took = engine.wait(10), time.monotonic() - began

        assert (dead.returncode, well.stdout, well.returncode) == (1, "well\n", 0)
        assert code == 0
        assert took < 2

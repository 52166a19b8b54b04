"""The container image: built by its one command, and run on photos as an engine would.

Takes minutes and the package indexes, so only with HOTPIXELD_LONG=1, and as root, who may
make namespaces; what the entry point does by itself is tested without.  HOTPIXELD_IMAGE names
an archive that was built before, as for another processor, which QEMU then emulates.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import datetime as dt
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zoneinfo
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

import control_group
import fuse
from days.world import files
from deploy.conftest import ROOT
from deploy.contained import Contained, unpacked
from deploy.machine import until
from hotpixeld.config.load import load
from sensor import Sensor, scattered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START = ROOT / "deploy" / "container" / "start.py"
long = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("HOTPIXELD_LONG"), reason="HOTPIXELD_LONG is not set"
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make namespaces"),
]
QEMU = {name: value for name, value in os.environ.items() if "QEMU" in name}
"""Which processor QEMU is to be, where it is one."""
DEADLINE = 600 if QEMU else 60
SENSOR = Sensor(200, 280, defects=scattered(3, 200, 280, levels=(80,)))


def started(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point here, with these options and variables."""
    environment = {**os.environ, **variables}
    command = [sys.executable, str(START), "status", "--health", "--state", "/nowhere"]
    command += options
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
    for options in (["--config", "/mine.yaml"], ["--config=/mine.yaml"]):
        assert "/mine.yaml: No such file" in started(*options).stderr


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
    """Return the unpacked image: this machine's, built now, or the one that is named."""
    if built := os.environ.get("HOTPIXELD_IMAGE"):
        return unpacked(Path(built), tmp_path_factory.mktemp("image"))
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
    return dataclasses.replace(
        image, mounts=mounts, closed=("/photos",), variables=QEMU
    )


def owners(folder: Path) -> set[tuple[int, int, int]]:
    """Return user, group and permissions of the files in a folder."""
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return {(one.st_uid, one.st_gid, one.st_mode & 0o777) for one in found}


def marks(folder: Path) -> dict[Path, tuple[int, int, int, int]]:
    """Return user, group, mode and time of change of a folder and all that lies in it."""
    found = {path: path.stat() for path in (folder, *folder.rglob("*"))}
    return {
        path: (one.st_uid, one.st_gid, one.st_mode, one.st_mtime_ns)
        for path, one in found.items()
    }


def first_process(engine: subprocess.Popen[bytes]) -> int:
    """Return the number, here, of the container's process 1."""
    children = f"/proc/{engine.pid}/task/{engine.pid}/children"
    with open(children, encoding="ascii") as file:  # noqa: PTH123 - of the kernel
        return int(file.read().split()[0])


@dataclasses.dataclass
class Stopped:
    """How a container ended after SIGTERM, and after how many seconds."""

    code: int = -1
    seconds: float = 0.0


@contextlib.contextmanager
def serving(home: Contained, log: Path) -> Iterator[Stopped]:
    """Run the container until the block ends; it has copied all photos when that begins."""
    stopped = Stopped()
    repaired = home.mounts["/repaired"]
    with log.open("w") as file, subprocess.Popen(home.command(), stderr=file) as engine:
        try:
            until(lambda: len(files(repaired)) >= 20, "copies", DEADLINE)
            yield stopped
            began = time.monotonic()
            os.kill(first_process(engine), signal.SIGTERM)
            stopped.code, stopped.seconds = engine.wait(10), time.monotonic() - began
        finally:
            engine.kill()


@contextlib.contextmanager
def heard(folder: Path) -> Iterator[Callable[[], bytes]]:
    """Listen to a folder by inotify; what is called returns what the kernel told so far."""
    library = ctypes.CDLL(None, use_errno=True)
    created, moved = 0x100, 0x80
    descriptor = library.inotify_init1(os.O_NONBLOCK)
    assert library.inotify_add_watch(descriptor, bytes(folder), created | moved) >= 0

    def told() -> bytes:
        try:
            return os.read(descriptor, 4096)
        except BlockingIOError:
            return b""

    try:
        yield told
    finally:
        os.close(descriptor)


class TestImage:
    pytestmark = long

    def test_photos_are_repaired_without_any_configuration(
        self, home: Contained, tmp_path: Path
    ) -> None:
        """Those that a NAS makes for itself are left alone, and so is every original.

        The photos may be written to and are that user's, who could change all of them.
        """
        photos = tmp_path / "photos"
        for place in ("@eaDir", "#recycle", "#snapshot"):
            others = shutil.ignore_patterns("@*", "#*")
            shutil.copytree(photos, photos / place / "a", ignore=others)
        for index, path in enumerate(sorted([photos, *photos.rglob("*")])):
            os.chown(path, 1026, 100 + index % 3)
            path.chmod((0o750, 0o705)[index % 2] if path.is_dir() else 0o604)
        before = files(photos), marks(photos)
        home = dataclasses.replace(
            home,
            closed=(),
            variables={**home.variables, "PUID": "1026", "PGID": "100", "UMASK": "027"},
        )
        done = home.run("run", "--once")
        assert done.returncode == 0, done.stderr
        copies = files(tmp_path / "repaired")

        assert "photos: 20 folded" in done.stdout
        assert sorted(copies)[:2] == ["c_IMG_0000.JPG", "c_IMG_0001.JPG"]
        assert len(copies) == 21  # and the report
        assert owners(tmp_path / "repaired") == {(1026, 100, 0o640)}
        assert (files(photos), marks(photos)) == before

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
        with serving(home, tmp_path / "log") as stopped:
            well = home.run(*health[2:])
            (late,) = SENSOR.write(tmp_path / "photos", 1, start=20)
            copy = tmp_path / "repaired" / f"c_{late.name}"
            until(copy.exists, "the copy of a new photo")

        assert (dead.returncode, well.stdout, well.returncode) == (1, "well\n", 0)
        assert stopped.code == 0
        assert stopped.seconds < 2

    def test_a_network_folder_of_whose_changes_nobody_tells_is_walked(
        self, home: Contained, tmp_path: Path
    ) -> None:
        """The folder that it shows gets a photo, as from another machine; no event comes."""
        behind, shown = tmp_path / "photos", tmp_path / "shown"
        shown.mkdir()
        log = tmp_path / "log"
        with fuse.mounted(behind, shown), heard(shown) as events:
            home = dataclasses.replace(home, mounts={**home.mounts, "/photos": shown})
            with serving(home, log):
                began = time.monotonic()
                (late,) = SENSOR.write(behind, 1, start=20)
                copy = tmp_path / "repaired" / f"c_{late.name}"
                until(copy.exists, "the copy of a new photo", 150)
                took = time.monotonic() - began
            created = events()

        assert "/photos: no events come from fuse, so it is walked every 60 s" in (
            log.read_text()
        )
        assert created == b""
        assert took > 1  # no event told of it

    def test_tz_is_the_zone_of_the_log_and_the_report_and_of_nothing_else(
        self, home: Contained, tmp_path: Path
    ) -> None:
        """A photo's time is as its camera wrote it.  Without TZ all is UTC."""
        made = {}
        for zone in ("UTC", "America/New_York", "Asia/Kolkata"):
            own = tmp_path / zone.replace("/", "-")
            places = {f"/{name}": own / name for name in ("repaired", "state")}
            for place in places.values():
                place.mkdir(parents=True)
            tz = {} if zone == "UTC" else {"TZ": zone}
            here = dataclasses.replace(
                home,
                mounts={**home.mounts, **places},
                variables={**home.variables, **tz},
            )
            page = own / "repaired" / "hot-pixels.html"
            with serving(here, own / "log"):
                until(page.exists, "the report", DEADLINE)
                status = json.loads(here.run("status", "--json").stdout)
            now = dt.datetime.now(zoneinfo.ZoneInfo(zone))
            since = dt.datetime.fromisoformat(status["daemon"]["since"])
            line = (own / "log").read_text().splitlines()[-1]
            logged = dt.datetime.fromisoformat(line[:19])
            (text,) = re.findall(
                r"hotpixeld, (\d+ \w+ \d+, \d\d:\d\d)<", page.read_text()
            )
            reported = dt.datetime.strptime(text, "%d %B %Y, %H:%M")
            assert since.utcoffset() == now.utcoffset()
            for told in (logged, reported):
                assert abs(now.replace(tzinfo=None) - told) < dt.timedelta(minutes=10)
            page.unlink()
            made[zone] = files(own / "repaired"), files(own / "state" / "cameras")

        assert made["UTC"] == made["America/New_York"] == made["Asia/Kolkata"]

    def test_one_core_and_512_mb_do_its_job(
        self, home: Contained, tmp_path: Path
    ) -> None:
        """With 30 MB the kernel kills it.  On real photos too, where there are any."""
        for path in (tmp_path / "photos").iterdir():
            path.unlink()
        x, y = control_group.write_large_photos(tmp_path / "photos" / "large", 20)
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "hotpixeld.yaml").write_text(
            f"folders: [{{path: /photos, repaired: /repaired}}]\ncameras:\n"
            f"  - {{make: Maker, size: [4000, 3000], pixels: [[{x}, {y}]]}}\n"
        )
        home = dataclasses.replace(
            home, mounts={**home.mounts, "/config": tmp_path / "config"}
        )
        if sets := os.environ.get("HOTPIXELD_PHOTOS"):
            shutil.copytree(f"{sets}/canon-1100d", tmp_path / "photos" / "canon-1100d")
        count = len(files(tmp_path / "photos"))
        command = home.command("run", "--once", "--quiet")
        try:
            starved = control_group.on_a_small_machine(command, 30 << 20)
        except OSError as error:
            pytest.skip(f"no control groups with memory: {error}")
        began = time.monotonic()
        done = control_group.on_a_small_machine(command)
        took = time.monotonic() - began
        copies = files(tmp_path / "repaired")
        print(  # noqa: T201 - a record of the pace
            f"{count} photos in {took:.0f} s, {count / took:.1f} a second, peak"
            f" {done.peak / 1e6:.0f} MB, {len(copies)} files written"
        )

        assert starved.kills == 1
        assert (done.status, done.kills) == (0, 0), done.output
        assert sum(name.startswith("large/c_") for name in copies) == 20

"""The wheel: built by its one command, and run where there is no compiler and no libjpeg.

Takes minutes and the package indexes, so only with HOTPIXELD_LONG=1 and as root, who may
change the root folder; what it exports is tested without.  HOTPIXELD_WHEEL names one that was
built before, as for another processor, which QEMU then emulates.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from PIL import Image

from days.world import files
from deploy.conftest import ROOT
from hotpixeld.jpeg import coefficients
from sensor import Sensor, scattered

BARE = "/root/.local/bin/hotpixeld"
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
COMPILERS_AND_LIBRARIES = ("cc", "gcc", "clang", "libjpeg", "libturbojpeg")


long = pytest.mark.skipif(
    not os.environ.get("HOTPIXELD_LONG") or os.geteuid() != 0,
    reason="HOTPIXELD_LONG is not set, or this is not root",
)


def test_the_transform_that_a_wheel_has_inside_is_all_that_python_calls() -> None:
    exports = (ROOT / "deploy" / "wheels" / "exports.map").read_text()
    called = re.findall(r"library\.(tj\w+)", (ROOT / coefficients.__file__).read_text())

    assert set(re.findall(r"tj\w+", exports)) == set(called)


def build(target: str) -> Path:
    """Build a wheel or the source distribution."""
    done = subprocess.run(
        [ROOT / "deploy" / "wheels" / "build", target],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)  # noqa: T201 - a record of the size
    return ROOT / done.stdout.splitlines()[-1].split(":")[0]


@pytest.fixture(scope="module")
def wheel() -> Path:
    """Return the wheel for this machine, or that which is named.

    The command that builds it checks platform and size.
    """
    if built := os.environ.get("HOTPIXELD_WHEEL"):
        return Path(built).absolute()
    return build(os.uname().machine)


DOWNLOAD = [sys.executable, "-m", "pip", "download", "--quiet"]


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root file system with pipx and the wheel, and nothing to build with."""
    root = tmp_path_factory.mktemp("bare") / "root"
    processor = wheel.stem.partition("_2_17_")[2]
    tree = ["mmdebstrap", "--quiet", "--variant=apt", "--include=pipx"]
    tree += [f"--architectures={DEBIAN[processor]}", "bookworm", str(root)]
    subprocess.run(tree, check=True)
    house = root / "wheels"
    download = [*DOWNLOAD, "--dest", str(house)]
    download += ["--only-binary", ":all:", "--python-version=3.11"]
    for glibc in ("2_17", "2_27", "2_28", "2_34"):
        download += ["--platform", f"manylinux_{glibc}_{processor}"]
    # pipx keeps a pip of its own.
    wanted = [f"hotpixeld @ file://{wheel}", "pip", "setuptools", "wheel"]
    subprocess.run([*download, *wanted], check=True)
    alone = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
    install = ["chroot", str(root), "pipx", "install", "hotpixeld"]
    subprocess.run(install, check=True, env={**alone, "HOME": "/root"})
    return root


@long
def test_it_does_its_job_where_nothing_else_is_as_an_installed_one_does(
    bare: Path, tmp_path: Path
) -> None:
    """Progressive photos, whose scans are coded anew, among them."""
    outside = [
        path
        for place in ("bin", "lib")
        for path in (bare / "usr" / place).rglob("*")
        if path.name.split(".")[0] in COMPILERS_AND_LIBRARIES
    ]
    assert outside == []
    photos = bare / "photos"
    Sensor(200, 280, defects=scattered(3, 200, 280, levels=(80,))).write(photos, 20)
    for path in sorted(photos.iterdir())[::4]:
        with Image.open(path) as photo:
            photo.save(path, progressive=True, quality="keep", exif=photo.getexif())
    if sets := os.environ.get("HOTPIXELD_PHOTOS"):
        shutil.copytree(f"{sets}/fuji-a200", photos / "fuji-a200")
    shutil.copytree(photos, tmp_path / "photos")
    run = "run", "--once", "--quiet"
    subprocess.run(
        ["chroot", bare, BARE, *run, "/photos", "--state", "/state"], check=True
    )
    here = [sys.executable, "-m", "hotpixeld", *run, str(tmp_path / "photos")]
    subprocess.run([*here, "--state", str(tmp_path / "state")], check=True)
    copies = files(photos / "repaired")
    of_state = files(bare / "state" / "cameras")

    assert sum(name.startswith("c_IMG") for name in copies) == 20
    assert copies == files(tmp_path / "photos" / "repaired")
    assert {name: sha for name, sha in of_state.items() if "footprint" not in name} == {
        name: sha
        for name, sha in files(tmp_path / "state" / "cameras").items()
        if "footprint" not in name
    }


@long
@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_the_source_distribution_builds_and_works_in_a_fresh_debian(
    release: str, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    need = "--include=python3-venv,gcc,libc6-dev,libjpeg-dev"
    tree = ["mmdebstrap", "--quiet", "--variant=apt", need, release, str(root)]
    subprocess.run(tree, check=True)
    source = Path(shutil.copy(build("sdist"), root))
    house = root / "wheels"
    download = [*DOWNLOAD, "--dest", str(house)]
    version = {"bookworm": "3.11", "trixie": "3.13"}[release]
    download += ["--only-binary", ":all:", "--python-version", version, "hatchling"]
    needs = metadata.requires("hotpixeld") or []
    needs = [need for need in needs if "extra ==" not in need]
    subprocess.run([*download, *needs], check=True)
    alone = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
    inside = ["chroot", str(root)]
    subprocess.run([*inside, "python3", "-m", "venv", "/opt/own"], check=True)
    install = ["/opt/own/bin/pip", "install", "--quiet", f"/{source.name}"]
    subprocess.run([*inside, *install], check=True, env=alone)
    Sensor(200, 280, defects=scattered(3, 200, 280, levels=(80,))).write(
        root / "photos", 20
    )
    run = ["/opt/own/bin/hotpixeld", "run", "--once", "/photos", "--state", "/state"]
    done = subprocess.run([*inside, *run], check=True, capture_output=True, text=True)

    assert "20 copies in all" in done.stdout

"""The mount table: literal ones, and the kernel's own."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

import fuse
from hotpixeld.watch import survey
from hotpixeld.watch.survey import MountTable

if TYPE_CHECKING:
    from pathlib import Path

TABLE = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:40 / /srv/nas rw,relatime shared:7 master:2 - nfs4 nas:/photos rw,vers=4.2
23 21 0:41 / /srv/nas\040two rw - cifs //nas/two rw
24 21 8:17 / /media/anna/card rw - vfat /dev/sdb1 rw
25 21 0:42 / /home/anna/phone rw - fuse.simple-mtpfs mtp rw
26 21 0:43 / /mnt/windows rw - fuseblk /dev/sda3 rw
27 21 0:44 / /data rw - overlay overlay rw,lowerdir=/srv/nas/base,upperdir=/u,workdir=/w
28 21 0:45 / /local rw - overlay overlay rw,lowerdir=/a:/b\134,c,upperdir=/u,workdir=/w
29 21 8:18 / /srv/nas rw - ext4 /dev/sdc1 rw
""".strip()


@pytest.mark.parametrize(
    ("path", "silent"),
    [
        ("/srv/photos", None),
        ("/srv/nas two/import", "cifs"),
        ("/srv/nas tw", None),
        ("/media/anna", None),
        ("/home/anna", "fuse.simple-mtpfs"),
        ("/home/anna/phone/DCIM", "fuse.simple-mtpfs"),
        ("/mnt/windows", None),
        ("/local", None),
    ],
)
def test_inotify_is_silent_on_and_above_what_other_machines_change(
    path: str, silent: str | None
) -> None:
    assert survey.silent(path, survey.parse_mounts(TABLE)) == silent


def test_what_lies_on_top_counts() -> None:
    below, table = survey.parse_mounts(TABLE)[:-1], survey.parse_mounts(TABLE)

    assert survey.silent("/srv/nas", below) == "nfs4"
    assert survey.silent("/data/import", below) == "overlay on nfs4"
    holder = survey.holding("/srv/nas", table)
    assert holder is not None
    assert holder.type == "ext4"


def test_the_mounts_at_and_below_a_folder_are_its_own_and_those_in_it() -> None:
    points = [
        each.point for each in survey.at_and_below("/media", survey.parse_mounts(TABLE))
    ]

    assert points == ["/", "/media/anna/card"]


def test_names_in_the_table_may_be_anything() -> None:
    line = r"30 21 0:9 / /mnt/\303\251\377\011\134 rw - vfat /dev/sdb1 rw"
    (mount,) = survey.parse_mounts(line.encode("ascii").decode("latin-1"))

    assert os.fsencode(mount.point) == b"/mnt/\xc3\xa9\xff\t\\"


def test_the_kernels_own_table_is_read(tmp_path: Path) -> None:
    table = survey.mount_table()
    holder = survey.holding(os.path.realpath(tmp_path), table)

    assert holder is not None
    assert os.path.ismount(holder.point)


def test_a_change_of_the_table_is_noticed_once(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    table = MountTable()
    table.has_changed()
    command = ["mount", "-t", "tmpfs", "hotpixeld-test", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
    try:
        mounted = table.has_changed(), table.has_changed()
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    unmounted = table.has_changed(), table.has_changed()
    table.close()

    assert mounted == unmounted == (True, False)
    assert not table.has_changed()


def test_inotify_is_silent_on_a_real_fuse_where_it_is_bound_and_under_an_overlay(
    tmp_path: Path,
) -> None:
    """A container's /photos is such a binding."""
    names = ("behind", "shown", "bound", "upper", "work", "merged")
    places = {name: tmp_path / name for name in names}
    for place in places.values():
        place.mkdir()
    layers = "lowerdir={shown},upperdir={upper},workdir={work}".format_map(places)
    overlay = ["mount", "-t", "overlay", "overlay", "-o", layers]
    with fuse.mounted(places["behind"], places["shown"]):
        binding = [str(places[name]) for name in ("shown", "bound")]
        subprocess.run(["mount", "--bind", *binding], check=True)
        subprocess.run([*overlay, str(places["merged"])], check=True)
        table = survey.mount_table()
        found = {
            name: survey.silent(os.path.realpath(place), table)
            for name, place in places.items()
        }
        for name in ("merged", "bound"):
            subprocess.run(["umount", places[name]], check=True)

    assert (found["behind"], found["shown"], found["bound"]) == (None, "fuse", "fuse")
    assert found["merged"] == "overlay on fuse"

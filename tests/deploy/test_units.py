"""What deploy/ says about the program is true, without a machine to install on."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from hotpixeld.config import load
from hotpixeld.errors import ExitCode
from hotpixeld.messages import MessageId
from hotpixeld.service import sandbox
from hotpixeld.service.logs import FIELDS
from hotpixeld.store import state_folder

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = ("hotpixeld.service", "hotpixeld@.service", "user/hotpixeld.service")
SCRIPTS = (
    *("setup", "install", "need", "package", "hotpixeld-apply"),
    *("wheels/build", "container/build"),
)


class Unit(configparser.RawConfigParser):
    """A unit file, as far as these tests need it: the last setting of a name holds."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, comment_prefixes=("#",), delimiters=("=",))
        self.read(DEPLOY / name)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_the_program_and_knows_its_exit_code(name: str) -> None:
    service = Unit(name)["Service"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    program, command, *_ = service["ExecStart"].split()

    assert Path(program).name in project["scripts"]
    assert Path(program).is_relative_to("/opt/hotpixeld/bin")
    assert command == "run"
    assert service["Type"] == "notify"
    assert service["RestartPreventExitStatus"] == str(int(ExitCode.CONFIG))


def test_the_units_differ_only_in_whose_they_are() -> None:
    one, other = (Unit(name)["Service"] for name in UNITS[:2])
    different = {name for name in {*one, *other} if one.get(name) != other.get(name)}

    own = {"ExecStart", "User", "Group", "UMask", "StateDirectory", "RuntimeDirectory"}

    assert different == own


@pytest.mark.parametrize("name", UNITS[:2])
def test_a_unit_names_the_command_that_opens_folders(name: str) -> None:
    text = (DEPLOY / name).read_text()
    (command,) = re.findall(
        rf'^Environment="{sandbox.COMMAND_VARIABLE}=(.+)"$', text, re.MULTILINE
    )

    assert command.removeprefix("sudo ").split()[0] in SCRIPTS


def test_what_tells_people_runs_beside_the_daemon_with_its_state_and_a_network() -> (
    None
):
    service, daemon = (
        Unit("hotpixeld-notify.service")["Service"],
        Unit(UNITS[0])["Service"],
    )
    program, command, *rest = service["ExecStart"].split()

    assert command == "notify"
    assert daemon["ExecStart"].split() == [program, "run", *rest]
    for name in ("User", "StateDirectory", "StateDirectoryMode"):
        assert service[name] == daemon[name]
    assert "PrivateNetwork" not in service
    assert "AF_INET" in service["RestrictAddressFamilies"].split()
    assert service["SuccessExitStatus"] == str(int(ExitCode.PARTLY))
    assert Unit("hotpixeld-notify.path")["Path"]["PathChanged"] == str(
        state_folder.notify_due(state_folder.SYSTEM_STATE)
    )


@pytest.mark.parametrize("name", [*UNITS[:2], "hotpixeld-notify.service"])
def test_the_exposure_is_at_most_1_5(name: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15"]
    done = subprocess.run(
        [*command, DEPLOY / name], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


def catalog() -> dict[str, str]:
    """Return the entries of the catalog by message id."""
    entries = re.split(
        r"^-- ", (DEPLOY / "hotpixeld.catalog").read_text(), flags=re.MULTILINE
    )
    return {entry[:32]: entry[33:] for entry in entries[1:]}


def test_the_catalog_explains_every_kind_of_message() -> None:
    entries = catalog()

    assert list(entries) == list(MessageId)
    for entry in entries.values():
        head, _, body = entry.partition("\n\n")
        assert head.startswith("Subject: ")
        assert body.strip()
        assert set(re.findall("@([A-Z0-9_]+)@", entry)) <= set(FIELDS)


def test_the_readme_names_what_there_is() -> None:
    text = (DEPLOY / "README.md").read_text()
    ids = re.findall("MESSAGE_ID=([0-9a-f]{32})", text)

    assert ids == [MessageId.DEFECT_FOUND]
    for named in re.findall(r"(?<!tests/)deploy/([\w/.-]*\w)", text):
        assert named in SCRIPTS if "." not in named else (DEPLOY / named).is_file()


@pytest.mark.parametrize("folder", ["/srv/hotpixeld", "~/Pictures"])
def test_the_configuration_that_apply_writes_watches_one_folder(
    folder: str, tmp_path: Path
) -> None:
    script = (DEPLOY / "hotpixeld-apply").read_text()
    (command,) = re.findall(
        r"^    (sed .+?) >\"\$configuration", script, re.MULTILINE | re.DOTALL
    )
    settings = {"folder": folder, "program": str(tmp_path)}
    share = tmp_path / "share" / "hotpixeld"
    share.mkdir(parents=True)
    shutil.copy(ROOT / "config" / "hotpixeld.yaml", share)
    written = subprocess.run(
        ["sh", "-euc", command],
        env=settings,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    config = load.parse(written, tmp_path / "hotpixeld.yaml")

    assert [one.path for one in config.folders] == [Path(folder).expanduser()]
    assert "#    repaired: repaired" in written
    assert "yaml-language-server" not in written


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_sound(name: str) -> None:
    path = DEPLOY / name
    assert path.stat().st_mode & 0o111
    (shell,) = re.findall(r"^#!/bin/(\w+)\n", path.read_text())
    checks = [[shell, "-n"]]
    if shutil.which("shellcheck"):
        checks.append(["shellcheck"])
    for check in checks:
        done = subprocess.run(
            [*check, path], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


# What the scripts need, under the names that these releases have for it.
EVERYWHERE = (
    *("systemd", "libsystemd-dev", "gcc", "libc6-dev", "libjpeg-dev"),
    *("python3", "python3-venv", "python3-dev"),
)
NAMES = {
    "debian-12": (*EVERYWHERE, "libturbojpeg0", "pkgconf"),
    "ubuntu-24.04": (*EVERYWHERE, "libturbojpeg", "pkgconf"),
    "with-the-old-pkg-config": (*EVERYWHERE, "libturbojpeg", "pkg-config"),
}


@pytest.mark.parametrize("release", NAMES)
@pytest.mark.parametrize("script", ["setup", "install"])
def test_every_package_is_found_under_the_name_that_a_release_gives_it(
    script: str, release: str, tmp_path: Path
) -> None:
    """With apt itself, on an index of that release and a machine that has nothing yet."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        pytest.skip("there is no apt-get, or it would need sudo")
    about = (
        "Package: {0}\nVersion: 1\nArchitecture: all\nFilename: ./{0}.deb\nSize: 1\n"
        f"SHA256: {0:064}\n\n"
    )
    index = "".join(map(about.format, NAMES[release]))
    (tmp_path / "Packages").write_text(index)
    for part in (
        "lists/partial",
        "cache/archives/partial",
        "dpkg/updates",
        "dpkg/info",
    ):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "dpkg" / "status").touch()
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{tmp_path} ./\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list"; Dir::Etc::sourceparts "-";'
        f'Dir::State "{tmp_path}"; Dir::State::status "{tmp_path}/dpkg/status";'
        f'Dir::Cache "{tmp_path}/cache"; APT::Sandbox::User "root";'
        'APT::Get::Simulate "true"; quiet::NoStatistic "true";'
    )
    text = (DEPLOY / script).read_text().replace("\\\n", " ")
    calls = re.findall(r"^ *(deploy/need .+)$", text, re.MULTILINE)
    done = subprocess.run(
        ["sh", "-euc", "\n".join(calls)],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "APT_CONFIG": f"{tmp_path}/apt.conf",
            "DPKG_ADMINDIR": f"{tmp_path}/dpkg",
        },
        check=False,
        capture_output=True,
        text=True,
    )

    assert calls
    assert done.returncode == 0, done.stdout + done.stderr
    chosen = re.findall(r"^Inst (\S+)", done.stdout, re.MULTILINE)
    assert set(chosen) == set(NAMES[release])

"""hotpixeld installed on a machine with a real systemd: what an administrator relies on.

The tests share one machine and run from installing to removing; each brings photos and a
configuration of its own.
"""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import documents
from deploy.conftest import ROOT, SOURCE, put_source
from deploy.machine import Machine, until
from hotpixeld.messages import MessageId
from hotpixeld.store import ledger as store_ledger
from sensor import Sensor, exposed, scattered, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.slow

SHARED = "/srv/hotpixeld"
SENSOR = Sensor(height=200, width=280, defects=scattered(1, 200, 280, levels=(80,)))
NUMBERS = itertools.count()
"""No photo is used twice: each is new to the daemon."""


COUNT = """
import json, sqlite3, sys
ledger = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
images = "SELECT outcome, count(*) FROM images WHERE camera GLOB ? GROUP BY outcome"
counted = dict(ledger.execute(images, sys.argv[2:]))
states = "SELECT coalesce(sum(photos), 0) FROM cameras WHERE id GLOB ?"
((counted["in states"],),) = ledger.execute(states, sys.argv[2:])
print(json.dumps(counted))
"""


@dataclass(frozen=True)
class Service:
    """One hotpixeld service on the machine."""

    machine: Machine
    unit: str
    settings: str
    state: str
    user: str

    def show(self, name: str) -> str:
        return self.machine.run(
            "systemctl", "show", f"--property={name}", "--value", self.unit
        ).strip()

    def ctl(self, verb: str, *, check: bool = True) -> str:
        return self.machine.run("systemctl", verb, self.unit, check=check)

    def configure(self, *folders: str, extra: str = "") -> None:
        """Write the configuration: these folders, and the defect of the camera."""
        defect = SENSOR.defects[0]
        lines = [f"  - {{path: {folder}, settle_seconds: 0.2}}" for folder in folders]
        self.machine.path(self.settings).write_text(
            "\n".join(["folders:", *lines])
            + "\ncameras:\n  - {model: Model One, size: [280, 200],"
            f" pixels: [[{defect.col}, {defect.row}]]}}\n{extra}"
        )

    def apply(self) -> None:
        arguments = [] if self.user == "hotpixeld" else [self.user]
        self.machine.run("hotpixeld-apply", *arguments)

    def photos(self, camera: str = "") -> dict[str, int]:
        """Return the images by outcome, in a tenth of the time of `hotpixeld status`.

        And how many photos the states say that they hold.  Of the cameras in whose ids
        there is this text.
        """
        ledger = f"{self.state}/ledger.sqlite3"
        count = ("/usr/bin/python3", "-I", "-c", COUNT, ledger, f"*{camera}*")
        counted: dict[str, int] = json.loads(self.machine.run(*count))
        return {"folded": 0, "pending": 0, "lost": 0, **counted}

    def spooled(self) -> int:
        """Return how many photos are in the spool."""
        return len(list(self.machine.path(f"{self.state}/spool").iterdir()))

    def known(self) -> int:
        photos = self.photos()
        return photos["folded"] + photos["pending"]

    def drop(self, folder: str, count: int = 1, user: str = "anna") -> list[str]:
        """Let a user put new photos into a folder; return their names."""
        names = []
        for number in itertools.islice(NUMBERS, count):
            path = SENSOR.write(self.machine.path("/tmp"), 1, start=number)[0]  # noqa: S108 - the guest's own
            moved = ["mv", f"/tmp/{path.name}", f"{folder}/{path.name}"]  # noqa: S108 - likewise
            os.chown(path, *self.machine.ids(user))
            self.machine.run(*moved, user=user)
            names.append(path.name)
        return names

    def journal(self, *matches: str) -> list[dict[str, str]]:
        output = self.machine.run(
            "journalctl", "--output=json", f"_SYSTEMD_UNIT={self.unit}", *matches
        )
        return [json.loads(line) for line in output.splitlines() if "{" in line]

    def log(self) -> str:
        return "\n".join(str(one["MESSAGE"]) for one in self.journal())

    def _overrides(self) -> Path:
        return self.machine.path(f"/etc/systemd/system/{self.unit}.d")

    def override(self, text: str) -> None:
        """Set what `systemctl edit` would, and restart; the next `serve` takes it back."""
        (self._overrides() / "90-test.conf").write_text(text)
        self.machine.run("systemctl", "daemon-reload")
        self.ctl("restart")

    def serve(self, *folders: str) -> None:
        """Have the service run on these folders; it may have done so all the time."""
        always, override = (
            self._overrides() / f"{name}.conf" for name in ("80-quick", "90-test")
        )
        path = self.machine.path(self.settings)
        before = path.read_text() if path.exists() else ""
        self.configure(*folders)
        is_same = path.read_text() == before and always.exists()
        if override.exists() or not is_same or self.show("ActiveState") != "active":
            override.unlink(missing_ok=True)
            always.parent.mkdir(exist_ok=True)
            always.write_text("[Service]\nRestartSec=100ms\nTimeoutAbortSec=2\n")
            self.apply()
        until(lambda: ", 0 photos waiting" in self.show("StatusText"), "nothing to do")

    def copy(self, folder: str, name: str) -> Path:
        """Return where the copy of a photo can be read once it is there."""
        path = self.machine.path(f"{folder}/repaired/c_{name}")
        until(path.exists, f"{path}\n{self.log()[-3000:]}")
        return path


@pytest.fixture
def shared(installed: Machine) -> Iterator[Service]:
    """Return the system service, running, on the shared folder."""
    settings = "/etc/hotpixeld/hotpixeld.yaml"
    service = Service(
        installed,
        "hotpixeld.service",
        settings,
        "/var/lib/hotpixeld",
        "hotpixeld",
    )
    installed.run("usermod", "--append", "--groups", "hotpixeld", "anna")
    service.serve(SHARED)
    yield service
    installed.run("systemctl", "reset-failed", service.unit, check=False)


@pytest.fixture
def annas(installed: Machine) -> Service:
    """Return anna's own service, running, on her pictures."""
    service = Service(
        installed,
        "hotpixeld@anna.service",
        "/etc/hotpixeld/anna.yaml",
        "/var/lib/hotpixeld-anna",
        "anna",
    )
    put = (
        "cd; mkdir -p Pictures .ssh .config/nothing Letters 'More \"50%\": a';"
        " echo secret >.ssh/id; echo secret >.netrc; echo secret >Letters/one"
    )
    installed.run("sh", "-c", put, user="anna")
    service.serve("~/Pictures")
    return service


# ptrace(2) is the one way to stop one thread of a process (PTRACE_SEIZE, PTRACE_INTERRUPT);
# its end must be waited for, or the process never ends.
HANG = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for thread in map(int, sys.argv[1:]):
    assert libc.ptrace(0x4206, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    assert libc.ptrace(0x4207, thread, None, None) == 0
try:
    while True:
        os.waitpid(-1, 0x40000000)
except ChildProcessError:
    pass
"""


def numbered_here(machine: Machine, pid: str) -> int:
    """Return the number that a guest's process has here."""
    for status in Path("/proc").glob("[0-9]*/status"):
        main = int(status.parent.name)
        try:
            fields = dict(
                re.findall(r"^(\w+):\s*(.*)$", status.read_text(), re.MULTILINE)
            )
        except OSError:  # it has ended
            continue
        inside = fields["NSpid"].split()
        if len(inside) > 1 and inside[-1] == pid and machine.holds(main):
            return main
    raise AssertionError(f"no process {pid} in the guest")


def threads(machine: Machine, pid: str) -> Iterable[int]:
    """Return the threads of a guest's process but its main one, as numbered here."""
    main = numbered_here(machine, pid)
    numbers = [int(task.name) for task in Path(f"/proc/{main}/task").iterdir()]
    return [number for number in numbers if number != main]


# So short a time asks for a fair share of a machine that may be busy with other tests.
IMPATIENT = "[Service]\nWatchdogSec={}\nNice=0\nIOSchedulingClass=best-effort\n"


@contextlib.contextmanager
def slowed(machine: Machine, pid: str, share: float) -> Iterator[None]:
    """Let a guest's process have a small share of one processor only, evenly."""
    number = numbered_here(machine, pid)
    process, clock = os.pidfd_open(number), (~number << 3) | 2  # clock_getcpuclockid(3)
    over = threading.Event()

    def hold() -> None:
        credit, now, used = 0.0, time.monotonic(), time.clock_gettime(clock)
        while not over.wait(0.005):
            before, now = now, time.monotonic()
            used_before, used = used, time.clock_gettime(clock)
            credit += share * (now - before) - (used - used_before)
            credit = min(max(credit, -0.01), 0.01)  # no long stop after a late look
            word = signal.SIGSTOP if credit < 0 else signal.SIGCONT
            signal.pidfd_send_signal(process, word)
        signal.pidfd_send_signal(process, signal.SIGCONT)

    def hold_while_it_lives() -> None:
        with contextlib.suppress(OSError):
            hold()

    holder = threading.Thread(target=hold_while_it_lives)
    holder.start()
    try:
        yield
    finally:
        over.set()
        holder.join()
        os.close(process)


def test_the_installer_starts_a_service_that_is_ready(installed: Machine) -> None:
    settings = installed.path("/etc/hotpixeld/hotpixeld.yaml").read_text()
    show = installed.run(
        "systemctl",
        "show",
        "--property=ActiveState,UnitFileState,StatusText",
        "hotpixeld",
    )

    assert sorted(show.splitlines()) == [
        "ActiveState=active",
        "StatusText=1 folder, 0 photos waiting",
        "UnitFileState=enabled",
    ]
    assert "\n  - path: /srv/hotpixeld " in settings
    assert settings.count("#") > 30
    assert installed.run("stat", "--format=%A %U %G", SHARED).split() == [
        "drwxrws---",
        "root",
        "hotpixeld",
    ]


def test_the_installer_brings_man_pages_and_completion(installed: Machine) -> None:
    asked = (
        "source /usr/local/share/bash-completion/completions/hotpixeld;"
        " COMP_WORDS=(hotpixeld check); COMP_CWORD=1; _hotpixeld_completion hotpixeld;"
        ' echo "${COMPREPLY[@]}"'
    )
    pages = installed.path("/usr/local/share/man/man1").glob("hotpixeld*.1")

    assert {"hotpixeld.1", "hotpixeld-run.1"} <= {page.name for page in pages}
    assert installed.run("bash", "-c", asked) == "check-config\n"
    assert installed.path("/usr/local/share/zsh/site-functions/_hotpixeld").exists()
    fish = "/usr/local/share/fish/vendor_completions.d/hotpixeld.fish"
    assert installed.path(fish).exists()


def test_the_units_are_sound_and_shut_in(installed: Machine) -> None:
    units = ("hotpixeld.service", "hotpixeld@anna.service")
    notify = [f"hotpixeld-notify.{kind}" for kind in ("service", "path", "timer")]
    assert installed.run("systemd-analyze", "verify", *units, *notify) == ""
    user_unit = "/usr/local/lib/systemd/user/hotpixeld.service"
    runtime = ("env", "XDG_RUNTIME_DIR=/tmp")  # it asks for one, whatever is in it
    assert (
        installed.run(*runtime, "systemd-analyze", "verify", "--user", user_unit) == ""
    )
    for unit in (*units, notify[0]):
        told = installed.run("systemd-analyze", "security", "--no-pager", unit)
        line = told.splitlines()[-1]
        print(line)  # noqa: T201 - the figure is to be shown
        figure = re.search(r"([0-9.]+) (SAFE|OK)", line)
        assert figure
        assert float(figure[1]) <= 1.5


def test_people_at_the_machine_come_first(shared: Service) -> None:
    status = shared.machine.path(f"/proc/{shared.show('MainPID')}/stat").read_text()
    niceness = status.rpartition(")")[2].split()[16]
    names = ("IOSchedulingClass", "CPUWeight", "IOWeight", "MemoryHigh", "MemoryMax")
    settings = [shared.show(name) for name in names]

    assert niceness == "10"
    assert settings == ["3", "20", "20", str(1500 << 20), str(3 << 30)]


def test_a_start_blocks_until_the_folders_are_watched(shared: Service) -> None:
    shared.ctl("stop")
    before = len(shared.journal())
    shared.ctl("start")
    log = "\n".join(str(one["MESSAGE"]) for one in shared.journal()[before:])
    began, ready = (
        int(shared.show(f"{name}TimestampMonotonic"))
        for name in ("ExecMainStart", "ActiveEnter")
    )

    assert shared.show("ActiveState") == "active"
    assert "watching 1 folder" in log
    assert ready - began > 50_000, "no Python is ready at once"


def test_a_copy_in_a_shared_folder_is_for_its_group(shared: Service) -> None:
    (name,) = shared.drop(SHARED)
    copy = shared.copy(SHARED, name)
    about = shared.machine.run(
        "stat", "--format=%A %U %G", f"{SHARED}/repaired", f"{SHARED}/repaired/c_{name}"
    )

    assert about.split() == [
        *("drwxrws---", "hotpixeld", "hotpixeld"),
        *("-rw-rw----", "hotpixeld", "hotpixeld"),
    ]
    assert copy.read_bytes() != shared.machine.path(f"{SHARED}/{name}").read_bytes()
    shared.machine.run("test", "-r", f"{SHARED}/repaired/c_{name}", user="anna")
    shared.machine.run("rm", f"{SHARED}/repaired/c_{name}", user="anna")


def test_a_setgid_folder_of_another_group_keeps_it(shared: Service) -> None:
    run = shared.machine.run
    run("groupadd", "--force", "studio")
    run("usermod", "--append", "--groups", "studio", "hotpixeld")
    run("usermod", "--append", "--groups", "studio", "anna")
    run("install", "-d", "-m", "2770", "-g", "studio", "/srv/studio")
    shared.configure(SHARED, "/srv/studio")
    shared.apply()
    (name,) = shared.drop("/srv/studio")
    shared.copy("/srv/studio", name)
    about = run("stat", "--format=%A %G", f"/srv/studio/repaired/c_{name}")

    assert about.split() == ["-rw-rw----", "studio"]


def test_a_copy_of_ones_own_photo_is_ones_own(annas: Service) -> None:
    (name,) = annas.drop("/home/anna/Pictures")
    copy = annas.copy("/home/anna/Pictures", name)

    assert copy.stat().st_uid == annas.machine.ids("anna")[0]
    assert f"last photo: pending {name}" in annas.show("StatusText")


def test_of_a_home_the_service_reads_and_writes_its_folders_and_nothing_else(
    annas: Service,
) -> None:
    run = annas.machine.run
    inside = ["nsenter", "--target", annas.show("MainPID"), "--mount", "sh", "-c"]
    # The same user as the service, in its sandbox: the mode is not what forbids it.
    asked = (
        "cd /home/anna; cat .ssh/id .netrc Letters/one; ls .config; touch a Pictures/b"
    )
    told = run("runuser", "-u", "anna", "--", "sh", "-c", f"{asked}; :")
    run("rm", "-f", "/home/anna/a", "/home/anna/Pictures/b")
    shut = run(*inside, f"runuser -u anna -- sh -c '{asked}; :'")

    assert told == "secret\nsecret\nsecret\nnothing\n"
    assert sorted(re.findall(r"^\w+: .*?'?(\S+?)'?: (\w.+)", shut, re.MULTILINE)) == [
        (".config", "Permission denied"),
        (".netrc", "Permission denied"),
        (".ssh/id", "Permission denied"),
        ("Letters/one", "Permission denied"),
        ("a", "Read-only file system"),
    ]
    assert annas.machine.path("/home/anna/Pictures/b").exists()


def test_a_reload_reads_a_new_shared_folder_and_apply_opens_it(shared: Service) -> None:
    shared.machine.run("install", "-d", "-m", "2770", "-g", "hotpixeld", "/srv/more")
    shared.configure(SHARED, "/srv/more")
    shared.ctl("reload")
    known = shared.known()
    (name,) = shared.drop("/srv/more")
    until(lambda: shared.known() == known + 1, "the photo is known at once")
    advice = (
        "/srv/more/repaired: copies wait: not writable for the service:"
        " run `sudo hotpixeld-apply`"
    )

    until(lambda: advice in shared.show("StatusText"), "the status says what to do")
    assert not shared.machine.path("/srv/more/repaired").exists()
    (entry,) = shared.journal(f"MESSAGE_ID={MessageId.FOLDER_CLOSED}")[-1:]
    assert (entry["MESSAGE"], entry["PRIORITY"]) == (advice, "4")
    shared.machine.run("sh", "-c", advice.split("`")[1].removeprefix("sudo "))
    shared.copy("/srv/more", name)
    assert shared.known() == known + 1
    until(lambda: "wait:" not in shared.show("StatusText"), "the fault is over")


def test_a_reload_reads_a_new_folder_of_a_home_and_apply_opens_it(
    annas: Service,
) -> None:
    folder = '/home/anna/More "50%": a'
    annas.machine.run("mkdir", "-p", folder, user="anna")
    annas.configure("~/Pictures", f"'{folder}'")
    annas.ctl("reload")
    known = annas.known()
    (name,) = annas.drop(folder)
    until(lambda: annas.known() == known + 1, "the photo is known at once")
    advice = (
        f"{folder}/repaired: copies wait: not writable for the service:"
        " run `sudo hotpixeld-apply anna`"
    )

    until(lambda: advice in annas.show("StatusText"), "the status says what to do")
    assert not annas.machine.path(f"{folder}/repaired").exists()
    annas.machine.run("hotpixeld-apply", "anna")
    copy = annas.copy(folder, name)
    assert annas.known() == known + 1
    assert copy.stat().st_uid == annas.machine.ids("anna")[0]


def test_a_broken_configuration_changes_nothing_on_reload(shared: Service) -> None:
    shared.machine.path(shared.settings).write_text("fodlers: []\n")
    shared.ctl("reload")
    problem = f"{shared.settings}:1: unknown key 'fodlers': did you mean 'folders'?"
    until(lambda: problem in shared.show("StatusText"), "the status says what is wrong")
    entry = shared.journal(f"MESSAGE_ID={MessageId.CONFIGURATION_REFUSED}")[-1]
    (name,) = shared.drop(SHARED)

    assert entry["MESSAGE"].endswith(problem)
    assert entry["PRIORITY"] == "3"
    shared.copy(SHARED, name)
    assert shared.machine.code("hotpixeld-apply") == 78
    assert shared.show("ActiveState") == "active"
    shared.configure(SHARED)
    shared.ctl("reload")
    until(lambda: "refused" not in shared.show("StatusText"), "the fault is over")


def test_a_broken_configuration_at_the_start_is_no_loop(shared: Service) -> None:
    hook = shared.machine.path("/etc/systemd/system/tell@.service")
    hook.write_text("[Service]\nType=oneshot\nExecStart=touch /run/told-%i\n")
    shared.override("[Unit]\nOnFailure=tell@%n.service\n")
    shared.ctl("stop")
    shared.machine.path(shared.settings).write_text("fodlers: []\n")
    shared.ctl("start", check=False)

    assert shared.show("ActiveState") == "failed"
    assert shared.show("ExecMainStatus") == "78"
    assert shared.show("NRestarts") == "0"
    until(shared.machine.path(f"/run/told-{shared.unit}").exists, "the hook is called")


def test_kill_9_loses_nothing(shared: Service) -> None:
    known, restarts = shared.known(), int(shared.show("NRestarts"))
    shared.drop(SHARED, 6)
    until(lambda: shared.known() > known, "a photo is pending")
    shared.machine.run("kill", "-9", shared.show("MainPID"))
    until(lambda: int(shared.show("NRestarts")) == restarts + 1, "it is restarted")
    until(lambda: shared.known() == known + 6, "every photo is known")

    assert shared.photos()["lost"] == 0


def test_a_stopped_process_trips_the_watchdog(shared: Service) -> None:
    shared.override(IMPATIENT.format(2))
    pid, known = shared.show("MainPID"), shared.known()
    shared.machine.run("kill", "-STOP", pid)
    shared.drop(SHARED)
    until(
        lambda: shared.show("MainPID") not in {pid, "0"}, "it is killed and restarted"
    )

    until(lambda: shared.known() == known + 1, "the photo is known")
    assert "Watchdog timeout" in shared.machine.run("journalctl", "--unit", shared.unit)


def test_a_hung_worker_trips_the_watchdog(shared: Service) -> None:
    """Only the workers hang: the main loop runs and could feed a watchdog."""
    shared.override(IMPATIENT.format(2))
    pid, known = shared.show("MainPID"), shared.known()
    batch = shared.machine.path("/srv/batch")
    for number in itertools.islice(NUMBERS, 60):
        (path,) = SENSOR.write(batch, 1, start=number)
        os.chown(path, *shared.machine.ids("hotpixeld"))
    shared.machine.run("mv", "/srv/batch", f"{SHARED}/batch")
    until(lambda: shared.known() > known, "the batch is under way")
    hung = list(map(str, threads(shared.machine, pid)))
    holder = subprocess.Popen([sys.executable, "-c", HANG, *hung])
    assert shared.known() < known + 60, "there is nothing left to hang in"
    until(
        lambda: shared.show("MainPID") not in {pid, "0"}, "it is killed and restarted"
    )

    until(lambda: shared.known() == known + 60, "every photo is known")
    assert 'File "' in shared.log(), "the log says where it hung"
    assert holder.wait(10) == 0


LARGE = "1600x1200"


def put_large(shared: Service, seed: int, count: int) -> None:
    """Put photos of another camera beside the watched folder."""
    folder, rng = shared.machine.path("/srv/large"), np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    for number in range(count):
        path = folder / f"{seed}{number}.JPG"
        write_jpeg(path, rng.integers(0, 256, (1200, 1600, 3), np.uint8))
        os.chown(path, *shared.machine.ids("hotpixeld"))


def test_on_a_slow_machine_a_pass_and_a_map_are_no_hang(shared: Service) -> None:
    """They take longer than the watchdog waits."""
    run = shared.machine.run

    def is_mapped() -> bool:  # that camera; the other one's map may be made before
        return LARGE in shared.show("StatusText").partition("last map")[2]

    shared.configure(SHARED, extra="detection: {min_photos: 4}\n")
    shared.override(IMPATIENT.format(4))
    pid = shared.show("MainPID")
    put_large(shared, seed=0, count=4)
    run("sh", "-c", f"mv /srv/large/0[012].JPG {SHARED}")
    until(lambda: shared.photos(LARGE)["pending"] == 3, "three wait for the fourth")
    with slowed(shared.machine, pid, share=0.06):
        # From the photo on: what is published between pass and map may come late.
        began = time.monotonic()
        run("mv", "/srv/large/03.JPG", SHARED)
        until(is_mapped, "the map is made")
        made = time.monotonic()

    assert made - began > 4, "longer than the watchdog waits"
    assert shared.show("MainPID") == pid, "it was never restarted"
    assert shared.photos(LARGE)["in states"] == 4


def test_on_a_slow_machine_a_stop_gives_up_the_pass_and_loses_nothing(
    shared: Service,
) -> None:
    """Even the stop takes longer than one may: it asks for more time."""
    run = shared.machine.run
    shared.configure(SHARED, extra="detection: {min_photos: 4}\n")
    shared.override(IMPATIENT.format(60) + "TimeoutStopSec=2\n")
    before = shared.photos(LARGE)
    assert before["pending"] == 0
    put_large(shared, seed=1, count=12)
    run("sh", "-c", f"mv /srv/large/1[0-6].JPG {SHARED}")
    until(lambda: shared.photos(LARGE)["pending"] == 7, "seven wait for the eighth")
    cameras = shared.machine.path(f"{shared.state}/cameras")
    generations = len(list(cameras.glob(f"*{LARGE}*/0*")))
    with slowed(shared.machine, shared.show("MainPID"), share=0.02):
        run("mv", "/srv/large/17.JPG", SHARED)
        until(
            lambda: len(list(cameras.glob(f"*{LARGE}*/0*"))) > generations,
            "the pass writes a generation",
        )
        began = time.monotonic()
        shared.ctl("stop")
        stopped = time.monotonic()

    assert stopped - began > 2, "longer than a stop may take"
    assert shared.show("Result") == "success"
    assert shared.photos(LARGE) == {**before, "pending": 8}, "the pass was given up"
    assert len(list(cameras.glob(f"*{LARGE}*/0*"))) == generations
    run("sh", "-c", f"rm {SHARED}/1[0-7].JPG; mv /srv/large/1*.JPG {SHARED}")
    shared.ctl("start")
    until(lambda: shared.photos(LARGE)["folded"] == before["folded"] + 12, "all of it")
    after = shared.photos(LARGE)
    assert (after["in states"], after["lost"]) == (after["folded"], 0)


def _knows(service: Service, photos: int) -> bool:
    return service.known() == photos


def test_a_stop_keeps_what_is_pending_though_its_files_go(shared: Service) -> None:
    shared.override(IMPATIENT.format(60))
    names: list[str] = []
    while not names or not shared.photos()["pending"]:  # a pass may just have been due
        due = shared.known() + 3
        names += shared.drop(SHARED, 3)
        until(partial(_knows, shared, due), "the photos are known")
        until(
            lambda: ", 0 photos waiting" in shared.show("StatusText"), "nothing to do"
        )
    began = time.monotonic()
    shared.ctl("stop")
    seconds = time.monotonic() - began
    before = shared.photos()

    assert seconds < 2
    assert shared.show("Result") == "success"
    assert before["pending"]
    assert shared.spooled() == before["pending"]
    shared.machine.run("rm", *(f"{SHARED}/{name}" for name in names))
    shared.ctl("start")
    now = shared.photos()  # a pass may be due at once: ten photos were pending
    kept = before["folded"] + before["pending"]
    assert (now["folded"] + now["pending"], now["lost"]) == (kept, before["lost"])
    shared.drop(SHARED, 20)  # now a pass is due, and the oldest are the first in it
    until(lambda: shared.known() == kept + 20, "the new photos are known")
    until(lambda: shared.photos()["folded"] >= kept, "what was kept is folded")
    after = shared.photos()
    assert after["in states"] == after["folded"]
    assert (after["folded"] + after["pending"], after["lost"]) == (kept + 20, 0)


def test_after_a_reboot_it_goes_on(shared: Service, annas: Service) -> None:
    known = shared.known()
    *_, name = shared.drop(SHARED, 4)
    until(lambda: shared.known() == known + 4, "the photos are known")
    shared.machine.shutdown()
    shared.machine.boot()
    until(lambda: shared.show("ActiveState") == "active", "it starts by itself")
    until(lambda: annas.show("ActiveState") == "active", "hers too")
    photos = shared.photos()

    assert shared.known() == known + 4
    assert (photos["in states"], photos["lost"]) == (photos["folded"], 0)
    # A pass may end between the two looks.
    until(
        lambda: shared.spooled() == shared.photos()["pending"],
        "the spool holds the pending photos",
    )
    (other,) = shared.drop(SHARED)
    shared.copy(SHARED, name)
    shared.copy(SHARED, other)


def test_a_medium_that_is_unplugged_stops_nothing(shared: Service) -> None:
    run = shared.machine.run
    shared.configure(SHARED, "/media/card/DCIM")
    shared.apply()
    until(lambda: "offline" in shared.show("StatusText"), "the status says so")
    (name,) = shared.drop(SHARED)
    shared.copy(SHARED, name)
    run("mkdir", "-p", "/media/card")
    run("mount", "-t", "tmpfs", "card", "/media/card")
    run("install", "-d", "-m", "2777", "/media/card/DCIM")
    (other,) = shared.drop("/media/card/DCIM")
    shared.copy("/media/card/DCIM", other)
    pid = shared.show("MainPID")
    run("umount", "/media/card")
    until(lambda: "offline" in shared.show("StatusText"), "the status says so again")

    assert shared.show("MainPID") == pid


def test_the_journal_answers_questions(shared: Service) -> None:
    (name,) = shared.drop(SHARED)
    shared.copy(SHARED, name)
    done = f"MESSAGE_ID={MessageId.PHOTO_DONE}"
    until(lambda: shared.journal(done, f"PHOTO={SHARED}/{name}"), "a line about it")
    (entry,) = shared.journal(done, f"PHOTO={SHARED}/{name}")
    defect = SENSOR.defects[0]

    assert entry["OUTCOME"] == "pending"
    assert entry["PIXELS"] == f"{defect.col},{defect.row}"
    assert entry["PRIORITY"] == "6"
    assert re.fullmatch("[0-9a-f]{64}", entry["PHOTO_SHA256"])
    assert entry["CAMERA"] in shared.machine.run("hotpixeld", "map")
    found = f"MESSAGE_ID={MessageId.DEFECT_FOUND}"
    if not shared.journal(found):
        shared.drop(SHARED, 24)
    until(lambda: shared.journal(found), "a defect is found")
    new = {one["PIXELS"]: one["MESSAGE"] for one in shared.journal(found)}
    place = f"{defect.col},{defect.row}"
    assert new[place] == f"new defect of {entry['CAMERA']}: hot pixel at {place}"
    explained = shared.machine.run("journalctl", "--catalog", "-n1", done)
    assert "A photo is done: pending" in explained
    listed = shared.machine.run("journalctl", "--list-catalog")
    assert all(message_id in listed for message_id in MessageId)


class _Heartbeats(http.server.BaseHTTPRequestHandler):
    """Takes a heartbeat."""

    def do_GET(self) -> None:
        """Answer that all is well."""
        self.server.came.set()  # type: ignore[attr-defined] # the test's own server
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_news_is_told_as_it_comes_and_the_heartbeat_goes_out(shared: Service) -> None:
    """The guest's network is this machine's: a server here can be reached from there."""
    machine, told = shared.machine, shared.machine.path(f"{shared.state}/told.jsonl")
    units = ("hotpixeld-notify.path", "hotpixeld-notify.timer")
    assert machine.run("systemctl", "is-enabled", *units, check=False).split() == [
        "disabled",
        "disabled",
    ]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Heartbeats)
    server.came = threading.Event()  # type: ignore[attr-defined] # for the handler
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/heartbeat"
    shared.configure(
        SHARED,
        extra=f"notify:\n  command: [tee, -a, {shared.state}/told.jsonl]\n"
        f"  heartbeat: {address}\n  metrics: {shared.state}/figures.prom\n",
    )
    machine.run("systemctl", "enable", "--now", *units)
    machine.run("systemctl", "start", "hotpixeld-notify.service")
    assert server.came.wait(30)  # type: ignore[attr-defined] # as above
    before = told.read_text() if told.exists() else ""
    (name,) = shared.drop(SHARED)
    broken = machine.path(f"{SHARED}/broken.jpg")
    broken.write_bytes(b"no photo")
    until(lambda: told.exists() and "broken.jpg" in told.read_text(), "it is told")
    machine.run("systemctl", "start", "hotpixeld-notify.service")
    lines = [json.loads(one) for one in told.read_text().splitlines()]
    figures = machine.path(f"{shared.state}/figures.prom").read_text()
    machine.run("systemctl", "disable", "--now", *units)
    server.shutdown()
    server.server_close()
    shared.copy(SHARED, name)
    broken.unlink()

    assert "broken.jpg" not in before
    assert [one["event"] for one in lines if "broken.jpg" in one["message"]] == [
        "photo_failed"
    ]
    assert len({one["id"] for one in lines}) == len(lines)
    assert "hotpixeld_up 1.0\n" in figures


# The commands are root's here: what a document has sudo do, this does.
SUDO = """#!/bin/sh
[ "$1" = -u ] || exec "$@"
user=$2
shift 2
exec runuser -u "$user" -- "$@"
"""


def test_the_commands_that_an_administrator_reads_are_there(
    shared: Service, annas: Service
) -> None:
    """Those of README.md and deploy/README.md, as they are, but for "follow" (-f)."""
    machine = shared.machine
    sudo = machine.path("/usr/local/bin/sudo")
    sudo.write_text(SUDO)
    sudo.chmod(0o755)
    shared.drop(SHARED)
    for number in (1, 2, 3):
        dark = np.full((SENSOR.height, SENSOR.width, 3), 3.0)
        frame = exposed(dark, np.random.default_rng(number), 1.5, SENSOR.defects)
        write_jpeg(machine.path(f"{SOURCE}/CAP_{number}.JPG"), frame)
    commands = documents.administrators_commands()
    for command in commands:
        machine.run("sh", "-euc", f"cd {SOURCE}; {command.removesuffix(' -f')}")

    assert len(set(commands)) > 8
    assert machine.run("stat", "--format=%A", "/srv/photos") == "drwxrws---\n"
    assert annas.show("ActiveState") == "active"
    sudo.unlink()


def test_the_status_is_for_every_user(shared: Service, annas: Service) -> None:
    for one in (shared, annas):
        command = ("hotpixeld", "status", "--json", "--state", one.state)
        told = one.machine.run(*command, user="nobody")

        assert f'"state": "{one.state}"' in told
    unnamed = shared.machine.run("hotpixeld", "status", user="nobody")
    assert f"state: {shared.state} (as its service publishes it)" in unnamed
    assert "daemon: running, process " in unnamed


def test_a_user_runs_it_without_an_administrator(installed: Machine) -> None:
    uid = installed.ids("anna")[0]
    installed.run("systemctl", "start", f"user@{uid}.service")
    environment = ("env", f"XDG_RUNTIME_DIR=/run/user/{uid}")

    def control(*arguments: str) -> str:
        return installed.run(
            *environment, "systemctl", "--user", *arguments, user="anna"
        )

    settings = "/home/anna/.config/hotpixeld/hotpixeld.yaml"
    installed.run(
        "mkdir", "-p", str(Path(settings).parent), "/home/anna/own", user="anna"
    )
    installed.path(settings).write_text(
        "folders: [{path: ~/own, settle_seconds: 0.2}]\n"
    )
    control("enable", "--now", "hotpixeld")
    service = Service(
        installed,
        "user@.service",
        settings,
        "/home/anna/.local/state/hotpixeld",
        "anna",
    )
    service.drop("/home/anna/own", 4)
    status = ("hotpixeld", "status", "--state", service.state)

    assert control("is-active", "hotpixeld") == "active\n"
    until(lambda: "4 photos pending" in installed.run(*status), "her photos are known")
    control("disable", "--now", "hotpixeld")
    assert "4 photos pending" in installed.run(*status)
    assert service.spooled() == 4


# What an earlier version would have left: its tables, with what of today's fits in them.
OLDER = """
import sqlite3, sys
new, path, schema = sys.argv[1:]
older = sqlite3.connect(path)
older.executescript(open(schema).read())
older.execute("ATTACH ? AS new", (new,))
for (table,) in older.execute("SELECT name FROM main.sqlite_master WHERE type='table'"):
    names = ", ".join(row[1] for row in older.execute(f"PRAGMA main.table_info({table})"))
    older.execute(f"INSERT OR IGNORE INTO {table} ({names}) SELECT {names} FROM new.{table}")
older.execute("PRAGMA user_version = 1")
older.commit()
"""


def make_older(service: Service) -> None:
    """Turn a stopped service's ledger into one of version 1."""
    machine, ledger = service.machine, f"{service.state}/ledger.sqlite3"
    shutil.copy(ROOT / "tests" / "store/ledger_v1.sql", machine.path("/run/v1.sql"))
    convert = ("/usr/bin/python3", "-I", "-c", OLDER, ledger, f"{ledger}.older")
    machine.run(*convert, "/run/v1.sql")
    machine.run("sh", "-c", f"rm -f {ledger}-*; mv {ledger}.older {ledger}")
    machine.run("chown", f"{service.user}:", ledger)


def version_of(service: Service) -> str:
    """Return the version of a service's ledger."""
    show = (
        "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute(sys.argv[2]))"
    )
    ask = ("/usr/bin/python3", "-I", "-c", show, f"{service.state}/ledger.sqlite3")
    return service.machine.run(*ask, "PRAGMA user_version").strip("(,)\n")


def test_an_upgrade_keeps_everything(shared: Service, annas: Service) -> None:
    """One service runs, and goes on; the other is stopped, with a ledger of old."""
    known = annas.known()
    annas.drop("/home/anna/Pictures", 4)
    until(lambda: annas.known() == known + 4, "hers are known")
    annas.ctl("stop")
    make_older(annas)
    assert version_of(annas) == "1"
    before = [one.known() for one in (shared, annas)]
    settings = shared.machine.path(shared.settings).read_text()
    pid = shared.show("MainPID")
    put_source(shared.machine)
    shared.machine.run(f"{SOURCE}/deploy/install")
    version = re.search(
        r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )

    assert version
    assert version[1] in shared.machine.run("hotpixeld", "--version")
    assert shared.machine.path(shared.settings).read_text() == settings
    assert shared.show("ActiveState") == "active"
    assert shared.show("MainPID") != pid
    assert annas.show("ActiveState") == "inactive", "what was stopped stays so"
    annas.ctl("start")
    assert version_of(annas) == str(store_ledger.VERSION)
    assert [one.known() for one in (shared, annas)] == before
    for one, folder in ((shared, SHARED), (annas, "/home/anna/Pictures")):
        known = one.known()
        (name,) = one.drop(folder)
        one.copy(folder, name)
        assert one.known() == known + 1, "nothing is folded again"
    assert len(list(shared.machine.path("/opt").glob("hotpixeld-*"))) == 1


def test_removing_it_leaves_the_photos(shared: Service, annas: Service) -> None:
    (name,) = shared.drop(SHARED)
    shared.copy(SHARED, name)
    own = sorted(path.name for path in annas.machine.path("/home/anna").rglob("*.JPG"))
    photos = len(list(shared.machine.path(SHARED).rglob("*.JPG")))
    path = shared.machine.path
    shared.machine.run(f"{SOURCE}/deploy/install", "remove")

    assert shared.show("LoadState") == annas.show("LoadState") == "not-found"
    assert not list(path("/opt").glob("hotpixeld*"))
    assert not list(path("/usr/local/share").rglob("*hotpixeld*"))
    assert path(shared.settings).exists()
    assert path(f"{shared.state}/ledger.sqlite3").exists()
    shared.machine.run(f"{SOURCE}/deploy/install", "remove", "--purge")
    assert not path(shared.state).exists()
    assert not path("/etc/hotpixeld").exists()
    assert len(list(path(SHARED).rglob("*.JPG"))) == photos
    left = sorted(path.name for path in path("/home/anna").rglob("*.JPG"))
    assert left == own

"""The watcher on real folders: every way a photo arrives, and what befalls folders."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hotpixeld.errors import why
from hotpixeld.watch import survey, walk
from hotpixeld.watch.settling import Tracker
from hotpixeld.watch.survey import Hint, ImportFolder
from hotpixeld.watch.watched_folder import Pace
from hotpixeld.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MISSING = why(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
SETTLE = 0.15
BRISK = Pace(walk=3600, poll=0.2, check=0.1, canary=3600, retry=3600, start=5)


class Loop:
    """A main loop in miniature: hints are tracked, what settles is taken."""

    def __init__(
        self, *folders: ImportFolder, pace: Pace = BRISK, canary: Path | None = None
    ) -> None:
        self.woken = threading.Event()
        self.watcher = Watcher(folders, self.woken.set, pace=pace, canary=canary)
        self.tracker = Tracker()
        self.hints: list[Hint] = []
        self.taken: list[Path] = []
        self.watcher.start()

    def turn(self) -> None:
        now = time.monotonic()
        self.woken.clear()
        for hint in self.watcher.tick(now):
            self.hints.append(hint)
            self.tracker.note(
                hint.path,
                now,
                settle_seconds=hint.folder.settle_seconds,
                signature=hint.signature,
                aged=hint.aged,
            )
        for path, _ in self.tracker.ready(now, walk.stat_photo):
            self.taken.append(path)
            self.tracker.done(path, now)
        due = [self.watcher.next_deadline(now), self.tracker.next_deadline(now)]
        wait = min(each for each in due if each is not None) - now
        self.woken.wait(min(max(wait, 0.0), 0.1))

    def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.taken, self.watcher.faults())
            self.turn()

    def until_taken(self, *paths: Path) -> None:
        self.until(lambda: set(paths) <= set(self.taken))

    def pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)


@pytest.fixture
def loops() -> Iterator[list[Loop]]:
    started: list[Loop] = []
    yield started
    for loop in started:
        loop.watcher.stop()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "import"
    folder.mkdir()
    return folder


@pytest.fixture
def loop(root: Path, loops: list[Loop]) -> Loop:
    """A loop that has done its first walk: from now on only events tell."""
    started = Loop(ImportFolder(root, SETTLE, (root / "repaired",)))
    loops.append(started)
    started.pause(0.05)
    return started


def photo(path: Path, content: bytes = b"photo") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# The ways a photo arrives


def test_a_photo_written_slowly_is_taken_once_and_only_when_still(
    root: Path, loops: list[Loop]
) -> None:
    settle = 0.6  # six times the pause of the writer: the machine may be busy
    loop = Loop(ImportFolder(root, settle))
    loops.append(loop)
    path = root / "IMG_1.JPG"
    with path.open("wb", buffering=0) as file:
        for _ in range(8):
            file.write(b"part")
            loop.pause(settle / 6)
        assert loop.taken == []
    loop.until_taken(path)
    loop.pause(3 * SETTLE)

    assert loop.taken == [path]


def test_a_copied_photo_is_taken(root: Path, loop: Loop, tmp_path: Path) -> None:
    copied = Path(shutil.copy2(photo(tmp_path / "card.jpg"), root / "copied.jpeg"))

    loop.until_taken(copied)


def test_a_photo_renamed_in_is_taken(root: Path, loop: Loop, tmp_path: Path) -> None:
    moved = photo(tmp_path / "card.jpg").rename(root / "moved.jpg")

    loop.until_taken(moved)


def test_a_photo_renamed_from_a_temporary_name_is_taken_under_its_own(
    root: Path, loop: Loop
) -> None:
    moved = photo(root / ".IMG_1.jpg.x7K").rename(root / "IMG_1.jpg")

    loop.until_taken(moved)
    assert loop.taken == [moved]


def test_a_hard_linked_photo_is_taken(root: Path, loop: Loop, tmp_path: Path) -> None:
    linked = root / "linked.jpg"
    linked.hardlink_to(photo(tmp_path / "card.jpg"))

    loop.until_taken(linked)


def test_the_photos_of_a_folder_moved_in_are_taken_and_later_ones_too(
    root: Path, loop: Loop, tmp_path: Path
) -> None:
    for name in ("1.jpg", "deep/2.jpg"):
        photo(tmp_path / "card" / name)
    (tmp_path / "card").rename(root / "card")
    loop.until_taken(root / "card/1.jpg", root / "card/deep/2.jpg")

    loop.until_taken(photo(root / "card/deep/3.jpg"))


def test_photos_in_deep_new_folders_made_at_once_are_all_taken(
    root: Path, loop: Loop
) -> None:
    made = [
        photo(root / f"{number}/100CANON/a" / name)
        for number in range(60)
        for name in ("x.jpg", "../y.jpg", "../../z.jpg")
    ]
    paths = {Path(os.path.normpath(path)) for path in made}

    loop.until(lambda: paths <= set(loop.taken))


def test_what_was_there_at_the_start_is_taken(root: Path, loops: list[Loop]) -> None:
    path = photo(root / "a" / "old.jpg")
    loop = Loop(ImportFolder(root, SETTLE))
    loops.append(loop)

    loop.until_taken(path)
    assert [hint.signature is not None for hint in loop.hints] == [True]


def test_a_file_older_than_the_settle_time_is_taken_at_once_at_the_start(
    root: Path, loops: list[Loop]
) -> None:
    path = photo(root / "old.jpg")
    time.sleep(0.1)
    loop = Loop(ImportFolder(root, 0.05))
    loops.append(loop)
    started = time.monotonic()
    loop.until(lambda: bool(loop.hints))

    (hint,) = loop.hints
    seen = walk.stat_photo(path)
    assert hint == Hint(path.parent, path.name, hint.folder, seen, aged=True)
    assert time.monotonic() - started < 5


# What is left alone


def test_our_output_temporary_names_and_folders_give_no_hint(
    root: Path, loop: Loop
) -> None:
    photo(root / "repaired/sub/c_IMG.jpg")
    photo(root / "@eaDir/IMG.jpg/thumb.jpg")
    photo(root / ".hidden.jpg")
    photo(root / "IMG.jpg.part")
    photo(root / "notes.txt")
    (root / "folder.jpg").mkdir()
    last = photo(root / "last.jpg")
    loop.until_taken(last)
    loop.pause(2 * SETTLE)

    assert loop.taken == [last]
    assert {hint.path.name for hint in loop.hints} == {"last.jpg"}


def test_links_and_pipes_are_taken_to_be_reported(
    root: Path, loop: Loop, tmp_path: Path
) -> None:
    (root / "link.jpg").symlink_to(photo(tmp_path / "card.jpg"))
    os.mkfifo(root / "fifo.jpg")
    loop.until_taken(root / "link.jpg", root / "fifo.jpg")


def test_reading_photos_raises_no_hint(root: Path, loop: Loop) -> None:
    path = photo(root / "a.jpg")
    loop.until_taken(path)
    loop.pause(SETTLE)
    loop.hints.clear()
    for _ in range(5):
        path.read_bytes()
    loop.pause(SETTLE)

    assert loop.hints == []


def test_names_that_are_not_text_survive(root: Path, loop: Loop) -> None:
    path = photo(root / os.fsdecode(b"\xff\n\x1b[31m.jpg"))

    loop.until_taken(path)
    assert os.fsencode(loop.taken[0].name) == b"\xff\n\x1b[31m.jpg"


def test_a_folder_behind_a_symlink_is_watched_under_its_own_name(
    root: Path, loops: list[Loop], tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    loop = Loop(ImportFolder(link, SETTLE, (link / "repaired",)))
    loops.append(loop)
    loop.pause(0.05)
    photo(link / "repaired/c_a.jpg")
    photo(link / "a.jpg")

    loop.until_taken(link / "a.jpg")
    assert {hint.path for hint in loop.hints} == {link / "a.jpg"}


def test_nothing_happens_while_idle(root: Path, loops: list[Loop]) -> None:
    """Between its deadlines the watcher wakes nobody, and has no thread at work."""
    loop = Loop(ImportFolder(root, SETTLE), pace=Pace())
    loops.append(loop)
    loop.until_taken(photo(root / "a.jpg"))
    loop.pause(SETTLE)
    now = time.monotonic()

    assert loop.watcher.next_deadline(now) > now + 5
    assert not loop.woken.wait(0.5)


# What befalls a folder


def test_a_root_deleted_and_made_again_is_offline_then_watched(
    root: Path, loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    shutil.rmtree(root)
    loop.until(lambda: bool(loop.watcher.faults()))
    assert loop.watcher.faults() == [f"{root}: offline: {MISSING}"]
    first = photo(root / "first.jpg")
    loop.until_taken(first)
    loop.pause(0.3)
    loop.until_taken(photo(root / "second.jpg"))

    assert loop.watcher.faults() == []
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"{root}: offline: {MISSING}; looking again every 0.1 s",
        f"{root}: is there again",
    ]


def test_a_root_replaced_at_once_is_watched_anew(root: Path, loop: Loop) -> None:
    root.rename(root.with_name("away"))
    first = photo(root / "first.jpg")
    loop.until_taken(first)
    loop.pause(0.3)
    photo(root.with_name("away") / "stray.jpg")
    loop.until_taken(photo(root / "second.jpg"))
    loop.pause(2 * SETTLE)

    assert set(loop.taken) == {first, root / "second.jpg"}


def test_a_root_missing_at_the_start_is_offline_until_it_is_there(
    root: Path, loops: list[Loop]
) -> None:
    late = root / "late"
    loop = Loop(ImportFolder(late, SETTLE), ImportFolder(root, SETTLE))
    loops.append(loop)
    loop.until(lambda: bool(loop.watcher.faults()))
    loop.until_taken(photo(root / "other.jpg"))

    loop.until_taken(photo(late / "a.jpg"))
    assert loop.watcher.faults() == []


def test_a_symlinked_root_that_leads_elsewhere_is_watched_there(
    root: Path, loops: list[Loop], tmp_path: Path
) -> None:
    link, other = tmp_path / "link", tmp_path / "other"
    other.mkdir()
    link.symlink_to(root)
    loop = Loop(ImportFolder(link, SETTLE))
    loops.append(loop)
    loop.pause(0.05)
    link.unlink()
    link.symlink_to(other)
    loop.pause(0.3)
    photo(other / "a.jpg")

    loop.until_taken(link / "a.jpg")


def test_a_folder_that_cannot_be_read_is_a_fault_and_the_rest_goes_on(
    root: Path, loops: list[Loop]
) -> None:
    """The unreadable folder lies deeper than a path may be long: so for root, too."""
    path, name = photo(root / "a.jpg"), "n" * 255
    inner = os.open(root, os.O_PATH)
    for _ in range(20):
        os.mkdir(name, dir_fd=inner)
        outer, inner = inner, os.open(name, os.O_PATH, dir_fd=inner)
        os.close(outer)
    os.close(inner)
    loop = Loop(ImportFolder(root, SETTLE))
    loops.append(loop)
    loop.until_taken(path)
    loop.until(lambda: bool(loop.watcher.faults()))

    assert "File name too long" in loop.watcher.faults()[0]


@pytest.fixture
def mounted() -> Iterator[Callable[[Path], None]]:
    """Mount a tmpfs on a folder; it is gone again after the test."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    points: list[Path] = []

    def mount(point: Path) -> None:
        command = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            "size=1M",
            "hotpixeld-test",
            str(point),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"cannot mount: {done.stderr.strip()}")
        points.append(point)

    yield mount
    for point in reversed(points):
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)


def unmount(point: Path) -> None:
    subprocess.run(["umount", point], check=True)


def test_an_unmounted_folder_is_offline_and_never_its_empty_mount_point(
    root: Path, loops: list[Loop], mounted: Callable[[Path], None]
) -> None:
    mounted(root)
    loop = Loop(ImportFolder(root, SETTLE))
    loops.append(loop)
    loop.until_taken(photo(root / "1.jpg"))
    unmount(root)
    loop.until(lambda: bool(loop.watcher.faults()))
    loop.pause(0.3)
    (fault,) = loop.watcher.faults()
    assert fault.startswith(f"{root}: offline: not mounted: the drive or its server is")

    mounted(root)
    loop.until(lambda: not loop.watcher.faults())
    loop.until_taken(photo(root / "2.jpg"))


def test_a_folder_mounted_again_between_two_looks_is_watched_anew(
    root: Path, loops: list[Loop], mounted: Callable[[Path], None]
) -> None:
    """Device and inode are those of before; only the kernel's list of watches shows it."""
    mounted(root)
    loop = Loop(ImportFolder(root, SETTLE))
    loops.append(loop)
    loop.pause(0.3)
    before = walk.identity(root)
    unmount(root)
    mounted(root)
    assert walk.identity(root)[1] == before[1]
    loop.pause(0.3)

    loop.until_taken(photo(root / "1.jpg"))


def test_what_is_mounted_over_a_folder_or_below_it_is_found_and_watched(
    root: Path, loops: list[Loop], mounted: Callable[[Path], None]
) -> None:
    (root / "card").mkdir()
    loop = Loop(ImportFolder(root, SETTLE))
    loops.append(loop)
    loop.pause(0.3)
    mounted(root / "card")
    below = photo(root / "card" / "DCIM" / "1.jpg")
    loop.until_taken(below)
    loop.pause(0.3)
    loop.until_taken(photo(root / "card" / "DCIM" / "2.jpg"))

    mounted(root)
    loop.pause(0.3)
    loop.until_taken(photo(root / "over.jpg"))


def test_a_folder_on_a_network_drive_is_walked_and_takes_no_watch(
    root: Path,
    loops: list[Loop],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By a mount table that says so: a real drive would need a server."""
    caplog.set_level(logging.INFO)
    table = tmp_path / "mountinfo"
    table.write_text(f"22 1 0:40 / {os.path.realpath(root)} rw - nfs4 nas:/photos rw\n")
    monkeypatch.setattr(survey, "TABLE", str(table))
    old = photo(root / "old.jpg")
    time.sleep(2 * SETTLE)
    loop = Loop(ImportFolder(root, SETTLE))
    loops.append(loop)
    loop.until_taken(old)
    loop.until_taken(photo(root / "new" / "new.jpg"))

    assert {hint.aged for hint in loop.hints} == {False}
    assert all(hint.signature for hint in loop.hints)
    assert loop.watcher.faults() == []
    assert caplog.messages == [
        f"{root}: no events come from nfs4, so it is walked every 0.2 s"
    ]


# What befalls the observer


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_reading_thread_shows_by_the_canary_and_the_observer_is_replaced(
    root: Path,
    loops: list[Loop],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pace = Pace(walk=3600, check=0.3, canary=0.3)
    canary = tmp_path / "run" / "canary"
    loop = Loop(ImportFolder(root, SETTLE), pace=pace, canary=canary)
    loops.append(loop)
    loop.pause(0.7)
    assert caplog.messages == []

    def die(*_: object) -> None:
        raise KeyError("as watchdog did under churn")

    with monkeypatch.context() as patch:
        patch.setattr("watchdog.observers.inotify_c.InotifyFD.handle_event", die)
        lost = photo(root / "lost.jpg")
        time.sleep(0.2)
    loop.until_taken(lost)
    loop.until_taken(photo(root / "later.jpg"))

    said = "the observer died: it is replaced, and all watched folders are walked"
    assert caplog.messages == [said]


def test_a_dead_dispatching_thread_is_replaced(
    root: Path, loops: list[Loop], caplog: pytest.LogCaptureFixture
) -> None:
    loop = Loop(ImportFolder(root, SETTLE))
    loops.append(loop)
    loop.pause(0.1)
    for thread in threading.enumerate():
        if type(thread).__name__ == "InotifyObserver":
            thread.stop()  # type: ignore[attr-defined] # a watchdog thread
            thread.join()
    loop.until_taken(photo(root / "lost.jpg"))
    loop.pause(0.3)

    loop.until_taken(photo(root / "later.jpg"))
    assert len(caplog.messages) == 1


def test_without_a_writable_runtime_folder_there_is_no_canary_but_events(
    root: Path, loops: list[Loop], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canary = photo(tmp_path / "file") / "canary"
    pace = Pace(check=0.1, canary=0.1)
    loop = Loop(ImportFolder(root, SETTLE), pace=pace, canary=canary)
    loops.append(loop)
    loop.pause(0.3)
    loop.until_taken(photo(root / "a.jpg"))

    assert caplog.messages == []


def test_watchers_leave_no_thread_and_no_descriptor_behind(
    root: Path, tmp_path: Path
) -> None:
    path = photo(root / "a" / "a.jpg")

    def held() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    before = held()
    for _ in range(5):
        loop = Loop(ImportFolder(root, SETTLE), canary=tmp_path / "run" / "canary")
        loop.until_taken(path)
        loop.watcher.stop()
    end = time.monotonic() + 5
    while held() != before and time.monotonic() < end:
        time.sleep(0.02)

    assert held() == before


class Child:
    """A loop in a process of its own, which ends when it has taken ``end.jpg``."""

    def __init__(self, root: Path, *, prefix: Sequence[str] = ()) -> None:
        command = [*prefix, sys.executable, __file__, str(root)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "started\n":
            _, errors = self.process.communicate()
            pytest.skip(f"cannot start: {errors.strip()[-200:]}")

    def end(self, root: Path) -> tuple[set[Path], list[str], str]:
        photo(root / "end.jpg")
        output, errors = self.process.communicate(timeout=20)
        report = json.loads(output)
        return {Path(path) for path in report["taken"]}, report["faults"], errors


def child(root: Path) -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    loop = Loop(ImportFolder(root, SETTLE))
    loop.pause(0.1)
    print("started", flush=True)  # noqa: T201 - to the parent
    loop.until_taken(root / "end.jpg")
    loop.pause(3 * SETTLE)
    report = {"taken": sorted(map(str, loop.taken)), "faults": loop.watcher.faults()}
    print(json.dumps(report))  # noqa: T201 - to the parent


def test_after_an_overflow_of_the_queue_nothing_is_missing(root: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 50_000:
        pytest.skip(f"the queue holds {limit} events: too long to fill")
    restless = [photo(root / "before" / name) for name in ("x.tmp", "y.tmp")]
    started = Child(root)
    os.kill(started.process.pid, signal.SIGSTOP)
    os.waitpid(started.process.pid, os.WUNTRACED)
    for _ in range(limit):  # in turn, or the kernel makes one event of them
        for path in restless:
            os.close(os.open(path, os.O_WRONLY))
    made = [photo(root / "before" / f"{n}.jpg") for n in range(100)]
    made += [photo(root / "during" / str(n) / "x.jpg") for n in range(20)]
    os.kill(started.process.pid, signal.SIGCONT)
    time.sleep(0.5)
    made.append(photo(root / "during" / "7" / "later.jpg"))
    taken, faults, errors = started.end(root)

    assert set(made) <= taken
    assert faults == []
    assert errors.splitlines() == [
        "events were lost (the kernel's queue overflowed): all watched folders are walked"
    ]


def limited(name: str, value: int) -> list[str]:
    """Return a command prefix: a user of its own, with an inotify limit of its own."""
    script = f'echo {value} > /proc/sys/user/{name} && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_inotify_watches", 20),
        ("max_inotify_watches", 0),
        ("max_inotify_instances", 0),
    ],
)
def test_a_folder_beyond_the_limit_is_walked_instead_and_says_so_once(
    root: Path, name: str, value: int
) -> None:
    before = [photo(root / str(number) / "before.jpg") for number in range(50)]
    started = Child(root, prefix=limited(name, value))
    time.sleep(0.5)  # events are given up, which only the walks below make up for
    after = [photo(root / str(number) / "after.jpg") for number in range(50)]
    taken, faults, errors = started.end(root)

    said = (
        f"{root}: not all of it can be watched, so it is walked every 0.2 s instead:"
        " raise the limit fs.inotify.max_user_watches (or max_user_instances) with"
        " sysctl"
    )
    assert {*before, *after} <= taken
    assert faults == [said]
    assert errors.splitlines() == [said]


if __name__ == "__main__":
    child(Path(sys.argv[1]))

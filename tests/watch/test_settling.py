"""The tracker against a fake clock, a fake disk and literal lists of what happens."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from hotpixeld.files import Signature
from hotpixeld.watch.settling import (
    LONGEST_WAIT_SECONDS,
    RETRY_SECONDS,
    Tracker,
)

PATH = Path("/import/IMG_1.JPG")
SETTLE = 2.0


class Disk:
    """Files by path; `look` counts."""

    def __init__(self) -> None:
        self.files: dict[Path, Signature | OSError] = {}
        self.looks = 0

    def write(self, size: int, *, inode: int = 7, path: Path = PATH) -> Signature:
        mtime_ns = size * 1000 + inode
        self.files[path] = Signature(inode, size, mtime_ns, mtime_ns)
        return Signature(inode, size, mtime_ns, mtime_ns)

    def look(self, path: Path) -> Signature | None:
        self.looks += 1
        found = self.files.get(path)
        if isinstance(found, OSError):
            raise found
        return found


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def tracker() -> Tracker:
    return Tracker()


def when_ready(tracker: Tracker, disk: Disk, now: float, until: float) -> float | None:
    """Return when the first path is ready, going from deadline to deadline."""
    while now <= until:
        if tracker.ready(now, disk.look):
            return now
        due = tracker.next_deadline(now)
        if due is None:
            return None
        assert due > now, "a deadline that ready() left behind would spin"
        now = due
    return None


def play(
    disk: Disk, tracker: Tracker, *happenings: tuple[float, str, int]
) -> list[float]:
    """Return when PATH was taken, while at such times such things happen.

    A happening is (time, "write" or "event" or "walk" or "gone", size).
    """
    taken = []
    now, script = 0.0, list(happenings)
    while script or tracker.next_deadline(now) is not None:
        due = tracker.next_deadline(now)
        if script and (due is None or script[0][0] <= due):
            now, what, size = script.pop(0)
            if what in {"write", "event"}:
                disk.write(size)
            if what == "gone":
                disk.files.clear()
            if what == "event":
                tracker.note(PATH, now, settle_seconds=SETTLE)
            if what == "walk":
                seen = disk.write(size)
                tracker.note(PATH, now, settle_seconds=SETTLE, signature=seen)
        else:
            assert due is not None
            now = due
        for path, _ in tracker.ready(now, disk.look):
            taken.append(now)
            tracker.done(path, now)
    return taken


@pytest.mark.parametrize(
    ("happenings", "taken"),
    [
        pytest.param([(0, "event", 5)], [2], id="still from the first look"),
        pytest.param(
            [(0, "event", 0), (0.5, "event", 9)], [2.5], id="an event starts it again"
        ),
        pytest.param(
            [(0, "event", 5), (1.5, "event", 5)], [3.5], id="also one without a change"
        ),
        pytest.param(
            [(0, "event", 1), (1, "write", 2), (3, "write", 3)],
            [6],
            id="a silent change is seen when due",
        ),
        pytest.param(
            [(0, "event", 5), (1, "gone", 0)], [], id="what vanishes is dropped"
        ),
        pytest.param([(0, "walk", 5)], [2], id="a walk has looked already"),
        pytest.param(
            [(0, "walk", 5), (0.9, "walk", 5), (1.8, "walk", 5)],
            [2],
            id="walks of the same file do not start it again",
        ),
        pytest.param(
            [(0, "walk", 5), (0.9, "walk", 6)],
            [2.9],
            id="a walk of a changed file does",
        ),
        pytest.param(
            [(0, "event", 5), (7, "event", 6)], [2, 9], id="changed later: taken again"
        ),
    ],
)
def test_a_photo_is_taken_once_still(
    disk: Disk,
    tracker: Tracker,
    happenings: list[tuple[float, str, int]],
    taken: list[float],
) -> None:
    assert play(disk, tracker, *happenings) == taken
    assert len(tracker) == 0


def test_another_file_of_the_same_size_and_time_is_not_the_same(
    disk: Disk, tracker: Tracker
) -> None:
    tracker.note(PATH, 0.0, settle_seconds=SETTLE)
    first = disk.write(5)
    tracker.ready(0.0, disk.look)
    disk.files[PATH] = first._replace(inode=8)

    assert when_ready(tracker, disk, 1.0, 10.0) == 4.0


def test_a_new_link_or_owner_changes_nothing(disk: Disk, tracker: Tracker) -> None:
    tracker.note(PATH, 0.0, settle_seconds=SETTLE)
    first = disk.write(5)
    tracker.ready(0.0, disk.look)
    disk.files[PATH] = first._replace(ctime_ns=first.ctime_ns + 10**9)

    assert when_ready(tracker, disk, 1.0, 10.0) == 2.0


def test_an_aged_file_is_ready_at_once(disk: Disk, tracker: Tracker) -> None:
    seen = disk.write(5)
    tracker.note(PATH, 0.0, settle_seconds=SETTLE, signature=seen, aged=True)

    assert tracker.ready(0.0, disk.look) == [(PATH, seen)]


def test_an_aged_file_that_changed_since_the_walk_is_not(
    disk: Disk, tracker: Tracker
) -> None:
    seen = disk.write(5)
    tracker.note(PATH, 0.0, settle_seconds=SETTLE, signature=seen, aged=True)
    disk.write(6)

    assert tracker.ready(0.0, disk.look) == []
    assert when_ready(tracker, disk, 0.0, 10.0) == 2.0


@pytest.mark.parametrize(
    ("wall", "aged"), [(1002.5, True), (1002.0, False), (900.0, False)]
)
def test_a_file_is_aged_by_its_ctime_only(wall: float, aged: bool) -> None:
    seen = Signature(inode=7, size=5, mtime_ns=0, ctime_ns=1000 * 10**9)

    assert seen.is_aged(2.0, wall) is aged


def test_a_ready_path_is_not_ready_twice(disk: Disk, tracker: Tracker) -> None:
    tracker.note(PATH, 0.0, settle_seconds=SETTLE)
    disk.write(5)
    assert when_ready(tracker, disk, 0.0, 10.0) == 2.0

    assert tracker.ready(100.0, disk.look) == []
    assert tracker.next_deadline(100.0) is None
    assert PATH in tracker


def test_a_hint_while_it_is_worked_on_makes_it_wait_anew(
    disk: Disk, tracker: Tracker
) -> None:
    tracker.note(PATH, 0.0, settle_seconds=SETTLE)
    disk.write(5)
    when_ready(tracker, disk, 0.0, 10.0)
    tracker.note(PATH, 3.0, settle_seconds=SETTLE)
    assert tracker.next_deadline(3.0) is None
    tracker.done(PATH, 4.0)

    assert when_ready(tracker, disk, 4.0, 10.0) == 6.0


def test_a_photo_cut_short_is_tried_with_growing_pauses_for_an_hour(
    disk: Disk, tracker: Tracker
) -> None:
    tracker.note(PATH, 0.0, settle_seconds=SETTLE)
    disk.write(5)
    times, now, waits = [], 0.0, True
    while waits:
        ready = when_ready(tracker, disk, now, 10_000.0)
        assert ready is not None
        now = ready
        times.append(now)
        waits = tracker.retry(PATH, now)

    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[:8] == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]
    assert set(pauses[8:]) == {LONGEST_WAIT_SECONDS}
    assert 0 <= times[-1] - times[0] - RETRY_SECONDS < LONGEST_WAIT_SECONDS
    assert len(tracker) == 0


@pytest.mark.parametrize("has_event", [True, False])
def test_a_photo_cut_short_that_goes_on_is_ready_when_still_and_has_a_new_hour(
    disk: Disk, tracker: Tracker, has_event: bool
) -> None:
    tracker.note(PATH, 0.0, settle_seconds=SETTLE)
    disk.write(5)
    now = when_ready(tracker, disk, 0.0, 10.0)
    for _ in range(8):
        assert now is not None
        assert tracker.retry(PATH, now)
        now = when_ready(tracker, disk, now, 10_000.0)
    assert now is not None
    assert tracker.retry(PATH, now)
    seen = None if has_event else disk.write(6)
    disk.write(6)
    tracker.note(PATH, now + 1, settle_seconds=SETTLE, signature=seen)

    now = when_ready(tracker, disk, now + 1, 10_000.0)
    assert now is not None
    assert tracker.retry(PATH, now)
    assert tracker.next_deadline(now) == now + SETTLE


def test_a_walk_past_a_photo_cut_short_does_not_hurry_it(
    disk: Disk, tracker: Tracker
) -> None:
    tracker.note(PATH, 0.0, settle_seconds=SETTLE)
    seen = disk.write(5)
    now = when_ready(tracker, disk, 0.0, 10.0)
    assert now is not None
    tracker.retry(PATH, now)
    tracker.note(PATH, now, settle_seconds=SETTLE, signature=seen, aged=True)

    assert tracker.ready(now, disk.look) == []
    assert tracker.next_deadline(now) == now + SETTLE


def test_a_file_system_that_cannot_tell_is_asked_again_for_ever(
    disk: Disk, tracker: Tracker
) -> None:
    disk.files[PATH] = OSError(116, os.strerror(116))
    tracker.note(PATH, 0.0, settle_seconds=SETTLE)
    assert when_ready(tracker, disk, 0.0, 3 * RETRY_SECONDS) is None
    assert PATH in tracker
    assert disk.looks < 60

    disk.write(5)
    start = 3 * RETRY_SECONDS
    ready = when_ready(tracker, disk, start, start + 2 * LONGEST_WAIT_SECONDS)
    assert ready is not None
    assert tracker.retry(PATH, ready)


def test_nothing_waits_then_there_is_no_deadline(disk: Disk, tracker: Tracker) -> None:
    assert tracker.next_deadline(5.0) is None
    tracker.note(PATH, 5.0, settle_seconds=SETTLE)

    assert tracker.next_deadline(5.0) == 5.0
    assert tracker.ready(5.0, disk.look) == []
    assert tracker.next_deadline(5.0) is None


def test_each_path_has_the_settle_time_of_its_folder(
    disk: Disk, tracker: Tracker
) -> None:
    quick, slow = Path("/a/1.jpg"), Path("/b/1.jpg")
    for path, seconds in ((slow, 9.0), (quick, 1.0)):
        disk.write(5, path=path)
        tracker.note(path, 0.0, settle_seconds=seconds)
    tracker.ready(0.0, disk.look)

    assert [path for path, _ in tracker.ready(1.0, disk.look)] == [quick]
    assert tracker.next_deadline(1.0) == 9.0
    assert [path for path, _ in tracker.ready(9.0, disk.look)] == [slow]

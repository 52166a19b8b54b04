"""A watched folder over time, against a fake clock and literal findings."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hotpixeld.watch.survey import Findings, Ground, ImportFolder
from hotpixeld.watch.walk import Closed
from hotpixeld.watch.watched_folder import ALL, Pace, WatchedFolder

FOLDER = ImportFolder(Path("/import"), settle_seconds=2.0)
GROUND = Ground("/import", (1, 2), ())
LIMIT = (
    "/import: not all of it can be watched, so it is walked every 60 s instead: raise the"
    " limit fs.inotify.max_user_watches (or max_user_instances) with sysctl"
)


@pytest.fixture
def watched() -> WatchedFolder:
    return WatchedFolder(FOLDER, Pace())


def survey(watched: WatchedFolder, now: float, findings: Findings) -> tuple[str, ...]:
    """Do one survey that takes no time; return what was walked."""
    watched.take_renewal(now)
    parts = watched.take_parts(now)
    watched.is_surveying = True
    watched.judge(findings, parts, now)
    return parts


def there(
    *unwatched: str, silent: str = "", seconds: float = 0.1, limit: int = 0
) -> Findings:
    error = OSError(limit, os.strerror(limit)) if limit else None
    return Findings(
        GROUND, silent=silent, limit=error, unwatched=[*unwatched], seconds=seconds
    )


def away(reason: str = "No such file or directory") -> Findings:
    return Findings(offline=reason)


def test_a_local_folder_is_walked_every_quarter_of_an_hour(
    watched: WatchedFolder,
) -> None:
    assert survey(watched, 0.0, there()) == (ALL,)

    assert watched.is_watched
    assert watched.next_survey() == 900.0


def test_a_silent_folder_is_walked_every_minute_and_says_so_once(
    watched: WatchedFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    survey(watched, 0.0, there(silent="nfs4"))
    survey(watched, 60.0, there(silent="nfs4"))

    assert watched.next_survey() == 120.0
    assert not watched.is_watched
    assert watched.faults() == []
    assert caplog.messages == [
        "/import: no events come from nfs4, so it is walked every 60 s"
    ]


@pytest.mark.parametrize(
    ("silent", "seconds", "due"),
    [
        ("nfs4", 5.0, 60.0),
        ("nfs4", 30.0, 300.0),
        ("", 30.0, 900.0),
        ("", 200.0, 2000.0),
    ],
)
def test_a_walk_takes_at_most_a_tenth_of_the_time(
    watched: WatchedFolder, silent: str, seconds: float, due: float
) -> None:
    survey(watched, 0.0, there(silent=silent, seconds=seconds))

    assert watched.next_survey() == due


def test_a_new_folder_is_walked_after_the_quiet_time(watched: WatchedFolder) -> None:
    survey(watched, 0.0, there())
    watched.note_folder("a", 10.0)
    assert watched.next_survey() == 12.0
    assert survey(watched, 12.0, there()) == ("a",)

    assert watched.next_survey() == 900.0


def test_new_folders_in_a_slow_tree_are_walked_together(watched: WatchedFolder) -> None:
    survey(watched, 0.0, there(seconds=5.0))
    for now in (10.0, 20.0, 30.0):
        watched.note_folder(str(now), now)

    assert watched.next_survey() == 50.0
    assert watched.take_parts(50.0) == ("10.0", "20.0", "30.0")


def test_folders_within_folders_are_walked_once(watched: WatchedFolder) -> None:
    survey(watched, 0.0, there())
    for name in ("a/b/c", "a", "a/b", "a-z", "b/c", "a b"):
        watched.note_folder(name, 10.0)

    assert watched.take_parts(12.0) == ("a", "a b", "a-z", "b/c")


def test_what_was_lost_during_a_walk_is_walked_for_after_it(
    watched: WatchedFolder,
) -> None:
    watched.take_renewal(0.0)
    parts = watched.take_parts(0.0)
    watched.note_loss(3.0)
    watched.judge(there(), parts, 5.0)

    assert watched.next_survey() == 3.0


def test_an_offline_folder_is_tried_often_and_said_once(
    watched: WatchedFolder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    survey(watched, 0.0, there())
    watched.note_loss(5.0)
    survey(watched, 5.0, away())
    survey(watched, 15.0, away("Input/output error"))
    assert watched.next_survey() == 25.0
    assert watched.faults() == ["/import: offline: Input/output error"]
    assert not watched.is_watched

    survey(watched, 25.0, there())
    assert watched.faults() == []
    assert caplog.messages == [
        "/import: offline: No such file or directory; looking again every 10 s",
        "/import: is there again",
    ]


def test_a_folder_too_new_for_its_watch_is_looked_at_again_and_that_is_all(
    watched: WatchedFolder, caplog: pytest.LogCaptureFixture
) -> None:
    survey(watched, 0.0, there("/import/new"))
    assert watched.next_survey() == 2.0
    survey(watched, 2.0, there("/import/newer"))
    survey(watched, 4.0, there())

    assert watched.next_survey() == 904.0
    assert caplog.messages == []


def test_folders_without_a_watch_are_watched_anew_before_they_are_walked_instead(
    watched: WatchedFolder, caplog: pytest.LogCaptureFixture
) -> None:
    survey(watched, 0.0, there("/import/a"))
    survey(watched, 2.0, there("/import/a"))
    assert watched.take_renewal(2.0)
    assert watched.take_parts(2.0) == (ALL,)
    watched.judge(there("/import/a"), (ALL,), 2.0)
    assert caplog.messages == []

    survey(watched, 4.0, there("/import/a"))
    assert watched.faults() == caplog.messages == [LIMIT]
    watched.take_renewal(4.0)
    assert not watched.wants_events
    watched.judge(there(), watched.take_parts(4.0), 4.0)
    assert watched.next_survey() <= 64.0


@pytest.mark.parametrize("limit", [errno.ENOSPC, errno.EMFILE])
def test_a_limit_is_tried_again_each_hour_and_said_once_until_it_is_gone(
    watched: WatchedFolder, limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    survey(watched, 0.0, there(limit=limit))
    for hour in (3600.0, 7200.0):
        survey(watched, hour - 100.0, there())
        assert not watched.wants_events
        survey(watched, hour, there(limit=limit))
        assert watched.wants_events
    assert watched.faults() == caplog.messages == [LIMIT]

    survey(watched, 10800.0, there())
    assert watched.faults() == []
    assert watched.is_watched
    assert caplog.messages[1:] == ["/import: all of it is watched again"]


def test_a_part_found_without_a_watch_has_all_walked(watched: WatchedFolder) -> None:
    survey(watched, 0.0, there())
    watched.note_folder("a", 10.0)
    survey(watched, 12.0, there("/import/a"))

    assert survey(watched, 12.0, there()) == (ALL,)


def test_only_some_of_many_faults_are_shown_and_each_is_logged_once(
    watched: WatchedFolder, caplog: pytest.LogCaptureFixture
) -> None:
    findings = there()
    findings.faults = [Closed(f"/import/{n}\n", "Input/output error") for n in range(9)]
    survey(watched, 0.0, findings)
    watched.note_loss(10.0)
    survey(watched, 10.0, findings)

    assert len(caplog.messages) == 4
    assert caplog.messages[0] == "/import/0\\x0a: Input/output error"
    assert caplog.messages[-1] == (
        "/import: 6 more like this: `hotpixeld status --problems` has all"
    )
    assert len(watched.faults()) == 4
    assert watched.faults()[0] == "/import/0\\x0a: Input/output error"
    assert watched.faults()[-1] == "/import: 6 more like this"
    assert watched.closed() == findings.faults

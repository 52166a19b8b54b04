"""The report that the daemon keeps current, by a process of its own."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from hotpixeld.config.model import Config
from hotpixeld.engine.session import Session
from hotpixeld.service.report_process import (
    BUSY_SECONDS,
    LOOK_SECONDS,
    MOST_SECONDS,
    REPORT_SECONDS,
    ReportProcess,
)
from service.test_daemon import Daemon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sensor import Sensor

pytest.importorskip("matplotlib", reason="the extra hotpixeld[report] is not installed")
DEADLINE = 60.0


class Clock:
    """Monotonic seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(tmp_path: Path, config: Config) -> Path:
    """Return a state that holds nothing yet."""
    Session(config, tmp_path / "state", 1, lambda: None).close()
    return tmp_path / "state"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the list of fonts is kept: it takes seconds to make."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def keeper(state: Path, cache: Path, clock: Clock) -> Iterator[ReportProcess]:
    keeper = ReportProcess(state, cache, clock)
    yield keeper
    keeper.stop()


def until_done(keeper: ReportProcess, config: Config, news: object) -> None:
    """Let a report under way come to its end."""
    began = time.monotonic()
    while keeper.is_under_way:
        assert time.monotonic() - began < DEADLINE
        time.sleep(0.05)
        keeper.tick(config, news, busy=False)


def test_without_a_place_for_it_there_is_none(
    keeper: ReportProcess, clock: Clock
) -> None:
    keeper.tick(Config(), 1, busy=False)

    assert not keeper.is_under_way
    assert keeper.next_deadline() is None


def test_it_is_made_at_once_and_anew_when_there_is_news(
    keeper: ReportProcess, clock: Clock, tmp_path: Path
) -> None:
    target = tmp_path / "pages" / "report.html"
    config = Config(report=target)
    keeper.tick(config, 1, busy=True)
    assert keeper.next_deadline() == clock.now + LOOK_SECONDS
    until_done(keeper, config, 1)
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]
    assert keeper.next_deadline() is None

    keeper.tick(config, 2, busy=False)
    assert not keeper.is_under_way, "not so soon"
    assert keeper.next_deadline() == clock.now + REPORT_SECONDS
    clock.now += REPORT_SECONDS
    keeper.tick(config, 2, busy=True)
    assert not keeper.is_under_way, "there will be more to tell"
    clock.now += BUSY_SECONDS
    keeper.tick(config, 2, busy=True)
    assert keeper.is_under_way


def test_another_place_is_written_at_once(
    keeper: ReportProcess, tmp_path: Path
) -> None:
    first = Config(report=tmp_path / "one.html")
    keeper.tick(first, 1, busy=False)
    until_done(keeper, first, 1)
    keeper.tick(Config(report=tmp_path / "two.html"), 1, busy=False)

    assert keeper.is_under_way


def test_a_fault_is_a_warning_once_and_its_end_is_told(
    keeper: ReportProcess,
    clock: Clock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    target = tmp_path / "report.html"
    target.mkdir()
    config = Config(report=target)
    with caplog.at_level(logging.INFO):
        for news in (1, 2):
            keeper.tick(config, news, busy=False)
            until_done(keeper, config, news)
            clock.now += REPORT_SECONDS
        target.rmdir()
        keeper.tick(config, 3, busy=False)
        until_done(keeper, config, 3)
    first, second = (record.getMessage() for record in caplog.records)

    assert first.startswith(f"the report is not made: {target}: Is a directory")
    assert second == "the report is made again"
    assert target.is_file()


def test_a_process_that_hangs_is_ended(
    keeper: ReportProcess,
    clock: Clock,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = Config(report=tmp_path / "report.html")
    with caplog.at_level(logging.WARNING):
        keeper.tick(config, 1, busy=False)
        clock.now += MOST_SECONDS + 1
        keeper.tick(config, 1, busy=False)

    assert not keeper.is_under_way
    assert "it took longer than 600 s" in caplog.text
    assert not (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_the_daemon_keeps_it_current_and_stops_at_once(
    sensor: Sensor, folder: Path, tmp_path: Path
) -> None:
    """Beside the photos, where nothing takes it for one."""
    sensor.write(folder, 20)
    target = folder / "report.html"
    file = tmp_path / "hotpixeld.yaml"
    file.write_text(
        f"folders: [{{path: {folder}, settle_seconds: 0.2}}]\nreport: {target}\n"
    )
    first = Daemon(tmp_path, str(folder), "--once")
    assert first.process.wait(DEADLINE) == 0
    daemon = Daemon(tmp_path, "--config", str(file))
    try:
        daemon.until(target.exists, "no report")
    finally:
        assert daemon.stop(signal.SIGTERM) == 0
    text = target.read_text()

    assert "has 3 hot pixels" in text
    assert "The daemon runs since" in text
    assert daemon.counts()["skipped"] == daemon.counts()["failed"] == 0


def test_what_draws_it_is_never_in_the_daemons_memory() -> None:
    code = (
        "import sys, hotpixeld.service.daemon, hotpixeld.cli.main\n"
        "print({'matplotlib', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "set()"

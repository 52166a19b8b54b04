"""The log: every fault is told once, and no flood of them drowns the rest."""

from __future__ import annotations

import logging

import pytest

from hotpixeld.service import systemd


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Teller(logging.Handler):
    """Logs a warning as a module would; `told` is what comes through."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.told: list[str] = []
        self.addFilter(systemd.FaultLimit(clock))

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())

    def __call__(
        self, text: str, *arguments: object, level: int = logging.WARNING
    ) -> None:
        record = logging.LogRecord("hotpixeld", level, "", 0, text, arguments, None)
        self.handle(record)


@pytest.fixture
def tell(clock: Clock) -> Teller:
    return Teller(clock)


def test_the_same_fault_is_told_once_an_hour(tell: Teller, clock: Clock) -> None:
    for clock.now in (0.0, 300.0, 3599.0, 3601.0):
        tell("%s: no copy", "a.jpg")

    assert tell.told == ["a.jpg: no copy"] * 2


def test_other_faults_are_told_too(tell: Teller) -> None:
    for name in ("a", "b", "a"):
        tell("failed %s", name)

    assert tell.told == ["failed a", "failed b"]


def test_what_is_no_fault_is_always_told(tell: Teller) -> None:
    for _ in range(3):
        tell("folded", level=logging.INFO)

    assert tell.told == ["folded"] * 3


def test_a_flood_is_cut_and_the_next_line_counts_what_was_left_out(
    tell: Teller, clock: Clock
) -> None:
    for number in range(systemd.BURST + 50):
        tell("failed %d", number)
    tell("another kind")
    clock.now = systemd.BURST_SECONDS
    tell("failed %s", "again")
    tell("failed %d", -1)
    told = tell.told

    assert len(told) == systemd.BURST + 3
    assert told[-3:] == [
        "another kind",
        "failed again",
        "failed -1 (50 more like this)",
    ]


def test_memory_of_what_was_told_has_a_bound(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "SAME_KEPT", 3)
    limit = systemd.FaultLimit(clock)

    def passes(text: str) -> bool:
        record = logging.LogRecord("x", logging.ERROR, "", 0, text, None, None)
        return limit.filter(record)

    assert [passes(text) for text in "abcdbda"] == [True] * 4 + [False] * 2 + [True]

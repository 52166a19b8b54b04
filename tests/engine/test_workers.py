"""Workers: results in order, and progress only while all of them make some."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hotpixeld.engine import workers
from hotpixeld.engine.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def progress() -> list[float]:
    """When progress was reported."""
    return []


@pytest.fixture
def two(progress: list[float], monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setattr(workers, "LOOK_SECONDS", 0.05)
    pair = Workers(2, lambda: progress.append(time.monotonic()))
    yield pair
    pair.close()


def compute(seconds: float) -> str:
    """Do one long step in C, without the interpreter, as a decoder does."""
    octets = bytes(1 << 24)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        hashlib.sha256(octets).digest()
    return "computed"


def test_a_long_step_in_c_is_progress(two: Workers, progress: list[float]) -> None:
    assert two.result(two.submit(compute, 0.6)) == "computed"
    assert len(progress) >= 3


def test_a_worker_that_waits_for_ever_is_none(
    two: Workers, progress: list[float]
) -> None:
    release = threading.Event()
    future = two.submit(release.wait, 30.0)
    threading.Timer(0.6, release.set).start()

    assert two.result(future) is True
    assert len(progress) <= 1, "starting to wait may still take processor time"


def test_one_hung_worker_outweighs_another_that_makes_progress(
    two: Workers, progress: list[float]
) -> None:
    release = threading.Event()
    hung = two.submit(release.wait, 30.0)
    two.result(two.submit(compute, 0.6))
    release.set()

    assert two.result(hung) is True
    assert len(progress) <= 1


def test_work_in_the_queue_of_hung_workers_is_no_progress(
    two: Workers, progress: list[float]
) -> None:
    release = threading.Event()
    for _ in range(2):
        two.submit(release.wait, 30.0)
    queued = two.submit(compute, 0.0)
    threading.Timer(0.6, release.set).start()

    assert two.result(queued) == "computed"
    assert len(progress) <= 2, "starting to wait and ending it may take processor time"


def test_going_round_in_a_circle_is_no_progress(
    two: Workers, progress: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "TASK_SECONDS", 0.2)
    two.result(two.submit(compute, 0.8))

    assert len(progress) <= 4


def test_what_the_work_raises_is_raised_even_a_timeout(two: Workers) -> None:
    def work(text: str) -> None:
        raise TimeoutError(text)

    with pytest.raises(TimeoutError, match="of its own"):
        two.result(two.submit(work, "of its own"))


def test_closing_waits_for_all_that_was_submitted() -> None:
    one = Workers(1, lambda: None)
    begun, release = threading.Event(), threading.Event()
    done: list[str] = []

    def work(name: str) -> None:
        begun.set()
        release.wait(30)
        done.append(name)

    one.submit(work, "first")
    one.submit(work, "second")
    begun.wait(30)
    threading.Timer(0.1, release.set).start()
    one.close()

    assert done == ["first", "second"]

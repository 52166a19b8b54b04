"""Workers get ahead, results stay in order; scans are sorted by capture time."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING

import pytest

from hotpixeld.engine.stages import ahead, in_order
from hotpixeld.engine.workers import Workers
from sensor import START, Sensor, write_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def workers() -> Iterator[Workers]:
    three = Workers(3, lambda: None)
    yield three
    three.close()


def test_results_come_in_the_order_of_the_items(workers: Workers) -> None:
    later = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert later.wait(10)
        elif item == 2:
            later.set()
        return item * item

    assert list(ahead(workers, work, range(6), window=3)) == [0, 1, 4, 9, 16, 25]


def test_no_more_than_the_window_is_under_way(workers: Workers) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10):
            taken.append(item)
            yield item

    results = ahead(workers, str, items(), window=2)

    assert next(results) == "0"
    assert taken == [0, 1, 2]


def test_an_error_of_the_work_is_raised_in_its_turn(workers: Workers) -> None:
    results = ahead(workers, lambda item: 1 // item, [1, 0, 1], window=2)

    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_scan_is_sorted_by_capture_time_then_name(tmp_path: Path) -> None:
    frame = Sensor(height=40, width=56).frame(0)
    names = {"b.jpg": 5, "a.jpg": 5, "z.jpg": 1}
    for name, minute in names.items():
        write_jpeg(tmp_path / name, frame, START + dt.timedelta(minutes=minute))
    (tmp_path / "0.jpg").write_bytes(b"no time at all")
    found = in_order(tmp_path.iterdir())

    assert [path.name for path in found] == ["z.jpg", "a.jpg", "b.jpg", "0.jpg"]

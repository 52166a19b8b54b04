"""Memory: who may have how much of it."""

from __future__ import annotations

import threading

import pytest

from hotpixeld.engine.memory import BASE, LEAST_BESIDE, Memory

LIMIT = 300_000_000


@pytest.mark.parametrize("megabytes", [1, 4, 20, 50, 90])
@pytest.mark.parametrize("jobs", [1, 2, 16])
def test_a_pass_and_the_photos_beside_it_fit_together(
    megabytes: int, jobs: int
) -> None:
    memory = Memory(LIMIT, megabytes * 10**6, jobs)

    assert memory.of_pass + memory.beside == LIMIT - BASE
    assert memory.of_pass >= LEAST_BESIDE
    assert 1 <= memory.at_once <= jobs


def test_beside_a_pass_there_is_room_for_the_largest_photo_seen() -> None:
    memory = Memory(LIMIT, 4_000_000, 2)
    small = memory.of_pass
    memory.note(30_000_000)

    assert memory.of_pass < small
    memory.upkeep, memory.photos = memory.of_pass, memory.of_file(30_000_000)
    assert memory.has_room()
    memory.photos += 1
    assert not memory.has_room()


def test_no_pass_begins_beside_a_photo_that_has_nearly_everything() -> None:
    memory = Memory(LIMIT, 4_000_000, 2)
    memory.photos = memory.work - LEAST_BESIDE + 1

    assert memory.of_pass == 0
    memory.photos = 0
    assert memory.of_pass > 0


def test_coefficients_of_several_scans_are_held_one_photo_at_a_time() -> None:
    memory, done = Memory(LIMIT, 0, 2), threading.Event()

    def other() -> None:
        with memory.holding(1):
            done.set()

    with memory.holding(1):
        thread = threading.Thread(target=other)
        thread.start()
        with memory.holding(0):
            assert not done.wait(0.05)
    thread.join()
    assert done.is_set()

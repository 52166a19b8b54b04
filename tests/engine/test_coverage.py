"""Which earlier photos are sampled again: the news about them, and beginnings searched."""

from __future__ import annotations

import datetime as dt

from hotpixeld.camera import UNKNOWN_BIN
from hotpixeld.defect import Defect, Kind
from hotpixeld.engine.sampling import ROUTINE, SEARCHED, Coverage
from hotpixeld.store.images import Image, Taken

START = dt.datetime(2024, 3, 1)
OLD, NEW = (5, 5), (80, 90)
COUNT = 100
MOST = 24


def captured(number: int) -> dt.datetime:
    return START + dt.timedelta(minutes=number)


PHOTOS = [
    Image(number, "", "c", number, "folded", Taken(captured(number)))
    for number in range(COUNT, 0, -1)
]


def coverage(*, new_since: int = COUNT + 1, never: int = 0) -> Coverage:
    """Return 100 photos; those from `new_since` on were sampled at `NEW` as well."""
    versions = {
        one.id: 2 if one.id >= new_since else 1 for one in PHOTOS if one.id > never
    }
    return Coverage(
        PHOTOS,
        3,
        versions,
        {(1, UNKNOWN_BIN): {OLD}, (2, UNKNOWN_BIN): {OLD, NEW}},
        {OLD, NEW},
    )


def numbers(photos: list[Image]) -> list[int]:
    return sorted(one.id for one in photos)


def test_without_news_a_few_of_the_newest_are_looked_at() -> None:
    chosen = coverage(new_since=1).to_judge(MOST)

    assert numbers(chosen) == list(range(COUNT - MOST // ROUTINE + 1, COUNT + 1))


def test_the_newest_are_sampled_at_what_stands_out_newly() -> None:
    chosen = coverage(new_since=95).to_judge(MOST)

    assert numbers(chosen) == list(range(COUNT - MOST + 1, COUNT + 1))


def test_photos_that_were_never_sampled_come_first_while_few_were() -> None:
    few = coverage(new_since=1, never=90).to_judge(MOST)
    many = coverage(new_since=1, never=30).to_judge(MOST)

    assert numbers(few) == list(range(90 - (MOST - 10) + 1, 91))
    assert numbers(many) == list(range(COUNT - MOST // ROUTINE + 1, COUNT + 1))


def search(began: int) -> tuple[Defect, list[int]]:
    """Search for the beginning of a defect at `NEW`, which all photos show truly."""
    sampled: set[int] = {99, 100}
    defect = Defect(*NEW, Kind.HOT, None, 9.0, by=captured(99))
    steps = []
    for _ in range(10):
        state = Coverage(
            PHOTOS,
            3,
            {one.id: 2 if one.id in sampled else 1 for one in PHOTOS},
            {(1, UNKNOWN_BIN): {OLD}, (2, UNKNOWN_BIN): {OLD, NEW}},
            {NEW},
        )
        chosen = numbers(state.to_date([defect]))
        steps.append(len(chosen))
        if not chosen:
            break
        sampled |= set(chosen)
        without = [one for one in sampled if one < began]
        defect = Defect(
            *NEW,
            Kind.HOT,
            None,
            9.0,
            after=captured(max(without)) if without else None,
            by=captured(min(one for one in sampled if one >= began)),
        )
    return defect, steps


def test_a_beginning_is_found_in_a_few_steps() -> None:
    for began in (2, 37, 64, 99):
        defect, steps = search(began)

        assert (defect.after, defect.by) == (captured(began - 1), captured(began))
        assert max(steps) <= SEARCHED
        assert len(steps) <= 4


def test_of_a_defect_that_was_always_there_all_photos_are_sampled_in_the_end() -> None:
    defect, steps = search(1)

    assert (defect.after, defect.by) == (None, captured(1))
    assert sum(steps) <= 2 * SEARCHED


def test_the_beginning_of_what_has_ended_is_not_searched() -> None:
    ended = Defect(*NEW, Kind.HOT, None, 9.0, by=captured(50), until=captured(60))

    assert coverage().to_date([ended]) == []


def test_those_that_lack_any_suspect_are_all_of_them() -> None:
    versions = {one.id: 3 if one.id > 40 else 2 for one in PHOTOS if one.id != 7}
    sites = {(2, UNKNOWN_BIN): {OLD}, (3, UNKNOWN_BIN): {OLD, NEW}}

    lacking = Coverage(PHOTOS, 3, versions, sites, set()).all()

    assert numbers(lacking) == list(range(1, 41))

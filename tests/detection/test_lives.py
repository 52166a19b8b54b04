"""Lives: what carries on from map to map, what ends, and what never was."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.defect import Defect, Law
from hotpixeld.detection import evidence, lives
from hotpixeld.detection.evidence import EvidenceTable, SampledPhoto

if TYPE_CHECKING:
    import pytest

NOON = dt.datetime(2024, 3, 1, 12)
TIMES = [NOON + dt.timedelta(minutes=minute) for minute in range(6)]
SURE = Defect(row=5, col=7, score=20.0)


def table() -> EvidenceTable:
    """Return six photos' evidence about the place of `SURE` and another."""
    nothing = np.zeros(0, evidence.SAMPLE)
    photos = [
        SampledPhoto(number, when, None, None, None, None, "", 1, nothing)
        for number, when in enumerate(TIMES)
    ]
    sites = np.array([[5, 7], [30, 40]])
    samples = np.zeros((6, 2), evidence.SAMPLE)
    return EvidenceTable(sites, samples, samples, photos)


def support(*votes: float) -> dict[tuple[int, int], np.ndarray]:
    """Return how photos vote about the place of `SURE`, and another."""
    return {(5, 7): np.array(votes, np.float32), (30, 40): np.zeros(6, np.float32)}


NEUTRAL = support(0, 0, 0, 0, 0, 0)


def test_what_goes_on_keeps_its_beginning() -> None:
    began = replace(SURE, after=NOON - dt.timedelta(days=2), by=NOON)
    now = replace(SURE, score=25.0, by=TIMES[3])
    (one,) = lives.carried_on([began], [now], table(), NEUTRAL)

    assert (one.after, one.by, one.score) == (began.after, NOON, 25.0)


def test_a_beginning_is_given_up_when_photos_from_before_it_show_the_defect() -> None:
    began = replace(SURE, after=TIMES[3], by=TIMES[4], law=Law(0.1, 0, 0.3))
    now = replace(SURE, by=TIMES[4], law=Law(0.1, 0, 0.3))

    (kept,) = lives.carried_on([began], [now], table(), support(0, 0, -1, 0, 3, 3))
    (gone,) = lives.carried_on([began], [now], table(), support(3, 3, 0, 0, 3, 3))
    assert (kept.after, gone.after) == (TIMES[3], None)


def test_a_beginning_of_the_former_rule_is_judged_anew_where_photos_reach_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may have been that of the first long exposures."""
    began = replace(SURE, after=TIMES[3], by=TIMES[4])
    now = replace(SURE, by=TIMES[4], law=Law(0, 0.1, 0.3))
    (kept,) = lives.carried_on([began], [now], table(), NEUTRAL)
    monkeypatch.setattr(lives, "SCENES", 4)
    (judged,) = lives.carried_on([began], [now], table(), NEUTRAL)

    assert (kept.after, judged.after) == (TIMES[3], None)


def test_a_beginning_stays_when_the_photos_before_it_are_no_longer_looked_at() -> None:
    began = replace(SURE, after=TIMES[0], by=TIMES[1], law=Law(0.1, 0, 0.3))
    now = replace(SURE, by=TIMES[1], law=Law(0.1, 0, 0.3))
    (one,) = lives.carried_on([began], [now], table(), support(0, 3, 3, 3, 3, 3))

    assert (one.after, one.by) == (TIMES[0], TIMES[1])


def test_an_earlier_beginning_is_taken() -> None:
    """Older photos may be imported later."""
    former = replace(SURE, after=TIMES[2], by=TIMES[3])
    now = replace(SURE, after=TIMES[0], by=TIMES[1])

    assert lives.carried_on([former], [now], table(), NEUTRAL) == [now]


def test_a_sure_defect_lives_on_while_no_photo_votes_against_it() -> None:
    assert lives.carried_on([SURE], [], table(), NEUTRAL) == [SURE]


def test_a_sure_defect_ends_when_the_photos_deny_it() -> None:
    votes = support(3, 2, -4, -4, -4, -4)
    (one,) = lives.carried_on([SURE], [], table(), votes)

    assert one.until == TIMES[2]


def test_photos_from_before_it_began_do_not_end_a_life() -> None:
    """Older photos may be imported later: they cannot show it."""
    began = replace(SURE, after=TIMES[2], by=TIMES[3])

    votes = support(-4, -4, -4, 0, 0, 0)
    assert lives.carried_on([began], [], table(), votes) == [began]
    votes = support(-4, -4, -4, -4, -4, -4)
    (one,) = lives.carried_on([began], [], table(), votes)
    assert one.until == TIMES[3]


def test_what_was_never_sure_is_dropped() -> None:
    unsure = replace(SURE, score=3.0)

    assert lives.carried_on([unsure], [], table(), NEUTRAL) == []


def test_a_past_life_stays_and_a_new_one_joins_it() -> None:
    past = replace(SURE, by=TIMES[0], until=TIMES[1])
    again = replace(SURE, after=TIMES[3], by=TIMES[4])
    lived = lives.carried_on([past], [again], table(), NEUTRAL)

    assert lived == [again, past]
    assert lives.carried_on(lived, [again], table(), NEUTRAL) == [again, past]


def test_the_same_past_life_is_listed_once() -> None:
    past = replace(SURE, by=TIMES[0], until=TIMES[1])

    assert lives.carried_on([past], [past], table(), NEUTRAL) == [past]


def test_an_ended_life_that_is_found_again_stays_one() -> None:
    """Its beginning has left the photos that are looked back on."""
    known = replace(
        SURE, after=NOON - dt.timedelta(days=9), by=TIMES[0], until=TIMES[4]
    )
    again = replace(SURE, by=TIMES[2], until=TIMES[4])
    (one,) = lives.carried_on([known], [again], table(), NEUTRAL)

    assert (one.after, one.by, one.until) == (known.after, known.by, TIMES[4])


def test_a_service_parts_what_lived_before_from_what_came_after() -> None:
    old, new = replace(SURE, by=TIMES[1]), replace(SURE, row=30, col=40, by=TIMES[4])
    past = replace(SURE, by=TIMES[0], until=TIMES[1])
    stopped = replace(SURE, by=TIMES[0], until=TIMES[3])

    before, after = lives.at_service([old, new, past, stopped], TIMES[3])

    assert before == [old, past, replace(stopped, until=None)]
    assert after == [new]
    assert lives.still_ended(before, [stopped], TIMES[3])[-1] == stopped
    assert lives.still_ended(before, [old], TIMES[3]) == before


def test_a_service_ends_what_photos_since_deny_or_prove_anew() -> None:
    old = replace(SURE, by=NOON - dt.timedelta(days=2))
    when = TIMES[0]
    again = replace(SURE, by=TIMES[1])

    def since(new: list[Defect], votes: dict[tuple[int, int], np.ndarray]) -> object:
        return lives.carried_on([old], new, table(), votes, when)

    assert since([], NEUTRAL) == [old], "it may not have been mended"
    assert since([], support(0, -2, -2, 1, -3, -3)) == [replace(old, until=when)]
    assert since([again], NEUTRAL) == [again, replace(old, until=when)]
    later = replace(SURE, row=30, col=40, by=TIMES[1])
    votes = {(30, 40): support(3, 2, -4, -4, -4, -4)[5, 7]}
    (ended,) = lives.carried_on([later], [], table(), votes, when)
    assert ended.until == TIMES[2], "no life from before the service"


def test_a_pixel_that_a_service_did_not_mend_has_one_life() -> None:
    before = replace(SURE, after=TIMES[0], by=TIMES[1], until=TIMES[3])
    unmended = replace(SURE, by=TIMES[3])
    (one,) = lives.joined([before, unmended], TIMES[3])

    assert (one.after, one.by, one.until) == (TIMES[0], TIMES[1], None)
    assert lives.places([before, unmended]) == 1


def test_a_pixel_that_comes_back_after_a_service_has_two_lives() -> None:
    before = replace(SURE, by=TIMES[1], until=TIMES[2])
    again = replace(SURE, after=TIMES[3], by=TIMES[4])

    assert lives.joined([before, again], TIMES[2]) == [before, again]
    assert lives.joined([before, replace(again, after=None)], None) == [
        before,
        replace(again, after=None),
    ], "no service, and a photo that showed it healed"


def test_after_a_service_only_later_photos_judge() -> None:
    late = table().since(TIMES[4])

    assert [one.captured for one in late.photos] == TIMES[4:]
    assert late.suspects.shape == (2, 2)
    assert [one.captured for one in table().before(TIMES[4]).photos] == TIMES[:4]


def test_a_verdict_needs_no_more_scenes_than_photos() -> None:
    assert lives.scenes_needed(4) == 4
    assert lives.scenes_needed(16) == lives.SCENES


def test_what_was_sure_once_stays_so_while_it_lives() -> None:
    """Else the next photos that could not show it would drop it."""
    faint = replace(SURE, score=5.0, by=TIMES[1])
    (one,) = lives.carried_on([SURE], [faint], table(), NEUTRAL)
    (kept,) = lives.carried_on([one], [], table(), NEUTRAL)
    old = replace(SURE, by=NOON - dt.timedelta(days=2))
    since, _ = lives.carried_on([old], [faint], table(), NEUTRAL, TIMES[0])
    another = replace(faint, after=TIMES[0])
    new, _ = lives.carried_on([old], [another], table(), NEUTRAL, TIMES[0])

    assert (one.score, kept.score) == (SURE.score, SURE.score)
    assert (since.score, new.score) == (SURE.score, 5.0)


def test_what_is_over_keeps_the_law_of_its_own_photos() -> None:
    """A sensor that a service has warmed shows what is left of its defects by another."""
    cold, warm = Law(0.1, 0, 0.3), Law(0.4, 0, 0.3)
    living, over = replace(SURE, law=cold), replace(SURE, law=cold, until=TIMES[3])
    stuck = replace(SURE, row=30, col=40)

    found = lives.at_gain([living, over, stuck], {(5, 7): warm, (30, 40): warm})

    assert found == [replace(living, law=warm), over, stuck]

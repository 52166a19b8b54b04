"""Lives: from the verdicts on a camera's suspects to its defects, with their dates.

A life begins between two photos and may end before a third.  The verdicts look back on
the newest photos only; what is older is carried on from the former map.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import appearances, hotmap, trace, verdict
from hotpixeld.around import LUMA
from hotpixeld.pixels import Kind
from hotpixeld.suspects import APART

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Sequence

    from hotpixeld.likelihood import Hypothesis
    from hotpixeld.pixels import Defect
    from hotpixeld.sampling import Grid
    from hotpixeld.verdict import Verdicts
    from hotpixeld.welford import State

SCENES = 8
"""Different scenes without which there is no verdict."""
DISPROVED = -7.0
"""Votes against (log likelihood ratio, a thousand to one) that end a life."""


def scenes_needed(min_photos: int) -> int:
    """Return how many different scenes a verdict needs: no more than photos."""
    return min(SCENES, min_photos)


def serviced(former: Iterable[Defect], when: dt.datetime) -> list[Defect]:
    """Return the map after a service: what lived before has ended."""
    return [
        replace(one, until=when)
        if one.until is None and (one.by is None or one.by < when)
        else one
        for one in former
    ]


def _near(place: tuple[int, int], others: Iterable[Defect]) -> Defect | None:
    """Return one of `others` that is the same defect as that at `place`, if any."""
    row, col = place
    for other in others:
        if max(abs(other.row - row), abs(other.col - col)) <= APART:
            return other
    return None


def _kind(told: Hypothesis, by_state: Kind) -> Kind:
    """Return the kind that photos and state agree on.

    Photos alone may take what adds to like scenes for a level of its own; the state knows
    whether the site varies less than its surroundings.
    """
    if told.kind is Kind.HOT:
        return Kind.DEAD if told.amplitude < 0 else Kind.HOT
    return Kind.HOT if told.kind is Kind.STUCK and by_state is Kind.HOT else told.kind


def _described(state: State, grid: Grid, verdicts: Verdicts, site: int) -> Defect:
    """Return the defect at a suspect's place: shape from the mean, dates from photos."""
    row, col = (int(value) for value in grid.sites[site])
    red, green, blue = verdicts.amplitude[site].tolist()
    times = [photo.captured for photo in grid.photos]
    life = verdict.life(verdicts, site)
    one = hotmap.measure(state, row, col, float(verdicts.score[site]))
    return replace(
        one,
        kind=_kind(verdicts.hypothesis[site], one.kind),
        amplitude=(red, green, blue),
        after=None if life.after is None else times[life.after],
        by=times[life.first],
        until=None if life.until is None else times[life.until],
        focal=appearances.focal(grid, verdicts, site),
        appearance=appearances.of(grid, verdicts, site, life.first, life.last),
    )


def _is_spot(state: State, grid: Grid, verdicts: Verdicts, site: int) -> bool:
    """Tell whether there is a spot at a suspect's place, and no edge or line."""
    row, col = (int(value) for value in grid.sites[site])
    if state.trace is not None and trace.is_drawn_out(state.trace, row, col):
        return False
    expected = float(verdicts.amplitude[site] @ LUMA)
    expected *= float(verdicts.shown[:, site].mean())
    return hotmap.stands_alone(state, row, col, expected)


def proven(state: State, grid: Grid, verdicts: Verdicts) -> list[int]:
    """Return the numbers of the suspects that are defects, the surest first."""
    sites = np.flatnonzero(verdicts.listed)
    ordered = sites[np.argsort(-verdicts.score[sites])].tolist()
    return [site for site in ordered if _is_spot(state, grid, verdicts, site)]


def _listed(
    state: State,
    grid: Grid,
    verdicts: Verdicts,
    ignored: Collection[tuple[int, int]],
) -> list[Defect]:
    """Return the defects that the newest photos prove, the surest first."""
    listed: list[Defect] = []
    for site in proven(state, grid, verdicts):
        row, col = (int(value) for value in grid.sites[site])
        is_ignored = hotmap.is_ignored(row, col, ignored)
        if not is_ignored and _near((row, col), listed) is None:
            listed.append(_described(state, grid, verdicts, site))
    return listed


def _continued(one: Defect, former: Defect | None) -> Defect:
    """Return the defect with the beginning that the former map knew, if it is earlier."""
    if former is None or (one.after is not None and former.after is None):
        return one
    if former.by is None or (one.by is not None and one.by <= former.by):
        return one
    return replace(one, after=former.after, by=former.by)


def _ended(one: Defect, grid: Grid, verdicts: Verdicts) -> Defect | None:
    """Return what is left of a defect that the newest photos do not prove any more.

    It lives on while they tell too little against it; one that was never sure is dropped.
    """
    places = {(row, col): site for site, (row, col) in enumerate(grid.sites.tolist())}
    site = places.get((one.row, one.col))
    if site is None or not hotmap.is_certain(one):
        return None
    votes = verdicts.support[:, site]
    if float(votes.sum()) > DISPROVED:
        return one
    times = [photo.captured for photo in grid.photos]
    showing = np.flatnonzero(votes > 0)
    gone = int(showing[-1]) + 1 if len(showing) else 0
    return replace(one, until=times[min(gone, len(times) - 1)])


def _is_same_life(past: Defect, new: Defect) -> bool:
    """Tell whether a life that has ended is told again in the new map."""
    return _near((past.row, past.col), [new]) is not None and (
        new.by is None or past.until is None or new.by < past.until
    )


def _earlier(
    one: Defect, living: Sequence[Defect], past: Sequence[Defect]
) -> Defect | None:
    """Return what the former map knew of a defect's life, if anything."""
    known = _near((one.row, one.col), living)
    if known is None and one.until is not None:
        return _near(
            (one.row, one.col), [old for old in past if _is_same_life(old, one)]
        )
    return known


def carried_on(
    former: Sequence[Defect], found: Sequence[Defect], grid: Grid, verdicts: Verdicts
) -> list[Defect]:
    """Return the new map: what was found, with what is known of the past.

    Parameters
    ----------
    former : sequence of Defect
        The map before; a place may have had several lives.
    found : sequence of Defect
        What the newest photos prove.
    """
    past = [one for one in former if one.until is not None]
    living = [one for one in former if one.until is None]
    out = [_continued(one, _earlier(one, living, past)) for one in found]
    for one in living:
        if _near((one.row, one.col), found) is None:
            left = _ended(one, grid, verdicts)
            out += [left] if left is not None else []
    return out + [
        one for one in past if not any(_is_same_life(one, new) for new in out)
    ]


def defects(
    state: State,
    grid: Grid,
    ignored: Collection[tuple[int, int]],
    former: Sequence[Defect] = (),
    needed: int = SCENES,
) -> list[Defect]:
    """Return the map of a camera.

    Parameters
    ----------
    state : State
        Measures the shape of the defects.
    grid : Grid
        With at least one photo.
    ignored : collection of (row, col)
        Never listed, nor what lies within two pixels.
    former : sequence of Defect
        The map before.
    needed : int
        Different scenes without which it stays as it is.
    """
    if hotmap.is_one_scene(state):
        return list(former)
    height, width, _ = state.mean.shape
    verdicts = verdict.judge(grid.suspects, grid.controls, height * width, grid.taken)
    if verdicts.votes < needed:
        return list(former)
    found = _listed(state, grid, verdicts, ignored)
    return carried_on(former, found, grid, verdicts)

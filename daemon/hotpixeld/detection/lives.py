"""Lives: from the verdicts on a camera's suspects to its defects, with their dates.

A life begins between two photos and may end before a third.  The verdicts look back on
the newest photos only; what is older is carried on from the former map.

Appearances: in how many photos a defect shows, and how strongly at which exposures.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.defect import Appearance, Kind, Strength
from hotpixeld.detection import suspects, verdict
from hotpixeld.detection.score_test import CLIPPED, Axis
from hotpixeld.detection.suspects import APART
from hotpixeld.statistics import trace
from hotpixeld.statistics.peaks import LUMA

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Sequence

    from hotpixeld.defect import Defect
    from hotpixeld.detection.evidence import EvidenceTable, SampledPhoto
    from hotpixeld.detection.verdict import Hypothesis, Verdicts
    from hotpixeld.statistics.welford import State

# A vote (log likelihood ratio) from which on a photo tells anything about a defect.
TELLING = 1.0
# Exposure times within two stops are told together.
STOPS = 2


def _stop(photo: SampledPhoto) -> int | None:
    """Return the number of a photo's exposure time, `STOPS` a step."""
    seconds = photo.exposure_seconds
    return math.floor(math.log2(seconds) / STOPS) if seconds else None


def _strength(grid: EvidenceTable, site: int, photos: list[int]) -> Strength:
    """Return how strongly a site shows in some photos of like exposure."""
    samples = grid.suspects[photos, site]
    weight = np.where(samples["clipped"] <= CLIPPED, 1, 0) / (
        1 + samples["spread"].astype(np.float64) ** 2
    )
    peaks = samples["peak"].astype(np.float64) @ LUMA
    taken = [grid.photos[number] for number in photos]
    seconds = [one.exposure_seconds for one in taken if one.exposure_seconds]
    iso = [one.iso for one in taken if one.iso]
    return Strength(
        seconds=(min(seconds), max(seconds)) if seconds else None,
        iso=(min(iso), max(iso)) if iso else None,
        amplitude=float((weight * peaks).sum() / max(float(weight.sum()), 1e-9)),
        photos=len(photos),
    )


def focal(
    grid: EvidenceTable, verdicts: Verdicts, site: int
) -> tuple[float, float] | None:
    """Return the focal lengths at which a defect shows at this place; None is any."""
    if verdicts.axis[site] != Axis.FOCAL:
        return None
    lengths = grid.taken.focal[verdicts.shown[:, site]]
    return float(lengths.min()), float(lengths.max())


def of(
    grid: EvidenceTable, verdicts: Verdicts, site: int, first: int, last: int
) -> Appearance:
    """Return how the defect at a suspect's place appears in the photos of its life.

    Parameters
    ----------
    grid : EvidenceTable
    verdicts : Verdicts
    site : int
        Number of the suspect.
    first, last : int
        Numbers of the first and the last photo of its life.
    """
    votes = verdicts.support[:, site]
    alive = np.arange(first, last + 1)
    by_stop: dict[int | None, list[int]] = defaultdict(list)
    for number in alive.tolist():
        by_stop[_stop(grid.photos[number])].append(number)
    return Appearance(
        seen=int((votes[alive] >= TELLING).sum()),
        telling=int((np.abs(votes[alive]) >= TELLING).sum()),
        strengths=tuple(
            _strength(grid, site, photos)
            for _, photos in sorted(by_stop.items(), key=lambda item: item[0] or 0)
        ),
    )


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


def _described(
    state: State, grid: EvidenceTable, verdicts: Verdicts, site: int
) -> Defect:
    """Return the defect at a suspect's place: shape from the mean, dates from photos."""
    row, col = (int(value) for value in grid.sites[site])
    red, green, blue = verdicts.amplitude[site].tolist()
    times = [photo.captured for photo in grid.photos]
    life = verdict.life(verdicts, site)
    one = suspects.measure(state, row, col, float(verdicts.score[site]))
    return replace(
        one,
        kind=_kind(verdicts.hypothesis[site], one.kind),
        amplitude=(red, green, blue),
        after=None if life.after is None else times[life.after],
        by=times[life.first],
        until=None if life.until is None else times[life.until],
        focal=focal(grid, verdicts, site),
        appearance=of(grid, verdicts, site, life.first, life.last),
    )


def _is_spot(state: State, grid: EvidenceTable, verdicts: Verdicts, site: int) -> bool:
    """Tell whether there is a spot at a suspect's place, and no edge or line."""
    row, col = (int(value) for value in grid.sites[site])
    if state.trace is not None and trace.is_drawn_out(state.trace, row, col):
        return False
    expected = float(verdicts.amplitude[site] @ LUMA)
    expected *= float(verdicts.shown[:, site].mean())
    return suspects.stands_alone(state, row, col, expected)


def proven(state: State, grid: EvidenceTable, verdicts: Verdicts) -> list[int]:
    """Return the numbers of the suspects that are defects, the surest first."""
    sites = np.flatnonzero(verdicts.listed)
    ordered = sites[np.argsort(-verdicts.score[sites])].tolist()
    return [site for site in ordered if _is_spot(state, grid, verdicts, site)]


def _listed(
    state: State,
    grid: EvidenceTable,
    verdicts: Verdicts,
    ignored: Collection[tuple[int, int]],
) -> list[Defect]:
    """Return the defects that the newest photos prove, the surest first."""
    listed: list[Defect] = []
    for site in proven(state, grid, verdicts):
        row, col = (int(value) for value in grid.sites[site])
        is_ignored = suspects.is_ignored(row, col, ignored)
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


def _ended(one: Defect, grid: EvidenceTable, verdicts: Verdicts) -> Defect | None:
    """Return what is left of a defect that the newest photos do not prove any more.

    It lives on while they tell too little against it; one that was never sure is dropped.
    """
    places = {(row, col): site for site, (row, col) in enumerate(grid.sites.tolist())}
    site = places.get((one.row, one.col))
    if site is None or not suspects.is_certain(one):
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
    former: Sequence[Defect],
    found: Sequence[Defect],
    grid: EvidenceTable,
    verdicts: Verdicts,
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
    grid: EvidenceTable,
    ignored: Collection[tuple[int, int]],
    former: Sequence[Defect] = (),
    needed: int = SCENES,
) -> list[Defect]:
    """Return the map of a camera.

    Parameters
    ----------
    state : State
        Measures the shape of the defects.
    grid : EvidenceTable
        With at least one photo.
    ignored : collection of (row, col)
        Never listed, nor what lies within two pixels.
    former : sequence of Defect
        The map before.
    needed : int
        Different scenes without which it stays as it is.
    """
    if suspects.is_one_scene(state):
        return list(former)
    height, width, _ = state.mean.shape
    verdicts = verdict.judge(grid.suspects, grid.controls, height * width, grid.taken)
    if verdicts.votes < needed:
        return list(former)
    found = _listed(state, grid, verdicts, ignored)
    return carried_on(former, found, grid, verdicts)

"""Lives: from the verdicts on a camera's suspects to its defects, with their dates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld import hotmap, verdict
from hotpixeld.pixels import Kind

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from hotpixeld.pixels import Defect
    from hotpixeld.sampling import Grid
    from hotpixeld.welford import State

LEAST_VOTES = 4.0
"""Different scenes without which there is no verdict."""
APART = 3
"""Peaks nearer than this are one defect."""


def dates(
    shown: NDArray[np.bool_], times: Sequence[dt.datetime | None]
) -> tuple[dt.datetime | None, dt.datetime | None, dt.datetime | None]:
    """Return after, by and until of a defect that shows in some photos.

    Parameters
    ----------
    shown : (photos,) bool
        By capture time.
    times : sequence of datetime or None
        Of the same photos.
    """
    places = np.flatnonzero(shown).tolist()
    if not places:
        return None, None, None
    first, last = places[0], places[-1]
    together = bool(shown[first : last + 1].all())
    after = times[first - 1] if first and together else None
    until = times[last + 1] if together and last + 1 < len(times) else None
    return after, times[first], until


def _is_near(defect: Defect, places: Collection[tuple[int, int]], reach: int) -> bool:
    return any(
        max(abs(defect.row - row), abs(defect.col - col)) <= reach
        for row, col in places
    )


def defects(
    state: State, grid: Grid, ignored: Collection[tuple[int, int]]
) -> list[Defect]:
    """Return the defects that the evidence proves, the surest first.

    Parameters
    ----------
    state : State
        Measures their shape.
    grid : Grid
        With at least one photo.
    ignored : collection of (row, col)
        Never listed, nor what lies within two pixels.
    """
    height, width, _ = state.mean.shape
    found = verdict.judge(grid.suspects, grid.controls, height * width, grid.exposure)
    if found.votes < LEAST_VOTES:
        return []
    times = [one.captured for one in grid.photos]
    listed: list[Defect] = []
    for site in np.argsort(-found.score).tolist():
        if found.false_alarms[site] >= verdict.FALSE_ALARMS:
            break
        row, col = (int(value) for value in grid.sites[site])
        one = hotmap.measure(state, row, col, float(found.score[site]))
        after, by, until = dates(found.shown[:, site], times)
        hypothesis = found.hypothesis[site]
        kind = Kind.DEAD if hypothesis.amplitude < 0 else hypothesis.kind
        one = replace(one, kind=kind, after=after, by=by, until=until)
        places = [(other.row, other.col) for other in listed]
        if not _is_near(one, places, APART) and not _is_near(one, ignored, 2):
            listed.append(one)
    return listed

"""Dates: since when a defect is there, and until when, where photos prove it.

Conditions come before dates. A defect that photos do not show may be one that could not show
in them: by the law of light, since the camera's other defects are missing there too (warmth,
noise reduction, a filter), or since the exposures or the focal lengths are others. A date is
told only where it explains the photos better than all of that, by a hundred to one for each
(`CHANGE`); several defects that change at the same photos pay for each of them, and win that
back only where the others, expected in these very photos, go on. So does a range of focal
lengths, which a lens correction makes of one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.detection import explanation
from hotpixeld.detection.score_test import Axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hotpixeld.detection.explanation import Explained, Question
    from hotpixeld.statistics.contrast import FloatArray

    Inside = NDArray[np.bool_]

CHANGE = 4.6
"""A beginning or an end needs this much (log likelihood) against the defect outside."""
TELLING = 1.0
"""A vote from which on a photo counts for or against a defect by itself."""
TOGETHER = 3
"""So many defects that change at the same photos are conditions, or prove that not."""
NEAR = 2
"""Changes so many photos apart may be at the same photo."""


@dataclass(frozen=True, slots=True)
class Life:
    """When a defect was there, in numbers of photos by capture time.

    Attributes
    ----------
    first, last : int
        First and last photo that show it, or would if they counted.
    after, until : int or None
        Last photo before and first one after it that do without it; None where the photos
        do not show that it was ever absent.
    """

    first: int
    last: int
    after: int | None
    until: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of N sites.

    Attributes
    ----------
    explained : Explained
        In the photos of their lives.
    lives : tuple of N Life
    by_focal : (N,) bool
        Which show at some focal lengths only: those of their suspect's part.
    """

    explained: Explained
    lives: tuple[Life, ...]
    by_focal: NDArray[np.bool_]


def stretch(votes: FloatArray) -> tuple[int, int]:
    """Return the first and last photo of the stretch that votes most for a defect.

    Both vote for it, unless no photo does.
    """
    sums = np.concatenate([np.zeros(1, np.float32), np.cumsum(votes)])
    lowest = np.minimum.accumulate(sums[:-1])
    last = int((sums[1:] - lowest).argmax())
    first = int(np.flatnonzero(sums[: last + 1] <= lowest[last])[-1])
    return first, last


def _change(votes: FloatArray) -> tuple[int, int]:
    """Return the first photo of a life and the first one after it; ends where none is."""
    first, last = stretch(votes)
    began = float(votes[:first].sum()) < -CHANGE
    ended = float(votes[last + 1 :].sum()) < -CHANGE
    return first if began else 0, last + 1 if ended else len(votes)


def _best_range(votes: FloatArray, condition: NDArray[np.floating]) -> Inside | None:
    """Return the photos of the range of a condition that votes most for a defect.

    None where the condition is the same in all photos, or unknown.
    """
    ranks = np.unique(condition, return_inverse=True)[1]
    if not ranks.any():
        return None
    first, last = stretch(np.bincount(ranks, votes).astype(np.float32))
    return np.asarray((ranks >= first) & (ranks <= last), np.bool_)


@dataclass(frozen=True, slots=True)
class _Change:
    """A beginning, an end or a range of focal lengths of a site, not proven yet.

    Attributes
    ----------
    site : int
    at : tuple of int
        What it shares with others that change at the same photos: which of these it is,
        and where it lies.
    outside : (photos,) bool
        The photos that lack the site by that.
    """

    site: int
    at: tuple[int, ...]
    outside: Inside

    def is_with(self, other: _Change) -> bool:
        """Return whether another site's change is at the same photos."""
        kind, *where = self.at
        if kind != other.at[0]:
            return False
        near = 0 if kind == Axis.FOCAL else NEAR
        return all(abs(a - b) <= near for a, b in zip(where, other.at[1:], strict=True))


@dataclass(slots=True)
class _Lives:
    """The lives that N sites may have; what is not proven of them is dropped.

    Attributes
    ----------
    inside : (photos, N) bool
        The photos of each life.
    found : Explained
        By these.
    """

    question: Question
    axis: NDArray[np.int8]
    inside: Inside
    found: Explained

    def changes(self) -> list[_Change]:
        """Return the changes of all lives."""
        out = []
        number = np.arange(len(self.inside))
        for site in np.flatnonzero(~self.inside.all(axis=0)).tolist():
            inside = self.inside[:, site]
            there = np.flatnonzero(inside)
            first, last = int(there[0]), int(there[-1])
            if self.axis[site] == Axis.FOCAL:
                lengths = self.question.conditions.focal[inside] * 10
                at = int(Axis.FOCAL), int(lengths.min()), int(lengths.max())
                out.append(_Change(site, at, ~inside))
                continue
            if first > 0:
                out.append(_Change(site, (-1, first), number < first))
            if last < len(inside) - 1:
                out.append(_Change(site, (-2, last), number > last))
        return out

    def groups(self) -> list[list[_Change]]:
        """Return the changes at the same photos, most first."""
        left = self.changes()
        out: list[list[_Change]] = []
        while left:
            groups = ([one for one in left if one.is_with(other)] for other in left)
            out.append(max(groups, key=len))
            left = [one for one in left if one not in out[-1]]
        return out

    def settle(self) -> None:
        """Move beginnings and ends to where the photos, by these lives, have them."""
        for site in np.flatnonzero(self.axis == Axis.TIME).tolist():
            begins, ends = _change(self.found.votes[:, site])
            self.inside[:, site] = False
            self.inside[begins:ends, site] = True
        self.found = explanation.explain(self.question, self.inside)

    def confirm(self, group: list[_Change]) -> None:
        """Drop the changes of a group, unless they explain more than conditions do."""
        without = self.inside.copy()
        for one in group:
            without[one.outside, one.site] = True
        found = explanation.explain(self.question, without)
        told = float((self.found.votes * self.inside).sum())
        told -= float((found.votes * without).sum())
        if told <= CHANGE * len(group) or self.by_conditions(group, found):
            self.inside, self.found = without, found

    def by_conditions(self, group: list[_Change], without: Explained) -> bool:
        """Return whether conditions explain the changes of a group as well.

        Others that go on are none: many that change at the same photos, and a range of
        exposures or focal lengths, are no conditions then.
        """
        votes = without.votes * self.inside
        votes[:, [one.site for one in group]] = 0
        others = votes.sum(axis=1)
        if len(group) >= TOGETHER:
            outside = np.any([one.outside for one in group], axis=0)
            return float(others[outside].sum()) <= CHANGE * len(group)
        return any(self._has_range(one.site, others) for one in group)

    def _has_range(self, site: int, others: FloatArray) -> bool:
        """Return whether a range of exposures or focal lengths is the better life."""
        votes = self.found.votes[:, site]
        own = self.inside[:, site]
        told = float(votes[own].sum())
        conditions = self.question.conditions
        is_focal = self.axis[site] == Axis.FOCAL
        cost = CHANGE * (1 if is_focal else int(not own[0]) + int(not own[-1]))
        for condition in (conditions.exposure, *[conditions.focal] * (not is_focal)):
            inside = _best_range(votes, condition)
            if inside is None or float(others[~inside].sum()) > CHANGE:
                continue
            if told - float(votes[inside].sum()) <= cost:
                return True
        return False


def _starts(
    votes: FloatArray, axis: NDArray[np.int8], shown: Inside
) -> tuple[Inside, NDArray[np.int8]]:
    """Return where a candidate is looked for first, and along which axis."""
    inside, along = np.zeros_like(shown), np.full_like(axis, Axis.TIME)
    for site in range(shown.shape[1]):
        own, part = votes[:, site], shown[:, site]
        first, last = stretch(own)
        inside[first : last + 1, site] = True
        if axis[site] == Axis.TIME and not part.all():
            inside[:, site] = part
        # Else those of a focal length happen to be the first or the last ones.
        is_mixed = float(own[inside[:, site]].sum()) < float(own[part].sum())
        if axis[site] == Axis.FOCAL and is_mixed:
            inside[:, site], along[site] = part, Axis.FOCAL
    return inside, along


def _life(votes: FloatArray, inside: Inside) -> Life:
    """Return a life by the photos that it may be in."""
    there = np.flatnonzero(inside)
    begins, ends = int(there[0]), int(there[-1]) + 1
    showing = there[votes[there] > 0]
    first = int(showing[0]) if len(showing) else begins
    last = int(showing[-1]) if len(showing) else ends - 1
    before = np.flatnonzero(votes[:begins] <= -TELLING)
    behind = np.flatnonzero(votes[ends:] <= -TELLING)
    return Life(
        first,
        last,
        int(before[-1]) if len(before) else (begins - 1 if begins else None),
        ends + int(behind[0]) if len(behind) else (ends if ends < len(votes) else None),
    )


def told(question: Question, axis: NDArray[np.int8], shown: Inside) -> Told:
    """Return what photos tell of some sites: what they are, since when and until when.

    Parameters
    ----------
    question : Question
    axis : (N,) int8
        Along what each stands out most; of `score_test.Axis`.
    shown : (photos, N) bool
        In which photos, by that.
    """
    whole = explanation.explain(question, np.ones_like(shown))
    inside, along = _starts(whole.votes, axis, shown)
    lives = _Lives(question, along, inside, explanation.explain(question, inside))
    lives.settle()
    lives.settle()
    for group in lives.groups():
        lives.confirm(group)
    by_focal = (along == Axis.FOCAL) & ~lives.inside.all(axis=0)
    everywhere = lives.inside | by_focal
    each = (
        _life(votes, inside)
        for votes, inside in zip(lives.found.votes.T, everywhere.T, strict=True)
    )
    return Told(lives.found, tuple(each), by_focal)

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


@dataclass(slots=True)
class _Lives:
    """What is held for the lives of N sites; edited as groups are looked at."""

    question: Question
    axis: NDArray[np.int8]
    whole: Explained
    part: Explained
    held: Explained
    inside: Inside
    candidate: Inside

    @property
    def count(self) -> int:
        return int(self.inside.shape[1])

    def changes(self, site: int) -> tuple[int, ...]:
        """Return what a candidate must share with another to be of its group."""
        inside = self.candidate[:, site]
        there = np.flatnonzero(inside)
        if self.axis[site] == Axis.FOCAL:
            lengths = self.question.conditions.focal[inside]
            return int(lengths.min() * 10), int(lengths.max() * 10), -1
        return int(there[0]), int(there[-1])

    def groups(self) -> list[list[int]]:
        """Return the sites whose candidates change at the same photos, greatest first."""
        asked = [
            site for site in range(self.count) if not self.candidate[:, site].all()
        ]
        groups: list[list[int]] = []
        for site in asked:
            own = self.changes(site)
            group = [other for other in asked if _is_near(own, self.changes(other))]
            groups.append(group)
        groups.sort(key=len, reverse=True)
        out: list[list[int]] = []
        taken: set[int] = set()
        for group in groups:
            left = [site for site in group if site not in taken]
            taken |= set(left)
            out += [left] if left else []
        return out

    def cost(self, site: int) -> float:
        """Return what a candidate must explain more than conditions do."""
        inside = self.candidate[:, site]
        if self.axis[site] == Axis.FOCAL:
            return CHANGE
        return CHANGE * (int(not inside[0]) + int(not inside[-1]))

    def gain(self, site: int) -> float:
        """Return how much better a candidate explains the photos than conditions do."""
        votes, inside = self.part.votes[:, site], self.candidate[:, site]
        told = float(votes[inside].sum())
        return told - max(
            float(self.whole.votes[:, site].sum()), self.by_conditions(site)
        )

    def by_conditions(self, site: int) -> float:
        """Return how well a range of exposures or focal lengths explains the photos.

        None does where the other defects go on outside of it.
        """
        votes, found = self.part.votes[:, site], [0.0]
        focal, exposure = (
            self.question.conditions.focal,
            self.question.conditions.exposure,
        )
        for condition in (
            (exposure,) if self.axis[site] == Axis.FOCAL else (exposure, focal)
        ):
            inside = _best_range(votes, condition)
            if inside is None:
                continue
            if not self.go_on(~inside, [site]):
                found.append(float(votes[inside].sum()))
        return max(found)

    def go_on(self, photos: Inside, but: list[int]) -> bool:
        """Return whether other defects are there in photos that lack those of a group."""
        others = np.ones(self.count, np.bool_)
        others[but] = False
        votes = self.whole.votes * self.candidate
        return float(votes[photos][:, others].sum()) > CHANGE * len(but)

    def accept(self, group: list[int]) -> None:
        """Take the candidates of a group that are told apart from conditions."""
        if len(group) >= TOGETHER:
            self.accept_together(group)
            return
        for site in group:
            if self.gain(site) > self.cost(site):
                self.inside[:, site] = self.candidate[:, site]

    def accept_together(self, group: list[int]) -> None:
        """Take all candidates of a group if the others go on as if nothing had happened.

        The photos' gains are fitted with these lives, and without them.
        """
        inside = self.inside.copy()
        inside[:, group] = self.candidate[:, group]
        found = explanation.explain(self.question, inside)
        before = float((self.held.votes * self.inside).sum())
        now = float((found.votes * inside).sum())
        outside = np.asarray(~self.candidate[:, group].all(axis=1))
        if now - before > CHANGE * len(group) and self.go_on(outside, group):
            self.inside, self.held = inside, found


def _is_near(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Return whether two candidates change at the same photos."""
    if len(one) != len(other):
        return False
    if len(one) == 3:
        return one == other
    return all(abs(a - b) <= NEAR for a, b in zip(one, other, strict=True))


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
    everything = np.ones_like(shown)
    whole = explanation.explain(question, everything)
    candidate, along = _starts(whole.votes, axis, shown)
    part = explanation.explain(question, candidate)
    for _ in range(2):
        for site in np.flatnonzero(along == Axis.TIME).tolist():
            begins, ends = _change(part.votes[:, site])
            candidate[:, site] = False
            candidate[begins:ends, site] = True
        part = explanation.explain(question, candidate)
    lives = _Lives(question, along, whole, part, whole, everything.copy(), candidate)
    for group in lives.groups():
        lives.accept(group)
    found = explanation.explain(question, lives.inside)
    by_focal = (along == Axis.FOCAL) & ~lives.inside.all(axis=0)
    each = []
    for site in range(lives.count):
        inside = lives.inside[:, site]
        if by_focal[site]:
            inside = np.ones_like(inside)
        each.append(_life(found.votes[:, site], inside))
    return Told(found, tuple(each), by_focal)

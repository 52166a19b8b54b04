"""Lives: from the verdicts on a camera's suspects to its defects, with their dates.

A life begins between two photos and may end before a third.  The verdicts look back on
the newest photos only; what is older is carried on from the map before.  In how many
photos of its life a defect shows, and how strongly at which exposures, is its appearance.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.defect import Appearance, Defect, Kind, Strength
from hotpixeld.detection import dates, light, suspects, verdict
from hotpixeld.detection.dates import CHANGE
from hotpixeld.detection.explanation import Question
from hotpixeld.detection.score_test import CLIPPED
from hotpixeld.detection.sensor_trace import SensorTrace
from hotpixeld.detection.suspects import APART
from hotpixeld.statistics import trace
from hotpixeld.statistics.contrast import LUMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hotpixeld.defect import Law
    from hotpixeld.detection.dates import Life, Told
    from hotpixeld.detection.evidence import EvidenceTable, SampledPhoto
    from hotpixeld.detection.verdict import Verdicts
    from hotpixeld.statistics.contrast import FloatArray
    from hotpixeld.statistics.generation import State

SCENES = 8
"""Different scenes without which there is no verdict."""
DISPROVED = -7.0
"""Votes against (log likelihood ratio, a thousand to one) that end a life."""
# A vote (log likelihood ratio) from which on a photo counts for or against a defect.
LEAST_VOTE = 1.0
HARDLY = 0.25
"""Pixels by which a defect may lie elsewhere in its pixel and be left where it was."""
# Exposure times within two stops are summed up together.
STOPS = 2


def _stop(photo: SampledPhoto) -> int | None:
    """Return the number of a photo's exposure time, `STOPS` a step."""
    seconds = photo.exposure_seconds
    return math.floor(math.log2(seconds) / STOPS) if seconds else None


def _strength(table: EvidenceTable, site: int, photos: list[int]) -> Strength:
    """Return how strongly a site shows in some photos of like exposure."""
    samples = table.suspects[photos, site]
    weight = np.where(samples["clipped"] <= CLIPPED, 1, 0) / (
        1 + samples["spread"].astype(np.float64) ** 2
    )
    peaks = samples["peak"].astype(np.float64) @ LUMA
    taken = [table.photos[number] for number in photos]
    seconds = [photo.exposure_seconds for photo in taken if photo.exposure_seconds]
    iso = [photo.iso for photo in taken if photo.iso]
    return Strength(
        seconds=(min(seconds), max(seconds)) if seconds else None,
        iso=(min(iso), max(iso)) if iso else None,
        amplitude=float((weight * peaks).sum() / max(float(weight.sum()), 1e-9)),
        photos=len(photos),
    )


def focal_range(table: EvidenceTable, shown: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the focal lengths of the photos that show a defect at its place."""
    lengths = table.conditions.focal[shown]
    return float(lengths.min()), float(lengths.max())


def appearance(
    table: EvidenceTable, site: int, votes: FloatArray, life: Life
) -> Appearance:
    """Return how the defect at a suspect's place appears in the photos of its life.

    Where nothing shows that it was ever absent, these are all.

    Parameters
    ----------
    table : EvidenceTable
    site : int
        Number of the suspect.
    votes : (photos,) float32
    life : Life
    """
    first = 0 if life.after is None else life.first
    last = len(votes) - 1 if life.until is None else life.last
    alive = np.arange(first, last + 1)
    by_stop: dict[int | None, list[int]] = defaultdict(list)
    for number in alive.tolist():
        by_stop[_stop(table.photos[number])].append(number)
    return Appearance(
        seen=int((votes[alive] >= LEAST_VOTE).sum()),
        telling=int((np.abs(votes[alive]) >= LEAST_VOTE).sum()),
        strengths=tuple(
            _strength(table, site, photos)
            for _, photos in sorted(by_stop.items(), key=lambda item: item[0] or 0)
        ),
    )


def scenes_needed(min_photos: int) -> int:
    """Return how many different scenes a verdict needs: no more than photos."""
    return min(SCENES, min_photos)


def at_service(
    former: Iterable[Defect], when: dt.datetime
) -> tuple[list[Defect], list[Defect]]:
    """Return the lives that began before a service, and those after it.

    Those that it ended go on for as long as the photos before it say.
    """
    before: list[Defect] = []
    after: list[Defect] = []
    for life in former:
        if _is_older(life, when):
            before.append(replace(life, until=None) if life.until == when else life)
        else:
            after.append(life)
    return before, after


def _is_older(defect: Defect, when: dt.datetime | None) -> bool:
    """Return whether a defect began before a service, if there was any."""
    began = defect.by or defect.after
    return when is not None and (began is None or began < when)


def still_ended(
    before: Iterable[Defect], former: Iterable[Defect], when: dt.datetime
) -> list[Defect]:
    """Return lives from before a service, those ended that the map before had so."""
    ended = [one for one in former if one.until == when]
    return [
        replace(life, until=when)
        if life.until is None and _same(life.row, life.col, ended)
        else life
        for life in before
    ]


def _same(row: int, col: int, others: Iterable[Defect]) -> Defect | None:
    """Return one of `others` that is the same defect as that at a site, if any."""
    for other in others:
        if max(abs(other.row - row), abs(other.col - col)) <= APART:
            return other
    return None


def places(defects: Iterable[Defect]) -> int:
    """Return how many defects there are: several lives of one place are one defect."""
    seen: list[Defect] = []
    for defect in defects:
        if _same(defect.row, defect.col, seen) is None:
            seen.append(defect)
    return len(seen)


def joined(defects: Iterable[Defect], when: dt.datetime | None) -> list[Defect]:
    """Return the lives on both sides of a service as one, where it mended nothing.

    Evidence starts afresh with a service, so that a pixel that photos since then prove is a
    new life; one that they show from the first on, as if nothing had happened, outlived it.

    Parameters
    ----------
    when : datetime or None
        Of the service.
    """
    lives = list(defects)
    ended = [one for one in lives if one.until is not None and one.until == when]
    outlived, out = [], []
    for life in lives:
        before = _same(life.row, life.col, ended)
        if before is None or before is life or life.after is not None:
            out.append(life)
        else:
            outlived.append(before)
            out.append(replace(life, after=before.after, by=before.by))
    return [one for one in out if one not in outlived]


def _narrowed(life: Defect, other: Defect) -> Defect:
    """Return a life with the beginning that both of two maps allow, else its own."""
    after = max((one.after for one in (life, other) if one.after), default=None)
    by = min((one.by for one in (life, other) if one.by), default=None)
    if after is not None and by is not None and after >= by:
        return life
    return replace(life, after=after, by=by)


def of_both(mine: Sequence[Defect], others: Sequence[Defect]) -> list[Defect]:
    """Return one map of two that were made of different photos of one camera.

    It is what the next map continues, which judges anew.
    """
    out = list(mine)
    for other in others:
        same = [
            number
            for number, life in enumerate(out)
            if _same(other.row, other.col, [life])
            and (life.until is None) == (other.until is None)
        ]
        if same:
            out[same[0]] = _narrowed(out[same[0]], other)
        else:
            out.append(other)
    return out


def _kind(by_photos: Kind, by_state: Kind) -> Kind:
    """Return the kind that photos and state agree on.

    Photos alone may take what adds to like scenes for a level of its own; the state knows
    whether the site varies less than its surroundings.
    """
    both = (by_photos, by_state)
    return Kind.HOT if both == (Kind.STUCK, Kind.HOT) else by_photos


def _kind_by_samples(verdicts: Verdicts, table: EvidenceTable, site: int) -> Kind:
    """Return what the state would say if all photos showed a site at one place.

    See `suspects.measure`: here the photos' own samples say how much less it varies than
    what is around it.
    """
    if verdicts.amplitude[site] @ LUMA < 0:
        return Kind.DEAD
    samples = table.suspects[:, site]
    told = samples[samples["clipped"] <= CLIPPED]
    around = told["level"].astype(np.float64)
    own = around[:, None] + told["peak"].astype(np.float64)
    varied = float(own.var(axis=0).mean()) if len(told) else np.inf
    return Kind.STUCK if varied < suspects.STUCK * around.var() else Kind.HOT


@dataclass(frozen=True, slots=True)
class Asked:
    """What the photos tell of some suspects.

    Attributes
    ----------
    sites : list of int
        Their numbers.
    told : Told
    former : mapping of int to Law
        As the map before has them, by their places in `sites`.
    """

    sites: list[int]
    told: Told
    former: Mapping[int, Law]

    def votes(self, table: EvidenceTable) -> dict[tuple[int, int], FloatArray]:
        """Return the votes about each, by row and column."""
        return dict(zip(self._places(table), self.told.explained.votes.T, strict=True))

    def laws(self, table: EvidenceTable) -> dict[tuple[int, int], Law]:
        """Return the laws of all, at the gain of these photos, by row and column."""
        return {place: self.law(n) for n, place in enumerate(self._places(table))}

    def law(self, number: int) -> Law:
        """Return the law of one of them."""
        return self.told.explained.fit.law(number, self.former.get(number))

    def _places(self, table: EvidenceTable) -> list[tuple[int, int]]:
        return [(int(row), int(col)) for row, col in table.sites[self.sites]]


def ask(
    table: EvidenceTable,
    verdicts: Verdicts,
    sites: Sequence[int],
    former: Mapping[int, Defect],
    service: dt.datetime | None = None,
) -> Asked:
    """Ask what some suspects are, and since when: those of the list, and former ones.

    Parameters
    ----------
    table : EvidenceTable
    verdicts : Verdicts
    sites : sequence of int
        The suspects that are defects, by their numbers.
    former : mapping of int to Defect
        What the map before says of suspects. Those that are no defects by what photos show
        now are asked for by their laws of then.
    service : datetime or None
        Before all of the photos. It may have mended what is older than it and is no
        defect now, so that this tells nothing of how others show.
    """
    asked = [*sites, *(site for site in former if site not in sites)]
    shown = verdicts.shown[:, asked]
    question = Question.about(
        table.suspects[:, asked],
        verdicts.residuals.only(asked),
        shown,
        table.conditions,
    )
    laws = {
        number: light.law_of(former[site])
        for number, site in enumerate(asked)
        if site in former and former[site].kind is Kind.HOT
    }
    question = question.with_former(laws, len(sites))
    if service is not None:
        mended = [
            number
            for number, site in enumerate(asked)
            if number >= len(sites) and _is_older(former[site], service)
        ]
        question = replace(question, silent=tuple(mended))
    return Asked(asked, dates.told(question, verdicts.axis[asked], shown), laws)


def _described(
    state: State, table: EvidenceTable, verdicts: Verdicts, asked: Asked, number: int
) -> Defect:
    """Return the defect at a suspect's place: shape from the mean, dates from photos."""
    site, told = asked.sites[number], asked.told
    row, col = (int(value) for value in table.sites[site])
    red, green, blue = verdicts.amplitude[site].tolist()
    times = [photo.captured for photo in table.photos]
    life = told.lives[number]
    score = float(verdicts.score[site])
    aside = (0.0, 0.0)
    if isinstance(state.trace, SensorTrace):
        aside = state.trace.aside(row, col)
        defect = Defect(row, col, _kind_by_samples(verdicts, table, site), None, score)
    else:
        defect = suspects.measure(state, row, col, score)
    kind = _kind(told.explained.kinds[number], defect.kind)
    shown = verdicts.shown[:, site]
    return replace(
        defect,
        kind=kind,
        amplitude=(red, green, blue),
        after=None if life.after is None else times[life.after],
        by=times[life.first],
        until=None if life.until is None else times[life.until],
        focal=focal_range(table, shown) if told.by_focal[number] else None,
        appearance=appearance(table, site, told.explained.votes[:, number], life),
        law=asked.law(number) if kind is Kind.HOT else None,
        aside=aside,
    )


def _is_spot(state: State, table: EvidenceTable, verdicts: Verdicts, site: int) -> bool:
    """Return whether there is a spot at a suspect's place, and no edge or line."""
    row, col = (int(value) for value in table.sites[site])
    if state.trace is not None and trace.is_drawn_out(state.trace.ratios(row, col)):
        return False
    if isinstance(state.trace, SensorTrace):
        return True  # the mean shows it where photos of one bin do, and weaker
    expected = float(verdicts.amplitude[site] @ LUMA)
    expected *= float(verdicts.shown[:, site].mean())
    # What is stuck may add as much as it takes away: the mean does not show it.
    return suspects.stands_alone(state, row, col, expected) or suspects.varies_little(
        state, row, col
    )


def proven(state: State, table: EvidenceTable, verdicts: Verdicts) -> list[int]:
    """Return the numbers of the suspects that are defects, the surest first."""
    sites = np.flatnonzero(verdicts.listed)
    ordered = sites[np.argsort(-verdicts.score[sites])].tolist()
    return [site for site in ordered if _is_spot(state, table, verdicts, site)]


def _listed(state: State, table: EvidenceTable, verdicts: Verdicts) -> list[int]:
    """Return the suspects that the newest photos prove, the surest first, each once."""
    places: list[tuple[int, int]] = []
    listed: list[int] = []
    for site in proven(state, table, verdicts):
        row, col = (int(value) for value in table.sites[site])
        if all(max(abs(row - r), abs(col - c)) > APART for r, c in places):
            places.append((row, col))
            listed.append(site)
    return listed


def _is_denied(former: Defect, table: EvidenceTable, votes: FloatArray | None) -> bool:
    """Return whether photos from before a beginning say that there was none.

    They show the defect; or there are many, and the beginning was found when what photos
    could show of it was not asked.
    """
    if votes is None or former.after is None:
        return False
    times = [photo.captured for photo in table.photos]
    before = [when is not None and when <= former.after for when in times]
    against = float(votes[before].sum())
    return against > CHANGE or (former.law is None and sum(before) >= SCENES)


def _continued(
    defect: Defect,
    former: Defect | None,
    table: EvidenceTable,
    votes: FloatArray | None,
) -> Defect:
    """Return the defect with the beginning that the former map knew.

    Unless the new one is earlier, or photos deny that there was any.
    """
    if former is None or former.by is None:
        return defect
    is_earlier = defect.by is not None and defect.by <= former.by
    if defect.after is not None:
        keeps = former.after is not None and not is_earlier
    else:
        keeps = former.after is not None or not is_earlier
    if not keeps or _is_denied(former, table, votes):
        return defect
    return replace(defect, after=former.after, by=former.by)


def _ended(
    defect: Defect, table: EvidenceTable, votes: FloatArray | None
) -> Defect | None:
    """Return what is left of a defect that the newest photos do not prove any more.

    It lives on while their votes against it are too few, those from before it began left
    out; one that was never sure is dropped.
    """
    if votes is None or not suspects.is_certain(defect):
        return None
    times = [photo.captured for photo in table.photos]
    began = defect.by or dt.datetime.min
    before = np.array([when is not None and when < began for when in times], np.bool_)
    votes = np.where(before, 0, votes)
    if float(votes.sum()) > DISPROVED:
        return defect
    showing = np.flatnonzero(votes > 0)
    first = np.count_nonzero(before)
    gone = int(showing[-1]) + 1 if len(showing) else int(first)
    return replace(defect, until=times[min(gone, len(times) - 1)])


def _after_service(
    defect: Defect,
    new: Iterable[Defect],
    votes: FloatArray | None,
    service: dt.datetime,
) -> Defect:
    """Return a defect from before a service: ended by it where photos since then say so.

    They prove it anew, which is a life of its own (see `joined`), or deny it; what is no
    hot pixel shows in any light, and those that lack it need no more.
    """
    is_denied = votes is not None and float(votes.sum()) <= DISPROVED
    is_anew = _same(defect.row, defect.col, new) is not None
    is_over = is_denied or is_anew or defect.kind is not Kind.HOT
    return replace(defect, until=service) if is_over else defect


def _is_same_life(past: Defect, new: Defect) -> bool:
    """Return whether a life that has ended is in the new map as well."""
    return _same(past.row, past.col, [new]) is not None and (
        new.by is None or past.until is None or new.by < past.until
    )


def _earlier(
    defect: Defect, living: Sequence[Defect], past: Sequence[Defect]
) -> Defect | None:
    """Return what the former map knew of a defect's life, if anything."""
    known = _same(defect.row, defect.col, living)
    if known is None and defect.until is not None:
        same = [old for old in past if _is_same_life(old, defect)]
        return _same(defect.row, defect.col, same)
    return known


def _as_sure(
    defect: Defect, living: Sequence[Defect], service: dt.datetime | None
) -> Defect:
    """Return a defect as sure as the map before was of it: no less while it lives.

    And where that had it in its pixel, unless it is clearly elsewhere: copies follow.
    """
    same = _same(defect.row, defect.col, living)
    if same is None or (defect.after is not None and _is_older(same, service)):
        return defect
    sure = replace(defect, score=max(defect.score or 0, same.score or 0))
    apart = [abs(a - b) for a, b in zip(sure.exactly, same.exactly, strict=True)]
    is_there = (sure.row, sure.col) == (same.row, same.col) and max(apart) <= HARDLY
    return replace(sure, aside=same.aside) if is_there else sure


def carried_on(
    former: Sequence[Defect],
    new: Sequence[Defect],
    table: EvidenceTable,
    votes: Mapping[tuple[int, int], FloatArray],
    service: dt.datetime | None = None,
) -> list[Defect]:
    """Return the new map: the new defects, with what is known of the past.

    Parameters
    ----------
    former : sequence of Defect
        The map before; a place may have had several lives.
    new : sequence of Defect
        What the newest photos prove.
    table : EvidenceTable
    votes : mapping of (row, col) to (photos,) float32
        About the new defects, and those of the map before that are not among them.
    service : datetime or None
        Before all of the photos.
    """
    past = [defect for defect in former if defect.until is not None]
    living = [defect for defect in former if defect.until is None]
    older = [one for one in living if _is_older(one, service)]
    out = [_as_sure(defect, living, service) for defect in new]
    living = [one for one in living if one not in older]
    out = [
        _continued(
            defect,
            _earlier(defect, living, past),
            table,
            votes.get((defect.row, defect.col)),
        )
        for defect in out
    ]
    for defect in living:
        if _same(defect.row, defect.col, new) is None:
            left = _ended(defect, table, votes.get((defect.row, defect.col)))
            out += [left] if left is not None else []
    if service is not None:
        past += [
            _after_service(one, new, votes.get((one.row, one.col)), service)
            for one in older
        ]
    return out + [
        ended for ended in past if not any(_is_same_life(ended, life) for life in out)
    ]


def at_gain(
    defects: Iterable[Defect], laws: Mapping[tuple[int, int], Law]
) -> list[Defect]:
    """Return defects with the laws of these photos, by row and column, where they live on.

    Laws have the gain of the photos that they are of: those of the next map follow these, and
    what is over keeps its own.
    """
    return [
        replace(one, law=laws.get((one.row, one.col), one.law))
        if one.law and one.until is None
        else one
        for one in defects
    ]


def defects(
    state: State,
    table: EvidenceTable,
    former: Sequence[Defect] = (),
    needed: int = SCENES,
    service: dt.datetime | None = None,
) -> list[Defect]:
    """Return the map of a camera.

    Parameters
    ----------
    state : State
        Measures the shape of the defects.
    table : EvidenceTable
        With at least one photo.
    former : sequence of Defect
        The map before.
    needed : int
        Different scenes without which it stays as it is.
    service : datetime or None
        Before all of the photos.
    """
    if suspects.is_one_scene(state):
        return list(former)
    height, width, _ = state.mean.shape
    verdicts = verdict.judge(
        table.suspects, table.controls, height * width, table.conditions
    )
    if verdicts.scenes < needed:
        return list(former)
    sites = _listed(state, table, verdicts)
    asked = ask(table, verdicts, sites, _by_site(former, table), service)
    new = [
        _described(state, table, verdicts, asked, number)
        for number in range(len(sites))
    ]
    lived = carried_on(former, new, table, asked.votes(table), service)
    return at_gain(lived, asked.laws(table))


def _by_site(former: Iterable[Defect], table: EvidenceTable) -> dict[int, Defect]:
    """Return the living defects of the map before, by their suspects."""
    numbers = {(row, col): site for site, (row, col) in enumerate(table.sites.tolist())}
    return {
        numbers[one.row, one.col]: one
        for one in former
        if one.until is None and (one.row, one.col) in numbers
    }

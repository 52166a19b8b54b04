"""The gate: photos in which what should be seen of a camera's defects is not.

The camera's own noise reduction took them away, a filter or a crop moved them, or the lens
cap of another body was on. Such a photo is no evidence against any defect, and what stands
out in it at a defect's place is the scene's. By the laws of the defects that are sure, a
photo shows them all at a gain of its own, or none (`light.SUPPRESSED`): it is held back when
none is likelier, all of its defects together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hotpixeld.defect import is_alive
from hotpixeld.detection import light, suspects
from hotpixeld.detection.score_test import Residuals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from hotpixeld.defect import Defect, Law
    from hotpixeld.detection.evidence import EvidenceTable, SampledPhoto


def _is_there(defect: Defect, photo: SampledPhoto) -> bool:
    """Return whether a photo lies in what is known of a defect's life, at its focal lengths.

    Before the first photo that shows it, it may have been there, and by another law.
    """
    when, by = photo.captured, defect.by
    is_known = when is None or by is None or when >= by
    is_at = defect.is_at(photo.focal_mm or None)
    return is_known and is_at and is_alive(defect.life, when)


def suppressed(table: EvidenceTable, defects: Iterable[Defect]) -> NDArray[np.bool_]:
    """Return the photos in which none of a camera's defects is likelier, (photos,) bool.

    Parameters
    ----------
    table : EvidenceTable
    defects : iterable of Defect
        The camera's map. Those that are certain, have a law and are suspects count.
    """
    numbers = {(row, col): site for site, (row, col) in enumerate(table.sites.tolist())}
    found: list[tuple[int, Defect, Law]] = [
        (numbers[one.row, one.col], one, one.law)
        for one in defects
        if one.law is not None
        and (one.row, one.col) in numbers
        and suspects.is_certain(one)
    ]
    if not found or not len(table.photos):
        return np.zeros(len(table.photos), np.bool_)
    sites = [site for site, _, _ in found]
    inside = np.array(
        [[_is_there(one, photo) for _, one, _ in found] for photo in table.photos]
    )
    samples = table.suspects[:, sites]
    centre = light.at_centre(Residuals.of(samples), samples["peak"], inside)
    laws = [law for _, _, law in found]
    taken = table.conditions
    expected = light.Expected.of(centre, taken.exposure, taken.celsius, inside, laws)
    return np.asarray(expected.none_at_all() > light.LIKELIER, np.bool_)

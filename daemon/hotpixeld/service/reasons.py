"""Reasons: why photos were not used and copies need a look, by kind, in words for people.

The ledger's reasons name sizes, programs and bytes; those of one kind are counted together,
with what to do about them and a few examples.  `status`, the end of a run and the report
tell them so.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hotpixeld.store.paths import Told

EXAMPLES = 3
"""So many of each kind are named."""

_FROM_CARD = "Copy from the card again, if it was whole there."
_ORIGINALS = (
    "Put the original into the folder: these are not the sensor's pixels any more."
)
_LIMITS = "Raise `limits` in the configuration, if it is a photo."

Kinds = Mapping[str, tuple[str, str]]
"""What things are and what to do about them, by how the ledger's reason begins."""

KINDS: Kinds = {
    "stored size": ("resized or cropped since it was taken", _ORIGINALS),
    "thumbnail shows": ("cropped since it was taken", _ORIGINALS),
    "edited with": (
        "saved by an editor, which may have moved pixels",
        "Put the original into the folder, and keep the editor's exports elsewhere.",
    ),
    "a creative filter": (
        "taken with a creative filter of the camera",
        "Nothing: such pictures do not show the sensor's pixels as they are.",
    ),
    "no camera identity": (
        "of an unknown camera: no make, no model",
        "Say whose it is with `camera`, for its folder, in the configuration.",
    ),
    "a version": (
        "made of another photo that is here, too",
        "Nothing: the original counts.",
    ),
    "a repaired copy": ("a repaired copy", "Nothing: its original counts."),
    "a plain copy": ("a copy that hotpixeld wrote", "Nothing: its original counts."),
    "a changed copy": (
        "a copy that was changed since hotpixeld wrote it",
        "Nothing: it stays as it is, and its original counts.",
    ),
    "truncated": (
        "cut off: the end is missing",
        "Copy from the card again.",
    ),
    "empty": ("an empty file", "Copy from the card again."),
    "changed while": (
        "still being written when it was read",
        "Nothing, if it is tried again; else copy it anew.",
    ),
    "not a usable JPEG": ("damaged, or no JPEG at all", _FROM_CARD),
    "cannot be decoded": ("damaged inside", _FROM_CARD),
    "cannot be read": (
        "not readable",
        "Plug in or mount what it is on, or see who may read it.",
    ),
    "a link": ("a link, not a file", "Put the file itself there."),
    "… is … pixels": ("larger than the limit", _LIMITS),
    "… bytes": ("larger than the limit", _LIMITS),
    "… scans": ("of very many scans, as no camera writes", _LIMITS),
    "its … scans need": (
        "too large to decode in the memory allowed",
        "Raise `limits: memory` in the configuration.",
    ),
    "… colour components": ("of other colours than cameras write", "Nothing."),
    "… bits per sample": ("not of 8 bits a colour", "Nothing."),
}
"""Of photos that were not used."""
ELSE = "`hotpixeld status PHOTO` says more of one."

COPIES: Kinds = {
    "another file is in its place": (
        "not written: another file has the name",
        "Move that away, or choose another `name` for copies.",
    ),
    "changed since": (
        "changed by somebody since it was written",
        "Nothing: it stays as it is.",
    ),
    "not renewed": (
        "not renewed with what was found since",
        "`hotpixeld status PHOTO` says why of one.",
    ),
    "the name of the copy": (
        "not written: too long a name",
        "Choose a shorter `name` for copies in the configuration.",
    ),
}
"""Of copies that need a look."""


@dataclass(frozen=True, slots=True)
class Example:
    """One photo, or copy, and what the ledger says of it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some photos were not used, or some copies need a look.

    Attributes
    ----------
    outcome : str
        "skipped", "failed" or "waiting"; of a copy its condition.
    words : str
        What each of them is.
    advice : str
        What to do, a sentence.
    count : int
    examples : tuple of Example
        A few.
    """

    outcome: str
    words: str
    advice: str
    count: int
    examples: tuple[Example, ...]


def _family(reason: str) -> str:
    """Return what reasons of one kind have in common.

    >>> _family('edited with "GIMP 2.10.30"')
    'edited with …'
    >>> _family("truncated: the image data has no end")
    'truncated'
    """
    return re.sub(r'"[^"]*"|\d+x\d+|\d+', "…", reason.partition(": ")[0])


def _in_words(family: str, kinds: Kinds) -> tuple[str, str]:
    """Return what things of such a reason are, and what to do about them."""
    for start, words in kinds.items():
        if family.startswith(start):
            return words
    return family or "without a reason", ELSE


def by_kind(told: Iterable[Told], kinds: Kinds = KINDS) -> tuple[Reason, ...]:
    """Return reasons counted by kind, the most frequent first.

    Parameters
    ----------
    told : iterable of Told
        As the ledger has them.
    kinds : mapping
        `KINDS` of photos, or `COPIES`.
    """
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    examples: dict[tuple[str, str, str], list[Example]] = defaultdict(list)
    for one in told:
        kind = (one.outcome, *_in_words(_family(one.reason), kinds))
        counts[kind] += one.count
        named = [Example(str(path), one.reason) for path in one.paths]
        examples[kind] = (examples[kind] + named)[:EXAMPLES]
    ranked = sorted(counts, key=lambda kind: (-counts[kind], kind))
    return tuple(Reason(*kind, counts[kind], tuple(examples[kind])) for kind in ranked)

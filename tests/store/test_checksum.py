"""The checksum of large files."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpixeld.files import Checksum

CONTENT = np.random.default_rng(1).integers(0, 256, 1000, np.uint8).tobytes()


def checksum(*parts: bytes) -> str:
    found = Checksum()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def by_definition(content: bytes) -> str:
    whole = len(content) // 32 * 32
    words = np.frombuffer(content[:whole], "<u4").reshape(-1, 8).astype(np.uint64)
    times = np.arange(len(words), 0, -1, dtype=np.uint64)[:, None]
    sums = np.stack([words.sum(axis=0), (words * times).sum(axis=0)])
    end = content[whole:] + len(content).to_bytes(8, "little")
    return hashlib.sha256(sums.tobytes() + end).hexdigest()


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_it_is_its_definition_however_the_content_is_cut(
    content: bytes, cuts: list[int]
) -> None:
    cuts = sorted(cuts)
    parts = [content[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]

    assert checksum(*parts) == by_definition(content)


@pytest.mark.parametrize("place", [0, 31, 32, 500, 995, 999])
@pytest.mark.parametrize("change", [1, 0x80, 0xFF])
def test_a_byte_that_changed_shows(place: int, change: int) -> None:
    changed = bytearray(CONTENT)
    changed[place] ^= change

    assert checksum(bytes(changed)) != checksum(CONTENT)


def test_what_changed_places_shows() -> None:
    sector, rest = 512, CONTENT[512:]
    for distance in (4, 32, 64):
        other = CONTENT[distance:sector] + CONTENT[:distance] + rest

        assert checksum(other) != checksum(CONTENT)


def test_zeros_at_the_end_show() -> None:
    assert checksum(CONTENT + bytes(32)) != checksum(CONTENT)
    assert checksum(b"") != checksum(bytes(1)) != checksum(bytes(2))

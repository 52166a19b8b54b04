"""Checkpoints: bit-exact, readable by numpy alone, refused when damaged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.errors import CheckpointError
from hotpixeld.statistics.welford import State
from hotpixeld.store import checkpoint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state() -> State:
    state = State.empty(5, 7)
    for frame in np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), np.uint8):
        state.fold(frame, memory=5)
    return state


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path: Path, state: State) -> None:
    steps: list[None] = []
    saved = checkpoint.save(tmp_path / "camera", 1, state, lambda: steps.append(None))
    loaded = checkpoint.load(tmp_path / "camera", saved, 5, 7)

    assert (loaded.photos, loaded.weight) == (6, 5.0)
    np.testing.assert_array_equal(loaded.mean, state.mean)
    np.testing.assert_array_equal(loaded.m2, state.m2)
    assert len(steps) == 4, "each file written, and read back for its sum"
    loaded.fold(np.zeros((5, 7, 3), np.uint8))  # it goes on


def test_every_piece_of_a_large_one_is_progress(
    tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "CHUNK", 100)
    monkeypatch.setattr(checkpoint, "PIECE", 100)
    written: list[int] = []

    def wrote() -> None:
        written.append(sum(path.stat().st_size for path in tmp_path.rglob("*.tmp")))

    saved = checkpoint.save(tmp_path, 1, state, wrote)
    read: list[None] = []
    loaded = checkpoint.load(tmp_path, saved, 5, 7, lambda: read.append(None))
    header = (tmp_path / "00000001" / "mean.npy").stat().st_size - 5 * 7 * 3 * 4

    np.testing.assert_array_equal(loaded.m2, state.m2)
    pieces = [header + size for size in (100, 200, 300, 400)]
    both = [header + 420 + size for size in pieces]  # neither has its name yet
    assert [written[0:4], written[5:9]] == [pieces, both], "each is with the kernel"
    assert len(read) == 10
    assert len(written) == 10 + 2 * -(-(header + 420) // 100), "and each is read back"


def test_the_state_is_let_go_of_before_the_sums_are_taken(
    tmp_path: Path, state: State
) -> None:
    before, events = state.mean.copy(), []

    def copied() -> None:
        events.append("copied")
        state.fold(np.zeros((5, 7, 3), np.uint8))

    saved = checkpoint.save(tmp_path, 1, state, lambda: events.append("step"), copied)

    assert events == ["step", "step", "copied", "step", "step"]
    np.testing.assert_array_equal(checkpoint.load(tmp_path, saved, 5, 7).mean, before)


def test_numpy_alone_reads_it(tmp_path: Path, state: State) -> None:
    checkpoint.save(tmp_path, 3, state)
    mean = np.load(tmp_path / "00000003" / "mean.npy", allow_pickle=False)
    m2 = np.load(tmp_path / "00000003" / "m2.npy", allow_pickle=False)

    assert mean.dtype == m2.dtype == np.float32
    assert mean.shape == m2.shape == (5, 7, 3)


@pytest.mark.parametrize("place", [0, 9, 20, 60, -1, None])
def test_damage_is_noticed_and_named(
    place: int | None, tmp_path: Path, state: State
) -> None:
    saved = checkpoint.save(tmp_path, 1, state)
    path = tmp_path / "00000001" / "m2.npy"
    content = bytearray(path.read_bytes())
    if place is None:
        del content[5:]
    else:
        content[place] ^= 1
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=r"m2\.npy: damaged: SHA-256"):
        checkpoint.load(tmp_path, saved, 5, 7)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"m2\.npy: cannot be read"):
        checkpoint.load(tmp_path, saved, 5, 7)


def test_another_shape_is_refused_with_both(tmp_path: Path, state: State) -> None:
    saved = checkpoint.save(tmp_path, 1, state)
    with pytest.raises(
        CheckpointError, match=r"float32 \(5, 7, 3\), not float32 \(7, 5, 3\)"
    ):
        checkpoint.load(tmp_path, saved, 7, 5)


def test_leftovers_of_a_crash_are_written_over_and_removed(
    tmp_path: Path, state: State
) -> None:
    (tmp_path / "00000002").mkdir()
    (tmp_path / "00000002" / "mean.npy").write_bytes(b"torn")
    (tmp_path / "map.yaml").touch()
    checkpoint.save(tmp_path, 1, state)
    saved = checkpoint.save(tmp_path, 2, state)
    checkpoint.tidy(tmp_path, 2, None)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000002", "map.yaml"]
    assert checkpoint.load(tmp_path, replace(saved, photos=1), 5, 7).photos == 1


def test_the_one_before_is_kept_aside_and_can_be_loaded(
    tmp_path: Path, state: State
) -> None:
    first = checkpoint.save(tmp_path, 1, state)
    old = state.mean.copy()
    state.fold(np.full((5, 7, 3), 200, np.uint8))
    checkpoint.save(tmp_path, 2, state)
    left = tmp_path / "previous" / "00000000.mean.npy"
    left.parent.mkdir()
    left.write_bytes(b"of long ago")
    checkpoint.tidy(tmp_path, 2, 1)

    assert list(tmp_path.glob("**/mean.npy")) == [tmp_path / "00000002" / "mean.npy"]
    assert {path.name for path in left.parent.iterdir()} == {
        "00000001.mean.npy",
        "00000001.m2.npy",
    }
    np.testing.assert_array_equal(checkpoint.load(tmp_path, first, 5, 7).mean, old)
    checkpoint.tidy(tmp_path, 1, None)  # after it was fallen back on
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000001"]
    np.testing.assert_array_equal(checkpoint.load(tmp_path, first, 5, 7).mean, old)


def test_what_cannot_be_read_now_is_not_taken_for_damaged(
    tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpoint.save(tmp_path, 1, state)

    def fail(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("pathlib.Path.open", fail)

    with pytest.raises(OSError, match="Too many open files"):
        checkpoint.load(tmp_path, saved, 5, 7)

"""A generation's files: complete or not there, and checked while they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from hotpixeld.errors import CheckpointError
from hotpixeld.statistics.generation import (
    FORMATS,
    Counts,
    Generation,
    Planes,
    strips,
)
from hotpixeld.store.generation_files import (
    MANIFEST,
    GenerationReader,
    plane_path,
    read_manifest,
    writing,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEIGHT, WIDTH, ROWS = 75, 41, 32


def arrays(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: rng.integers(-999, 999, one.shape(HEIGHT, WIDTH)).astype(one.dtype)
        for name, one in FORMATS.items()
    }


def nothing() -> None:
    """Stand in for who watches the disk."""


def write(
    folder: Path,
    content: dict[str, np.ndarray],
    progress: Callable[[], None] = nothing,
) -> Generation:
    planes = Planes(HEIGHT, WIDTH, ROWS)
    with writing(folder, HEIGHT, WIDTH, progress) as writer:
        for strip in strips(HEIGHT, ROWS):
            for name, array in content.items():
                planes.of(name, strip)[...] = array[slice(*strip.rows(name))]
            writer.write(strip, planes)
        return writer.end(Counts(7, 6.5, 5))


def read(
    folder: Path, generation: Generation, rows: int = ROWS
) -> dict[str, np.ndarray]:
    planes = Planes(HEIGHT, WIDTH, rows)
    found: dict[str, list[np.ndarray]] = {name: [] for name in FORMATS}
    with GenerationReader(folder, generation) as reader:
        for strip in strips(HEIGHT, rows):
            reader.read(strip, planes)
            for name, parts in found.items():
                parts.append(planes.of(name, strip).copy())
        reader.check()
    return {name: np.concatenate(parts) for name, parts in found.items()}


@pytest.fixture
def generation(tmp_path: Path) -> Generation:
    return write(tmp_path / "1", arrays(1))


def test_what_was_written_is_read_in_strips_of_any_size(
    tmp_path: Path, generation: Generation
) -> None:
    for rows in (16, 32, 80):
        found = read(tmp_path / "1", generation, rows)
        for name, array in arrays(1).items():
            np.testing.assert_array_equal(found[name], array)


def test_numpy_opens_its_files(tmp_path: Path, generation: Generation) -> None:
    for name, array in arrays(1).items():
        found = np.load(plane_path(tmp_path / "1", name), allow_pickle=False)

        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    assert generation.counts == Counts(7, 6.5, 5)


def test_its_manifest_is_in_its_folder(tmp_path: Path, generation: Generation) -> None:
    assert read_manifest(tmp_path / "1") == generation
    assert {path.name for path in (tmp_path / "1").iterdir()} == {
        MANIFEST,
        *(f"{name}.npy" for name in FORMATS),
    }


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("place", [3, 20, 150, -1])
def test_a_byte_that_changed_is_noticed(
    tmp_path: Path, generation: Generation, name: str, place: int
) -> None:
    path = plane_path(tmp_path / "1", name)
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=f"{name}.npy: "):
        read(tmp_path / "1", generation)


@pytest.mark.parametrize("length", [0, 5, 100, 1000, -1])
def test_a_file_that_ends_too_early_is_noticed(
    tmp_path: Path, generation: Generation, length: int
) -> None:
    path = plane_path(tmp_path / "1", "mean")
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(CheckpointError, match=r"mean\.npy: damaged"):
        read(tmp_path / "1", generation)


def test_bytes_too_many_are_noticed(tmp_path: Path, generation: Generation) -> None:
    with plane_path(tmp_path / "1", "m2").open("ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointError, match=r"m2\.npy: damaged: it does not end at"):
        read(tmp_path / "1", generation)


def test_a_missing_file_is_noticed(tmp_path: Path, generation: Generation) -> None:
    plane_path(tmp_path / "1", "m2").unlink()
    with pytest.raises(CheckpointError, match=r"m2\.npy: missing"):
        read(tmp_path / "1", generation)
    (tmp_path / "1" / MANIFEST).unlink()
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        read_manifest(tmp_path / "1")


def test_an_array_of_another_shape_is_noticed(
    tmp_path: Path, generation: Generation
) -> None:
    np.save(plane_path(tmp_path / "1", "mean"), np.zeros((3, 4, 3), np.float32))
    message = r"float32 \(3, 4, 3\), not float32 \(75, 41, 3\)"

    with pytest.raises(CheckpointError, match=message):
        read(tmp_path / "1", generation)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with writing(tmp_path / "1", HEIGHT, WIDTH, nothing) as writer:
            writer.write(strips(HEIGHT, ROWS)[0], Planes(HEIGHT, WIDTH, ROWS))
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()

    assert not [*tmp_path.iterdir()]


def test_who_watches_the_disk_may_end_the_write(tmp_path: Path) -> None:
    seen = iter([False, True])

    def watch() -> None:
        if next(seen):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "1", arrays(1), watch)

    assert not [*tmp_path.iterdir()]


def test_what_an_interrupted_write_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "mean.npy").write_bytes(b"half")
    generation = write(tmp_path / "1", arrays(2))

    np.testing.assert_array_equal(
        read(tmp_path / "1", generation)["mean"], arrays(2)["mean"]
    )

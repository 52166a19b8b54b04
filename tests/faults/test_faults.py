"""The short form of `faults/run.py`: each fault at some of its places, no loss."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from faults import crash, damage, decoder, disk, hostile, lab, passes
from faults.crash import Table
from faults.hotpixel import Mode, Zygote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="gcc compiles the library that injects faults"
)


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Return what starts processes with the fault library in them."""
    with Zygote(tmp_path_factory.mktemp("zygote")) as zygote:
        yield zygote


@pytest.fixture
def table() -> Iterator[Table]:
    """Return a table that must end without a loss."""
    table = Table()
    yield table
    assert table.tries
    assert not table.losses, table.remarks


def test_a_run_killed_at_a_call_loses_nothing(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    crash.at_every_call(zygote, tmp_path / "w", table, (Mode.KILL, Mode.TORN), 5)


def test_a_run_that_fails_at_a_call_loses_nothing(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    crash.at_every_call(zygote, tmp_path / "w", table, (Mode.EIO, Mode.ENOSPC), 4)


def test_a_daemon_pauses_at_a_failing_call_and_goes_on_by_itself(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    modes = (Mode.EIO, Mode.ENOSPC)
    crash.daemon_at_every_call(zygote, tmp_path / "w", table, modes, 3)


def test_a_daemon_killed_at_a_call_goes_on_where_it_was(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    modes = (Mode.KILL, Mode.TORN)
    crash.daemon_killed_at_every_call(zygote, tmp_path / "w", table, modes, 2)


def test_a_daemon_killed_at_random_moments_folds_each_photo_once(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    crash.at_random_moments(zygote, tmp_path / "w", table, 8)


def test_a_pass_killed_at_a_call_ends_in_the_same_bits(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    modes = (Mode.KILL, Mode.TORN)
    passes.at_every_call(zygote, tmp_path / "w", table, modes, 2)


def test_a_pass_that_fails_at_a_call_ends_in_the_same_bits(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    modes = (Mode.EIO, Mode.ENOSPC)
    passes.at_every_call(zygote, tmp_path / "w", table, modes, 2)


def test_passes_killed_ten_times_in_a_row_get_on(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    passes.killed_again_and_again(zygote, tmp_path / "w", table)


def test_what_cannot_be_read_for_once_is_not_lost(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    passes.unreadable(zygote, tmp_path / "w", table, 2)


def test_a_generation_damaged_while_a_pass_reads_it_is_refused(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    passes.damaged_while_read(zygote, tmp_path / "w", table, 3)


def test_a_photo_changed_while_it_is_read_is_folded_once_it_is_back(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    passes.changed_while_read(zygote, tmp_path / "w", table, 2)


def test_with_a_full_spool_the_originals_serve(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    passes.spool_full(zygote, tmp_path / "w", table)


def test_a_full_or_read_only_disk_costs_nothing(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    if not disk.can_mount():
        table.note("skipped", [])
        pytest.skip("only root can mount a small disk")
    disk.all_of_them(zygote, tmp_path / "w", table)


def test_a_damaged_checkpoint_falls_back_on_the_one_before(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    damage.of_the_newest(zygote, tmp_path / "w", table, ways=2)
    damage.of_both(zygote, tmp_path / "w", table)


def test_a_photo_that_brings_down_the_decoder_does_so_once(
    tmp_path: Path, table: Table
) -> None:
    decoder.both(tmp_path / "decoder", table)


def test_bombs_are_bounded_in_time_and_memory(tmp_path: Path, table: Table) -> None:
    lab.bombed(tmp_path / "bombs", table)


def test_what_is_no_photo_and_evil_names_do_no_harm(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    hostile.planted(zygote, tmp_path / "w", table)


def test_photos_that_change_while_they_are_read_are_folded_once_whole(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    hostile.changing(zygote, tmp_path / "w", table, 1.0)


def test_no_copy_is_led_out_of_its_folder_by_a_link(
    zygote: Zygote, tmp_path: Path, table: Table
) -> None:
    hostile.raced(zygote, tmp_path / "w", table, 1.5)


def test_real_files_cut_and_corrupt_do_no_harm(
    photo_sets: Path, tmp_path: Path, table: Table
) -> None:
    lab.variety(photo_sets / "variety", tmp_path / "lab", table, 3, 6, every=6)

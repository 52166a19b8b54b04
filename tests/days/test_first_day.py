"""The first day: photos dropped in, copies beside them, nothing else touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from days.world import files

if TYPE_CHECKING:
    from days.world import Body, Home


def test_a_folder_of_photos_gets_a_map_and_copies(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    before = files(home.photos)
    home.once()

    assert home.listed() == body.xy
    assert home.written() == {f"photos/repaired/c_{name}" for name in before}
    assert set(home.copies().values()) == {"written"}
    assert before.items() <= files(home.photos).items(), "an original was changed"


def test_a_second_run_finds_nothing_to_do(home: Home, body: Body) -> None:
    body.shoot(home.photos, 16)
    home.once()
    before = files(home.photos)
    again = home.once()

    assert "nothing new" in again.out
    assert files(home.photos) == before
    assert home.folded() == 16


def test_photos_dropped_while_the_daemon_runs_get_copies_by_themselves(
    home: Home, body: Body
) -> None:
    daemon = home.daemon()
    body.shoot(home.photos, 16)
    daemon.idle()
    body.shoot(home.photos / "later", 2)
    daemon.idle().stop()

    assert home.listed() == body.xy
    assert len(home.written()) == 18
    assert home.folded() == 18


def test_a_power_cut_loses_no_photo(home: Home, body: Body) -> None:
    daemon = home.daemon()
    body.shoot(home.photos, 20)
    daemon.kill()
    home.daemon().idle().stop()
    home.once()

    assert home.folded() == 20
    assert len(home.written()) == 20


def test_a_changed_configuration_is_taken_at_a_reload(home: Home, body: Body) -> None:
    body.shoot(home.photos, 2)
    daemon = home.daemon().idle()
    assert not home.written()
    ((x, y), *_) = body.xy
    home.configure(cameras=[{"model": body.model, "pixels": [[x, y]]}])
    daemon.reload().stop()

    assert len(home.written()) == 2

"""Everybody is told each event once, whatever fails and whoever is killed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from hotpixeld import files
from hotpixeld.config.load import parse
from hotpixeld.errors import StateError
from hotpixeld.messages import EventKind
from hotpixeld.service import notify, receivers, status_file
from hotpixeld.service.notify import Places
from hotpixeld.service.receivers import NotToldError
from hotpixeld.store import events as store_events
from hotpixeld.store.events import Event
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


class KilledError(BaseException):
    """The process is no more."""


@dataclass
class Fake:
    """Somebody who is told; fails as `fails` says of what it is told."""

    name: str = "fake"
    most: int = 10
    fails: Callable[[list[str]], bool] = lambda _: False
    got: list[list[str]] = field(default_factory=list)
    tries: int = 0

    @property
    def key(self) -> str:
        return self.name

    def takes(self, event: Event) -> bool:
        return event.kind is not EventKind.RUN_STARTED

    def tell(self, events: Sequence[Event]) -> None:
        self.tries += 1
        words = [event.message for event in events]
        if self.fails(words):
            raise NotToldError("no answer")
        self.got.append(words)

    @property
    def told(self) -> list[str]:
        return [word for words in self.got for word in words]


class World:
    """A ledger, those who are told, and a clock."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.folder = folder
        self.now = 1_700_000_000.0
        self.slept: list[float] = []
        self.ledger = Ledger(folder / "ledger.sqlite3")
        self.who: list[Fake] = []
        self.ledger.events._wall = lambda: self.now
        monkeypatch.setattr(notify, "receivers", lambda _: self.who)
        self.config = parse("", folder / "hotpixeld.yaml")

    def add(self, **how: object) -> Fake:
        self.who.append(Fake(**how))  # type: ignore[arg-type] # as the test says
        return self.who[-1]

    def happens(self, *words: str, kind: EventKind = EventKind.RUN_FINISHED) -> None:
        for word in words:
            with self.ledger.transaction():
                self.ledger.events.record(kind, word)

    def tell(self) -> list[str]:
        return notify.notify(
            self.ledger, self.config, lambda: self.now, self.slept.append
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "runtime"))
    world = World(tmp_path / "state", monkeypatch)
    yield world
    world.ledger.close()


def test_each_event_is_told_once_and_only_what_one_wants(world: World) -> None:
    one, other = world.add(), world.add(name="other")
    world.happens("start", kind=EventKind.RUN_STARTED)
    world.happens("a", "b")
    assert world.tell() == []
    world.happens("c")
    assert world.tell() == []
    assert world.tell() == []

    assert one.got == other.got == [["a", "b"], ["c"]]


def test_so_many_are_told_in_one_go(world: World) -> None:
    one = world.add(most=2)
    world.happens("a", "b", "c")
    world.tell()

    assert one.got == [["a", "b"], ["c"]]


def test_who_is_new_hears_of_the_last_day_only(world: World) -> None:
    world.happens("old")
    world.now += 100_000
    world.happens("new")
    one = world.add()
    world.tell()

    assert one.told == ["new"]


def test_who_fails_twice_and_then_works_is_told_once(world: World) -> None:
    one = world.add()
    one.fails = lambda _: one.tries <= 2
    world.happens("a", "b")

    assert world.tell() == []
    assert one.got == [["a", "b"]]
    assert world.slept == [1.0, 4.0]


def test_who_does_not_answer_keeps_nobody_waiting_and_is_told_later(
    world: World,
) -> None:
    dead, other = world.add(fails=lambda _: True), world.add(name="other")
    world.happens("a", "b")
    (fault,) = world.tell()
    tries = dead.tries
    assert world.tell() == []  # not yet
    assert dead.tries == tries
    assert other.told == ["a", "b"]
    world.now += 61
    (again,) = world.tell()
    dead.fails = lambda _: False
    world.now += 121
    assert world.tell() == []

    assert fault == "not told: fake: no answer; tried again after 60 s"
    assert again == "not told: fake: no answer; tried again after 120 s"
    assert dead.told == ["a", "b"]
    assert Places(world.folder)._places["fake"].failures == 0


def test_a_message_that_never_gets_through_does_not_hold_up_the_others(
    world: World,
) -> None:
    one = world.add(fails=lambda words: "bad" in words)
    world.happens("a", "bad", "b", "c")
    (fault,) = world.tell()
    assert fault == "not told: fake: bad: no answer"
    assert sorted(one.told) == ["a", "b", "c"]
    said = []
    for _ in range(8):
        world.now += 4000
        said += world.tell()

    assert said == ["not told: fake: bad: left out: no answer"]
    assert sorted(one.told) == ["a", "b", "c"]


def test_a_message_that_gets_through_at_last_is_told(world: World) -> None:
    one = world.add(fails=lambda words: "late" in words)
    world.happens("late", "b")
    world.tell()
    one.fails = lambda _: False
    world.now += 61
    assert world.tell() == []
    assert world.tell() == []

    assert sorted(one.told) == ["b", "late"]


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_kill_repeats_at_most_the_delivery_under_way(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    one = world.add(most=1)
    world.happens("a", "b", "c")
    tell, keep = one.tell, Places.keep

    def tell_and_die(events: Sequence[Event]) -> None:
        if events[0].message == "b":
            raise KilledError
        tell(events)

    def die(places: Places) -> None:
        if one.told == ["a", "b"]:
            raise KilledError
        keep(places)

    with monkeypatch.context() as patch:
        if where == "before":
            patch.setattr(one, "tell", tell_and_die)
        else:
            patch.setattr(Places, "keep", die)
        with pytest.raises(KilledError):
            world.tell()
    world.tell()

    repeated = ["b"] if where == "after" else []
    assert one.told == sorted(["a", "b", "c", *repeated])


def test_what_went_before_it_could_be_told_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = world.add()
    world.happens("a")
    world.tell()
    monkeypatch.setattr(store_events, "KEPT", 2)
    world.happens("b", "c", "d")

    assert world.tell() == ["not told: fake: 1 event lost: too many came meanwhile"]
    assert one.told == ["a", "c", "d"]


def test_an_older_ledger_that_was_put_back_repeats_nothing(world: World) -> None:
    one = world.add()
    world.happens("a")
    world.now += 1
    world.happens("b", "c")
    world.tell()
    with world.ledger.transaction():
        world.ledger.connection.execute("DELETE FROM events WHERE sequence > 1")
    world.now += 1
    assert world.tell() == []
    world.happens("d", "e", "f")
    assert world.tell() == []

    assert one.told == ["a", "b", "c", "d", "e", "f"]


def untold(monkeypatch: pytest.MonkeyPatch, *events: Event) -> None:
    lines = [json.loads(event.line) for event in events]
    daemon = {"faults": [], "untold": lines}
    lives = {"daemon": daemon, "killed": None, "process": 1}
    monkeypatch.setattr(status_file, "lives", lambda _: lives)


def test_a_full_disk_is_told_before_the_ledger_can_hold_it_and_not_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = world.add()
    full = Event(0, "id", EventKind.DISK_FULL, world.now, "paused")
    untold(monkeypatch, full)
    world.tell()
    world.tell()
    untold(monkeypatch)
    with world.ledger.transaction():
        world.ledger.events.keep(full)
    world.happens("goes on", kind=EventKind.DISK_RESUMED)
    world.tell()

    assert one.told == ["paused", "goes on"]


def test_what_was_told_is_kept_elsewhere_while_the_disk_is_full(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, write = world.add(), files.write

    def write_unless_full(path: Path, content: bytes) -> None:
        if path.parent == world.folder:
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    untold(monkeypatch, Event(0, "id", EventKind.DISK_FULL, world.now, "paused"))
    with monkeypatch.context() as patch:
        patch.setattr(notify, "write", write_unless_full)
        world.tell()
        world.tell()
    world.happens("a")
    world.tell()
    world.tell()

    assert one.told == ["paused", "a"]


def test_where_nothing_can_be_kept_it_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(notify, "write", refuse)
    with pytest.raises(StateError, match="free some space there"):
        world.tell()


def test_two_at_a_time_do_not_tell_twice(world: World) -> None:
    one = world.add()
    world.happens("a")
    inner: list[list[str]] = []
    tell = one.tell

    def tell_while_another_comes(events: Sequence[Event]) -> None:
        inner.append(world.tell())
        tell(events)

    one.tell = tell_while_another_comes  # type: ignore[method-assign] # a fake
    world.tell()

    assert inner == [[]]
    assert one.told == ["a"]


def test_the_heartbeat_says_whether_a_daemon_that_lives_works(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def ask(address: str, *, suffix: str = "", body: str = "", run: str = "") -> None:
        del address, run
        asked.append((suffix, body))

    monkeypatch.setattr(notify, "ask", ask)
    text = "notify: {heartbeat: https://example.org/1}"
    world.config = parse(text, world.folder / "hotpixeld.yaml")
    world.tell()  # no daemon
    assert asked == []
    untold(monkeypatch)
    world.tell()
    world.tell()  # too early
    world.now += 300
    world.happens("paused: full", kind=EventKind.DISK_FULL)
    world.tell()
    world.now += 300
    world.happens("goes on", kind=EventKind.DISK_RESUMED)
    world.tell()

    assert asked == [("", ""), ("/fail", "paused: full"), ("", "")]


def test_names_of_who_is_told_give_no_secret_away(tmp_path: Path) -> None:
    text = (
        "notify: {command: [/bin/tell, hush], apprise: ['ntfy://anna:hush@host/topic'],"
        " ping: 'https://hc.org/hush'}"
    )
    settings = parse(text, tmp_path / "a.yaml").notify
    found = list(receivers.receivers(settings))

    assert len(found) == 3
    assert not any("hush" in one.name + one.key for one in found)

"""The ledger's events: what people are told, kept by the transaction in which it happened.

So an event is there if and only if what it tells is: a crash neither loses nor doubles it.
Whoever tells it (`hotpixeld notify`) only reads here, and keeps elsewhere how far it is.
"""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hotpixeld.messages import EventKind, plain

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

SCHEMA = """
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY, at REAL NOT NULL, -- seconds since the epoch
  kind TEXT NOT NULL, line TEXT NOT NULL          -- JSON; see events.Event
);
"""
KEPT = 10_000
"""So many events are kept, the newest; 3 MB."""
NAMED = 100
"""At most so many photos, or pixels, are named in one event; all are counted."""

Json = dict[str, Any]


def new_id() -> str:
    """Return an id that no other event has or will have."""
    return uuid.uuid4().hex


def moment(at: float) -> str:
    """Return a time as an event tells it: ISO 8601 in local time, with its zone."""
    return dt.datetime.fromtimestamp(at).astimezone().isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that people are told.

    Attributes
    ----------
    sequence : int
        Its place; 0 of one that is not in the ledger.
    id : str
        By which whoever is told it twice knows it again.
    kind : EventKind
    at : float
        When, in seconds since the epoch.
    message : str
        What happened, in a sentence on one line, without its full stop.
    about : dict
        The same for programs: what JSON can hold.
    """

    sequence: int
    id: str
    kind: EventKind
    at: float
    message: str
    about: Json = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Json) -> Event:
        """Return an event as it was told; it has no place."""
        about = dict(value)
        id_, kind, at = about.pop("id"), about.pop("event"), about.pop("at")
        seconds = dt.datetime.fromisoformat(at).timestamp()
        return cls(0, id_, EventKind(kind), seconds, about.pop("message"), about)

    @property
    def line(self) -> str:
        """Return it as JSON, on one line."""
        head = {
            "id": self.id,
            "event": str(self.kind),
            "at": moment(self.at),
            "message": self.message,
        }
        return json.dumps({**head, **self.about})


def _event(row: tuple[int, float, str, str]) -> Event:
    sequence, at, _, line = row
    return replace(Event.from_json(json.loads(line)), sequence=sequence, at=at)


class Events:
    """The table `events`.

    Parameters
    ----------
    wall : callable
        Seconds since the epoch.

    Attributes
    ----------
    recorded : int
        How many were written by this process.
    """

    def __init__(
        self, connection: sqlite3.Connection, wall: Callable[[], float] = time.time
    ) -> None:
        self._connection = connection
        self._wall = wall
        self.recorded = 0

    def record(self, kind: EventKind, message: str, **about: object) -> None:
        """Record that something happened now; in the transaction that makes it so."""
        self.keep(Event(0, new_id(), kind, self._wall(), plain(message), dict(about)))

    def keep(self, event: Event) -> None:
        """Record an event that happened before; in a transaction."""
        run = self._connection.execute
        self.recorded += 1
        run(
            "INSERT INTO events (at, kind, line) VALUES (?, ?, ?)",
            (event.at, event.kind, event.line),
        )
        run(
            "DELETE FROM events WHERE sequence <= (SELECT max(sequence) FROM events) - ?",
            (KEPT,),
        )

    def after(self, sequence: int, most: int = KEPT) -> list[Event]:
        """Return the first events after a place, in their order."""
        rows = self._connection.execute(
            "SELECT sequence, at, kind, line FROM events WHERE sequence > ?"
            " ORDER BY sequence LIMIT ?",
            (sequence, most),
        )
        return [_event(row) for row in rows]

    def find(self, sequence: int) -> Event | None:
        """Return the event at a place."""
        found = self.after(sequence - 1, 1)
        return found[0] if found and found[0].sequence == sequence else None

    def last_at(self, at: float) -> int:
        """Return the place of the last event up to a time; 0 if none is known."""
        (sequence,) = self._connection.execute(
            "SELECT coalesce(max(sequence), 0) FROM events WHERE at <= ?", (at,)
        ).fetchone()
        return int(sequence)

    def last_of(self, *kinds: EventKind) -> Event | None:
        """Return the newest event of some kinds."""
        marks = ", ".join("?" * len(kinds))
        row = self._connection.execute(
            "SELECT sequence, at, kind, line FROM events"  # noqa: S608 - question marks
            f" WHERE kind IN ({marks}) ORDER BY sequence DESC LIMIT 1",
            kinds,
        ).fetchone()
        return None if row is None else _event(row)

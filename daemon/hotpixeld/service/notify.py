"""`hotpixeld notify`: what is new goes to everybody who is to be told, each event once.

The events are in the ledger; how far each receiver is stands in a file of its own, written
after each delivery.  A process that is killed between an event and its message loses
nothing: the next one goes on from that file.  One that is killed between a delivery and the
file repeats that delivery, which nobody can avoid who does not hold both; the events in it
have their ids from before, by which a receiver knows them again.

A message that fails never holds up the others: other receivers are told, and if the event
after it gets through, it is tried by itself.  If nothing gets through, the receiver is at
fault, and all wait for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hotpixeld.errors import StateError, said
from hotpixeld.files import make_folder, write
from hotpixeld.messages import EventKind, counted, plain
from hotpixeld.service import metrics, status_file
from hotpixeld.service.receivers import EXTRA, NotToldError, ask, host, receivers
from hotpixeld.store import state_folder
from hotpixeld.store.events import Event, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hotpixeld.config.model import Config
    from hotpixeld.service.receivers import Receiver
    from hotpixeld.store.events import Events
    from hotpixeld.store.ledger import Ledger

log = logging.getLogger(__name__)

PAUSES = 1.0, 4.0
"""Seconds after which a receiver is tried again in the same process."""
BACK_OFF_SECONDS, MOST_BACK_OFF_SECONDS = 60.0, 3600.0
"""After that, doubled each time, the next one tries again."""
ALONE = 5
"""An event that does not get through while others do is tried so often, then left out."""
LOOK_BACK_SECONDS = 86_400.0
"""A new receiver is told what happened in so long."""
HEARTBEAT_SECONDS = 240.0
"""The heartbeat is sent at most so often."""
AHEAD = 100
"""So many ids are remembered of events that were told before the ledger held them."""

Json = dict[str, Any]


@dataclass(slots=True)
class Held:
    """An event that did not get through while others did."""

    sequence: int
    failures: int = 1
    next_try: float = 0.0


@dataclass(slots=True)
class Place:
    """How far a receiver is.

    Attributes
    ----------
    after, id, at : int, str, float
        The last event that was told or passed over.
    failures : int
        How often in a row nothing got through.
    next_try : float
        When it is tried again, in seconds since the epoch.
    held : list of Held
    ahead : list of str
        Ids of events that were told before the ledger held them.
    """

    after: int = 0
    id: str = ""
    at: float = 0.0
    failures: int = 0
    next_try: float = 0.0
    held: list[Held] = field(default_factory=list)
    ahead: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, value: Json) -> Place:
        """Return what was kept of one."""
        held = [Held(**one) for one in value.get("held", [])]
        return cls(**{**value, "held": held})


def back_off(failures: int) -> float:
    """Return how long to wait after so many failures in a row, in seconds.

    >>> [back_off(failures) for failures in (1, 2, 3, 20)]
    [60.0, 120.0, 240.0, 3600.0]
    """
    doubled: float = BACK_OFF_SECONDS * 2.0 ** min(failures - 1, 10)
    return min(doubled, MOST_BACK_OFF_SECONDS)


class Places:
    """The file in the state folder that says how far each receiver is.

    While its disk is full, the news is kept in a runtime folder: that the disk is full must
    not be told again and again.

    Attributes
    ----------
    heartbeat : float
        When the heartbeat was sent last.
    well : float
        When all was well last.
    """

    def __init__(self, state: Path) -> None:
        runtime = state_folder.runtime_folders(state, os.environ)[:-1]
        self._files = [state_folder.notify_file(folder) for folder in (state, *runtime)]
        newest: Json = {}
        for path in self._files:
            with contextlib.suppress(OSError, ValueError):
                kept = json.loads(path.read_bytes())
                newest = max(newest, kept, key=lambda one: one.get("number", 0))
        self._number: int = newest.get("number", 0)
        self._places = {
            key: Place.from_json(one) for key, one in newest.get("places", {}).items()
        }
        self.heartbeat: float = newest.get("heartbeat", 0.0)
        self.well: float = newest.get("well", 0.0)

    def of(self, receiver: Receiver, events: Events, now: float) -> Place:
        """Return how far a receiver is in these events."""
        if (place := self._places.get(receiver.key)) is None:
            place = self._places[receiver.key] = Place()
            _move(place, events.find(events.last_at(now - LOOK_BACK_SECONDS)))
            return place
        known, newest = events.find(place.after), events.last_at(float("inf"))
        is_another = known is not None and known.id != place.id
        if place.after > newest or is_another:  # an older ledger was put back
            place.after = events.last_at(place.at)
        return place

    def note_well(self, events: Events, *, lives: bool, now: float) -> None:
        """Note when all was well last: a daemon lives and works, or a run could do all."""
        last = events.last_of(EventKind.RUN_FINISHED)
        if last is not None and last.about.get("ok"):
            self.well = max(self.well, last.at)
        if lives:
            self.well = now

    def keep(self) -> None:
        """Write the file.

        Raises
        ------
        StateError
            It can be written nowhere.
        """
        self._number += 1
        content = {
            "number": self._number,
            "heartbeat": self.heartbeat,
            "well": self.well,
            "places": {
                key: dataclasses.asdict(place) for key, place in self._places.items()
            },
        }
        fault: OSError | None = None
        for path in self._files:
            try:
                if fault is not None:
                    make_folder(path.parent)
                write(path, json.dumps(content, indent=1).encode())
            except OSError as error:
                fault = fault or error
            else:
                return
        if fault is not None:
            raise StateError(said(fault)) from fault


def _move(place: Place, event: Event | None) -> None:
    """Note that an event was told, or is passed over."""
    if event is not None:
        place.after, place.id, place.at = event.sequence, event.id, event.at


class Delivery:
    """Tells one receiver what is new.

    Parameters
    ----------
    untold : sequence of Event
        What the ledger could not be made to hold yet.
    wall, sleep : callable
        Seconds since the epoch; waits.

    Attributes
    ----------
    faults : list of str
        What could not be told, and why.
    """

    def __init__(
        self,
        receiver: Receiver,
        places: Places,
        ledger: Ledger,
        untold: Sequence[Event],
        *,
        wall: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._receiver = receiver
        self._place = place = places.of(receiver, ledger.events, wall())
        self._ledger = ledger
        self._untold = untold
        self._keep = places.keep
        self._wall = wall
        self._sleep = sleep
        self._pauses = list(PAUSES)
        self._one_by_one = place.failures > 0
        self._reason = ""
        self.faults: list[str] = []

    def run(self) -> None:
        """Tell what is new, then what did not get through before; stop where nothing does."""
        if self._wall() < self._place.next_try:
            return
        self._note_gap()
        while batch := self._next():
            if not self._told(batch) and not self._goes_on(batch):
                return
        self._place.failures, self._place.next_try = 0, 0.0
        self._try_held()
        self._keep()

    def _note_gap(self) -> None:
        """Say how many events went before they could be told."""
        first = self._ledger.events.after(self._place.after, 1)
        gap = first[0].sequence - self._place.after - 1 if first else 0
        if gap and self._place.after:
            self._fault(f"{counted(gap, 'event')} lost: too many came meanwhile")

    def _next(self, beyond: int | None = None) -> list[Event]:
        """Return what to tell next, in one go; pass over what is not for it."""
        place, batch = self._place, list[Event]()
        most = 1 if self._one_by_one else self._receiver.most
        start = place.after if beyond is None else beyond
        for event in self._ledger.events.after(start):
            if self._receiver.takes(event) and event.id not in place.ahead:
                batch.append(event)
                if len(batch) == most:
                    break
            elif not batch and beyond is None:
                _move(place, event)
        if not batch:
            batch = [
                event
                for event in self._untold
                if self._receiver.takes(event) and event.id not in place.ahead
            ][:1]
        return batch

    def _told(self, batch: Sequence[Event], *, patient: bool = True) -> bool:
        """Tell it, and keep that it was; return whether it could be told."""
        self._ledger.sync()  # what is told must outlast a power cut
        while True:
            try:
                self._receiver.tell(batch)
                break
            except NotToldError as error:
                if not patient or not self._pauses:
                    self._reason = str(error)
                    return False
                self._sleep(self._pauses.pop(0))
        for event in batch:
            if event.sequence:
                _move(self._place, event)
            else:
                self._place.ahead = [*self._place.ahead, event.id][-AHEAD:]
        self._keep()
        return True

    def _goes_on(self, batch: Sequence[Event]) -> bool:
        """Find out whether it is the message or the receiver; return whether to go on."""
        if len(batch) > 1:
            self._one_by_one = True
            return True
        (event,) = batch
        reason = self._reason
        following = self._next(event.sequence) if event.sequence else []
        held = Held(event.sequence, 1, self._wall() + back_off(1))
        self._place.held.append(held)  # first: it is kept with what gets past it
        if following and self._told(following, patient=False):
            self._fault(f"{event.message}: {reason}")
            return True
        self._place.held.remove(held)
        self._place.failures += 1
        wait = back_off(self._place.failures)
        self._place.next_try = self._wall() + wait
        self._keep()
        self._fault(f"{reason}; tried again after {wait:.0f} s")
        return False

    def _try_held(self) -> None:
        """Try by themselves, a few times, those that did not get through."""
        for held in list(self._place.held):
            event = self._ledger.events.find(held.sequence)
            if held.next_try > self._wall():
                continue
            try:
                if event is not None:
                    self._receiver.tell([event])
            except NotToldError as error:
                held.failures += 1
                held.next_try = self._wall() + back_off(held.failures)
                if held.failures <= ALONE:
                    continue
                self._fault(f"{event and event.message}: left out: {error}")
            self._place.held.remove(held)
            self._keep()

    def _fault(self, words: str) -> None:
        self.faults.append(plain(f"not told: {self._receiver.name}: {words}"))


def _pause(ledger: Ledger, untold: Sequence[Event]) -> str:
    """Return why the daemon pauses; empty if it does not."""
    last = ledger.events.last_of(EventKind.DISK_FULL, EventKind.DISK_RESUMED)
    told = [event for event in (last, *untold) if event is not None]
    pauses = bool(told) and told[-1].kind is EventKind.DISK_FULL
    return told[-1].message if pauses else ""


def _beat(config: Config, places: Places, pause: str, now: float) -> str | None:
    """Send the heartbeat of a daemon that lives, if it is due; return what went wrong."""
    address = config.notify.heartbeat
    if not address or now < places.heartbeat + HEARTBEAT_SECONDS:
        return None
    try:
        ask(address, suffix="/fail" if pause else "", body=pause)
    except NotToldError as error:
        return f"no heartbeat: {host(address)}: {error}"
    places.heartbeat = now
    places.keep()
    return None


def _measure(
    ledger: Ledger, config: Config, places: Places, daemon: Json | None
) -> str | None:
    """Write the figures; return what went wrong."""
    if config.notify.metrics is None:
        return None
    current = status_file.status(ledger, config)
    try:
        metrics.write(config.notify.metrics, current, daemon, places.well)
    except OSError as error:
        return f"no figures: {said(error, config.notify.metrics)}"
    except ImportError:
        return f"no figures: prometheus-client is not installed: {EXTRA}"
    return None


def notify(
    ledger: Ledger,
    config: Config,
    wall: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Tell everybody what is new; return what could not be told, and why.

    Raises
    ------
    StateError
        What was told cannot be kept, or the ledger cannot be read.
    """
    state = ledger.folder
    try:
        lock = state_folder.hold(state_folder.notify_lock(state))
    except OSError as error:
        raise StateError(said(error)) from error
    if lock is None:  # whoever is at it tells all of it
        log.info("somebody else is telling")
        return []
    try:
        places, faults = Places(state), list[str | None]()
        daemon = status_file.lives(state)["daemon"]
        untold = [Event.from_json(one) for one in (daemon or {}).get("untold", [])]
        for receiver in receivers(config.notify):
            delivery = Delivery(
                receiver, places, ledger, untold, wall=wall, sleep=sleep
            )
            delivery.run()
            faults += delivery.faults
        pause = _pause(ledger, untold)
        places.note_well(
            ledger.events, lives=daemon is not None and not pause, now=wall()
        )
        if daemon is not None:
            faults.append(_beat(config, places, pause, wall()))
        faults.append(_measure(ledger, config, places, daemon))
        places.keep()
    finally:
        os.close(lock)
    return [fault for fault in faults if fault]


def try_out(config: Config, wall: Callable[[], float] = time.time) -> list[str]:
    """Send everybody a message that means nothing; return what went wrong."""
    faults = []
    for receiver in receivers(config.notify):
        event = Event(
            0,
            new_id(),
            EventKind.RUN_FINISHED,
            wall(),
            "a test: nothing happened",
            {"ok": True, "test": True},
        )
        try:
            receiver.tell([event])
        except NotToldError as error:
            faults.append(plain(f"not told: {receiver.name}: {error}"))
    return faults

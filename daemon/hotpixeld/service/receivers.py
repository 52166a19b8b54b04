"""Who is told: a command, Apprise addresses, and addresses that are asked for (pings).

Each tells some events in one go or raises `NotToldError`; none is to be trusted to answer.
"""

from __future__ import annotations

import hashlib
import http.client
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import TYPE_CHECKING, Protocol

from hotpixeld.errors import HotpixeldError, said
from hotpixeld.messages import EventKind, counted, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from hotpixeld.config.model import Notify
    from hotpixeld.store.events import Event

COMMAND_SECONDS = 60.0
"""A command that takes longer is ended, and gets the events again."""
WEB_SECONDS = 10.0
"""For so long a server may be silent."""
IN_A_COMMAND = 100
"""Events that a command gets in one go."""
IN_A_MESSAGE = 20
"""Events, a line each, in one message to people."""
EXTRA = "install the extra hotpixeld[notify]"
WARNINGS = frozenset(
    {
        EventKind.FOLDER_OFFLINE,
        EventKind.DISK_FULL,
        EventKind.PHOTO_LOST,
        EventKind.PHOTO_FAILED,
    }
)
"""Of what people should see about."""


class NotToldError(HotpixeldError):
    """Somebody could not be told; says why."""


class Receiver(Protocol):
    """Somebody who is told.

    Attributes
    ----------
    name : str
        For the log: nothing secret.
    key : str
        By which it is known again.
    most : int
        Events that it can be told in one go.
    """

    name: str
    key: str
    most: int

    def takes(self, event: Event) -> bool:
        """Return whether it is to be told of an event."""

    def tell(self, events: Sequence[Event]) -> None:
        """Tell it of some events in one go.

        Raises
        ------
        NotToldError
            It could not be told.
        """


def _key(*parts: str) -> str:
    """Return a name for an address that gives no secret in it away."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Command:
    """A command: gets events as lines of JSON on its standard input."""

    most = IN_A_COMMAND

    def __init__(self, command: Sequence[str], kinds: Collection[EventKind]) -> None:
        self._command, self._kinds = list(command), kinds
        self.name = f"command {command[0]}"
        self.key = _key("command", *command)

    def takes(self, event: Event) -> bool:
        """Return whether it is to be told of an event."""
        return event.kind in self._kinds

    def tell(self, events: Sequence[Event]) -> None:
        """Run it, and give it the events.

        Raises
        ------
        NotToldError
            It cannot be run, took too long, or did not end with 0.
        """
        lines = "".join(f"{event.line}\n" for event in events)
        try:
            done = subprocess.run(  # noqa: S603 - what the configuration names; no shell
                self._command,
                input=lines.encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except OSError as error:
            raise NotToldError(said(error)) from error
        except subprocess.TimeoutExpired as error:
            raise NotToldError(f"took longer than {COMMAND_SECONDS:.0f} s") from error
        if done.returncode:
            complaint = done.stderr.decode(errors="replace").strip().splitlines()
            last = f": {plain(complaint[-1])}" if complaint else ""
            raise NotToldError(f"ended with {done.returncode}{last}")


class Apprise:
    """One of Apprise's addresses: gets a message with a line for each event."""

    most = IN_A_MESSAGE

    def __init__(self, address: str, kinds: Collection[EventKind]) -> None:
        self._address, self._kinds = address, kinds
        self.key = _key("apprise", address)
        # Of an address anything but its scheme may be a secret.
        self.name = f"apprise {address.partition('://')[0]}:// ({self.key[:4]})"

    def takes(self, event: Event) -> bool:
        """Return whether it is to be told of an event."""
        return event.kind in self._kinds

    def tell(self, events: Sequence[Event]) -> None:
        """Send a message.

        Raises
        ------
        NotToldError
            Apprise is not installed, does not know the address, or could not deliver.
        """
        try:
            import apprise  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise NotToldError(f"Apprise is not installed: {EXTRA}") from error
        sender = apprise.Apprise()
        if not sender.add(self._address):
            raise NotToldError("not an address that Apprise knows")
        is_warning = any(event.kind in WARNINGS for event in events)
        what = str(events[0].kind).replace("_", " ")
        title = what if len(events) == 1 else counted(len(events), "event")
        done = sender.notify(
            body="\n".join(event.message for event in events),
            title=f"hotpixeld: {title}",
            notify_type=(
                apprise.NotifyType.WARNING if is_warning else apprise.NotifyType.INFO
            ),
        )
        if not done:
            raise NotToldError("Apprise could not deliver it")


def host(address: str) -> str:
    """Return the host of a web address: the rest may be a secret.

    >>> host("https://anna:secret@hc-ping.com/0d1c1b0e")
    'hc-ping.com'
    """
    return urllib.parse.urlsplit(address).hostname or "?"


def ask(address: str, *, suffix: str = "", body: str = "", run: str = "") -> None:
    """Ask for a web address, as Healthchecks has it.

    Parameters
    ----------
    suffix : str
        "/start" or "/fail", behind the path.
    body : str
        What is wrong; sent as a POST.
    run : str
        The number of a run, by which its beginning and its end belong together.

    Raises
    ------
    NotToldError
        No answer, or another one than that all is well.
    """
    parts = urllib.parse.urlsplit(address)
    query = [parts.query] if parts.query else []
    query += [f"rid={uuid.UUID(run)}"] if run else []
    whole = parts._replace(
        path=parts.path.rstrip("/") + suffix, query="&".join(query)
    ).geturl()
    request = urllib.request.Request(  # noqa: S310 - http or https, by the configuration
        whole, data=body.encode() or None, headers={"User-Agent": "hotpixeld"}
    )
    try:
        with urllib.request.urlopen(request, timeout=WEB_SECONDS):  # noqa: S310 - as above
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise NotToldError(f"answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NotToldError(f"does not answer: {plain(reason)}") from error


class Ping:
    """An address that is asked for when a run begins, ends, or could not do all of it."""

    most = 1

    def __init__(self, address: str) -> None:
        self._address = address
        self.name = f"ping {host(address)}"
        self.key = _key("ping", address)

    def takes(self, event: Event) -> bool:
        """Return whether it is to be told of an event."""
        return event.kind in {EventKind.RUN_STARTED, EventKind.RUN_FINISHED}

    def tell(self, events: Sequence[Event]) -> None:
        """Ask for the address, once for each event.

        Raises
        ------
        NotToldError
            See `ask`.
        """
        for event in events:
            suffix = body = ""
            if event.kind is EventKind.RUN_STARTED:
                suffix = "/start"
            elif not event.about.get("ok"):
                suffix, body = "/fail", event.message
            run = str(event.about.get("run", ""))
            ask(self._address, suffix=suffix, body=body, run=run)


def receivers(settings: Notify) -> Iterator[Receiver]:
    """Yield all who are told, by the configuration."""
    if settings.command:
        yield Command(settings.command, settings.told)
    for address in settings.apprise:
        yield Apprise(address, settings.told)
    if settings.ping:
        yield Ping(settings.ping)

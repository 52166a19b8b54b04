"""What those who are told get: a command, Apprise, and a server like Healthchecks."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from hotpixeld.messages import EventKind
from hotpixeld.service import receivers
from hotpixeld.service.receivers import Apprise, Command, NotToldError, Ping, ask
from hotpixeld.store.events import Event, new_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = new_id()


class Server(http.server.ThreadingHTTPServer):
    """Notes what it is asked for, and answers as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.asked: list[tuple[str, str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.asked.append((self.command, self.path, body))
        code = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = _answer  # noqa: N815 - the name is the library's

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def event(kind: EventKind, message: str = "happened", **about: object) -> Event:
    return Event(1, new_id(), kind, 1.7e9, message, about)


def test_a_command_gets_a_line_of_json_for_each_event(tmp_path: Path) -> None:
    target = tmp_path / "told"
    program = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    command = Command([sys.executable, "-c", program, str(target)], set(EventKind))
    told = [event(EventKind.DISK_FULL, "one"), event(EventKind.DEFECT_GONE, count=2)]
    command.tell(told)
    lines = [json.loads(line) for line in target.read_text().splitlines()]

    assert [line["id"] for line in lines] == [one.id for one in told]
    assert [line["event"] for line in lines] == ["disk_full", "defect_gone"]
    assert lines[0]["message"] == "one"
    assert lines[1]["count"] == 2
    assert lines[0]["at"].startswith("2023-11-1")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo it is late >&2; exit 3", "ended with 3: it is late"),
        ("exit 1", "ended with 1"),
        ("exec sleep 5", "took longer than 0 s"),
    ],
)
def test_a_command_that_fails_says_why(
    script: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "sleep" in script:
        monkeypatch.setattr(receivers, "COMMAND_SECONDS", 0.1)
    with pytest.raises(NotToldError) as error:
        Command(["sh", "-c", script], set()).tell([event(EventKind.DISK_FULL)])

    assert str(error.value) == reason


def test_a_command_that_is_not_there_says_so() -> None:
    with pytest.raises(NotToldError, match="/no/such: No such file or directory: "):
        Command(["/no/such"], set()).tell([])


def test_a_run_is_pinged_at_its_beginning_its_end_and_its_failure(
    server: Server,
) -> None:
    ping = Ping(f"{server.address}/ping/1?create=1")
    ping.tell([event(EventKind.RUN_STARTED, run=RUN)])
    ping.tell([event(EventKind.RUN_FINISHED, run=RUN, ok=True)])
    ping.tell([event(EventKind.RUN_FINISHED, "undone: ü", run=RUN, ok=False)])
    (start, query), *_ = [tuple(one[1].split("?")) for one in server.asked]

    assert [one[:2] for one in server.asked] == [
        ("GET", f"/ping/1/start?{query}"),
        ("GET", f"/ping/1?{query}"),
        ("POST", f"/ping/1/fail?{query}"),
    ]
    assert start == "/ping/1/start"
    assert query.replace("-", "") == f"create=1&rid={RUN}"
    assert server.asked[2][2] == "undone: ü"
    assert not ping.takes(event(EventKind.DISK_FULL))


def test_a_server_that_refuses_or_is_not_there_is_told_of(server: Server) -> None:
    server.answers = [503]
    with pytest.raises(NotToldError, match="answered 503"):
        ask(server.address)
    address = server.address
    server.server_close()
    with pytest.raises(NotToldError, match="does not answer"):
        ask(address)


apprise_s_imports = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")


@apprise_s_imports
def test_apprise_gets_one_message_for_people(server: Server) -> None:
    pytest.importorskip("apprise")
    apprise = Apprise(server.address.replace("http", "json"), set(EventKind))
    apprise.tell(
        [event(EventKind.PHOTO_FAILED, "one"), event(EventKind.DISK_FULL, "2")]
    )
    apprise.tell([event(EventKind.DEFECT_FOUND, "new")])
    bodies = [json.loads(body) for _, _, body in server.asked]

    assert [one["title"] for one in bodies] == [
        "hotpixeld: 2 events",
        "hotpixeld: defect found",
    ]
    assert [one["message"] for one in bodies] == ["one\n2", "new"]
    assert [one["type"] for one in bodies] == ["warning", "info"]


@apprise_s_imports
def test_an_address_that_apprise_does_not_know_or_reach_is_told_of(
    server: Server,
) -> None:
    pytest.importorskip("apprise")
    server.answers = [500]
    address = server.address.replace("http", "json")
    with pytest.raises(NotToldError, match="could not deliver"):
        Apprise(address, set()).tell([event(EventKind.DISK_FULL)])
    with pytest.raises(NotToldError, match="not an address that Apprise knows"):
        Apprise("nonsense://x", set()).tell([event(EventKind.DISK_FULL)])


def test_without_apprise_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(NotToldError, match=r"install the extra hotpixeld\[notify\]"):
        Apprise("json://localhost", set()).tell([event(EventKind.DISK_FULL)])

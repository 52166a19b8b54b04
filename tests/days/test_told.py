"""Being told: what is new reaches programs and people, each event once."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from days.world import Body, Home, Json

TELL = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"


class Server(http.server.ThreadingHTTPServer):
    """A server like Healthchecks, that Apprise can post to as well.

    Attributes
    ----------
    got : list of (str, str)
        Path and body of what it answered well.
    answers : list of int
        What it answers first; 0 is nothing, until `let_go` is set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, str]] = []
        self.answers: list[int] = []
        self.asked = threading.Event()
        self.let_go = threading.Event()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def lines(self) -> list[str]:
        """Return the lines of the messages that Apprise brought."""
        bodies = [json.loads(body) for path, body in self.got if path == "/people"]
        return [line for body in bodies for line in body["message"].splitlines()]

    def pings(self) -> list[str]:
        """Return the paths that were asked for, without the number of the run."""
        return [path.partition("?")[0] for path, _ in self.got if path != "/people"]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        code = self.server.answers.pop(0) if self.server.answers else 200
        self.server.asked.set()
        if not code:
            self.server.let_go.wait(30)
            return
        if code == 200:
            self.server.got.append((self.path, body))
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
        server.let_go.set()
        server.shutdown()
        thread.join()


def tell_everybody(home: Home, server: Server) -> Path:
    """Configure a command, Apprise and a ping; return what the command writes."""
    pytest.importorskip("apprise")
    told = home.root / "told.jsonl"
    home.configure(
        notify={
            "command": [sys.executable, "-c", TELL, str(told)],
            "apprise": [f"json://{server.host}/people"],
            "ping": f"http://{server.host}/run",
        }
    )
    return told


def lines(told: Path) -> list[Json]:
    return [json.loads(line) for line in told.read_text().splitlines()]


def test_everybody_is_told_once_although_daemon_and_notify_are_killed_between(
    home: Home, body: Body, server: Server
) -> None:
    told = tell_everybody(home, server)
    body.shoot(home.photos, 16)
    (home.photos / "broken.jpg").write_bytes(b"no photo")
    daemon = home.daemon()
    daemon.until(lambda: "map of" in daemon.log, "no map")
    daemon.until(lambda: "failed" in daemon.log, "no failure")
    daemon.kill()  # between the events and their messages
    listed = home.hotpixeld("notify", "--list").out.splitlines()
    events = [json.loads(line) for line in listed]
    server.answers = [0]
    process = home._start(
        "notify", log=home.system / "notify", output=home.system / "out"
    )
    assert server.asked.wait(30)
    assert len(lines(told)) == len(events)  # the command came first, and was told
    process.stop(9)  # between the event and its message
    server.let_go.set()
    home.hotpixeld("notify")
    home.hotpixeld("notify")

    assert sorted(event["event"] for event in events) == [
        "defect_found",
        "photo_failed",
    ]
    (found,) = [one for one in events if one["event"] == "defect_found"]
    assert {(one["x"], one["y"]) for one in found["pixels"]} == body.xy
    assert found["count"] == found["there"] == 3
    assert [one["id"] for one in lines(told)] == [one["id"] for one in events]
    assert server.lines() == [one["message"] for one in events]


def test_a_run_is_told_from_cron_and_its_failure(
    home: Home, body: Body, server: Server
) -> None:
    told = tell_everybody(home, server)
    body.shoot(home.photos, 16)
    home.once_quietly()
    home.hotpixeld("notify")
    home.photos.rename(home.root / "away")
    home.once_quietly(code=6)
    server.answers = [500, 500]  # it fails twice, then works
    home.hotpixeld("notify")
    (home.root / "away").rename(home.photos)
    home.once_quietly()
    home.hotpixeld("notify")
    home.hotpixeld("notify")
    kinds = [one["event"] for one in lines(told)]

    assert kinds == [
        *("defect_found", "run_finished"),
        *("folder_offline", "run_finished"),
        *("folder_online", "run_finished"),
    ]
    assert server.pings() == ["/run/start", "/run", "/run/start", "/run/fail",
                              "/run/start", "/run"]  # fmt: skip
    assert server.lines() == [one["message"] for one in lines(told)]
    assert len({one["id"] for one in lines(told)}) == len(kinds)


def test_a_receiver_that_is_away_keeps_nobody_waiting(
    home: Home, body: Body, server: Server
) -> None:
    told = tell_everybody(home, server)
    home.configure(
        notify=home.settings["notify"] | {"apprise": ["json://127.0.0.1:9/gone"]}
    )
    body.shoot(home.photos, 16)
    home.once()
    answer = home.hotpixeld("notify", code=6)

    assert "not told: apprise json://" in answer.err
    assert "tried again after 60 s" in answer.err
    assert [one["event"] for one in lines(told)] == ["defect_found", "run_finished"]
    assert server.pings() == ["/run/start", "/run"]


def test_somebody_tries_whether_messages_arrive(home: Home, server: Server) -> None:
    told = tell_everybody(home, server)
    home.hotpixeld("notify", "--test")

    assert lines(told)[0]["message"] == "a test: nothing happened"
    assert server.lines() == ["a test: nothing happened"]
    assert server.pings() == ["/run"]


def test_nobody_to_tell_is_said(home: Home, body: Body) -> None:
    body.shoot(home.photos, 1)
    home.once()
    answer = home.hotpixeld("notify", code=2)

    assert "nobody to tell: add `notify`" in answer.err

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("fsspec", reason="needs the extra `cluster`")

from hotpixeld.cluster.scheduler import ClusterError
from hotpixeld.cluster.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def state(folder: Path) -> Path:
    generation = folder / "cameras" / "one" / "00000003"
    generation.mkdir(parents=True)
    (folder / "ledger.sqlite3").write_bytes(b"ledger")
    (generation / "mean.npy").write_bytes(bytes(10_000_000))
    (folder / "lock").write_bytes(b"1")
    (folder / "spool").mkdir()
    return folder


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a server of S3 on loopback; return the URL of a bucket."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield "s3://archive/shards"
    running.stop()


@pytest.fixture(params=["file", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return str(request.getfixturevalue("s3"))
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    return str(tmp_path / "share" / "shards")


def test_a_state_comes_back_as_it_was_without_lock_and_spool(
    url: str, tmp_path: Path
) -> None:
    storage, found = Storage(url), tmp_path / "found"
    assert not storage.has("a1")
    storage.put("a1", state(tmp_path / "state"))
    assert Storage(url).has("a1")

    found.mkdir()
    Storage(url).fetch("a1", found)

    assert sorted(path.name for path in found.rglob("*") if path.is_file()) == [
        "ledger.sqlite3",
        "mean.npy",
    ]
    assert (found / "cameras/one/00000003/mean.npy").read_bytes() == bytes(10_000_000)

    storage.remove(["a1", "never there"])

    assert not storage.has("a1")


def test_a_state_that_could_not_be_read_leaves_nothing(tmp_path: Path) -> None:
    share, folder = tmp_path / "share", state(tmp_path / "state")
    (folder / "ledger.sqlite3").unlink()

    with pytest.raises(FileNotFoundError):
        Storage(str(share)).put("a1", folder)

    assert list(share.iterdir()) == []


def test_what_is_not_there_says_that_machines_may_not_share_it(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="must reach the same storage"):
        Storage(str(tmp_path / "share")).fetch("a1", tmp_path)


def test_a_storage_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ClusterError, match="cannot be used as a storage"):
        Storage("gopher://archive")

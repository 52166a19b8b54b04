"""The connection to Dask's scheduler: one that runs somewhere, or a cluster of our own."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from importlib import metadata
from typing import TYPE_CHECKING

from hotpixeld.errors import HotpixeldError


class MissingExtraError(HotpixeldError, ImportError):
    """What takes a cluster is not installed."""


try:
    import distributed
    from dask import config as dask_config
except ImportError as error:
    raise MissingExtraError(
        "this needs the extra `cluster`: pip install 'hotpixeld[cluster]', on every"
        f" machine that takes part ({error})"
    ) from error

logging.getLogger("distributed").setLevel(logging.ERROR)  # a lost worker is no news

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


CONNECT_SECONDS = 20.0
"""How long a scheduler may take to answer."""


class ClusterError(HotpixeldError):
    """The cluster cannot be used, or a task failed there for good."""


def dashboard(client: distributed.Client) -> str:
    """Return where a browser shows what the cluster does, empty if nowhere."""
    services = client.scheduler_info(n_workers=0)["services"]
    is_own = client.cluster is not None  # whose pages need what this Python has
    can_show = not is_own or importlib.util.find_spec("bokeh") is not None
    return client.dashboard_link if can_show and "dashboard" in services else ""


def _version() -> str:
    return metadata.version("hotpixeld")


def _check(client: distributed.Client, address: str) -> None:
    """Check that every worker there is runs this version.

    Raises
    ------
    ClusterError
    """
    own = _version()
    try:
        found = client.run(_version, on_error="return")
    except Exception as error:
        raise ClusterError(f"{address}: workers cannot be asked: {error}") from error
    for worker, version in sorted(found.items()):
        if version != own:
            raise ClusterError(
                f"{worker}: hotpixeld {version} there, {own} here: install the same"
                " version, with its extra `cluster`, on all machines"
            )


@contextlib.contextmanager
def connected(address: str) -> Iterator[distributed.Client]:
    """Connect to a scheduler.

    Raises
    ------
    ClusterError
        It cannot be reached, or its workers have another hotpixeld.
    """
    try:
        client = distributed.Client(
            address, set_as_default=False, timeout=CONNECT_SECONDS
        )
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"{address}: no scheduler can be reached there ({error}): start one with"
            " `dask scheduler`, and workers with `dask worker ADDRESS`"
        ) from error
    with client:
        _check(client, address)
        yield client


@contextlib.contextmanager
def local(workers: int, scratch: Path | None = None) -> Iterator[distributed.Client]:
    """Start a cluster of processes on this machine, reached by loopback only.

    Parameters
    ----------
    workers : int
        Processes, of one thread each: the work is the processor's.
    scratch : Path, optional
        Where they put what they work on.
    """
    # Memory is bounded by `limits: memory`; pages of read files are none of it.
    with (
        dask_config.set({"distributed.worker.memory.terminate": False}),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            memory_limit=0,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            local_directory=scratch and str(scratch),
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client

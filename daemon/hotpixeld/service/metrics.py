"""Figures for Prometheus, as a file for the node exporter's textfile collector.

Written by `hotpixeld notify`, not by the daemon: they say that the daemon has died, the
daemon loads no library for them, and its sandbox stays closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import CollectorRegistry

Json = dict[str, Any]


def registry(status: Json, daemon: Json | None, well: float) -> CollectorRegistry:
    """Return the figures of a state.

    Parameters
    ----------
    status : dict
        Of the state; see `status_file.status`.
    daemon : dict or None
        What the daemon published that lives.
    well : float
        When all was well last, in seconds since the epoch; 0 is never.
    """
    from prometheus_client import CollectorRegistry, Gauge  # noqa: PLC0415 - an extra

    found = CollectorRegistry()

    def gauge(name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"hotpixeld_{name}", about, labels, registry=found)

    gauge("up", "Whether the daemon lives.").set(daemon is not None)
    faults = daemon["faults"] if daemon else []
    gauge("faults", "Folders and disks that the daemon complains of.").set(len(faults))
    seconds = "Time when all was well last, in seconds since the epoch."
    gauge("last_success_timestamp_seconds", seconds).set(well)
    gauge("state_bytes", "Disk space that the state takes.").set(status["state_bytes"])
    closed = "Folders that could not be used at the last look."
    gauge("closed_folders", closed).set(len(status["folders"]))
    photos = gauge("photos", "Photos by outcome.", "outcome")
    for outcome, count in status["photos"].items():
        photos.labels(outcome).set(count)
    copies = gauge("copies", "Copies by what became of them.", "condition")
    for condition, count in status["copies"].items():
        copies.labels(condition).set(count)
    who = "camera", "name"
    defects = gauge("defects", "Defects on the camera's list.", *who)
    folded = gauge("camera_photos", "Photos that were learned from.", *who)
    pending = gauge("pending_photos", "Photos that will be learned from.", *who)
    for camera in status["cameras"]:
        labels = camera["id"], camera["name"]
        defects.labels(*labels).set(camera["defects"])
        folded.labels(*labels).set(camera["folded"])
        pending.labels(*labels).set(camera["pending"])
    return found


def write(path: Path, status: Json, daemon: Json | None, well: float) -> None:
    """Write the figures: into a file beside it, which is renamed.

    Raises
    ------
    OSError
        It cannot be written.
    ImportError
        The extra is not installed.
    """
    from prometheus_client import write_to_textfile  # noqa: PLC0415 - an extra

    write_to_textfile(str(path), registry(status, daemon, well))

"""The figures for Prometheus: whole, readable by it, and true of a daemon that died."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hotpixeld.config.load import parse
from hotpixeld.service import metrics, notify, status_file
from hotpixeld.store.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("prometheus_client")

STATUS: dict[str, Any] = {
    "state_bytes": 1234,
    "folders": [{"path": "/card", "reason": "offline"}],
    "photos": {"folded": 20, "failed": 1},
    "copies": {"lossless": 7},
    "cameras": [
        {"id": "d80", "name": 'D80 "a"', "defects": 4, "folded": 20, "pending": 3}
    ],
}


def figures(path: Path) -> dict[str, float]:
    """Return the figures of a file, as Prometheus reads it."""
    from prometheus_client.parser import (  # noqa: PLC0415 - an extra
        text_string_to_metric_families,
    )

    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_the_figures_are_those_of_the_status(tmp_path: Path) -> None:
    path = tmp_path / "hotpixeld.prom"
    metrics.write(path, STATUS, {"faults": ["full"]}, 1.7e9)

    assert figures(path) == {
        "hotpixeld_up": 1,
        "hotpixeld_faults": 1,
        "hotpixeld_last_success_timestamp_seconds": 1.7e9,
        "hotpixeld_state_bytes": 1234,
        "hotpixeld_closed_folders": 1,
        "hotpixeld_photos folded": 20,
        "hotpixeld_photos failed": 1,
        "hotpixeld_copies lossless": 7,
        'hotpixeld_defects d80 D80 "a"': 4,
        'hotpixeld_camera_photos d80 D80 "a"': 20,
        'hotpixeld_pending_photos d80 D80 "a"': 3,
    }
    assert list(tmp_path.iterdir()) == [path]


def test_that_the_daemon_died_is_told_and_when_all_was_well_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hotpixeld.prom"
    config = parse(f"notify: {{metrics: {path}}}", tmp_path / "a.yaml")
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    lives: dict[str, Any] = {"daemon": {"faults": [], "untold": []}}
    monkeypatch.setattr(status_file, "lives", lambda _: lives)
    assert notify.notify(ledger, config, lambda: 1000.0) == []
    before = figures(path)
    lives["daemon"] = None
    assert notify.notify(ledger, config, lambda: 2000.0) == []
    after = figures(path)
    ledger.close()
    name = "hotpixeld_last_success_timestamp_seconds"

    assert (before["hotpixeld_up"], before[name]) == (1, 1000)
    assert (after["hotpixeld_up"], after[name]) == (0, 1000)


def test_figures_that_cannot_be_written_are_a_fault_and_nothing_else(
    tmp_path: Path,
) -> None:
    config = parse("notify: {metrics: no/such/a.prom}", tmp_path / "a.yaml")
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    (fault,) = notify.notify(ledger, config)
    ledger.close()

    assert fault.startswith(f"no figures: {tmp_path}/no/such/a.prom: No such file")

"""The proof of `tests/bench/copies.py`, on photos that are made here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import jpegs

PROGRAM = Path(__file__).parents[1] / "bench" / "copies.py"


def photos() -> dict[str, bytes]:
    """Return photos with many defects, coded in many ways."""
    frame = jpegs.scene(90, 141)
    rng = np.random.default_rng(3)
    for row, column in rng.integers((90, 141), size=(40, 2)).tolist():
        frame = jpegs.planted(frame, row, column)
    samplings: tuple[jpegs.Sampling, ...] = ("4:4:4", "4:2:2", "4:2:0", "4:4:0", "grey")
    made = {
        f"{sampling}-{restart}".replace(":", ""): jpegs.jpeg(
            frame, sampling, restart_blocks=restart, trailing=b"+" * restart
        )
        for sampling in samplings
        for restart in (0, 3)
    }
    made["optimised"] = jpegs.jpeg(frame, optimise=True)
    made["two"] = jpegs.with_second_image(jpegs.jpeg(frame), jpegs.jpeg(frame[:16]))
    made["progressive"] = jpegs.jpeg(frame, progressive=True)
    made["truncated"] = jpegs.jpeg(frame)[:-400]
    return made


def test_copies_of_made_photos_are_proved(tmp_path: Path) -> None:
    for name, data in photos().items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    command = [
        sys.executable,
        str(PROGRAM),
        "--offline",
        "--pixels",
        "100",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    cells = [line.split("|") for line in done.stdout.splitlines() if "|" in line]
    counts = {cell[1].strip(): int(cell[2].replace(",", "")) for cell in cells[2:]}

    assert done.returncode == 0, done.stdout + done.stderr
    assert (counts["photos"], counts["refused"], counts["coded anew"]) == (14, 1, 2)
    copies = counts["copies"]
    assert copies > 18
    for check in ("proved", "markers, tables, trailer", "undone"):
        assert counts[check] == copies
    assert counts["Pillow"] == copies + 2
    assert counts["restart markers"] > 50
    assert counts["bits identical"] > counts["bits replaced"] > 0

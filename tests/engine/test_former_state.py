"""A session on a state of version 0.1: it goes on from what was learned."""

from __future__ import annotations

import tarfile
from pathlib import Path

from hotpixeld.config.load import for_folders
from hotpixeld.engine.session import Session
from hotpixeld.store import state_folder
from hotpixeld.store.generation_files import PREVIOUS, folder_of, opened

STATE_0_1 = Path(__file__).parents[1] / "store" / "state_0_1.tar.xz"


def test_a_session_goes_on_from_a_state_of_version_0_1(
    tmp_path: Path, folder: Path
) -> None:
    state = tmp_path / "state"
    with tarfile.open(STATE_0_1) as packed:
        packed.extractall(state, filter="data")
    for _ in range(2):
        session = Session(for_folders([folder]), state, 1, lambda: None)
        (record,) = session.ledger.images.cameras()
        camera_folder = state_folder.camera_folder(state, record.camera.id)
        current = opened(folder_of(camera_folder, record.generation))

        assert (current.photos, current.weight) == (17, 17.0)
        assert session.ledger.images.counts()["pending"] == 3
        assert session.ledger.generations.previous(record.camera.id) == 1
        kept = {path.name for path in (camera_folder / PREVIOUS).iterdir()}
        assert {"00000001.mean.npy", "00000001.manifest.json"} <= kept
        session.close()

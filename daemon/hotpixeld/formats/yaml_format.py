"""YAML: the maps in the grammar of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotpixeld.config import map_yaml

if TYPE_CHECKING:
    from hotpixeld.store.evidence_tables import Maps


def text(maps: Maps) -> str:
    """Return the maps as YAML, in the configuration's grammar."""
    entries = [
        map_yaml.entry(record.camera, defects, record.photos)
        for record, defects in maps
    ]
    return (
        f"{map_yaml.HEADER}cameras:\n{''.join(entries)}" if entries else "cameras: []\n"
    )

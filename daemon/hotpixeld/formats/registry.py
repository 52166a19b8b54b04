"""The formats of ``map --format``, by name: a new one is a module here and a line below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotpixeld.formats import csv_format, dcraw, jpegpixi, json_format, yaml_format

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hotpixeld.store.evidence_tables import Maps

FORMATS: Mapping[str, Callable[[Maps], str]] = {
    "json": json_format.text,
    "yaml": yaml_format.text,
    "csv": csv_format.text,
    "jpegpixi": jpegpixi.text,
    "dcraw": dcraw.text,
}
"""From maps to the file's text; the table for people is `cli.tables`."""

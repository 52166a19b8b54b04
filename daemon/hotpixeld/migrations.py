"""Migrations: how an older ledger becomes one of today, a step a version."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEEP_A_GENERATION = """
CREATE TABLE previous_checkpoints (
  camera TEXT PRIMARY KEY REFERENCES cameras, generation INTEGER NOT NULL,
  folded_to INTEGER NOT NULL, photos INTEGER NOT NULL, weight REAL NOT NULL,
  mean_sha256 TEXT NOT NULL, m2_sha256 TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE hazards (
  identity BLOB PRIMARY KEY,
  reason TEXT NOT NULL                      -- how it ended; empty: not tried yet
) WITHOUT ROWID;
"""
_COUNT = """
CREATE TABLE tallies (
  kind TEXT NOT NULL, camera TEXT NOT NULL, outcome TEXT NOT NULL,
  count INTEGER NOT NULL, PRIMARY KEY (kind, camera, outcome)
) WITHOUT ROWID;
CREATE TRIGGER images_come AFTER INSERT ON images BEGIN
  INSERT INTO tallies VALUES ('image', new.camera, new.outcome, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER images_turn AFTER UPDATE OF camera, outcome ON images BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'image'
    AND camera = old.camera AND outcome = old.outcome;
  INSERT INTO tallies VALUES ('image', new.camera, new.outcome, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER images_go AFTER DELETE ON images BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'image'
    AND camera = old.camera AND outcome = old.outcome;
END;
CREATE TRIGGER paths_come AFTER INSERT ON paths BEGIN
  INSERT INTO tallies VALUES ('path', '', new.outcome, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER paths_turn AFTER UPDATE OF outcome ON paths BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'path'
    AND camera = '' AND outcome = old.outcome;
  INSERT INTO tallies VALUES ('path', '', new.outcome, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER paths_go AFTER DELETE ON paths BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'path'
    AND camera = '' AND outcome = old.outcome;
END;
CREATE TRIGGER copies_come AFTER INSERT ON copies BEGIN
  INSERT INTO tallies VALUES ('copy', '', iif(new.condition = 'written', new.method, new.condition), 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER copies_turn AFTER UPDATE OF condition, method ON copies BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'copy'
    AND camera = '' AND outcome = iif(old.condition = 'written', old.method, old.condition);
  INSERT INTO tallies VALUES ('copy', '', iif(new.condition = 'written', new.method, new.condition), 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER copies_go AFTER DELETE ON copies BEGIN
  UPDATE tallies SET count = count - 1 WHERE kind = 'copy'
    AND camera = '' AND outcome = iif(old.condition = 'written', old.method, old.condition);
END;
INSERT INTO tallies
  SELECT 'image', camera, outcome, count(*) FROM images GROUP BY camera, outcome;
INSERT INTO tallies SELECT 'path', '', outcome, count(*) FROM paths GROUP BY outcome;
INSERT INTO tallies
  SELECT 'copy', '', iif(condition = 'written', method, condition), count(*)
  FROM copies GROUP BY 3;
DROP INDEX paths_by_outcome;
CREATE INDEX paths_with_reason ON paths (outcome, folder, name)
  WHERE outcome IN ('failed', 'waiting', 'skipped');
CREATE INDEX paths_by_repair ON paths (repaired_with, image);
CREATE INDEX copies_to_look_at ON copies (source)
  WHERE notes != '' OR condition IN ('foreign', 'refused');
CREATE INDEX copies_unfinished ON copies (source) WHERE condition = 'writing';
CREATE INDEX images_by_camera ON images (camera, id);
"""
# Several lives of one pixel.
_LIVES = """
ALTER TABLE defects RENAME TO former_defects;
CREATE TABLE defects (
  camera TEXT NOT NULL REFERENCES cameras, row INTEGER NOT NULL, col INTEGER NOT NULL,
  verdict TEXT NOT NULL                     -- JSON of the rest of pixels.Defect
);
CREATE INDEX defects_by_camera ON defects (camera, row, col);
INSERT INTO defects SELECT * FROM former_defects;
DROP TABLE former_defects;
"""

_ALIASES = """
CREATE TABLE aliases (
  id TEXT PRIMARY KEY, camera TEXT NOT NULL REFERENCES cameras
) WITHOUT ROWID;
"""

# Samples of another kind: they are taken again from the files.
_SAMPLE_AGAIN = """
DELETE FROM samples;
DELETE FROM suspects;
"""

# How many there are is told by the next map, which is due at once.
_COUNT_SCENES = """
ALTER TABLE cameras ADD COLUMN scenes REAL NOT NULL DEFAULT 0;
UPDATE cameras SET mapped = 0;
"""

STEPS = (
    _KEEP_A_GENERATION + _COUNT + _LIVES + _ALIASES,
    _SAMPLE_AGAIN,
    _COUNT_SCENES,
)
"""SQL that brings a ledger from version 1 to 2, from 2 to 3, and so on."""
VERSION = len(STEPS) + 1
"""Of the ledgers that this hotpixeld writes, as SQLite's user_version."""


def statements(script: str) -> Iterator[str]:
    """Yield the statements of an SQL script, one by one.

    >>> list(statements("CREATE TABLE a (b); DROP TABLE a;"))
    ['CREATE TABLE a (b);', 'DROP TABLE a;']
    """
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if statement.strip() != ";" and sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""

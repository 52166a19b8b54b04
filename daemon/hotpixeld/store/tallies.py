"""The ledger's tallies: how many of what, kept by triggers, so that nobody counts rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import sqlite3

SCHEMA = """
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
"""


def counts(
    connection: sqlite3.Connection,
    kind: Literal["image", "path", "copy"],
    camera_id: str | None = None,
) -> dict[str, int]:
    """Return how many images, paths or copies came to which outcome.

    Copies that were written count by their method.

    Parameters
    ----------
    camera_id : str, optional
        Count its images only.
    """
    query = (
        "SELECT outcome, sum(count) FROM tallies WHERE kind = ?1"
        " AND (?2 IS NULL OR camera = ?2) GROUP BY outcome HAVING sum(count) > 0"
    )
    return dict(connection.execute(query, (kind, camera_id)))

-- The ledger of version 1, as it was: `test_ledger.py` migrates it.
CREATE TABLE cameras (
  id TEXT PRIMARY KEY, make TEXT NOT NULL, model TEXT NOT NULL, serial TEXT NOT NULL,
  width INTEGER NOT NULL, height INTEGER NOT NULL,
  sequence INTEGER NOT NULL DEFAULT 0,      -- of the image admitted last
  generation INTEGER NOT NULL DEFAULT 0,    -- of the current checkpoint; 0 is none
  folded_to INTEGER NOT NULL DEFAULT 0,     -- sequence of the last image it holds
  photos INTEGER NOT NULL DEFAULT 0, weight REAL NOT NULL DEFAULT 0,
  mean_sha256 TEXT NOT NULL DEFAULT '', m2_sha256 TEXT NOT NULL DEFAULT '',
  mapped INTEGER NOT NULL DEFAULT 0         -- photos in the state when last mapped
) WITHOUT ROWID;
CREATE TABLE images (
  id INTEGER PRIMARY KEY, identity BLOB NOT NULL UNIQUE,
  camera TEXT NOT NULL REFERENCES cameras, sequence INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('pending', 'folded', 'lost', 'forgotten')),
  captured TEXT
);
CREATE INDEX images_by_outcome ON images (outcome, camera, sequence);
CREATE TABLE paths (
  folder BLOB NOT NULL, name BLOB NOT NULL,
  outcome TEXT NOT NULL
    CHECK (outcome IN ('image', 'duplicate', 'skipped', 'failed', 'waiting')),
  reason TEXT NOT NULL DEFAULT '', image INTEGER REFERENCES images,
  inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
  repaired_with TEXT,                       -- the pixel list it was last held against
  PRIMARY KEY (folder, name)
) WITHOUT ROWID;
CREATE INDEX paths_by_image ON paths (image);
CREATE INDEX paths_by_outcome ON paths (outcome);
CREATE TABLE copies (
  source BLOB PRIMARY KEY, target BLOB NOT NULL, condition TEXT NOT NULL
    CHECK (condition IN ('writing', 'written', 'withdrawn', 'deleted', 'foreign',
                         'refused')),
  sha256 BLOB, former BLOB, identity BLOB, pixels TEXT NOT NULL DEFAULT '[]',
  method TEXT NOT NULL DEFAULT '', notes TEXT NOT NULL DEFAULT '',
  rewrites INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX copies_by_identity ON copies (identity);
CREATE TABLE defects (
  camera TEXT NOT NULL REFERENCES cameras, row INTEGER NOT NULL, col INTEGER NOT NULL,
  verdict TEXT NOT NULL,                    -- JSON of the rest of pixels.Defect
  PRIMARY KEY (camera, row, col)
) WITHOUT ROWID;
CREATE TABLE suspects (
  camera TEXT NOT NULL REFERENCES cameras, version INTEGER NOT NULL,
  sites BLOB NOT NULL,                      -- int32 row, column of each
  PRIMARY KEY (camera, version)
) WITHOUT ROWID;
CREATE TABLE samples (
  image INTEGER PRIMARY KEY REFERENCES images, camera TEXT NOT NULL,
  captured TEXT, exposure_seconds REAL, iso INTEGER, focal_mm REAL,
  version INTEGER NOT NULL, packed BLOB NOT NULL
);
CREATE INDEX samples_by_camera ON samples (camera, image);

"""Store: all that outlasts the process, in one state folder.

- `state_folder`: which folder that is, what lies where in it, and its lock.
- `ledger`: one SQLite file, its transactions and its migrations; the only commit point.
- `images`: its cameras and images, the order in which they came, which generation counts;
  the tallies of images, paths and copies.
- `fingerprints`: by what copies and versions of its images are recognised.
- `paths`: its paths: what became of every file; folders that cannot be used, and why.
- `copies`: the copy of each path, and copies that are not current: former places, by hand.
- `undo_records`: what leads from each copy back to its original.
- `evidence_tables`: its suspects and samples, and the defects: the map.
- `events`: what people are told, kept by the transaction in which it happened.
- `hazards`: photos that may bring down the process that decodes them.
- `generation_files`: a camera's generations, read and written in strips; where they are,
  and what is removed beside them.
- `disk_room`: what the state takes, camera by camera; whether a pass has room.
- `spool`: copies of pending photos, until a generation holds them.
- `other_ledger`: the rows of another state's ledger, taken over into this one.
- `migration`: makes generations of the checkpoints of version 0.1.

It imports `photo` and `detection`, and what lies below them.  To add a column
start at the table's `SCHEMA`, and add to `ledger.STEPS` how an older file gets it; what a
crash may leave is tidied by `generation_files.tidy`.
"""

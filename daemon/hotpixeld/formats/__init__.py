"""Maps as text for other programs.

- `map_formats`: every format of ``map --format`` but the table, and ``history --json``; to add one,
  start here.

May import `config`, `store` and the words; only `cli` imports it.
"""

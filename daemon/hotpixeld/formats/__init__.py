"""Maps as text for other programs.

- `map_formats`: every format of ``map --format``; to add one, start here.
- `json_format`: JSON for scripts, of ``map`` and ``history``; tables read it, too.

May import `config`, `store` and the words; only `cli` imports it.
"""

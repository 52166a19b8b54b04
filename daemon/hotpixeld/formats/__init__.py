"""Maps as text for other programs, and the lists of other programs.

- `form`: what a form is; pixels as a file lists them.
- `known_forms`: all of them, by name and by what a file looks like; to add one, start here.
- `json_map`: JSON, also of ``history --json``; `yaml_map`: the configuration's grammar;
  `csv_map`: spreadsheets; `png_mask`: a mask for image programs.
- `jpegpixi`, `dcraw` (LibRaw, rawpy too), `rawtherapee` (ART too), `siril`: what these read.
- `additions`: what a list of another program adds to the configuration.

May import `config`, `repair`, `store` and the words; only `cli` and `report` import it.
"""

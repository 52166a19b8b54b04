"""Configuration: YAML that people write, checked as a whole before any of it is used.

- `model`: the sections, their keys and defaults, and what the program asks of them.
- `values`: the kinds of values: paths, moments, sizes.
- `load`: a file to a `model.Config`, or every fault in it at once.
- `yaml_positions`: YAML text to values that remember their lines.
- `camera_names`: what people call a camera, and which one a name means.
- `map_yaml`: a camera's map, written in the same grammar.
- `edit`: more pixels in a file that a user wrote.

It imports the words only.  To add a key start at its section in
`model`, then `config/hotpixeld.yaml` and the JSON Schema (a test says how); what entries may
not contradict each other in, at `load.check`; a message, at `load.PREDICATES`.
"""

"""Engine: what becomes of a photo, from a hint that it is there to its copy and the map.

- `session`: all that works on one state folder; what the daemon and `run --once` call.
- `intake`: hints to photos that are due, once they have settled.
- `repair_pass`: one photo from its path to its place in the ledger and its copy.
- `recognition`: whether a new photo is a copy or a version of a known one, or its original.
- `copy_writer`: what is repaired in a photo, and when its copy may be touched.
- `copy_places`: where copies are as the configuration changes and photos are renamed.
- `output_folder`: a folder with copies, in which others write, too.
- `learning`: passes and maps that are due, one at a time, and what is committed of them.
- `schedule`: when a pass is due, and how long one that is due waits for more photos.
- `learning_pass`: pending photos, side by side in strips, to the next generation.
- `maps`: a map from a generation, samples and the map before; what it lists for a photo.
- `bodies`: what one size of a body expects by the list of another.
- `footprints`: how a camera's defects show, learned with its map and kept beside it.
- `sampling`: evidence about the suspects, from photos' files, and which to sample again.
- `joining`: what another state learned comes to this one.
- `workers`: threads that work beside their owner, and whether each makes progress.
- `memory`: what `limits: memory` leaves for passes, maps and photos under way.
- `decode_trial`: a photo that a process died of, decoded in a process of its own.

It imports `repair`, `store` and all below them.  To change what happens to a photo start at
`repair_pass.RepairPass.run`; when a copy is written or left alone, at
`copy_writer.CopyWriter`; when photos are folded and maps made, at `learning.Learning.keep_up` and
`schedule.Schedule`; how memory bounds the work, at `memory.Memory`.
"""

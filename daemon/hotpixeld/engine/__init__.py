"""Engine: what becomes of a photo, from a hint that it is there to its copy and the map.

- `session`: all that works on one state folder; what the daemon and `run --once` call.
- `intake`: hints to photos that are due, once they have settled.
- `pipeline`: one photo from its path to its outcome in the ledger, the log and its copy.
- `photos_under_way`: photos that workers have in hand, as many as the memory limit allows.
- `workers`: threads that work ahead, and whether each makes progress.
- `states`, `camera_state`: the cameras' states in memory, their checkpoints, recovery.
- `sampling`, `earlier_photos`: evidence about the suspects, now or from earlier photos.
- `maps`: when a map is due, how it is made beside the photos, what it lists for a photo.
- `copy_writer`: what is repaired in a photo, where its copy goes, when it may be touched.
- `decode_trial`: a photo that a process died of, decoded in a process of its own.

It imports `repair`, `store` and all below them.  To change what happens to a photo start at
`pipeline.Pipeline.run`; when a copy is written or left alone, at `copy_writer.CopyWriter`;
when a map is made, at `maps.is_due`; how memory bounds the work, at
`photos_under_way.Memory`.
"""

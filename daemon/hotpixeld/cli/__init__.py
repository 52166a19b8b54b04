"""The command line.

- `main`: the commands, their own options and exit codes; start here to add one.
- `options`: the options that commands share, and what they stand for.
- `commands`: what each command does, a function for each.
- `copy_commands`: `repair` and `tidy`, which write or remove copies beside a daemon.
- `run_once`: ``run --once``, from the photos in the folders to map and copies.
- `forgetting`: `forget` and `relearn`: in numbers what will happen, and done.
- `photo_status`: ``status PHOTO``, what became of one photo.
- `photo_defects`: ``map --photo``, where a photo shows each defect, and what was done.
- `cameras`: ``cameras``, the bins of each camera, and where its lenses move defects.
- `completion`: the cameras and bins that a shell offers behind Tab.
- `states`: `state merge`, `state export` and `state import`.
- `status_text`: ``status`` in words, on one screen.
- `tables`: the lists of pixels, as tables and as lines of fields.
- `pixel_lists`: `map` into the files of other programs, and `import`.
- `pictures`: ``map --show``, the defects enlarged, before and after repair.
- `progress`: how far long work is.

May import everything but `api`, which is beside it for other programs; nothing imports it.  The forms of other
programs' lists are in `formats`.
"""

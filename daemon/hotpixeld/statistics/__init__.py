"""Statistics: what is summed up of a camera's photos, pixel by pixel, and its peaks.

- `welford`: the state of a camera: count, mean and M2 of every subpixel.
- `trace`: the signal-to-noise ratio of every pixel over all photos, which finds weak
  defects.
- `contrast`: how far a pixel stands out of its surroundings, in one frame.
- `peaks`: the isolated peaks of a whole plane, the most significant first.
- `fold.c`, `trace.c`: the loops over all pixels of `welford` and `trace`.

Arrays in, arrays out: no file, clock, thread or log. It imports `hotpixeld.compiled` only.
To change how a photo enters the state start at `welford.State.fold_all`; how suspects are
found, at `trace.suspects` and `peaks.peaks`.
"""

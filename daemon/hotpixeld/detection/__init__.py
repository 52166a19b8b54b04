"""Detection: from the statistics and samples of a camera's photos to its defects.

In the order in which a map is made:

- `suspects`: the sites that stand out most in the state, and the shape of a defect there.
- `lens_correction`: where a sensor site lies in photos of one lens and focal length.
- `constellation`: a camera's strongest defects, and where the trace of a bin shows them.
- `registration`: the lens corrections of a camera's bins, by its own defects.
- `lens_prior`: what corrections of one lens have in common, and how far each is known.
- `sensor_trace`: the traces of all bins, stacked where each shows a sensor site.
- `sizes`: where a site of one size of a body's photos lies in another.
- `evidence`: what one photo shows at each suspect, and at ordinary control sites.
- `score_test`: how far each suspect stands out of chance, calibrated on the controls.
- `light`: how strongly defects show by exposure, brightness and warmth, and so in which
  photos they are expected.
- `verdict`: which suspects are defects.
- `explanation`: of what kind each is, and how single photos vote for that.
- `dates`: from which photo to which each is there, where conditions do not explain that.
- `gate`: photos that show none of the defects that they should.
- `lives`: the map: defects with their dates, carried on from the map before.

Arrays and values in, values out: no file, clock, thread or log. It imports `statistics`,
`camera`, `defect` and nothing else of ours. To change what is listed start at `verdict.judge`; how a
defect's date is decided, at `dates.told` (from votes) and `lives.carried_on` (from map to map); what is measured in a photo, at `evidence.sample_windows`.
"""

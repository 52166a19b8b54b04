"""Detection: from the statistics and samples of a camera's photos to its defects.

In the order in which a map is made:

- `suspects`: the sites that stand out most in the state, and the shape of a defect there.
- `evidence`: what one photo shows at each suspect, and at ordinary control sites.
- `score_test`: how far each suspect stands out of chance, calibrated on the controls.
- `light`: how strongly defects show by exposure, brightness and warmth, and so in which
  photos they are expected.
- `verdict`: which suspects are defects.
- `explanation`: of what kind each is, and how single photos vote for that.
- `dates`: from which photo to which each is there, where conditions do not explain that.
- `gate`: photos that show none of the defects that they should.
- `lives`: the map: defects with their dates, carried on from the map before.
- `sizes`: where a site of one size lies in photos of another size of the body.

Arrays and values in, values out: no file, clock, thread or log. It imports `statistics`,
`defect` and nothing else of ours. To change what is listed start at `verdict.judge`; how a
defect's date is decided, at `dates.told` (from votes) and `lives.carried_on` (from map to map); what is measured in a photo, at `evidence.sample_windows`.
"""

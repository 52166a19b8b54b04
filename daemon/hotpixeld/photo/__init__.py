"""Photo: one file read once, what it says about itself, and whose it is.

photo_file
    A photo's file examined without decoding, and decoded to a frame.
metadata
    Camera, capture time, exposure and size, from the header alone.
makernote
    TIFF directories, and the body's serial number in what makers write.
creative_filter
    The camera's effects that leave no pixel where the sensor has it.
edit_detection
    The evidence that software has changed the pixels.
fingerprint
    What is kept of a photo, so that its copies are recognised.

May import `jpeg`, `statistics`, `files` and what lies below them; writes nothing.

To add a camera maker, start at `makernote._LAYOUTS`; a filter of a camera, at
`creative_filter`; the name of an editor, at
`edit_detection._EDITORS`; a field of EXIF, at `metadata.read`; a reason to refuse a file,
at `photo_file.examine`; what counts as edited, at `edit_detection.why_edited`, which
`engine.repair_pass` asks.
"""

"""The forms that are known: by name, by what a file looks like, and as files to write.

To add one, write a module with a `Form` and name it in `FORMS`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hotpixeld.config.model import is_largest
from hotpixeld.errors import HotpixeldError
from hotpixeld.formats import (
    csv_map,
    dcraw,
    jpegpixi,
    json_map,
    png_mask,
    rawtherapee,
    siril,
    yaml_map,
)
from hotpixeld.formats.form import is_inside, moved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotpixeld.formats.form import CameraMap, CameraMaps, Form

FORMS: Mapping[str, Form] = {
    module.FORM.name: module.FORM
    for module in (
        json_map,
        yaml_map,
        csv_map,
        jpegpixi,
        png_mask,
        dcraw,
        rawtherapee,
        siril,
    )
}
"""Every form, by the name that `--format` has for it; the table for people is `cli.tables`."""

_PNG = b"\x89PNG\r\n\x1a\n"


def recognised(content: bytes, name: str) -> Form:
    """Return the form of a file: by what it holds, else by how its name ends.

    Raises
    ------
    HotpixeldError
        It looks like none.
    """
    if content.startswith(_PNG):
        return FORMS["png"]
    lines = content.decode("utf-8-sig", "replace").splitlines()
    said = (line.partition("#")[0].strip() for line in lines)
    first = next(filter(None, said), "")
    by_name = [form for form in FORMS.values() if name.endswith(form.suffix)]
    by_content = [form for form in FORMS.values() if form.first_line.fullmatch(first)]
    for form in by_name if not first else by_content:
        return form
    raise HotpixeldError(
        f"{name}: looks like no pixel list: say what it is with --format, one of"
        f" {', '.join(FORMS)}"
    )


def addressable(form: Form, of_one: CameraMap) -> CameraMap:
    """Return a list without the places that a form cannot address, and how many these are.

    JSON has all sensor sites; the others have pixels of a frame.
    """
    if form.name == "json":
        return of_one
    pixels = [one for one in of_one.pixels if is_inside(one.defect, of_one.camera)]
    sites = [
        {(one.defect.row, one.defect.col) for one in some}
        for some in (of_one.pixels, pixels)
    ]
    outside = of_one.outside + len(sites[0] - sites[1])
    return of_one._replace(pixels=pixels, outside=outside)


def written(form: Form, maps: CameraMaps, offset: tuple[int, int] = (0, 0)) -> bytes:
    """Return the content of one file.

    Parameters
    ----------
    offset : (int, int)
        Where the photos' top left pixel lies in the raw frame, as x, y; for forms of raw
        coordinates.

    Raises
    ------
    HotpixeldError
        The form knows no cameras, and there is not just one.
    """
    if not form.knows_cameras and len(maps) != 1:
        known = ", ".join(one.camera.id for one in maps)
        advice = f"name one with --camera, or a folder with --output DIR/: {known}"
        if not maps:
            advice = "no camera is known yet"
        raise HotpixeldError(
            f"{form.name} does not say which camera a pixel is of: {advice}"
        )
    maps = [addressable(form, one) for one in maps]
    if form.is_raw and offset != (0, 0):
        maps = [
            of_one._replace(
                pixels=[
                    replace(one, defect=moved(one.defect, *offset))
                    for one in of_one.pixels
                ]
            )
            for of_one in maps
        ]
    return form.write(maps)


def files(
    form: Form, maps: CameraMaps, offset: tuple[int, int] = (0, 0)
) -> dict[str, bytes]:
    """Return a file for each camera, by its name.

    A raw frame is as large as the camera's largest photos: of a body at several sizes, only
    those have a file in forms of raw coordinates.

    Parameters
    ----------
    offset : (int, int)
        See `written`.

    Raises
    ------
    HotpixeldError
        The form's program would look for two cameras under one name.
    """
    cameras = [one.camera for one in maps]
    found = dict[str, bytes]()
    for one in maps:
        camera = one.camera
        if form.is_raw and not is_largest(camera, cameras):
            continue
        name = f"{camera.id}{form.suffix}"
        if form.file_name is not None:
            name = form.file_name(camera)
        if name in found:
            advice = "write one of them, named with --camera, to another folder"
            raise HotpixeldError(f"two cameras have the file name {name!r}: {advice}")
        found[name] = written(form, [one], offset)
    return found

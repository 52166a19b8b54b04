"""A configuration's text with more pixels in it, and otherwise as its owner wrote it.

The places of what is there come from PyYAML, and text is put in there: every comment, blank
line, quote and indent stays.  (A round trip through ruamel.yaml 0.19 lost a comment between
two pixels, joined wrapped lines and moved what stood in columns.)  Whoever asks for it reads
the result again: where a text is too unusual for this, it says something else then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from hotpixeld.config.yaml_positions import nodes, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hotpixeld.camera import Camera

    Items = Mapping[str, Sequence[str]]
    """By key of a camera's entry (pixels, ignore): what to add, each as YAML on one line."""


def _end(node: yaml.Node) -> int:
    """Return where a node really ends: a block is said to end where the next one begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _below(text: str, node: yaml.Node, new: str) -> str:
    """Return the text with lines, each behind a line feed, below a block and its comment."""
    found = text.find("\n", _end(node))
    at = len(text) if found < 0 else found
    return text[:at] + new + text[at:]


def _in_place(text: str, node: yaml.Node, new: str) -> str:
    return text[: node.start_mark.index] + new + text[node.end_mark.index :]


def _in_brackets(text: str, node: yaml.CollectionNode, items: Sequence[str]) -> str:
    """Return the text with items added in a list or mapping in brackets, each on its line."""
    gap = f",\n{' ' * (node.start_mark.column + 1)}"
    if not node.value:
        brackets = text[node.start_mark.index], text[node.end_mark.index - 1]
        return _in_place(text, node, gap.join(items).join(brackets))
    last = node.value[-1]
    at = _end(last[1] if isinstance(last, tuple) else last)
    return text[:at] + "".join(gap + item for item in items) + text[at:]


def _lines(indent: int, items: Sequence[str]) -> str:
    return "".join(f"\n{' ' * indent}- {item}" for item in items)


def _value(mapping: yaml.Node | None, key: str) -> yaml.Node | None:
    """Return the value of a key; None where it is not there."""
    pairs = mapping.value if isinstance(mapping, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _with_items(
    text: str, entry: yaml.MappingNode, key: str, items: Sequence[str]
) -> str:
    """Return the text with items added to a list of a camera's entry."""
    listed, indent = _value(entry, key), entry.start_mark.column
    if isinstance(listed, yaml.SequenceNode) and listed.flow_style:
        return _in_brackets(text, listed, items)
    if isinstance(listed, yaml.SequenceNode):
        return _below(text, listed, _lines(listed.start_mark.column, items))
    if listed is not None:  # a key without a value
        gap = " " * (text[listed.start_mark.index - 1] == ":")
        return _in_place(text, listed, f"{gap}[{', '.join(items)}]")
    if entry.flow_style:
        return _in_brackets(text, entry, [f"{key}: [{', '.join(items)}]"])
    return _below(text, entry, f"\n{' ' * indent}{key}:{_lines(indent + 2, items)}")


def with_pixels(text: str, index: int, items: Items) -> str:
    """Return a configuration with more in the entry `index` of its cameras.

    Parameters
    ----------
    text : str
        A configuration without faults.
    """
    for key, new in items.items():
        cameras = _value(nodes(text), "cameras")
        if new and isinstance(cameras, yaml.SequenceNode):
            text = _with_items(text, cameras.value[index], key, new)
    return text


def with_camera(text: str, camera: Camera, items: Items) -> str:
    """Return a configuration with one more camera: its identity and size, and these items.

    Parameters
    ----------
    text : str
        A configuration without faults; it may be empty.
    """
    root = nodes(text)
    cameras = _value(root, "cameras")
    if not isinstance(root, yaml.MappingNode):
        return _as_line(text) + f"cameras:{_entry(camera, items, 2)}\n"
    if root.flow_style:
        return _in_brackets(text, *_flow_place(root, cameras, camera, items))
    if isinstance(cameras, yaml.SequenceNode) and cameras.value:
        if cameras.flow_style:
            return _in_brackets(text, cameras, [_in_one_line(camera, items)])
        indent = cameras.start_mark.column
        return _below(text, cameras, _entry(camera, items, indent))
    entry = _entry(camera, items, 2)
    if cameras is None:
        return _below(text, root, f"\ncameras:{entry}")
    return _in_place(text, cameras, entry)


def _flow_place(
    root: yaml.MappingNode, cameras: yaml.Node | None, camera: Camera, items: Items
) -> tuple[yaml.CollectionNode, list[str]]:
    """Return where a camera goes in a configuration in braces, and as what."""
    entry = _in_one_line(camera, items)
    if isinstance(cameras, yaml.SequenceNode):
        return cameras, [entry]
    return root, [f"cameras: [{entry}]"]


def _as_line(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _identity(camera: Camera) -> dict[str, str]:
    return {
        "make": quote(camera.make),
        "model": quote(camera.model),
        "serial": quote(camera.serial),
        "size": f"[{camera.width}, {camera.height}]",
    }


def _entry(camera: Camera, items: Items, indent: int) -> str:
    """Return a camera's item of a list, in lines, each behind a line feed."""
    space = " " * (indent + 2)
    said = f"\n{space}".join(
        f"{key}: {value}" for key, value in _identity(camera).items()
    )
    lists = (
        f"\n{space}{key}:{_lines(indent + 4, new)}" for key, new in items.items() if new
    )
    return f"\n{' ' * indent}- {said}{''.join(lists)}"


def _in_one_line(camera: Camera, items: Items) -> str:
    lists = {key: f"[{', '.join(new)}]" for key, new in items.items() if new}
    said = (f"{key}: {value}" for key, value in (_identity(camera) | lists).items())
    return f"{{{', '.join(said)}}}"

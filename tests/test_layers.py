"""The architecture of DESIGN: imports go downward, modules and functions stay small."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import hotpixeld

PACKAGE = Path(hotpixeld.__file__).parent
LAYERS = {
    0: "errors camera pixels messages",
    1: (
        "compiled welford trace around suspects hotmap contrast tails evidence likelihood weighing calibration verdict"
        " repair scene shapes field crowd overlaps neighbours learning footprint blocks"
        " markers tables huffman intervals splice files memory"
        " npyfile pages makernote edited settle visibility reading"
    ),
    2: (
        "yamltext grammar pixellist config configcheck configfile checkpoint generations"
        " migrations aliases hazards tallies trial copies"
        " defects difference events images ledger samples lossless rescan plane"
        " coefficients turbojpeg reencode mapfile metadata mounts paths photo place scan"
        " survey systemd watch workers lock"
    ),
    3: (
        "repairs output again revisits running saving loading making outcome states sampling appearances lives repairable maps pipeline stages"
        " jobs session statefolder intake access"
    ),
    4: (
        "service pause signals report publisher progress once commands terminal logs"
        " exits dropin reveal"
    ),
    5: "cli __main__",
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names.split()}


def imports(path: Path) -> set[str]:
    """Return the modules of the package that a module imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "hotpixeld":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            package, _, name = node.module.partition(".")
            found |= {name} if package == "hotpixeld" else set()
    return found


MODULES = {path.stem: path for path in PACKAGE.glob("*.py") if path.stem != "__init__"}


def test_every_module_has_its_layer() -> None:
    assert set(MODULES) == set(LAYER_OF)


def test_imports_go_downward() -> None:
    upward = [
        f"{name} imports {other}"
        for name, path in MODULES.items()
        for other in imports(path)
        if LAYER_OF[other] > LAYER_OF[name]
    ]

    assert upward == []


def test_imports_make_no_circle() -> None:
    graph = {name: imports(path) for name, path in MODULES.items()}

    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(MODULES)


def test_the_core_opens_logs_and_waits_for_nothing() -> None:
    rim = {"logging", "time", "sqlite3", "PIL", "yaml", "watchdog", "threading"}
    for name, path in MODULES.items():
        if LAYER_OF[name] > 1:
            continue
        tree = ast.parse(path.read_text())
        used = {
            alias.name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }

        assert not used & rim, name


def test_modules_and_functions_fit_in_the_head() -> None:
    large = []
    for name, path in MODULES.items():
        text = path.read_text()
        lines = len(text.splitlines())
        if lines > 300:
            large.append(f"{name}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                doc = ast.get_docstring(node) or ""
                size = (node.end_lineno or 0) - node.lineno + 1 - len(doc.splitlines())
                if size > 40:
                    large.append(f"{name}.{node.name}: {size} lines")

    assert large == []

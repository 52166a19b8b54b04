"""Measure the package's form, and hold it to its limits: ``python tests/house.py``.

Modules and statements (docstrings are none) by package, and the longest chain of imports
from package to package.  Which imports are allowed at all is import-linter's to say.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "daemon" / "hotpixeld"
MOST_MODULES = 155
MOST_IN_A_FOLDER = 20
LONGEST_CHAIN = 7


def is_docstring(node: ast.stmt) -> bool:
    """Return whether a statement is a string that nothing reads."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def statements(tree: ast.Module) -> int:
    """Return the number of statements of a module, without its docstrings."""
    return sum(
        isinstance(node, ast.stmt) and not is_docstring(node) for node in ast.walk(tree)
    )


def imported(tree: ast.Module) -> set[str]:
    """Return the packages of ours that a module imports from."""
    modules = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
    }
    parts = {module.split(".")[1] for module in modules if "hotpixeld." in module}
    return {part for part in parts if (PACKAGE / part).is_dir()}


def longest_chain(imports: dict[str, set[str]]) -> list[str]:
    """Return the longest chain of packages that import one another."""

    @functools.cache
    def chain(package: str) -> list[str]:
        others = [chain(other) for other in imports[package] - {package}]
        return [package, *max(others, key=len, default=[])]

    return max([chain(package) for package in list(imports)], key=len)


def main() -> int:
    """Print the measures; return 1 if one is beyond its limit."""
    modules: defaultdict[str, int] = defaultdict(int)
    size: defaultdict[str, int] = defaultdict(int)
    imports: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "__init__.py":  # docstrings only, see below
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        folder = path.parent.name
        modules[folder] += 1
        size[folder] += statements(tree)
        if path.parent != PACKAGE:
            imports[folder] |= imported(tree)
    for folder, count in modules.items():
        print(f"{folder:12}{count:4} modules {size[folder]:6} statements")
    chain = longest_chain(imports)
    full = [
        path
        for path in PACKAGE.rglob("__init__.py")
        if statements(ast.parse(path.read_text(encoding="utf-8")))
    ]
    faults = [
        fault
        for fault, is_there in {
            f"more than {MOST_MODULES} modules": sum(modules.values()) > MOST_MODULES,
            f"more than {MOST_IN_A_FOLDER} modules in a folder": max(modules.values())
            > MOST_IN_A_FOLDER,
            f"a chain longer than {LONGEST_CHAIN}": len(chain) > LONGEST_CHAIN,
            f"code in {', '.join(map(str, full))}": bool(full),
        }.items()
        if is_there
    ]
    print(
        f"{'all':12}{sum(modules.values()):4} modules {sum(size.values()):6} statements"
    )
    print("longest chain:", " > ".join(chain))
    print(*faults, sep="\n", file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())

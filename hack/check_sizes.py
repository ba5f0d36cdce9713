"""Fails on a function, a module or a folder that has grown too large to be read at once. Tests are not measured."""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("libs/*/src", "services/*/src", "cli/src", "plugins/*/src", "hack")
MOST_FUNCTION_LINES = 40
MOST_MODULE_LINES = 300
MOST_MODULES = 20
"""Side by side in one folder, `__init__` aside."""


def modules() -> Iterator[Path]:
    """Our own source files. Templates are a user's own code."""
    for pattern in SOURCES:
        for folder in ROOT.glob(pattern):
            for file in sorted(folder.rglob("*.py")):
                if not {"tests", "templates"} & set(file.parts):
                    yield file


def too_large(file: Path) -> Iterator[str]:
    """What of `file` is over its limit."""
    place = file.relative_to(ROOT)
    text = file.read_text()
    lines = len(text.splitlines())
    if lines > MOST_MODULE_LINES:
        yield f"{place}: {lines} lines, of which a module may have {MOST_MODULE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            lines = node.end_lineno - node.lineno + 1
            if lines > MOST_FUNCTION_LINES:
                yield f"{place}:{node.lineno}: {node.name} has {lines} lines, a function may have {MOST_FUNCTION_LINES}"


def main() -> int:
    """The faults, one a line."""
    files = tuple(modules())
    folders = Counter(file.parent for file in files if file.name != "__init__.py")
    faults = [fault for file in files for fault in too_large(file)]
    faults += [
        f"{folder.relative_to(ROOT)}: {count} modules side by side, of which a folder may have {MOST_MODULES}"
        for folder, count in folders.items()
        if count > MOST_MODULES
    ]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


sys.exit(main())

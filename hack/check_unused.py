"""Fails on code that nobody uses, and on a package whose declared dependencies are not those that it imports.

Fields of models are not looked at: they are what crosses a boundary, and may be for others.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(file.parent for file in ROOT.glob("*/*/pyproject.toml") if file.parts[-3] in {"libs", "services"})
KINDS = {"class", "function", "method", "property", "unreachable_code"}  # unused imports are ruff's
CALLED_BY_OTHERS = [
    "__call__",  # of protocols
    "handleError",  # logging
    "filter_cookies",  # aiohttp's cookie jar
    "connection_made",  # asyncio's protocols
    "ignore_aliases",  # PyYAML
    "get_credentials_async",  # redis
    "enqueue",  # of libs/kube, for a reason outside the cluster
    "refuse_new_privileges",  # in the child, between fork and exec
]


def unused_code() -> list[str]:
    """Each name that is defined and never used, with its place."""
    vulture = Vulture(ignore_names=CALLED_BY_OTHERS, ignore_decorators=["@*validator*", "@*serializer*"])
    sources = [str(package / "src") for package in (*PACKAGES, ROOT / "cli")]
    vulture.scavenge([*sources, str(ROOT / "hack" / "generate")])  # what is published is used
    found = (item for item in vulture.get_unused_code(min_confidence=60) if item.typ in KINDS)
    return [f"{item.filename.relative_to(ROOT)}:{item.first_lineno}: unused {item.typ} {item.name}" for item in found]


def undeclared(package: Path) -> list[str]:
    """Each import without a declaration, and each declaration without an import."""
    done = subprocess.run(
        [Path(sys.executable).with_name("deptry"), "src", "--no-ansi"],
        cwd=package,
        capture_output=True,
        text=True,
        check=False,
    )
    faults = [f"{package.relative_to(ROOT)}/{line}" for line in done.stderr.splitlines() if ": DEP" in line]
    return faults or ([done.stderr] if done.returncode else [])


def main() -> int:
    """The faults, one a line."""
    with ThreadPoolExecutor(4) as pool:
        imports = pool.map(undeclared, (*PACKAGES, ROOT / "cli"))
        faults = unused_code() + [fault for found in imports for fault in found]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


sys.exit(main())

"""Writes every generated file of the tree anew. `make generate` runs it; a test holds the tree to its output.

A generator is one module with `files(root)`: it gives (path from the root, text) and writes nothing itself.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)  # run as a file, the path begins with this folder instead of the tree

from hack.generate import (  # noqa: E402 - the tree is on the path only now
    catalogue,
    chart,
    cli_page,
    clients_page,
    compose,
    crd,
    golden,
    install,
    mcp_matrix_page,
    operator_page,
    schemas,
    spec_page,
    threat_model,
    troubleshooting_page,
)

GENERATORS = (
    crd.files,  # the chart and what is installed are made of it
    catalogue.files,
    chart.files,
    compose.files,
    cli_page.files,
    clients_page.files,
    golden.files,
    install.files,
    mcp_matrix_page.files,
    operator_page.files,
    schemas.files,
    spec_page.files,
    threat_model.files,
    troubleshooting_page.files,
)


def main() -> None:
    """Write the files whose text differs, and name them."""
    parser = argparse.ArgumentParser(description="Write every generated file of the tree anew.")
    parser.add_argument("--output", type=Path, default=ROOT, help="folder to write below (default: the tree)")
    output: Path = parser.parse_args().output
    for generator in GENERATORS:
        for path, text in generator(ROOT):
            file = output / path
            if file.is_file() and file.read_text(encoding="utf-8") == text:
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(path)


main()

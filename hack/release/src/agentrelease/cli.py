"""The command `hack/release/build`."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .errors import ReleaseError
from .wheel import build_wheel

_EXAMPLES = """example:
  hack/release/build wheel --version 1.2.3 --output dist
"""


def main(arguments: Sequence[str]) -> int:
    """Builds what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="build",
        description="Build what a release consists of besides its images.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=("wheel",), help="what to build")
    parser.add_argument("--version", required=True, help="such as 1.2.3")
    parser.add_argument("--output", type=Path, default=Path("dist"), metavar="FOLDER", help="default: dist")
    options = parser.parse_args(arguments)
    output: Path = options.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="agentberth-release-") as scratch:
            print(build_wheel(output, options.version, Path(scratch)))
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0

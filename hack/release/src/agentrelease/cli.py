"""The command `hack/release/build`."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .errors import ReleaseError
from .manifests import read_images, write_chart, write_manifests
from .wheel import build_wheel

_EXAMPLES = """examples:
  hack/release/build wheel --version 1.2.3 --images images.txt      dist/agentberth-1.2.3-py3-none-any.whl
  hack/release/build manifests --version 1.2.3 --images images.txt  install.yaml, agenttype.yaml and the chart

Each line of images.txt is an image with its digest, such as registry.example.com/agent-operator:1.2.3@sha256:...
"""


def main(arguments: Sequence[str]) -> int:
    """Builds what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="build",
        description="Build what a release consists of besides its images.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=("wheel", "manifests"), help="what to build")
    parser.add_argument("--version", required=True, help="such as 1.2.3")
    parser.add_argument("--output", type=Path, default=Path("dist"), metavar="FOLDER", help="default: dist")
    parser.add_argument(
        "--images", type=Path, metavar="FILE", help="the images, one a line; a wheel without installs local ones"
    )
    options = parser.parse_args(arguments)
    if options.part == "manifests" and not options.images:
        parser.error("manifests need --images")
    output: Path = options.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="agentberth-release-") as scratch:
            made = _build(options, output, Path(scratch))
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(map(str, made)))
    return 0


def _build(options: argparse.Namespace, output: Path, scratch: Path) -> list[Path]:
    images = read_images(options.images) if options.images else {}
    if options.part == "wheel":
        return [build_wheel(output, options.version, scratch, images)]
    return [*write_manifests(output, images), write_chart(output, options.version, images)]

"""The command `hack/gotools/build`."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from testcluster.build import find_toolchain
from testcluster.cache import cache_dir
from testcluster.errors import ClusterError

from .tools import TOOLS, ensure

_EXAMPLES = """examples:
  $(hack/gotools/build actionlint)           check the workflows
  $(hack/gotools/build compose) up           docker compose without its plugin
  $(hack/gotools/build collector) validate --config=deploy/components/logging/config.yaml
"""


def main(arguments: Sequence[str]) -> int:
    """Prints the paths of the tools named, one a line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="build",
        description="Build tools from their Go modules, unless the cache has them, and print where they are.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="+", metavar="NAME", choices=sorted(TOOLS), help=f"of {', '.join(TOOLS)}")
    options = parser.parse_args(arguments)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # notes of a long build are not the answer
            toolchain, cache = find_toolchain(os.environ), cache_dir(os.environ)
            paths = [ensure(TOOLS[name], toolchain=toolchain, cache=cache) for name in options.names]
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("\n".join(map(str, paths)))
    return 0

"""What the images of the founding plan's agents run: says in one line what it was given, and waits."""

import importlib
import json
import os
import signal
import sys
from typing import Any

PACKAGES = ("requests", "pandas")


def version(package: str) -> str | None:
    """The version that the test's index gave it, None when it is not there."""
    try:
        return str(importlib.import_module(package).VERSION)
    except ImportError:
        return None


def main() -> None:
    """Says it."""
    seen: dict[str, Any] = {name: os.environ.get(name) for name in ("API_KEY", "GLUED")}
    sys.stdout.write(json.dumps({**seen, **{package: version(package) for package in PACKAGES}}) + "\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()


if __name__ == "__main__":
    main()

"""Prints the files, environments and command lines in sight that hold a key, given backwards as the argument."""

import sys
from pathlib import Path

ROOTS = ("/shared", "/workspace", "/tools", "/tmp", "/etc", "/run")
KEY = sys.argv[1][::-1].encode()


def holds(path: Path) -> bool:
    """Whether the file can be read and holds the key."""
    try:
        return path.is_file() and KEY in path.read_bytes()
    except OSError:
        return False


files = [path for root in ROOTS for path in Path(root).rglob("*")]
files += [folder / name for folder in Path("/proc").glob("[0-9]*") for name in ("environ", "cmdline")]
sys.stdout.write(f"{[str(path) for path in files if holds(path)]}\n")

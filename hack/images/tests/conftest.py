"""The packages are not installed anywhere: they run before any environment does."""

import sys
from pathlib import Path

HACK = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(HACK / "images/src"), str(HACK / "testcluster/src")]

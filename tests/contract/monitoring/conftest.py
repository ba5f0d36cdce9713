import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that `contract.monitoring` can be imported

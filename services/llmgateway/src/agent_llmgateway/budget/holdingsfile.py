"""The file that remembers what was spent, on a volume of the gateway's own: it outlives the process, not the Pod.

It is ahead of the count: what a request may take at most is written down before the request is sent, and a little
more, so that not each request waits for a disk. A gateway that is killed begins at what is written.
"""

import logging
from pathlib import Path

from pydantic import ValidationError

from agent_api.budget.grants import Holdings
from agent_base.atomicfile import write_atomically

_log = logging.getLogger(__name__)
_LONGEST_BYTES = 65_536


def load_holdings(path: Path, run: str) -> Holdings:
    """What the file has, without what was spent in another run; nothing spent when there is none."""
    try:
        with path.open("rb") as file:
            holdings = Holdings.model_validate_json(file.read(_LONGEST_BYTES))
    except FileNotFoundError:
        return Holdings(run=run)
    except (OSError, ValidationError) as error:
        _log.warning("%s cannot be read (%s): the budget starts at nothing spent", path, type(error).__name__)
        return Holdings(run=run)
    if holdings.run == run:
        return holdings
    held = {name: each for name, each in holdings.held.items() if not name.endswith("PerRun")}
    return holdings.model_copy(update={"run": run, "held": held})


def store_holdings(path: Path, holdings: Holdings) -> None:
    """Replace the file. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, holdings.model_dump_json().encode(), mode=0o600)

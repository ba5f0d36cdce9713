"""The key that a sidecar signs its reports with: the file that is mounted in it alone, for the Pod it runs in."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent_api.signing import Signer
from agent_kit.calls import RUN_VARIABLE
from agent_kit.errors import TokenError

KEY_BYTES: Final = 4096
"""Most that is read of a key file."""
SHORTEST_KEY: Final = 32


def read_signer(path: Path, sidecar: str, environ: Mapping[str, str] = os.environ) -> Signer | None:
    """None without a file, as on a laptop, where nobody asks. Raises TokenError for one that is no key."""
    try:
        with path.open("rb") as file:
            key = file.read(KEY_BYTES + 1).strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenError(f"the report key in {path} cannot be read: {error.strerror}") from error
    uid = environ.get(RUN_VARIABLE, "")
    if not SHORTEST_KEY <= len(key) <= KEY_BYTES or not key.isascii() or not uid:
        raise TokenError(f"{path} is not a key of a Pod that {RUN_VARIABLE} names: both come with the Pod")
    return Signer(key.decode(), uid, sidecar)

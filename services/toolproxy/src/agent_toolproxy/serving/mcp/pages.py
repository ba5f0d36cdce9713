"""Lists, page by page: the cursor is of one list, and of no other."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent_toolproxy.boundedjson import dump_json
from agent_toolproxy.mcp.messages import INVALID_PARAMS, Json
from agent_toolproxy.serving.mcp.calls import RpcError

PAGE: Final = 500


def list_page(key: str, listed: Sequence[Json], params: Mapping[str, Any], identity: str = "name") -> Json:
    """One page under `key`, with `nextCursor` unless it is the last. Raises RpcError for a cursor of another list."""
    start = 0
    stamp = ""
    if len(listed) > PAGE or "cursor" in params:
        identities = dump_json([key, *(each[identity] for each in listed)])
        stamp = hashlib.sha256(identities.encode()).hexdigest()[:12]
        start = _read_cursor(params["cursor"], stamp, len(listed)) if "cursor" in params else 0
    page: Json = {key: list(listed[start : start + PAGE])}
    if start + PAGE < len(listed):
        page["nextCursor"] = _write_cursor(stamp, start + PAGE)
    return page


def _write_cursor(stamp: str, start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([stamp, start]).encode()).decode()


def _read_cursor(cursor: object, stamp: str, total: int) -> int:
    try:
        given, start = json.loads(base64.urlsafe_b64decode(str(cursor).encode()))
        if given == stamp and isinstance(start, int) and 0 < start < total:
            return start
    except (ValueError, TypeError):
        pass
    raise RpcError(INVALID_PARAMS, "the cursor is not of this list: list again without one")

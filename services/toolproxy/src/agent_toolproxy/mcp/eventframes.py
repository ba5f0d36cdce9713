"""Server-sent events as the proxy writes them; `agent_kit.sse` reads those that come."""

from typing import Final

from agent_toolproxy.boundedjson import dump_json
from agent_toolproxy.mcp.messages import Json

KEEP_ALIVE: Final = b": ping\r\n\r\n"
HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def frame(message: Json) -> bytes:
    """A message as one event."""
    return f"event: message\r\ndata: {dump_json(message)}\r\n\r\n".encode()

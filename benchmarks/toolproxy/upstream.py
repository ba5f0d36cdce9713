"""A minimal MCP server of 2026-07-28, in a process of its own, so that the proxy is measured against something fast."""

import sys
from typing import Any

from aiohttp import web

TOOL = {"name": "echo", "inputSchema": {"type": "object"}}
HINTS = {"resultType": "complete", "ttlMs": 60_000, "cacheScope": "private"}


async def answer(request: web.Request) -> web.Response:
    """Every method that a proxy needs."""
    body: dict[str, Any] = await request.json()
    results: dict[str, Any] = {
        "server/discover": {**HINTS, "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
        "tools/list": {**HINTS, "tools": [TOOL]},
        "tools/call": {"resultType": "complete", "content": [{"type": "text", "text": "echo"}]},
    }
    return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": results[body["method"]]})


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/mcp", answer)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)

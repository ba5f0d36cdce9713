"""An agent that lists its tools, calls one over REST and over MCP, and says what came of it in one line."""

import json
import os
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

WORD = "ahoy from the workspace"


def fetch(address: str, body: dict[str, Any] | None = None, accept: str = "application/json") -> Any:
    """The JSON that an address of the tool proxy answers."""
    headers = {"content-type": "application/json", "accept": accept}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, content, headers)  # noqa: S310 - the proxy's address
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
        return json.load(answer)


def main() -> None:
    """Says what it found in one line, and waits."""
    rest, mcp = os.environ["TOOL_PROXY_URL"], os.environ["MCP_SERVER_URL"]
    (Path(os.environ["AGENT_WORKSPACE"]) / "note.json").write_text(json.dumps({"word": WORD}))
    arguments = {"filter": ".word", "files": ["note.json"]}  # by the schema that the platform's catalogue gives jq
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "jq", "arguments": arguments}}
    seen = {
        "tools": fetch(f"{rest}/v1/tools"),
        "rest": fetch(f"{rest}/v1/tools/jq:run", {"arguments": arguments}),
        "mcp": fetch(mcp, call, accept="application/json, text/event-stream"),
    }
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()


if __name__ == "__main__":
    main()

"""An MCP server on stdio, to be put behind the proxy. Its first argument says what it is like.

modern, legacy; silent and dies: old servers that do not answer the probe, or end themselves over it; dies-early: one
that cannot start; sleeps SECONDS: a modern one that takes its time. It writes junk and to stderr too, as servers do.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("echo", "die", "pid", "big", "grow")]
LISTS = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
CHANGES = {"tools": {"listChanged": True}}
REFUSED: dict[str, Any] = {"error": {"code": -32601, "message": "no"}}
SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


class Server:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.listening: Any = None

    def say(self, **message: Any) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    def take(self, message: dict[str, Any]) -> None:
        with Path("seen").open("a") as seen:
            seen.write(json.dumps(message) + "\n")
        if "method" not in message or "id" not in message:
            return
        answer = self.answer(message["method"], message.get("params", {}), message["id"])
        if answer is not None:
            self.say(id=message["id"], **answer)

    def answer(self, method: str, params: dict[str, Any], message_id: Any) -> dict[str, Any] | None:
        if method == "server/discover":
            return self.discover()
        if method == "initialize" and self.kind != "modern":
            named = {"serverInfo": {"name": "s", "version": "1"}}
            return {"result": {"protocolVersion": "2025-06-18", "capabilities": CHANGES, **named}}
        if method == "tools/list":
            return {"result": {**LISTS, "tools": TOOLS}}
        if method == "subscriptions/listen":
            self.listening = message_id
            honoured = {"notifications": {"toolsListChanged": True}, "_meta": {SUBSCRIPTION: message_id}}
            self.say(method="notifications/subscriptions/acknowledged", params=honoured)
            return None
        return {"result": self.call(params)} if method == "tools/call" else REFUSED

    def discover(self) -> dict[str, Any] | None:
        if self.kind == "modern":
            return {"result": {**LISTS, "supportedVersions": ["2026-07-28"], "capabilities": CHANGES}}
        if self.kind == "dies":
            os._exit(3)
        return None if self.kind == "silent" else REFUSED

    def call(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["name"] == "die":
            os._exit(9)
        if params["name"] == "grow":
            TOOLS.append({"name": "grown", "inputSchema": {"type": "object"}})
            meta = {"_meta": {SUBSCRIPTION: self.listening}} if self.kind == "modern" else {}
            self.say(method="notifications/tools/list_changed", params=meta)
        token = params.get("_meta", {}).get("progressToken")
        if token is not None:
            self.say(method="notifications/progress", params={"progressToken": token, "progress": 0.5})
        texts = {"pid": str(os.getpid()), "big": "x" * 300_000}
        text = texts.get(params["name"], json.dumps(params.get("arguments")))
        return {"resultType": "complete", "content": [{"type": "text", "text": text}]}


def main() -> None:
    if sys.argv[1] == "dies-early":
        sys.exit("cannot start: no such thing")
    sys.stdout.write("this line is not MCP\n")
    sys.stderr.write("a word on stderr\n")
    for _ in range(int(os.environ.get("STDERR_LINES", "0"))):
        sys.stderr.write(f"the key is {os.environ.get('KEY')}\n")
    if sys.argv[1] == "sleeps":
        time.sleep(float(sys.argv[2]))
    if "--child" in sys.argv:
        subprocess.Popen(["sleep", "2222"], start_new_session=True)
    server = Server("modern" if sys.argv[1] == "sleeps" else sys.argv[1])
    for line in sys.stdin:
        server.take(json.loads(line))


if __name__ == "__main__":
    main()

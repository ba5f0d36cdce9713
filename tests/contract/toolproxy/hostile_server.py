"""MCP servers that do everything wrong on purpose, by HTTP in this process and by stdio as a script."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

OBJECT = {"type": "object"}
FINE: dict[str, Any] = {"name": "fine", "description": "Works.", "inputSchema": OBJECT}
ATTACK: dict[str, Any] = {
    "name": "attack",
    "description": "Answers as it is told.",
    "inputSchema": {"type": "object", "properties": {"kind": {"type": "string"}}},
}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def tool(name: str, **parts: Any) -> dict[str, Any]:
    return {"name": name, "description": "d", "inputSchema": OBJECT, **parts}


DEFINITIONS: dict[str, Any] = {
    "deep": tool("deep", inputSchema=nested(250)),
    "deeper": tool("deeper", outputSchema=nested(40)),
    "no_schema": {"name": "no_schema"},
    "schema_null": tool("schema_null", inputSchema=None),
    "schema_true": tool("schema_true", inputSchema=True),
    "schema_list": tool("schema_list", inputSchema=[]),
    "schema_text": tool("schema_text", inputSchema="object"),
    "schema_of_array": tool("schema_of_array", inputSchema={"type": "array"}),
    "schema_of_two": tool("schema_of_two", inputSchema={"type": ["object", "null"]}),
    "schema_without_type": tool("schema_without_type", inputSchema={}),
    "unknown_type": tool("unknown_type", inputSchema={"type": "object", "properties": {"a": {"type": "strnig"}}}),
    "properties_list": tool("properties_list", inputSchema={"type": "object", "properties": []}),
    "properties_null": tool("properties_null", inputSchema={"type": "object", "properties": None}),
    "property_true": tool("property_true", inputSchema={"type": "object", "properties": {"a": True}}),
    "property_text": tool("property_text", inputSchema={"type": "object", "properties": {"a": "string"}}),
    "required_text": tool("required_text", inputSchema={"type": "object", "required": "a"}),
    "required_numbers": tool("required_numbers", inputSchema={"type": "object", "required": [1]}),
    "reference_out": tool("reference_out", inputSchema={"type": "object", "$ref": "http://127.0.0.1:1/x.json"}),
    "reference_file": tool("reference_file", inputSchema={"type": "object", "$ref": "file:///etc/passwd"}),
    "bad_pattern": tool("bad_pattern", inputSchema={"type": "object", "properties": {"a": {"pattern": "("}}}),
    "negative_length": tool("negative_length", inputSchema={"type": "object", "properties": {"a": {"minLength": -1}}}),
    "description_number": tool("description_number", description=5),
    "description_list": tool("description_list", description=["x"]),
    "description_object": tool("description_object", description={"a": 1}),
    "description_surrogate": tool("description_surrogate", description="a\ud800b"),
    "description_huge": tool("description_huge", description="x" * 200_000),
    "title_number": tool("title_number", title=5),
    "title_surrogate": tool("title_surrogate", title="\udfff"),
    "annotations_list": tool("annotations_list", annotations=[]),
    "annotations_text": tool("annotations_text", annotations="readOnly"),
    "hint_text": tool("hint_text", annotations={"readOnlyHint": "yes"}),
    "hint_number": tool("hint_number", annotations={"destructiveHint": 1}),
    "annotation_title": tool("annotation_title", annotations={"title": 5}),
    "icons_text": tool("icons_text", icons="https://x/i.png"),
    "icons_of_texts": tool("icons_of_texts", icons=["https://x/i.png"]),
    "icon_without_src": tool("icon_without_src", icons=[{"sizes": ["1x1"]}]),
    "meta_list": tool("meta_list", _meta=[]),
    "output_list": tool("output_list", outputSchema=[]),
    "output_text": tool("output_text", outputSchema="object"),
    "output_unknown": tool("output_unknown", outputSchema={"type": "no such type"}),
    "default_surrogate": tool(
        "default_surrogate", inputSchema={"type": "object", "properties": {"a": {"default": "\udc00"}}}
    ),
    "enum_huge": tool(
        "enum_huge", inputSchema={"type": "object", "properties": {"a": {"enum": [str(n) * 20 for n in range(9000)]}}}
    ),
    "header_twice": tool(
        "header_twice",
        inputSchema={
            "type": "object",
            "properties": {name: {"type": "string", "x-mcp-header": "A"} for name in ("a", "b")},
        },
    ),
    "header_injection": tool(
        "header_injection",
        inputSchema={"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A\r\nEvil"}}},
    ),
    "task_only": tool("task_only", execution={"taskSupport": "required"}),
}
NAMELESS: list[Any] = [
    None, 5, "tool", [], {}, {"name": 5, "inputSchema": OBJECT}, {"name": "", "inputSchema": OBJECT},
    {"name": None, "inputSchema": OBJECT}, {"name": ["x"], "inputSchema": OBJECT}, tool("x" * 5000), tool("a\ud800"),
]  # fmt: skip


def result(message_id: Any, **parts: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": message_id, "result": {"resultType": "complete", **parts}}).encode()


def events(*data: bytes) -> bytes:
    return b"".join(b"data: " + each + b"\n\n" for each in data)


def progress(token: Any, **parts: Any) -> bytes:
    params = {"progressToken": token, **parts}
    return json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}).encode()


JSON, EVENTS = "application/json", "text/event-stream"
GOOD: list[Any] = [{"type": "text", "text": "good"}]
Answer = tuple[str, bytes]
ANSWERS: dict[str, Callable[[Any, Any], Answer]] = {
    "millions_of_lists": lambda *_: (JSON, b"[" + b"[]," * 5_000_000 + b"[]]"),
    "deep_lists": lambda *_: (JSON, b"[" * 100_000 + b"]" * 100_000),
    "deep_in_result": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"result":' % i + b"[" * 900 + b"]" * 900 + b"}"),
    "too_large": lambda *_: (JSON, b'"' + b"x" * (17 << 20) + b'"'),
    "not_json": lambda *_: (JSON, b"<html>"),
    "empty": lambda *_: (JSON, b""),
    "null": lambda *_: (JSON, b"null"),
    "nan": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"result":{"content":NaN}}' % i),
    "infinite": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"result":{"content":[],"structuredContent":1e999}}' % i),
    "huge_integer": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"result":{"n":%s}}' % (i, b"9" * 10_000)),
    "not_utf8": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"result":"\xff\xfe"}' % i),
    "result_text": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"result":"x"}' % i),
    "result_null": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"result":null}' % i),
    "both": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"result":{},"error":{"code":1,"message":"x"}}' % i),
    "error_text": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"error":"no"}' % i),
    "error_list": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"error":[]}' % i),
    "error_huge": lambda i, _: (
        JSON, b'{"jsonrpc":"2.0","id":%d,"error":{"code":-1,"message":"%s"}}' % (i, b"e" * 9999),
    ),
    "error_code": lambda i, _: (JSON, b'{"jsonrpc":"2.0","id":%d,"error":{"code":"x","message":{}}}' % i),
    "wrong_id": lambda *_: (JSON, result(987654)),
    "unknown_kind": lambda i, _: (JSON, result(i, resultType="later")),
    "kind_list": lambda i, _: (JSON, result(i, resultType=[])),
    "content_number": lambda i, _: (JSON, result(i, content=5)),
    "content_text": lambda i, _: (JSON, result(i, content="shown")),
    "content_object": lambda i, _: (JSON, result(i, content={"a": 1})),
    "block_text": lambda i, _: (JSON, result(i, content=["shown"])),
    "block_null": lambda i, _: (JSON, result(i, content=[None])),
    "block_typeless": lambda i, _: (JSON, result(i, content=[{"text": "x"}])),
    "block_unknown": lambda i, _: (JSON, result(i, content=[{"type": "hologram"}])),
    "block_type_list": lambda i, _: (JSON, result(i, content=[{"type": ["text"]}])),
    "text_null": lambda i, _: (JSON, result(i, content=[{"type": "text", "text": None}])),
    "image_empty": lambda i, _: (JSON, result(i, content=[{"type": "image"}])),
    "resource_text": lambda i, _: (JSON, result(i, content=[{"type": "resource", "resource": "x"}])),
    "link_without_uri": lambda i, _: (JSON, result(i, content=[{"type": "resource_link", "name": "x"}])),
    "surrogate": lambda i, _: (JSON, result(i, content=[{"type": "text", "text": "a\ud800b"}])),
    "is_error_text": lambda i, _: (JSON, result(i, content=GOOD, isError="yes")),
    "meta_list": lambda i, _: (JSON, result(i, content=GOOD, _meta=[1])),
    "progress_total_null": lambda i, t: (EVENTS, events(progress(t, progress=1, total=None), result(i, content=GOOD))),
    "progress_total_text": lambda i, t: (EVENTS, events(progress(t, progress=1, total="x"), result(i, content=GOOD))),
    "progress_null": lambda i, t: (EVENTS, events(progress(t, progress=None), result(i, content=GOOD))),
    "progress_true": lambda i, t: (EVENTS, events(progress(t, progress=True), result(i, content=GOOD))),
    "progress_message_object": lambda i, t: (
        EVENTS, events(progress(t, progress=1, message={"a": 1}), result(i, content=GOOD)),
    ),
    "progress_flood": lambda i, t: (
        EVENTS, events(*(progress(t, progress=n) for n in range(20_000)), result(i, content=GOOD)),
    ),
    "notification_params_list": lambda i, _: (
        EVENTS, events(b'{"jsonrpc":"2.0","method":"notifications/progress","params":[]}', result(i, content=GOOD)),
    ),
    "notification_of_nothing": lambda i, _: (EVENTS, events(b"{}", b"[]", b"5", b"null", result(i, content=GOOD))),
    "request_back": lambda i, _: (
        EVENTS, events(b'{"jsonrpc":"2.0","id":[1],"method":"sampling/createMessage"}', result(i, content=GOOD)),
    ),
    "line_feeds": lambda i, _: (EVENTS, b"\n" * 3_000_000 + events(result(i, content=GOOD))),
    "carriage_returns": lambda i, _: (EVENTS, b"\r" * 1_000_000 + events(result(i, content=GOOD))),
    "empty_data": lambda *_: (EVENTS, b"data:\n" * 2_600_000),
    "endless_line": lambda *_: (EVENTS, b"data: " + b"x" * (17 << 20)),
    "long_comments": lambda i, _: (EVENTS, b": hello\n" * 200_000 + events(result(i, content=GOOD))),
    "stream_without_an_answer": lambda *_: (EVENTS, b": bye\n\n"),
    "stream_of_junk": lambda *_: (EVENTS, events(b"<html>")),
    "long_event_id": lambda i, _: (EVENTS, b"id: " + b"7" * 100_000 + b"\n" + events(result(i, content=GOOD))),
    "retry_for_ever": lambda *_: (EVENTS, b"retry: 999999999999999999\n\n"),
}  # fmt: skip


class HostileServer:
    """A server of 2026-07-28 at `url`, which answers calls of `attack` as ANSWERS says."""

    def __init__(self, *tools: Any) -> None:
        self.tools = [FINE, ATTACK, *tools]

    def __enter__(self) -> Self:
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                kind, body = hostile.answer(message) if "id" in message else (JSON, b"")
                self.send_response(200 if body or "id" in message else 202)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True

            def do_GET(self) -> None:
                self.send_response(405)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/mcp"

    def answer(self, message: dict[str, Any]) -> Answer:
        method, params, message_id = message["method"], message.get("params", {}), message["id"]
        if method == "server/discover":
            return JSON, result(message_id, supportedVersions=["2026-07-28"], capabilities={}, ttlMs=0)
        if method == "tools/list":
            return JSON, result(message_id, tools=self.tools, ttlMs=0, cacheScope="private")
        if method == "tools/call" and params["name"] == "attack":
            token = params.get("_meta", {}).get("progressToken")
            return ANSWERS[params["arguments"]["kind"]](message_id, token)
        return JSON, result(message_id, content=GOOD)


def lines(kind: str, message_id: int) -> Iterator[bytes]:
    """What the server on stdio writes in answer to a call of `attack`."""
    if kind == "long_line":
        yield b"x" * (33 << 20) + b"\n"
    elif kind == "junk":
        yield b"not MCP at all\n" * 20_000
    elif kind == "blank_lines":
        yield b"\n" * 2_000_000
        yield result(message_id, content=GOOD) + b"\n"
    elif kind == "unreadable":
        yield b'{"jsonrpc":"2.0","id":%d,"result":' % message_id + b"[" * 500 + b"]" * 500 + b"}\n"
    elif kind == "text_id":
        yield result(str(message_id), content=GOOD) + b"\n"
    elif kind == "null_error":
        parts = {"jsonrpc": "2.0", "id": message_id, "error": None, "result": {"content": GOOD}}
        yield json.dumps(parts).encode() + b"\n"
    elif kind == "notifications":
        yield b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":null}}\n' * 100_000
        yield result(message_id, content=GOOD) + b"\n"
    elif kind == "odd_ids":
        yield b'{"jsonrpc":"2.0","id":{"a":1},"result":{}}\n{"jsonrpc":"2.0","id":[],"error":{}}\n'
        yield result(message_id, content=GOOD) + b"\n"


def main() -> None:
    """The server on stdio."""
    server = HostileServer()
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "id" not in message or "method" not in message:
            continue
        if message["method"] == "tools/call" and message["params"]["name"] == "attack":
            parts = lines(message["params"]["arguments"]["kind"], message["id"])
        else:
            parts = iter([server.answer(message)[1] + b"\n"])
        for part in parts:
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

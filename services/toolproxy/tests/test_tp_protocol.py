"""The pure parts of MCP: eras, headers, events, names, translations."""

import json
from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_api.toolsconfig import ToolOptions
from agent_toolproxy.mcp.codec import decode_header, dump_json, encode_header, load_json
from agent_toolproxy.mcp.era import Accepted, Legacy, Modern, Refused, classify
from agent_toolproxy.mcp.export import export_name, export_tools
from agent_toolproxy.mcp.messages import KEY_CAPABILITIES, KEY_VERSION
from agent_toolproxy.mcp.outcome import show_result
from agent_toolproxy.mcp.paramheaders import AnnotationError, extract_param_headers
from agent_toolproxy.mcp.sse import Event, EventParser, frame
from agent_toolproxy.serving.mcp.calls import RpcError, list_page, relayed_capabilities, throttle
from agent_toolproxy.serving.mcp.downlevel import lower_result, lower_tool

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def request(method: str, meta: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta} if meta is not None else {}}


@pytest.mark.parametrize(
    "body,version,expected",
    [
        (request("tools/list", {KEY_VERSION: "2026-07-28"}), None, Modern),
        (request("tools/list", {KEY_CAPABILITIES: {}}), "2025-06-18", Modern),
        (request("initialize", {KEY_VERSION: "2026-07-28"}), None, Modern),
        (request("initialize"), "2026-07-28", Legacy),
        (request("tools/list"), None, Legacy),
        (request("tools/list"), "2025-06-18", Legacy),
        (request("tools/list"), "2026-07-28", Refused),
        (request("tools/list"), "2031-01-01", Refused),
        ([request("ping")], None, Legacy),
        ([request("ping")], "2025-11-25", Refused),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, "2025-11-25", Accepted),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, "2026-07-28", Refused),
        ({"jsonrpc": "2.0", "method": "x"}, "2026-07-28", Accepted),
        ({"jsonrpc": "2.0", "method": "x"}, "2031-01-01", Refused),
    ],
)
def test_the_table_of_eras(body: Any, version: str | None, expected: type) -> None:
    assert isinstance(classify(body, version), expected)


@given(JSON, st.sampled_from([None, "2026-07-28", "2025-03-26", "x"]))
def test_any_json_has_a_verdict(body: Any, version: str | None) -> None:
    assert isinstance(classify(body, version), Modern | Legacy | Accepted | Refused)


@given(st.text(max_size=60))
def test_a_header_carries_any_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    encoded = encode_header(text)
    assert encoded.isascii()
    assert encoded.isprintable() or "\t" in encoded
    assert decode_header(encoded) == text


@pytest.mark.parametrize(
    "value", ["", " a", "a ", "\u00e9", "a\nb", "=?base64?%%?=", "=?base64?/w==?=", "=?base64?YQ?="]
)
def test_malformed_headers_are_errors(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_header(value)


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "{", "[" * 200_000])
def test_what_is_not_json_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_json(text)


def test_json_is_one_ascii_line() -> None:
    assert "\n" not in dump_json({"a": "\n\u2028\ud800"})
    assert dump_json({"a": "\u2028"}).isascii()


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20)), max_size=5), st.data())
def test_events_are_read_however_they_are_cut(messages: list[dict[str, str]], data: st.DataObject) -> None:
    stream = b": hello\r\n\r\n" + b"".join(frame(message) for message in messages)
    parser, found, rest = EventParser(), list[Event](), stream
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += parser.feed(rest[:size])
        rest = rest[size:]
    assert [json.loads(event.data) for event in found] == messages


def test_the_whole_grammar_of_events() -> None:
    parser = EventParser()
    stream = b"\xef\xbb\xbfid: 7\rretry: 250\rdata\rdata:x\r\rdata: a\ndata:b\n"
    stream += b"event: other\nignored: 1\n\ndata:\n\ndata: last\n"
    events = list(parser.feed(stream))
    assert [(event.name, event.data) for event in events] == [("message", "\nx"), ("other", "a\nb")]
    assert (parser.last_id, parser.retry_ms) == ("7", 250)
    assert [event.data for event in parser.feed(b"\n")] == ["last"]


def test_an_endless_event_is_an_error() -> None:
    parser = EventParser()
    part = b"data: " + b"x" * (1 << 20) + b"\n"
    with pytest.raises(ValueError, match="too long"):
        list(chain.from_iterable(map(parser.feed, repeat(part, 80))))


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"n": {"type": "number", "x-mcp-header": "N"}}},
        {"properties": {"n": {"type": "string", "x-mcp-header": ""}}},
        {"properties": {"n": {"type": "string", "x-mcp-header": "a b"}}},
        {"properties": {"n": {"type": ["string"], "x-mcp-header": "N"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "N"}, "b": {"type": "string", "x-mcp-header": "n"}}},
        {"properties": {"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "N"}}}},
        {"anyOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "N"}}}]},
    ],
)
def test_annotations_that_break_the_rules(schema: dict[str, Any]) -> None:
    with pytest.raises(AnnotationError):
        extract_param_headers({"type": "object", **schema})


def test_annotated_arguments_become_headers() -> None:
    nested = {"type": "object", "properties": {"flag": {"type": "boolean", "x-mcp-header": "Flag"}}}
    properties = {"n": {"type": "integer", "x-mcp-header": "Count"}, "o": nested, "x-mcp-header": {"type": "string"}}
    stripped, headers = extract_param_headers({"type": "object", "properties": properties})
    assert "Count" not in json.dumps(stripped)
    assert "x-mcp-header" in stripped["properties"]
    assert headers.build({"n": 5, "o": {"flag": True}}) == {"Mcp-Param-Count": "5", "Mcp-Param-Flag": "true"}
    assert headers.build({"n": None, "o": "not an object"}) == {}
    with pytest.raises(ValueError, match="cannot carry"):
        headers.build({"n": 2**60})


@given(st.text(min_size=1, max_size=120), st.text(min_size=1, max_size=120))
def test_names_are_legal_short_and_distinct(first: str, second: str) -> None:
    names = {export_name("server", each) for each in (first, second)}
    assert all(len(name) <= 64 and name.isascii() for name in names)
    assert len(names) == len({first, second})


def test_definitions_keep_their_parts_and_lose_ours() -> None:
    tool = {
        "name": "a",
        "title": "A",
        "description": "d",
        "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": True},
        "execution": {"taskSupport": "optional"},
        "outputSchema": None,
    }
    (exported,) = export_tools("s", [tool, tool, {"name": "b"}], ToolOptions(rename={"a": "x"}))
    assert exported.definition == {
        "name": "s__x",
        "title": "A",
        "description": "d",
        "annotations": {"readOnlyHint": True},
        "inputSchema": {"type": "object"},
    }


def test_old_clients_get_what_they_know() -> None:
    tool = {"name": "a", "title": "A", "outputSchema": {"type": "array"}, "inputSchema": {"type": "object"}}
    assert "outputSchema" not in lower_tool(tool, "2025-06-18")
    assert lower_tool(tool, "2025-03-26") == {"name": "a", "inputSchema": {"type": "object"}}
    link = {"type": "resource_link", "uri": "u:1", "name": "n"}
    result = {
        "resultType": "complete",
        "content": [link],
        "structuredContent": [1],
        "_meta": {"a/b": 1, KEY_VERSION: 1},
    }
    assert lower_result(result, "2025-11-25") == {"content": [link], "_meta": {"a/b": 1}}
    assert lower_result(result, "2025-03-26")["content"] == [{"type": "text", "text": "n: u:1"}]
    assert lower_result({"structuredContent": [1]}, "2025-11-25")["content"][0]["text"] == "[1]"
    assert lower_result({"resultType": "input_required"}, "2025-11-25")["isError"] is True


def test_a_servers_own_words_are_taken_off_its_results() -> None:
    meta = {"io.modelcontextprotocol/serverInfo": {"name": "x"}, "io.modelcontextprotocol/subscriptionId": 1, "v/k": 2}
    shown = show_result({"resultType": "complete", "content": [], "ttlMs": 5, "_meta": meta})
    assert shown == {"content": [], "_meta": {"v/k": 2}}


def test_pages_are_cut_and_foreign_cursors_refused() -> None:
    listed = [{"name": f"t{number:04}"} for number in range(1100)]
    first = list_page(listed, {})
    second = list_page(listed, {"cursor": first["nextCursor"]})
    third = list_page(listed, {"cursor": second["nextCursor"]})
    assert [*first["tools"], *second["tools"], *third["tools"]] == listed
    assert "nextCursor" not in third
    for cursor in ("", "x", 5, first["nextCursor"]):
        with pytest.raises(RpcError):
            list_page(listed[:1000], {"cursor": cursor})


async def test_progress_grows_and_is_not_too_frequent() -> None:
    sent: list[Any] = []
    now = [0.0]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["params"]["progress"])

    listen = throttle("t", send, clock=lambda: now[0])
    for at, progress in ((0, 1), (0.01, 2), (1, 2.5), (2, 2.5), (3, 1), (4, 3), (4.001, 9)):
        now[0] = at
        await listen({"progress": progress, "total": 9})
    assert sent == [1, 2.5, 3, 9]


def test_only_what_can_be_relayed_is_passed_on() -> None:
    capabilities: dict[str, Any] = {"elicitation": {}, "roots": {}, "extensions": {"x": {}}, "experimental": {}}
    assert relayed_capabilities({KEY_CAPABILITIES: capabilities}) == {"elicitation": {}, "roots": {}}
    assert relayed_capabilities({KEY_CAPABILITIES: []}) == {}

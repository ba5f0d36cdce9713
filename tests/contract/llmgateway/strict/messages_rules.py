"""What Anthropic's messages API refuses."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from itertools import pairwise

from contract.llmgateway.strict.rule import Document, Facts, Memory, Rule, is_name, open_objects, unknown

REFERENCE = "https://docs.anthropic.com/en/api/messages"
TOOLS = "https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use"
THINKING = "https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking"
FIELDS = {
    "model", "messages", "max_tokens", "system", "stop_sequences", "stream", "temperature", "top_p", "top_k",
    "tools", "tool_choice", "thinking", "output_config", "metadata", "service_tier", "cache_control", "container",
    "mcp_servers", "context_management", "inference_geo", "speed", "diagnostics",
}  # fmt: skip
CACHE = {"type", "cache_control"}
BLOCKS = {
    "user": {
        "text": {"text", "citations", *CACHE},
        "image": {"source", *CACHE},
        "document": {"source", "title", "context", "citations", *CACHE},
        "search_result": {"source", "title", "content", "citations", *CACHE},
        "tool_result": {"tool_use_id", "content", "is_error", *CACHE},
    },
    "assistant": {
        "text": {"text", "citations", *CACHE},
        "tool_use": {"id", "name", "input", "caller", *CACHE},
        "thinking": {"type", "thinking", "signature"},
        "redacted_thinking": {"type", "data"},
    },
}
PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def signature_of(thoughts: str, memory: Memory) -> str:
    """Base64, as the real ones are: clients rely on that."""
    digest = hashlib.sha256(f"{memory.secret}:{thoughts}".encode()).digest()
    return base64.b64encode(b"\x12\x98" + digest).decode()


def _blocks(body: Document) -> Iterator[tuple[str, str, Document]]:
    """Where, whose and what."""
    for place, message in enumerate(body["messages"]):
        content = message["content"]
        listed = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for number, block in enumerate(listed):
            yield f"messages.{place}.content.{number}", message["role"], block


def _fields(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for name in unknown(body, FIELDS):
        yield f"{name}: Extra inputs are not permitted"
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        yield "max_tokens: Field required"
    if not body.get("messages"):
        yield "messages: at least one message is required"
    for message in body.get("messages") or ():
        if message.get("role") not in BLOCKS:
            yield f'messages: Unexpected role "{message.get("role")}". The Messages API accepts a top-level `system`'
            return
    for where, role, block in _blocks(body):
        if block.get("type") not in BLOCKS[role]:
            yield f"{where}: Input tag '{block.get('type')}' found using 'type' does not match any of the expected tags"
        else:
            known = BLOCKS[role][block["type"]]
            yield from (f"{where}.{block['type']}.{n}: Extra inputs are not permitted" for n in unknown(block, known))
    for name in unknown(body.get("metadata") or {}, {"user_id"}):
        yield f"metadata.{name}: Extra inputs are not permitted"


def _order(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    if body["messages"][0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    last = body["messages"][-1]
    if last["role"] == "assistant":
        text = last["content"] if isinstance(last["content"], str) else last["content"][-1].get("text", "")
        if text != text.rstrip():
            yield "messages: final assistant content cannot end with trailing whitespace"


def _texts(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for place, message in enumerate(body["messages"]):
        if not message["content"]:
            yield f"messages.{place}: all messages must have non-empty content"
    inner = [
        (where, each)
        for where, _role, block in _blocks(body)
        if block["type"] == "tool_result" and isinstance(block.get("content"), list)
        for each in block["content"]
    ]
    system = body.get("system")
    given = [("system", block) for block in (system if isinstance(system, list) else [])]
    for where, block in [*((w, b) for w, _r, b in _blocks(body)), *inner, *given]:
        if block["type"] == "text" and not block["text"]:
            yield f"{where}: text content blocks must be non-empty"
        elif block["type"] == "text" and not block["text"].strip():
            yield f"{where}: text content blocks must contain non-whitespace text"


def _pairs(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    turns = _merged(body["messages"])
    seen: set[str] = set()
    for place, (role, blocks) in enumerate(turns):
        uses = [block["id"] for block in blocks if block["type"] == "tool_use"]
        after = turns[place + 1][1] if place + 1 < len(turns) else []
        results = [block["tool_use_id"] for block in after if block["type"] == "tool_result"]
        if missing := set(uses) - set(results):
            yield (
                f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}"
            )
        before = [block["id"] for block in turns[place - 1][1] if block["type"] == "tool_use"] if place else []
        for block in blocks if role == "user" else ():
            if block["type"] == "tool_result" and block["tool_use_id"] not in before:
                found = block["tool_use_id"]
                yield f"messages.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {found}"
        if len(set(uses)) < len(uses) or seen & set(uses):
            yield "messages: `tool_use` ids must be unique"
        seen |= set(uses)
        kinds = [block["type"] for block in blocks]
        if "tool_result" in kinds and any(b == "tool_result" and a != b for a, b in pairwise(kinds)):
            yield f"messages.{place}: tool_result blocks must come first in the content"


def _merged(messages: list[Document]) -> list[tuple[str, list[Document]]]:
    """Turns of one side that follow each other are one for the API."""
    turns: list[tuple[str, list[Document]]] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks)
        else:
            turns.append((message["role"], list(blocks)))
    return turns


def _ids(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for where, _role, block in _blocks(body):
        for name in ("id", "tool_use_id"):
            if name in block and not re.fullmatch(r"[a-zA-Z0-9_-]+", block[name]):
                yield f"{where}.{block['type']}.{name}: String should match pattern '^[a-zA-Z0-9_-]+$'"
        if block["type"] == "tool_use" and not isinstance(block["input"], dict):
            yield f"{where}.tool_use.input: Input should be a valid dictionary"
        if block.get("is_error") and not block.get("content"):
            yield f"{where}.tool_result: content cannot be empty if `is_error` is true"


def _pictures(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for where, _role, block in _blocks(body):
        inner = block.get("content") if block["type"] == "tool_result" else [block]
        for each in inner if isinstance(inner, list) else ():
            source = each.get("source") or {}
            if each["type"] != "image":
                continue
            if source.get("type") == "base64" and source.get("media_type") not in PICTURES:
                yield f"{where}.image.source.base64.media_type: Input should be {', '.join(PICTURES)}"
            if source.get("type") == "base64" and not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", source["data"]):
                yield f"{where}.image.source.base64: invalid base64 data"
            if source.get("type") == "url" and not source["url"].startswith("https://"):
                yield f"{where}.image.source.url: Only HTTPS URLs are supported."


def _tools(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    tools = body.get("tools") or []
    names = [tool["name"] for tool in tools]
    if len(set(names)) < len(names):
        yield "tools: Tool names must be unique."
    for place, tool in enumerate(tools):
        if not is_name(tool["name"], 128):
            yield f"tools.{place}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        if tool.get("type") in (None, "custom") and (tool.get("input_schema") or {}).get("type") != "object":
            yield f"tools.{place}.custom.input_schema.type: Input should be 'object'"
        if tool.get("strict"):
            for why in open_objects(tool["input_schema"], all_required=False):
                yield f"tools.{place}.custom.input_schema: For 'object' type, {why}"
    choice = body.get("tool_choice")
    if choice and not tools:
        yield "tool_choice: `tool_choice` may only be specified while providing `tools`."
    if choice and choice["type"] == "tool" and choice["name"] not in names:
        yield f"tool_choice.tool.name: Tool '{choice['name']}' not found in provided tools"
    uses_tools = any(block["type"] in ("tool_use", "tool_result") for _w, _r, block in _blocks(body))
    if uses_tools and not tools:
        yield "Requests which include `tool_use` or `tool_result` blocks must define tools"


def _thinking(body: Document, _: Facts, memory: Memory) -> Iterator[str]:
    for where, _role, block in _blocks(body):
        if block["type"] != "thinking":
            continue
        if "signature" not in block:
            yield f"{where}.thinking.signature: Field required"
        elif block["signature"] != signature_of(block["thinking"], memory):
            yield f"{where}: Invalid `signature` in `thinking` block"
    wish = body.get("thinking") or {}
    if wish.get("type") != "enabled":
        return
    if not 1024 <= wish.get("budget_tokens", 0) < body["max_tokens"]:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`, which must be at least 1024"
    if body.get("temperature") not in (None, 1):
        yield "`temperature` may only be set to 1 when thinking is enabled."
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        yield "Thinking may not be enabled when tool_choice forces tool use."
    turns = _merged(body["messages"])
    blocks = turns[-2][1] if len(turns) > 1 and turns[-1][1][0]["type"] == "tool_result" else []
    if blocks and blocks[0]["type"] not in ("thinking", "redacted_thinking"):
        yield f"Expected `thinking` or `redacted_thinking`, but found `{blocks[0]['type']}`."


def _limits(body: Document, facts: Facts, _: Memory) -> Iterator[str]:
    if body["max_tokens"] > facts.most_output:
        yield f"max_tokens: {body['max_tokens']} > {facts.most_output}, which is the maximum allowed number"
    if not 0 <= (body.get("temperature") or 0) <= 1:
        yield "temperature: range: 0..1"
    if body.get("temperature") is not None and body.get("top_p") is not None:
        yield "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    if any(not word.strip() for word in body.get("stop_sequences") or ()):
        yield "stop_sequences: each stop sequence must contain non-whitespace"
    if len((body.get("metadata") or {}).get("user_id") or "") > 256:
        yield "metadata.user_id: String should have at most 256 characters"
    marked = json.dumps(body).count('"cache_control": {')
    if marked > 4:
        yield f"A maximum of 4 blocks with cache_control may be provided. Found {marked}."


def _output(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    config = body.get("output_config") or {}
    for name in unknown(config, {"effort", "format", "task_budget"}):
        yield f"output_config.{name}: Extra inputs are not permitted"
    if config.get("format"):
        for why in open_objects(config["format"].get("schema"), all_required=False):
            yield f"output_config.format.schema: For 'object' type, {why}"


def _characters(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield "The request body is not valid JSON: no low surrogate in string"


RULES = [
    Rule("fields that the reference has", f"{REFERENCE}; others are 'Extra inputs are not permitted'", _fields),
    Rule("a user begins; no white space at the end", REFERENCE, _order),
    Rule("nothing empty", "the API's errors, as in anthropics/claude-code#59812 and #23440", _texts),
    Rule("results follow their calls, at once and first", f"{TOOLS}#handling-tool-use-and-tool-result", _pairs),
    Rule("ids, inputs and failed results", f"{REFERENCE}: patterns and types of these fields", _ids),
    Rule("pictures", "https://docs.anthropic.com/en/docs/build-with-claude/vision", _pictures),
    Rule("tools and the choice of one", TOOLS, _tools),
    Rule("thoughts are its own, and in their place", f"{THINKING}; anthropics/anthropic-sdk-python#1598", _thinking),
    Rule("limits of parameters", f"{REFERENCE}; temperature and top_p: VicBilibily/GCMP#29", _limits),
    Rule("structured output", "https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs", _output),
    Rule("UTF-8 without halves of characters", "the API's error, as in anthropics/claude-code#3277", _characters),
]

"""What OpenAI's responses API refuses."""

import json
from collections.abc import Iterator

from contract.llmgateway.strict.chat_rules import _characters, _is_picture
from contract.llmgateway.strict.rule import Document, Facts, Memory, Rule, is_name, open_objects, unknown

REFERENCE = "https://platform.openai.com/docs/api-reference/responses/create"
FIELDS = {
    "model", "input", "instructions", "max_output_tokens", "max_tool_calls", "stream", "stream_options",
    "temperature", "top_p", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "user",
    "metadata", "store", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "prompt_cache_options", "service_tier", "include", "truncation", "background", "previous_response_id",
    "conversation", "prompt", "top_logprobs", "client_metadata", "context_management", "moderation",
}  # fmt: skip
ITEMS = {
    "message": {"type", "id", "role", "content", "status", "phase"},
    "function_call": {"type", "id", "call_id", "name", "arguments", "status", "namespace", "caller"},
    "function_call_output": {"type", "id", "call_id", "output", "status", "caller"},
    "custom_tool_call": {"type", "id", "call_id", "name", "input", "status", "namespace", "caller"},
    "custom_tool_call_output": {"type", "id", "call_id", "output", "status", "caller"},
    "reasoning": {"type", "id", "summary", "content", "encrypted_content", "status"},
    "item_reference": {"type", "id"},
    "additional_tools": {"type", "id", "role", "tools"},
}
PREFIX = {"message": "msg", "function_call": "fc", "custom_tool_call": "ctc", "reasoning": "rs"}
PARTS = {
    "user": ("input_text", "input_image", "input_file"),
    "system": ("input_text",),
    "developer": ("input_text",),
    "assistant": ("output_text", "refusal"),
}


def items_of(body: Document) -> list[Document]:
    given = body.get("input") or []
    items: list[Document] = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return [{"type": "message", **item} for item in items]


def _fields(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for name in unknown(body, FIELDS):
        yield f"Unknown parameter: '{name}'."
    for place, item in enumerate(items_of(body)):
        if item["type"] not in ITEMS:
            yield f"Invalid value: '{item['type']}'. Supported values are: {', '.join(ITEMS)}. input[{place}].type"
        else:
            yield from (f"Unknown parameter: 'input[{place}].{n}'." for n in unknown(item, ITEMS[item["type"]]))


def _item_ids(body: Document, _: Facts, memory: Memory) -> Iterator[str]:
    seen: set[str] = set()
    for place, item in enumerate(items_of(body)):
        item_id, kind = item.get("id"), item["type"]
        if item_id is None:
            continue
        if kind in PREFIX and not item_id.startswith(PREFIX[kind]):
            yield f"Invalid 'input[{place}].id': '{item_id}'. Expected an ID that begins with '{PREFIX[kind]}'."
        if item_id in seen:
            yield f"Duplicate item found with id {item_id}. Remove duplicate items from your input and try again."
        seen.add(item_id)
        is_known = item_id in memory.items or item.get("encrypted_content")
        if kind in ("item_reference", "reasoning") and not is_known:
            yield f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false."
        if len(item_id) > 64:
            yield f"Invalid 'input[{place}].id': string too long. Expected a string with maximum length 64."


def _reasoning(body: Document, facts: Facts, memory: Memory) -> Iterator[str]:
    items = items_of(body)
    for place, item in enumerate(items):
        if item["type"] != "reasoning":
            continue
        if item.get("content"):
            yield f"Invalid 'input[{place}].content': array too long. Expected an array with maximum length 0."
        if (seal := item.get("encrypted_content")) and seal not in memory.seals:
            yield "The encrypted content could not be verified."
        after = items[place + 1]["type"] if place + 1 < len(items) else None
        if after not in ("message", "function_call", "custom_tool_call", "reasoning", "item_reference"):
            yield f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item."
    yield from _efforts(body, facts)


def _efforts(body: Document, facts: Facts) -> Iterator[str]:
    if facts.reasons:
        for name in ("temperature", "top_p"):
            if body.get(name) not in (None, 1):
                yield f"Unsupported parameter: '{name}' is not supported with this model."
        return
    if (body.get("reasoning") or {}).get("effort") not in (None, "none"):
        yield "Unsupported parameter: 'reasoning.effort' is not supported with this model."
    if "reasoning.encrypted_content" in (body.get("include") or ()):
        yield "Encrypted content is not supported with this model."


def _pairs(body: Document, _: Facts, memory: Memory) -> Iterator[str]:
    if body.get("previous_response_id"):
        if body["previous_response_id"] not in memory.responses:
            yield f"Previous response with id '{body['previous_response_id']}' not found."
        return
    items = [memory.items.get(i.get("id", ""), i) if i["type"] == "item_reference" else i for i in items_of(body)]
    for call, result, what in (
        ("function_call", "function_call_output", "function call"),
        ("custom_tool_call", "custom_tool_call_output", "custom tool call"),
    ):
        called = [item["call_id"] for item in items if item["type"] == call]
        answered = [item["call_id"] for item in items if item["type"] == result]
        for call_id in answered:
            if call_id not in called:
                yield f"No tool call found for {what} output with call_id {call_id}."
        for call_id in called:
            if call_id not in answered:
                yield f"No tool output found for {what} {call_id}."
        for call_id in (*called, *answered):
            if not 1 <= len(call_id) <= 64:
                yield "Invalid 'input[0].call_id': string too long. Expected a string with maximum length 64."


def _content(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for place, item in enumerate(items_of(body)):
        if item["type"] != "message" or isinstance(item["content"], str):
            continue
        for number, part in enumerate(item["content"]):
            allowed = PARTS[item["role"]]
            if part["type"] not in allowed:
                yield (
                    f"Invalid value: '{part['type']}'. Supported values are: {', '.join(allowed)}. "
                    f"input[{place}].content[{number}]"
                )
            if part["type"] == "input_image" and not _is_picture(part.get("image_url") or ""):
                yield "Invalid 'image_url'. Expected a valid URL or a base64-encoded data URL of an image."


def _tools(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    names = [tool["name"] for tool in body.get("tools") or () if tool["type"] in ("function", "custom")]
    for tool in body.get("tools") or ():
        if tool["type"] == "function":
            for why in open_objects(tool.get("parameters"), all_required=True) if tool.get("strict") else ():
                yield f"Invalid schema for function '{tool['name']}': In context=(), {why}."
    for name in names:
        if not is_name(name, 64):
            yield f"Invalid 'tools[0].name': string does not match pattern ({name})"
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "function" and choice["name"] not in names:
        yield f"Tool choice '{choice['name']}' not found in 'tools' parameter."


def _output(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    wish = (body.get("text") or {}).get("format") or {}
    if wish.get("type") == "json_schema":
        if not is_name(wish.get("name"), 64):
            yield "Missing required parameter: 'text.format.name'."
        for why in open_objects(wish.get("schema"), all_required=True) if wish.get("strict") else ():
            yield f"Invalid schema for response_format '{wish.get('name')}': In context=(), {why}."
    if wish.get("type") == "json_object" and "json" not in json.dumps(body.get("input")).lower():
        yield "Response input messages must contain the word 'json' in some form to use 'text.format' of 'json_object'"


def _limits(body: Document, facts: Facts, _: Memory) -> Iterator[str]:
    limit = body.get("max_output_tokens")
    if limit is not None and limit < 16:
        yield "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16."
    if limit is not None and limit > facts.most_output:
        yield f"max_output_tokens is too large: {limit}. This model supports at most {facts.most_output}"
    if len(body.get("user") or "") > 64:
        yield "Invalid 'user': string too long."


RULES = [
    Rule("fields and items that the reference has", f"{REFERENCE}; 'Unknown parameter'", _fields),
    Rule("ids of items: their kind, once, and its own", "the API's error, as in vercel/ai#7543", _item_ids),
    Rule(
        "thoughts are its own, and go with what they led to",
        "the API's error, as in continuedev/continue#8933",
        _reasoning,
    ),
    Rule("each call has its output", "https://platform.openai.com/docs/guides/function-calling", _pairs),
    Rule("who may say what", REFERENCE, _content),
    Rule("tools", "https://platform.openai.com/docs/guides/function-calling", _tools),
    Rule("strict schemas", "https://platform.openai.com/docs/guides/structured-outputs#supported-schemas", _output),
    Rule("limits of parameters", REFERENCE, _limits),
    Rule("UTF-8 without halves of characters", "RFC 8259, section 8.1", _characters),
]

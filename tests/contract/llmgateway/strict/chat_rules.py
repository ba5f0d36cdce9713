"""What OpenAI's chat completions refuse, and what servers that are compatible with them do."""

import json
import re
from collections.abc import Iterator

from contract.llmgateway.strict.rule import Document, Facts, Memory, Rule, is_name, open_objects, unknown

REFERENCE = "https://platform.openai.com/docs/api-reference/chat/create"
FIELDS = {
    "model", "messages", "max_tokens", "max_completion_tokens", "stop", "stream", "stream_options", "temperature",
    "top_p", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort", "user", "n",
    "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "modalities", "seed",
    "audio", "functions", "function_call", "web_search_options", "verbosity", "metadata", "store", "prediction",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier", "service_tier",
    "moderation",
}  # fmt: skip
TURN_FIELDS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "refusal", "audio", "function_call", "annotations"},
    "tool": {"role", "content", "tool_call_id", "name"},
}
NOT_FOR_REASONING = (
    "max_tokens", "temperature", "top_p", "stop", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs",
    "logit_bias",
)  # fmt: skip
NEUTRAL = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "logprobs": False}


def _fields(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for name in unknown(body, FIELDS):
        yield f"Unrecognized request argument supplied: {name}"
    for place, turn in enumerate(body.get("messages") or ()):
        if turn.get("role") not in TURN_FIELDS:
            yield f"Invalid value: '{turn.get('role')}'. Supported values are: {', '.join(TURN_FIELDS)}."
        else:
            for name in unknown(turn, TURN_FIELDS[turn["role"]]):
                yield f"Unknown parameter: 'messages[{place}].{name}'."


def _roles(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for turn in body["messages"]:
        if turn["role"] not in ("system", "user", "assistant", "tool"):
            yield f"unknown variant `{turn['role']}`, expected one of `system`, `user`, `assistant`, `tool`"


def _system_first(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    if any(turn["role"] == "system" for turn in body["messages"][1:]):
        yield "System message must be at the beginning."


def _pairs(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    waiting: set[str] = set()
    for place, turn in enumerate(body["messages"]):
        if turn["role"] == "tool":
            if turn.get("tool_call_id") not in waiting:
                yield (
                    f"Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    f"'tool_calls'. messages[{place}]"
                )
            waiting.discard(turn.get("tool_call_id", ""))
        elif waiting:
            yield (
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}"
            )
            return
        for call in turn.get("tool_calls") or ():
            waiting.add(call["id"])
    if waiting:
        yield f"The following tool_call_ids did not have response messages: {', '.join(waiting)}"


def _ids(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for place, turn in enumerate(body["messages"]):
        ids = [turn.get("tool_call_id") or "", *(call["id"] for call in turn.get("tool_calls") or ())]
        for each in ids:
            if len(each) > 40:
                yield (
                    f"Invalid 'messages[{place}].tool_calls[0].id': string too long. Expected a string with maximum "
                    f"length 40, but got a string with length {len(each)} instead."
                )


def _calls(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for place, turn in enumerate(body["messages"]):
        calls = turn.get("tool_calls")
        if calls == []:
            yield f"Invalid 'messages[{place}].tool_calls': empty array."
        for call in calls or ():
            arguments = call["function"]["arguments"]
            if not isinstance(arguments, str):
                yield f"Invalid type for 'messages[{place}].tool_calls[0].function.arguments': expected a string"
            elif not isinstance(json.loads(arguments or "{}"), dict):
                yield "Function arguments must be an object"


def _content(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    for place, turn in enumerate(body["messages"]):
        content, role = turn.get("content"), turn["role"]
        if content is None and not (role == "assistant" and turn.get("tool_calls")):
            yield f"Invalid value for 'content': expected a string, got null. messages[{place}]"
        if content == []:
            yield f"Invalid 'messages[{place}].content': empty array."
        for part in content if isinstance(content, list) else ():
            yield from _part(part, role, place)


def _part(part: Document, role: str, place: int) -> Iterator[str]:
    kind = part.get("type")
    if kind not in ("text", "refusal", "image_url", "file", "input_audio"):
        yield f"Invalid value: '{kind}'. messages[{place}].content"
    elif kind in ("image_url", "file", "input_audio") and role != "user":
        yield f"Invalid 'messages[{place}]'. Content blocks of type '{kind}' are only allowed for role 'user'."
    elif kind == "image_url" and not _is_picture(part["image_url"].get("url", "")):
        yield "Invalid image data. Expected a base64-encoded data URL with an image MIME type, or an http(s) URL."
    if kind == "text":
        yield from (f"Unknown parameter: 'messages[{place}].content.{n}'." for n in unknown(part, {"type", "text"}))


def _is_picture(url: str) -> bool:
    return url.startswith(("https://", "http://")) or bool(
        re.match(r"data:image/(png|jpe?g|gif|webp);base64,[A-Za-z0-9+/]+={0,2}$", url)
    )


def _tools(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    tools = body.get("tools")
    if tools == []:
        yield "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead."
    for name in ("tool_choice", "parallel_tool_calls"):
        if not tools and body.get(name) is not None and body[name] != "none":
            yield f"'{name}' is only allowed when 'tools' are specified."
    names = [tool["function"]["name"] for tool in tools or () if tool["type"] == "function"]
    for name in names:
        if not is_name(name, 64):
            yield f"Invalid 'tools[0].function.name': string does not match pattern '^[a-zA-Z0-9_-]+$' ({name})"
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and "function" in choice and choice["function"]["name"] not in names:
        yield f"Tool choice '{choice['function']['name']}' not found in 'tools' parameter."
    for tool in tools or ():
        if tool["type"] == "function" and tool["function"].get("strict"):
            for why in open_objects(tool["function"].get("parameters"), all_required=True):
                yield f"Invalid schema for function '{tool['function']['name']}': In context=(), {why}."


def _schema(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    wish = body.get("response_format") or {}
    if wish.get("type") == "json_object" and "json" not in json.dumps(body["messages"]).lower():
        yield "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    if wish.get("type") == "json_schema":
        schema = wish["json_schema"]
        if not is_name(schema.get("name"), 64):
            yield "Invalid 'response_format.json_schema.name': string does not match pattern '^[a-zA-Z0-9_-]+$'."
        for why in open_objects(schema.get("schema"), all_required=True) if schema.get("strict") else ():
            yield f"Invalid schema for response_format '{schema.get('name')}': In context=(), {why}."


def _limits(body: Document, facts: Facts, _: Memory) -> Iterator[str]:
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        yield "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
    limit = body.get("max_tokens") or body.get("max_completion_tokens") or 1
    if limit > facts.most_output:
        yield f"max_tokens is too large: {limit}. This model supports at most {facts.most_output} completion tokens"
    if isinstance(body.get("stop"), list) and len(body["stop"]) > 4:
        yield "Invalid 'stop': array too long. Expected an array with maximum length 4."
    if len(body.get("user") or "") > 64:
        yield "Invalid 'user': string too long. Expected a string with maximum length 64."
    for name, most in (("temperature", 2), ("top_p", 1)):
        if not 0 <= (body.get(name) or 0) <= most:
            yield f"Invalid '{name}': decimal above maximum value. Expected a value <= {most}."
    if body.get("stream_options") is not None and not body.get("stream"):
        yield "The 'stream_options' parameter is only allowed when 'stream' is enabled."


def _reasoning(body: Document, facts: Facts, _: Memory) -> Iterator[str]:
    if not facts.reasons:
        if body.get("reasoning_effort") is not None:
            yield "Unrecognized request argument supplied: reasoning_effort"
        return
    for name in NOT_FOR_REASONING:
        if body.get(name) is not None and body[name] != NEUTRAL.get(name):
            yield f"Unsupported parameter: '{name}' is not supported with this model."


def _characters(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        yield "We could not parse the JSON body of your request."


def _named_turns(body: Document, _: Facts, __: Memory) -> Iterator[str]:
    if not body.get("messages"):
        yield "Invalid 'messages': empty array. Expected an array with minimum length 1."


_TOOLS_GUIDE = "https://platform.openai.com/docs/guides/function-calling"
COMMON = [
    Rule("a conversation has turns", REFERENCE, _named_turns),
    Rule("results follow their calls, each call has one", "the API's error, as in BerriAI/litellm#10083", _pairs),
    Rule("arguments are an object as text", _TOOLS_GUIDE, _calls),
    Rule("only a user shows pictures; nothing is null or empty", REFERENCE, _content),
    Rule("UTF-8 without halves of characters", "RFC 8259, section 8.1", _characters),
    Rule("limits of parameters", REFERENCE, _limits),
]
OPENAI = [
    Rule("fields and roles that the reference has", f"{REFERENCE}; unknown ones are refused", _fields),
    *COMMON,
    Rule("ids of calls have at most 40 characters", "the API's error, as in microsoft/autogen#6377", _ids),
    Rule("tools and what is only for tools", _TOOLS_GUIDE, _tools),
    Rule("strict schemas", "https://platform.openai.com/docs/guides/structured-outputs#supported-schemas", _schema),
    Rule("reasoning models", "https://platform.openai.com/docs/guides/reasoning", _reasoning),
]
COMPATIBLE = [
    Rule("four roles", "DeepSeek's error, as in losesky/ai-auto-trading#14", _roles),
    Rule("instructions come first", "Qwen's chat template raises it, as in ggml-org/llama.cpp#20215", _system_first),
    *COMMON,
]


def rules_of(kind: str) -> list[Rule]:
    return OPENAI if kind == "openai" else COMPATIBLE

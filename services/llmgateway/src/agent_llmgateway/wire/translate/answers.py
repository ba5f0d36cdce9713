"""Whole answers between dialects."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.dialects.base import decode
from agent_llmgateway.wire.dialects.chat import ChatUsage
from agent_llmgateway.wire.translate.messageschema import (
    MESSAGE_ANSWERS,
    AnswerText,
    AnswerThinking,
    AnswerToolUse,
    AnswerUsage,
)
from agent_llmgateway.wire.translate.words import FINISH_TO_STOP, STOP_TO_FINISH

Document = dict[str, Any]
Now = Callable[[], float]


class _Function(Struct):
    name: str
    arguments: str = ""


class _Call(Struct):
    id: str
    function: _Function


class _Message(Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None


class ChatAnswer(Struct):
    """A whole completion; only its first choice is read, because more cannot be asked for."""

    id: str
    model: str
    choices: list[_Choice]
    usage: ChatUsage | None = None


_CHAT_ANSWERS: Final = msgspec.json.Decoder(ChatAnswer)


def chat_usage(usage: AnswerUsage) -> Document | None:
    """Usage of a message as a completion has it: cached input is counted in. None when it is not known."""
    if usage.input_tokens is None:
        return None
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    prompt = usage.input_tokens + cached + written
    output = usage.output_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
    }


def message_usage(usage: ChatUsage) -> Document | None:
    """Usage of a completion as a message has it: cached input is counted apart."""
    read = usage.read()
    if read is None:
        return None
    return {
        "input_tokens": read.input_tokens - read.cached_tokens - read.cache_write_tokens,
        "cache_read_input_tokens": read.cached_tokens,
        "cache_creation_input_tokens": read.cache_write_tokens,
        "output_tokens": read.output_tokens,
    }


def response_usage(usage: ChatUsage) -> Document | None:
    """Usage of a completion as a response has it."""
    read = usage.read()
    if read is None:
        return None
    return {
        "input_tokens": read.input_tokens,
        "input_tokens_details": {
            "cached_tokens": read.cached_tokens,
            "cache_write_tokens": read.cache_write_tokens,
        },
        "output_tokens": read.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read.total_tokens,
    }


def message_to_chat(body: bytes, now_epoch_s: Now) -> bytes:
    """A whole message as a completion. Raises MalformedEventError."""
    answer = decode(MESSAGE_ANSWERS, body)
    text = "".join(block.text for block in answer.content if isinstance(block, AnswerText))
    thoughts = "".join(block.thinking for block in answer.content if isinstance(block, AnswerThinking))
    calls = [_chat_call(block) for block in answer.content if isinstance(block, AnswerToolUse)]
    message: Document = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if thoughts:
        message["reasoning_content"] = thoughts
    if calls:
        message["tool_calls"] = calls
    finish = STOP_TO_FINISH.get(answer.stop_reason or "", "stop")
    document: Document = {
        "id": answer.id,
        "object": "chat.completion",
        "created": int(now_epoch_s()),
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
    }
    if answer.usage is not None and (usage := chat_usage(answer.usage)) is not None:
        document["usage"] = usage
    return msgspec.json.encode(document)


def _chat_call(block: AnswerToolUse) -> Document:
    function = {"name": block.name, "arguments": bytes(block.input).decode()}
    return {"id": block.id, "type": "function", "function": function}


def chat_to_message(body: bytes) -> bytes:
    """A whole completion as a message. Raises MalformedEventError."""
    answer = _first_choice(body)
    choice = answer.choices[0]
    message = choice.message
    blocks: list[Document] = []
    if thoughts := message.reasoning_content or message.reasoning:
        blocks.append({"type": "thinking", "thinking": thoughts, "signature": ""})
    if text := message.content or message.refusal:
        blocks.append({"type": "text", "text": text})
    for call in message.tool_calls or ():
        arguments = arguments_object(call.function.arguments)
        blocks.append({"type": "tool_use", "id": call.id, "name": call.function.name, "input": arguments})
    document: Document = {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": blocks,
        "stop_reason": stop_reason(choice.finish_reason, has_calls=bool(message.tool_calls), refused=message.refusal),
        "stop_sequence": None,
        "usage": (message_usage(answer.usage) if answer.usage else None) or {"input_tokens": 0, "output_tokens": 0},
    }
    return msgspec.json.encode(document)


def stop_reason(finish: str | None, *, has_calls: bool, refused: str | None) -> str:
    """The stop reason for a finish reason. Some providers say `stop` with tool calls: the calls are what counts."""
    if has_calls and finish in ("stop", "tool_calls", "function_call", None):
        return "tool_use"
    return "refusal" if refused else FINISH_TO_STOP.get(finish or "", "end_turn")


def arguments_object(arguments: str) -> Raw:
    """Arguments as the object that they are, with their bytes. Raises MalformedEventError when they are none."""
    if not arguments.strip():
        return Raw(b"{}")
    if not isinstance(decode(_ANY, arguments.encode()), dict):
        raise MalformedEventError("the arguments of a tool call are no JSON object")
    return Raw(arguments.encode())


_ANY: Final = msgspec.json.Decoder()


def chat_to_response(body: bytes, now_epoch_s: Now) -> bytes:
    """A whole completion as a response. Raises MalformedEventError."""
    answer = _first_choice(body)
    choice = answer.choices[0]
    message = choice.message
    items: list[Document] = []
    if thoughts := message.reasoning_content or message.reasoning:
        items.append(reasoning_item(answer.id, thoughts))
    if message.content or message.refusal or not message.tool_calls:
        items.append(message_item(answer.id, message.content or "", message.refusal))
    for index, call in enumerate(message.tool_calls or ()):
        items.append(call_item(answer.id, index, call.id, call.function.name, call.function.arguments or "{}"))
    usage = response_usage(answer.usage) if answer.usage else None
    return msgspec.json.encode(
        response_document(answer.id, answer.model, now_epoch_s(), items, finish=choice.finish_reason, usage=usage)
    )


def message_item(answer_id: str, text: str, refusal: str | None = None) -> Document:
    """Output: text."""
    part: Document = {"type": "output_text", "text": text, "annotations": []}
    if refusal:
        part = {"type": "refusal", "refusal": refusal}
    return {"type": "message", "id": f"msg_{answer_id}", "role": "assistant", "status": "completed", "content": [part]}


def call_item(answer_id: str, index: int, call_id: str, name: str, arguments: str) -> Document:
    """Output: a call."""
    return {
        "type": "function_call",
        "id": f"fc_{answer_id}_{index}",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": "completed",
    }


def reasoning_item(answer_id: str, text: str) -> Document:
    """Output: thoughts."""
    content = [{"type": "reasoning_text", "text": text}]
    return {"type": "reasoning", "id": f"rs_{answer_id}", "summary": [], "content": content}


def response_document(
    answer_id: str, model: str, created: float, items: list[Document], *, finish: str | None, usage: Document | None
) -> Document:  # fmt: skip
    """A response; `finish` None is one that goes on."""
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(finish or "")
    status = "in_progress" if finish is None else "incomplete" if reason else "completed"
    return {
        "id": f"resp_{answer_id}",
        "object": "response",
        "created_at": int(created),
        "status": status,
        "model": model,
        "output": items,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": usage,
    }


def _first_choice(body: bytes) -> ChatAnswer:
    answer: ChatAnswer = decode(_CHAT_ANSWERS, body)
    if not answer.choices:
        raise MalformedEventError("an answer without choices")
    return answer

"""Chunks of a completion as events of a response."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from agent_kit.errors import EventTooLargeError
from agent_kit.sse import EventScanner, read_data
from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.answerstream import EVENT_LIMIT_BYTES, EventTranslator
from agent_llmgateway.wire.translate.answers.blocks import Block, BlockSequence, Step
from agent_llmgateway.wire.translate.answers.chatreader import ChatReader
from agent_llmgateway.wire.translate.answers.events import named_event
from agent_llmgateway.wire.translate.answers.items import (
    call_item,
    custom_call_item,
    message_item,
    new_answer_id,
    reasoning_item,
    response_document,
)
from agent_llmgateway.wire.translate.base import Target
from agent_llmgateway.wire.translate.requests.responsetools import INPUT
from agent_llmgateway.wire.translate.words import is_cut
from agent_llmgateway.wire.usage import response_usage

Document = dict[str, Any]
_NAMES = {
    "text": "output_text",
    "refusal": "refusal",
    "thinking": "reasoning_text",
    "call": "function_call_arguments",
}
_EMPTY_PARTS = {
    "text": {"type": "output_text", "text": "", "annotations": []},
    "refusal": {"type": "refusal", "refusal": ""},
    "thinking": {"type": "reasoning_text", "text": ""},
}


def block_item(answer_id: str, block: Block, target: Target) -> Document:
    """The item that a block is so far."""
    if block.call is not None:
        known = target.names.get(block.call.name, {})
        if known.get("custom"):
            return custom_call_item(answer_id, block.number, block.call.call_id, known, _input_of(block))
        return call_item(answer_id, block.number, block.call.call_id, block.call.name, block.text or "{}") | known
    if block.kind == "thinking":
        return reasoning_item(answer_id, block.number, block.text)
    return message_item(answer_id, block.number, block.text, refused=block.kind == "refusal")


def _input_of(block: Block) -> str:
    """The text that a custom tool is called with. A model may leave out the object around it."""
    try:
        arguments = json.loads(block.text)
    except ValueError:
        return block.text
    given = arguments.get(INPUT) if isinstance(arguments, dict) else None
    return given if isinstance(given, str) else block.text


class ChatToResponseStream:
    """One stream. Its items are kept at its end."""

    def __init__(self, target: Target, now_epoch_s: Callable[[], float]) -> None:
        self._model = target.model
        self._target = target
        self._id = new_answer_id()
        self._created = now_epoch_s()
        self._number = 0
        self._reader = ChatReader()
        self._blocks = BlockSequence()
        self._started = False
        self._items: list[Document] = []

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        if data.strip() == b"[DONE]":
            return b""
        pieces = self._reader.read_chunk(data)
        return self._start() + self._write(self._blocks.add(pieces))

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        reader = self._reader
        out = self._start() + self._write(self._blocks.add(reader.finish_text()))
        out += self._write(self._blocks.finish(cut=is_cut(reader.finish)))
        if not self._items:
            block = Block("text", number=0)
            out += self._write([Step("open", block), Step("close", block)])
        self._target.items.keep(self._items)
        response = self._response(reader.finish or "stop")
        return out + self._event(f"response.{response['status']}", {"response": response})

    def _start(self) -> bytes:
        if self._started:
            return b""
        self._started, self._model = True, self._reader.model or self._model
        started = {"response": self._response(None)}
        return self._event("response.created", started) + self._event("response.in_progress", started)

    def _write(self, steps: Iterable[Step]) -> bytes:
        out: list[bytes] = []
        for step in steps:
            if step.what == "open":
                out += self._open(step.block)
            elif step.what == "close":
                out += self._close(step.block)
            elif not self._is_custom(step.block):  # the input of a custom tool is shown once it is whole
                for text in step:
                    extra: Document = {"logprobs": []} if step.block.kind == "text" else {}
                    out.append(self._place(f"{_NAMES[step.block.kind]}.delta", step.block, {"delta": text, **extra}))
        return b"".join(out)

    def _is_custom(self, block: Block) -> bool:
        return block.call is not None and bool(self._target.names.get(block.call.name, {}).get("custom"))

    def _open(self, block: Block) -> Iterable[bytes]:
        item = block_item(self._id, block, self._target)
        if self._is_custom(block):
            item |= {"input": "", "status": "in_progress"}
        elif block.call is not None:
            item |= {"arguments": "", "status": "in_progress"}
        elif block.kind == "thinking":
            item["content"] = []
        else:
            item |= {"content": [], "status": "in_progress"}
        yield self._event("response.output_item.added", {"output_index": block.number, "item": item})
        if block.call is None:
            yield self._place("content_part.added", block, {"part": _EMPTY_PARTS[block.kind]})

    def _close(self, block: Block) -> Iterable[bytes]:
        item = block_item(self._id, block, self._target)
        self._items.append(item)
        if self._is_custom(block):
            yield self._place("custom_tool_call_input.delta", block, {"delta": item["input"]})
            yield self._place("custom_tool_call_input.done", block, {"input": item["input"]})
            yield self._event("response.output_item.done", {"output_index": block.number, "item": item})
            return
        if block.call is not None:
            done: Document = {"arguments": item["arguments"], "name": block.call.name}
        elif block.kind == "refusal":
            done = {"refusal": block.text}
        else:
            done = {"text": block.text, **({"logprobs": []} if block.kind == "text" else {})}
        yield self._place(f"{_NAMES[block.kind]}.done", block, done)
        if block.call is None:
            yield self._place("content_part.done", block, {"part": item["content"][0]})
        yield self._event("response.output_item.done", {"output_index": block.number, "item": item})

    def _place(self, name: str, block: Block, document: Document) -> bytes:
        place: Document = {"item_id": block_item(self._id, block, self._target)["id"], "output_index": block.number}
        if block.call is None:
            place["content_index"] = 0
        return self._event(f"response.{name}", {**place, **document})

    def _event(self, name: str, document: Document) -> bytes:
        self._number += 1
        return named_event(name, {"sequence_number": self._number - 1, **document})

    def _response(self, finish: str | None) -> Document:
        usage = response_usage(self._reader.usage) if self._reader.usage else None
        items = self._items if finish else []
        return response_document(self._id, self._model, self._created, items, finish=finish, usage=usage)


class ChainedStream:
    """Two translators, one behind the other."""

    def __init__(self, first: EventTranslator, second: EventTranslator) -> None:
        self._first = first
        self._second = second
        self._scanner = EventScanner(EVENT_LIMIT_BYTES)

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        return self._pass_on(self._first.feed(data))

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        return self._pass_on(self._first.finish()) + self._second.finish()

    def _pass_on(self, events: bytes) -> bytes:
        if not events:
            return b""
        try:
            batch = self._scanner.feed(events)
        except EventTooLargeError as error:
            raise MalformedEventError(str(error)) from error
        found = (read_data(block) for block in batch.blocks)
        return b"".join(self._second.feed(data) for data in found if data is not None)

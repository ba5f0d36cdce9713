"""Chunks of a completion as events of a response."""

from collections.abc import Callable
from typing import Any

from agent_llmgateway.errors import AttemptError
from agent_llmgateway.failures.failure import broken_failure
from agent_llmgateway.wire.answerstream import EventTranslator
from agent_llmgateway.wire.dialects.chat import ChatUsage
from agent_llmgateway.wire.sse import EventScanner, read_data
from agent_llmgateway.wire.translate.answers import (
    call_item,
    message_item,
    reasoning_item,
    response_document,
    response_usage,
)
from agent_llmgateway.wire.translate.streams import CallDelta, named_event, read_chunk

Document = dict[str, Any]


class _Item:
    """An item of the output that is being made. `number` is its place in the output."""

    def __init__(self, kind: str, number: int, *, call: int = -1, call_id: str = "", name: str = "") -> None:
        self.kind = kind
        self.number = number
        self.call = call
        self.call_id = call_id
        self.name = name
        self.parts: list[str] = []

    def item_id(self, answer_id: str) -> str:
        """As its document has it."""
        if self.kind == "call":
            return f"fc_{answer_id}_{self.number}"
        return f"rs_{answer_id}" if self.kind == "reasoning" else f"msg_{answer_id}"

    def document(self, answer_id: str) -> Document:
        """The item as it is so far."""
        text = "".join(self.parts)
        if self.kind == "call":
            return call_item(answer_id, self.number, self.call_id, self.name, text)
        if self.kind == "reasoning":
            return reasoning_item(answer_id, text)
        return message_item(answer_id, text)


class ChatToResponseStream:
    """One stream."""

    def __init__(self, model: str, now_epoch_s: Callable[[], float]) -> None:
        self._model = model
        self._id = ""
        self._created = now_epoch_s()
        self._number = 0
        self._started = False
        self._items: list[_Item] = []
        self._open: _Item | None = None
        self._calls: set[int] = set()
        self._finish_reason = "stop"
        self._usage: ChatUsage | None = None

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        if data == b"[DONE]":
            return b""
        chunk = read_chunk(data)
        out: list[bytes] = []
        if not self._started:
            self._started, self._id, self._model = True, chunk.id, chunk.model or self._model
            started = {"response": self._response(None)}
            out = [self._event("response.created", started), self._event("response.in_progress", started)]
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices or ():
            if choice.index:
                continue
            if (delta := choice.delta) is not None:
                out.append(self._add("reasoning", delta.reasoning_content or delta.reasoning))
                out.append(self._add("message", delta.content or delta.refusal))
                out += [self._add_call(call) for call in delta.tool_calls or ()]
            self._finish_reason = choice.finish_reason or self._finish_reason
        return b"".join(out)

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        out = self._close()
        if not self._items:
            out += self._open_item(_Item("message", 0)) + self._close()
        response = self._response(self._finish_reason)
        return out + self._event(f"response.{response['status']}", {"response": response})

    def _add(self, kind: str, text: str | None) -> bytes:
        if not text:
            return b""
        out = b""
        if self._open is None or self._open.kind != kind:
            out = self._close() + self._open_item(_Item(kind, len(self._items)))
        return out + self._delta(text)

    def _add_call(self, call: CallDelta) -> bytes:
        function = call.function
        out = b""
        if call.index not in self._calls:
            if not call.id or function is None or not function.name:
                raise AttemptError(broken_failure("a tool call of the stream has no id or no name"))
            self._calls.add(call.index)
            item = _Item("call", len(self._items), call=call.index, call_id=call.id, name=function.name)
            out = self._close() + self._open_item(item)
        elif self._open is None or self._open.call != call.index:
            raise AttemptError(broken_failure("tool calls of the stream are interleaved"))
        return out + (self._delta(function.arguments) if function and function.arguments else b"")

    def _open_item(self, item: _Item) -> bytes:
        self._open = item
        self._items.append(item)
        document = item.document(self._id)
        if item.kind == "call":
            document["status"] = "in_progress"
        elif item.kind == "message":
            document |= {"content": [], "status": "in_progress"}
        else:
            document["content"] = []
        added = self._event("response.output_item.added", {"output_index": item.number, "item": document})
        if item.kind == "message":
            part = {"type": "output_text", "text": "", "annotations": []}
            added += self._place("response.content_part.added", {"content_index": 0, "part": part})
        return added

    def _delta(self, text: str) -> bytes:
        item = self._open
        if item is None:
            return b""
        item.parts.append(text)
        if item.kind == "call":
            return self._place("response.function_call_arguments.delta", {"delta": text})
        if item.kind == "reasoning":
            return self._place("response.reasoning_text.delta", {"content_index": 0, "delta": text})
        return self._place("response.output_text.delta", {"content_index": 0, "delta": text, "logprobs": []})

    def _close(self) -> bytes:
        item = self._open
        if item is None:
            return b""
        if item.kind == "call" and not item.parts:
            item.parts.append("{}")
        text = "".join(item.parts)
        document = item.document(self._id)
        if item.kind == "call":
            out = self._place("response.function_call_arguments.done", {"arguments": text, "name": item.name})
        elif item.kind == "reasoning":
            out = self._place("response.reasoning_text.done", {"content_index": 0, "text": text})
        else:
            out = self._place("response.output_text.done", {"content_index": 0, "text": text, "logprobs": []})
            part = document["content"][0]
            out += self._place("response.content_part.done", {"content_index": 0, "part": part})
        self._open = None
        return out + self._event("response.output_item.done", {"output_index": item.number, "item": document})

    def _place(self, name: str, document: Document) -> bytes:
        item = self._open
        if item is None:
            return b""
        place = {"item_id": item.item_id(self._id), "output_index": item.number}
        return self._event(name, {**place, **document})

    def _event(self, name: str, document: Document) -> bytes:
        self._number += 1
        return named_event(name, {"sequence_number": self._number - 1, **document})

    def _response(self, finish: str | None) -> Document:
        usage = response_usage(self._usage) if self._usage else None
        items = [item.document(self._id) for item in self._items] if finish else []
        return response_document(self._id, self._model, self._created, items, finish=finish, usage=usage)


class ChainedStream:
    """Two translators, one behind the other."""

    def __init__(self, first: EventTranslator, second: EventTranslator) -> None:
        self._first = first
        self._second = second
        self._scanner = EventScanner()

    def feed(self, data: bytes) -> bytes:
        """See `EventTranslator`."""
        return self._pass_on(self._first.feed(data))

    def finish(self) -> bytes:
        """See `EventTranslator`."""
        return self._pass_on(self._first.finish()) + self._second.finish()

    def _pass_on(self, events: bytes) -> bytes:
        if not events:
            return b""
        found = (read_data(block) for block in self._scanner.feed(events).blocks)
        return b"".join(self._second.feed(data) for data in found if data is not None)

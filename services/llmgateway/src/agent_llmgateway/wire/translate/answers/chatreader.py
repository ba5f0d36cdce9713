"""What a completion says, whole or in chunks, as pieces that stand in order and are told apart.

Which call a piece belongs to is the hard part. Its `index` cannot be relied on: some providers number every call 0,
or not at all, and some give no ids. So a new id opens a call, and so does a new name, or the same name with arguments
once the last call has a whole object. Everything else goes to the call it can only mean. In a whole answer each entry
is a call.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.surrogates import is_high_half, join_halves
from agent_llmgateway.wire.lenient import (
    Document,
    JsonEnd,
    arguments_at,
    index_at,
    is_empty,
    keep_fields,
    list_at,
    object_at,
    read_document,
    said_in,
    text_at,
    word_at,
)
from agent_llmgateway.wire.translate.toolids import portable_id
from agent_llmgateway.wire.usage import Usage, merge_usage, read_chat_usage

Kind = Literal["text", "thinking", "refusal", "call"]
_UNREADABLE: Final = ("audio", "images")
_THOUGHTS: Final = ("reasoning_content", "reasoning", "thinking")
_CALL_FIELDS: Final = frozenset({"index", "id", "type", "function"})
_FAILED: Final = frozenset({"error", "abort", "cancelled", "network_error", "insufficient_system_resource"})


@dataclass(slots=True, eq=False)
class ReadCall:
    """A tool call. `id` and `name` may come late; `where` is the field that its errors name.

    `extra` has its fields that this dialect does not have, such as the `extra_content` of Gemini.
    """

    number: int
    index: int | None
    id: str = ""
    name: str = ""
    where: str = ""
    end: JsonEnd = field(default_factory=JsonEnd)
    extra: Document = field(default_factory=dict)

    @property
    def call_id(self) -> str:
        """An id that every API takes; made up where the provider gives none."""
        self.id = self.id or f"call_{secrets.token_hex(12)}"
        return portable_id(self.id)


class Piece(NamedTuple):
    """Something that was said. For a call, `text` are its arguments, perhaps none yet."""

    kind: Kind
    text: str
    call: ReadCall | None = None


class ChatReader:
    """Reads one completion. `finish` is the finish reason as it was said."""

    def __init__(self) -> None:
        self.id = ""
        self.model = ""
        self.finish: str | None = None
        self.usage: Usage | None = None
        self.calls: list[ReadCall] = []
        self._whole = False
        self._choice: int | None = None
        self._has_said = False
        self._halves: dict[object, str] = {}

    def read_chunk(self, data: bytes) -> list[Piece]:
        """The pieces of a chunk. Raises MalformedEventError that names the field."""
        return self._read(read_document(data), "delta")

    def read_answer(self, body: bytes) -> list[Piece]:
        """The pieces of a whole completion. Raises MalformedEventError that names the field."""
        self._whole = True
        document = read_document(body)
        if not list_at(document.get("choices"), "choices"):
            raise MalformedEventError("`choices` is empty")
        return self._read(document, "message") + self.finish_text()

    def finish_text(self) -> list[Piece]:
        """Halves of characters whose other half never came."""
        left = [(key, text) for key, text in self._halves.items() if text]
        self._halves.clear()
        return [
            Piece("call", join_halves(text), key) if isinstance(key, ReadCall) else Piece(key, join_halves(text))  # type: ignore[arg-type]
            for key, text in left
        ]

    def _read(self, document: Document, field: str) -> list[Piece]:
        self.id = self.id or word_at(document.get("id"))
        self.model = self.model or word_at(document.get("model"))
        self.usage = merge_usage(self.usage, read_chat_usage(document.get("usage")))
        pieces: list[Piece] = []
        for place, item in enumerate(list_at(document.get("choices"), "choices")):
            choice = object_at(item, f"choices[{place}]")
            index = index_at(choice.get("index"))
            number = place if index is None else index
            where = f"choices[{place}].{field}"
            said = self._said_in(choice, field, f"choices[{place}]")
            if self._choice is None:
                self._choice = number
            if number != self._choice:
                if any(not is_empty(value) for name, value in said.items() if name != "role"):
                    raise MalformedEventError(f"`choices[{place}].index` is one that was not asked for")
                continue
            pieces += self._pieces(said, where)
            self._has_said = self._has_said or bool(pieces)
            self._note_finish(choice.get("finish_reason"), place)
        return pieces

    def _said_in(self, choice: Document, field: str, where: str) -> Document:
        """A stream may end with a whole message: all of the answer, or what was said already."""
        if field == "delta" and "delta" not in choice and not is_empty(choice.get("message")):
            if is_empty(choice.get("finish_reason")):
                raise MalformedEventError(f"`{where}.message` stands in a stream, before its end")
            if self._has_said:
                return {}
            self._whole = True
        return said_in(choice, field, where)

    def _note_finish(self, finish: object, place: int) -> None:
        if is_empty(finish):
            return
        self.finish = str(finish)
        if self.finish.lower() in _FAILED:
            raise MalformedEventError(f"`choices[{place}].finish_reason` is `{self.finish[:64]}`")

    def _pieces(self, said: Document, where: str) -> Iterator[Piece]:
        for name in _UNREADABLE:
            if not is_empty(said.get(name)):
                raise MalformedEventError(f"`{where}.{name}` cannot be carried")
        yield from self._text("thinking", _thoughts_in(said, where))
        yield from self._content(said.get("content"), f"{where}.content")
        yield from self._text("refusal", text_at(said.get("refusal"), f"{where}.refusal"))
        calls = list_at(said.get("tool_calls"), f"{where}.tool_calls")
        for index, call in enumerate(calls):
            yield from self._call(object_at(call, f"{where}.tool_calls[{index}]"), f"{where}.tool_calls[{index}]")
        if not calls and not is_empty(said.get("function_call")):
            function = object_at(said["function_call"], f"{where}.function_call")
            yield from self._call({"index": 0, "function": function}, where)

    def _content(self, content: object, where: str) -> Iterator[Piece]:
        """Text, or parts; some providers have their thoughts among the parts."""
        if not isinstance(content, list):
            yield from self._text("text", text_at(content, where))
            return
        for index, part in enumerate(content):
            if isinstance(part, dict) and part.get("type") in ("thinking", "reasoning"):
                thoughts = part.get("thinking", part.get("reasoning", part.get("text")))
                yield from self._text("thinking", text_at(thoughts, f"{where}[{index}].thinking"))
            elif isinstance(part, dict) and part.get("type") == "refusal":
                yield from self._text("refusal", text_at(part.get("refusal"), f"{where}[{index}].refusal"))
            else:
                yield from self._text("text", text_at(part, f"{where}[{index}]"))

    def _text(self, kind: Kind, text: str) -> Iterator[Piece]:
        if text := self._join(kind, text):
            yield Piece(kind, text)

    def _join(self, key: object, text: str) -> str:
        """`text` without half a character at its end, which is kept for the text that follows."""
        if not text:
            return ""
        text = self._halves.pop(key, "") + text
        if is_high_half(text[-1]):
            self._halves[key] = text[-1]
            text = text[:-1]
        return join_halves(text)

    # Calls

    def _call(self, delta: Document, where: str) -> Iterator[Piece]:
        function = object_at(delta.get("function"), f"{where}.function")
        name = word_at(function.get("name"))
        arguments = arguments_at(function.get("arguments"), f"{where}.function.arguments")
        index = index_at(delta.get("index"))
        call_id = word_at(delta.get("id"))
        known = len(self.calls)
        call = self._find(index, call_id, name, arguments)
        call.where = f"{where}.function"
        call.end.feed(arguments)
        keep_fields(call.extra, delta, _CALL_FIELDS)
        text = self._join(call, arguments)
        if text or len(self.calls) > known or name or call_id:
            yield Piece("call", text, call)

    def _find(self, index: int | None, call_id: str, name: str, arguments: str) -> ReadCall:
        """The call that a piece with these belongs to, a new one if need be."""
        if self._whole:
            is_taken = any(call.id == call_id for call in self.calls)
            return self._open(index, "" if is_taken else call_id, name)
        if call_id:
            return self._find_by_id(index, call_id, name)
        last = self._last(lambda call: index is None or call.index == index)
        if last is None:
            return self._open(index, call_id, name)
        if not name or (name == last.name and not (last.end.ended and arguments.strip())):
            return last
        if last.name:
            return self._open(index, call_id, name)
        last.name = name
        return last

    def _find_by_id(self, index: int | None, call_id: str, name: str) -> ReadCall:
        known = self._last(lambda call: call.id == call_id)
        if known is None:  # an id may come later than the name
            known = self._last(lambda call: call.index == index)
            if known is None or known.id or (name and known.name and name != known.name):
                return self._open(index, call_id, name)
            known.id = call_id
        known.name = known.name or name
        return known

    def _last(self, matches: Callable[[ReadCall], Any]) -> ReadCall | None:
        return next((call for call in reversed(self.calls) if matches(call)), None)

    def _open(self, index: int | None, call_id: str, name: str) -> ReadCall:
        call = ReadCall(len(self.calls), index, call_id, name)
        self.calls.append(call)
        return call


def _thoughts_in(said: Document, where: str) -> str:
    """In the first of the fields that providers have for them; `reasoning_details` say the same in parts."""
    for name in _THOUGHTS:
        if not is_empty(said.get(name)):
            return text_at(said[name], f"{where}.{name}")
    parts = [part for part in list_at(said.get("reasoning_details"), f"{where}.reasoning_details") if part]
    return "".join(
        word_at(part.get("text")) or word_at(part.get("summary")) for part in parts if isinstance(part, dict)
    )

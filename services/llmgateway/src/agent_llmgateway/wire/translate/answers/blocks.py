"""Pieces of an answer as blocks that follow each other: each is opened, filled and closed before the next one.

Calls of a completion may come interleaved, messages and responses have one block after the other. The first block
goes out as it comes; what belongs to a later one waits until the first is known to be whole.
"""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.lenient import JsonEnd
from agent_llmgateway.wire.translate.answers.chatreader import Kind, Piece, ReadCall


@dataclass(slots=True, eq=False)
class Block:
    """One block. `number` is its place, once it is open; `parts` is all of it."""

    kind: Kind
    call: ReadCall | None = None
    number: int = -1
    parts: list[str] = field(default_factory=list)
    sent: int = 0
    end: JsonEnd = field(default_factory=JsonEnd)

    @property
    def text(self) -> str:
        """All of it so far."""
        return "".join(self.parts)

    def add(self, text: str) -> None:
        """More of it. Raises MalformedEventError when two objects stand in the arguments of one call."""
        self.parts.append(text)
        if self.call is not None and self.end.feed(text):
            raise MalformedEventError(f"`{self.call.where}.arguments` holds more than one JSON object")


class Step(list[str]):
    """What a translator has to write: `open`, then `add` with texts, then `close` of one block."""

    def __init__(self, what: Literal["open", "add", "close"], block: Block, *texts: str) -> None:
        super().__init__(texts)
        self.what = what
        self.block = block


class BlockSequence:
    """Puts the pieces of one answer in order."""

    def __init__(self) -> None:
        self._waiting: deque[Block] = deque()
        self._by_call: dict[int, Block] = {}
        self._number = 0

    def add(self, pieces: list[Piece]) -> Iterator[Step]:
        """What can be written after `pieces`. Raises MalformedEventError."""
        for piece in pieces:
            block = self._block_of(piece)
            if piece.text:
                block.add(piece.text)
            yield from self._advance()

    def finish(self, *, cut: bool) -> Iterator[Step]:
        """The rest. `cut`: the model had to stop, so arguments may be unfinished. Raises MalformedEventError."""
        while self._waiting:
            block = self._waiting[0]
            _check_call(block, cut=cut)
            yield from self._write(block)
            yield Step("close", self._waiting.popleft())

    def _block_of(self, piece: Piece) -> Block:
        if piece.call is not None:
            block = self._by_call.get(piece.call.number)
            if block is None:
                block = self._by_call[piece.call.number] = Block("call", piece.call)
                self._waiting.append(block)
            return block
        if not self._waiting or self._waiting[-1].kind != piece.kind:
            self._waiting.append(Block(piece.kind))
        return self._waiting[-1]

    def _advance(self) -> Iterator[Step]:
        while self._waiting:
            block = self._waiting[0]
            if block.call is not None and not block.call.name:
                return
            yield from self._write(block)
            if len(self._waiting) == 1 or (block.call is not None and not block.end.ended):
                return
            yield Step("close", self._waiting.popleft())

    def _write(self, block: Block) -> Iterator[Step]:
        if block.number < 0:
            block.number = self._number
            self._number += 1
            yield Step("open", block)
        if block.sent < len(block.parts):
            texts = block.parts[block.sent :]
            block.sent = len(block.parts)
            yield Step("add", block, *texts)


def _check_call(block: Block, *, cut: bool) -> None:
    call = block.call
    if call is None:
        return
    if not call.name:
        raise MalformedEventError(f"`{call.where}.name` is missing")
    if not cut:
        check_arguments(block.text, call.where)


def check_arguments(text: str, where: str) -> None:
    """Raises MalformedEventError unless `text` is a JSON object, or nothing."""
    if not text.strip():
        return
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise MalformedEventError(f"`{where}.arguments` is not a JSON object")

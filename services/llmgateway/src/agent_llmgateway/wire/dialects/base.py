"""What the gateway has to know of an API to carry it: which events matter, and how it says that something failed.

A dialect reads as little as it can. Bytes go past it; it sees the data of each event and each whole answer, and
says what they mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from agent_api import providers
from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.providererrors.classify import Failure, read_event_failure
from agent_llmgateway.wire.lenient import read_document, says_error
from agent_llmgateway.wire.usage import Usage

DialectName = providers.Dialect
_Event = TypeVar("_Event")


class EventInfo(NamedTuple):
    """What an event of a stream means."""

    output: bool = False
    """It carries something that the model made."""
    finish: bool = False
    """The answer is complete with it."""
    done: bool = False
    """Nothing comes after it."""
    usage: Usage | None = None
    failure: Failure | None = None
    unfinished: tuple[int, ...] = ()
    """Choices that it adds to, and those that it ends; where an answer has only one there are none."""
    finished: tuple[int, ...] = ()
    text_bytes: int = 0
    """Of what the model made."""

    @property
    def is_quiet(self) -> bool:
        """Whether it says nothing of any choice."""
        return not (self.output or self.unfinished or self.finished)


QUIET: Final = EventInfo()
NOT_PLAIN: Final = (0, 0)
"""Neither events nor text, for what is not plain."""


class AnswerFacts(msgspec.Struct, frozen=True):
    """What a whole answer says of itself."""

    model: str = ""
    usage: Usage | None = None
    failure: Failure | None = None
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as a client of any dialect is told it."""

    status: int
    message: str
    kind: str = "api_error"
    code: str | None = None
    param: str | None = None
    attempts: Sequence[Mapping[str, Any]] = field(default=())


class Dialect(Protocol):
    """One API."""

    name: DialectName
    path: str
    sentinel: bytes
    """What ends a stream after its finish; empty when the finish is the end."""

    @property
    def family(self) -> Literal["openai", "anthropic"]:
        """Whose headers and error words it has."""
        ...

    def read_event(self, data: bytes) -> EventInfo:
        """What `data` of an event means. Raises MalformedEventError."""
        ...

    def count_plain(self, events: bytes) -> int:
        """How many `events` are, when each is whole, well-formed and carries nothing but output; else 0.

        0 is no verdict: the events are then looked at one by one by `read_event`. The short way for nearly all.
        """
        ...

    def measure_plain(self, events: bytes) -> tuple[int, int]:
        """As `count_plain`, and the bytes of text: for streams that are charged, since it costs a little more."""
        ...

    def read_answer(self, body: bytes) -> AnswerFacts:
        """Facts of a whole answer. Raises MalformedEventError when it is not one."""
        ...

    def error_body(self, problem: Problem) -> bytes:
        """The JSON document of an error answer."""
        ...

    def error_event(self, problem: Problem) -> bytes:
        """The event that ends a stream that failed."""
        ...


def decode_alike(decoder: "msgspec.json.Decoder[_Event]", prefix: bytes, events: bytes) -> "list[_Event]":
    """`events`, when each is `prefix` and one line of JSON that `decoder` takes; else none of them.

    One call of the decoder for all of them: a call for each costs as much as what it finds out.
    """
    if not events.startswith(prefix) or not events.endswith(b"\n\n"):
        return []
    lines = events[len(prefix) : -2].replace(b"\n\n" + prefix, b"\n")
    try:
        decoded = decoder.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return decoded if len(decoded) == lines.count(b"\n") + 1 else []


def read_count(dialect: DialectName, body: bytes) -> AnswerFacts:
    """Facts of a count of tokens, which has no others. Raises MalformedEventError."""
    answer = read_document(body)
    if says_error(answer.get("error")):
        return AnswerFacts(failure=read_event_failure(answer["error"], dialect=dialect, body=body))
    if not isinstance(answer.get("input_tokens"), int):
        raise MalformedEventError("`input_tokens` is not a number")
    return AnswerFacts()


def has_content(raw: msgspec.Raw) -> bool:
    """Whether a field is there with something in it."""
    return len(raw) > 4 or bytes(raw) not in _EMPTY


_EMPTY: Final = frozenset({b"", b"null", b'""', b"[]", b"{}"})


def openai_error(problem: Problem) -> dict[str, Any]:
    """`error` of OpenAI's error documents."""
    error: dict[str, Any] = {
        "message": problem.message,
        "type": problem.kind,
        "param": problem.param,
        "code": problem.code,
    }
    if problem.attempts:
        error["attempts"] = list(problem.attempts)
    return error

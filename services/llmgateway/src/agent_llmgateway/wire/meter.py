"""What is seen of each try of a request, so that each can be charged, however it ended."""

from typing import Protocol

import msgspec

from agent_llmgateway.providererrors.classify import Failure
from agent_llmgateway.wire.usage import Usage


class MeteredStream(Protocol):
    """A stream, as far as it is measured. `text_bytes` are those that the model made, as far as they have come."""

    usage: Usage | None
    finished: bool
    ended: bool

    @property
    def text_bytes(self) -> int:
        """Of what the model made."""
        ...


class TryMeter(msgspec.Struct):
    """One try. Without a failure and unfinished, it was left: its client went away.

    `is_message`: the provider speaks Anthropic's dialect. `answer` is a whole answer as it came.
    """

    provider: str
    model: str
    is_message: bool = False
    failure: Failure | None = None
    stream: MeteredStream | None = None
    is_answered: bool = False
    usage: Usage | None = None
    answer: bytes = b""

    @property
    def is_finished(self) -> bool:
        """Whether the provider has told the end of its answer, whatever became of it afterwards."""
        return self.is_answered if self.stream is None else self.stream.finished

    @property
    def known_usage(self) -> Usage | None:
        """As the provider has said it so far."""
        return self.usage if self.stream is None else self.stream.usage


class RequestMeter:
    """The tries of one request, in order; one goes on at a time.

    `measures_text`: a limit is in force, so that the text of streams is measured in case their providers tell nothing,
    or too little, of what they took. Without one nothing is charged, and only what providers tell is counted.
    """

    def __init__(self, *, measures_text: bool = False) -> None:
        self.measures_text = measures_text
        self.tries: list[TryMeter] = []

    def begin(self, provider: str, model: str, *, is_message: bool) -> TryMeter:
        """A request is about to be sent."""
        trial = TryMeter(provider, model, is_message)
        self.tries.append(trial)
        return trial

    @property
    def current(self) -> TryMeter:
        """The try that goes on."""
        return self.tries[-1] if self.tries else self.begin("", "", is_message=False)

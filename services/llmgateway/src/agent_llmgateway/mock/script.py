"""What the mock is told to say. The same document is a provider's `options` and the file of the mock command."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field, ValidationError

from agent_api.model import Config
from agent_llmgateway.errors import ConfigError

Fault = Literal[
    "reset-before-headers",
    "reset-after-headers",
    "silence",
    "cut",
    "clean-end",
    "stall",
    "error-first-event",
    "error-event",
    "malformed-event",
    "no-done",
    "no-done-open",
    "not-json",
]


class Match(Config):
    """Which requests a reply is for; what is not given matches everything."""

    model: str = Field(default="*", description="Name of the model; * and ? are wildcards.")
    dialect: Literal["chat", "responses", "embeddings", "messages", "count_tokens", "input_tokens"] | None = None
    stream: bool | None = None
    contains: str = Field(default="", description="Text anywhere in the request.")


class ScriptedCall(Config):
    """A tool call of an answer."""

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict)
    id: str = Field(default="", description="Empty: made up.")


class ScriptedError(Config):
    """The error document of a status, or of an error inside a stream."""

    type: str = "api_error"
    message: str = "the mock was told to fail"
    code: str | None = None


class ScriptedUsage(Config):
    """Tokens that the answer says it took."""

    input: int = Field(default=12, ge=0)
    output: int = Field(default=8, ge=0)
    cached: int = Field(default=0, ge=0)


class Reply(Config):
    """One answer. The first reply that matches is given."""

    match: Match = Match()
    times: int | None = Field(default=None, ge=1, description="Given so often for each model, then the next ones.")
    text: str = Field(default="This is {model}.", description="{model} and {prompt} stand for what was asked.")
    reasoning: str = ""
    tool_calls: tuple[ScriptedCall, ...] = ()
    finish: Literal["", "stop", "length", "tool_calls", "content_filter"] = ""
    usage: ScriptedUsage | None = ScriptedUsage()
    dimensions: int = Field(default=8, ge=1, le=4096, description="Of embeddings.")
    chunks: int = Field(default=4, ge=1, le=100_000, description="Pieces that the text is streamed in.")
    delay_seconds: float = Field(default=0, ge=0, le=3600, description="Before the headers.")
    first_token_delay_seconds: float = Field(default=0, ge=0, le=3600, description="After the first event.")
    chunk_delay_seconds: float = Field(default=0, ge=0, le=3600)
    status: int = Field(default=200, ge=100, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    error: ScriptedError = ScriptedError()
    fault: Fault | None = None
    fault_after: int = Field(default=0, ge=0, description="Events with output that are sent before the fault.")

    def with_call_ids(self, answer: int) -> "Reply":
        """The same with ids for tool calls that have none: clients tell the calls of a conversation apart by them."""
        calls = (
            call if call.id else call.model_copy(update={"id": f"call_mock_{answer}_{at}"})
            for at, call in enumerate(self.tool_calls)
        )
        return self.model_copy(update={"tool_calls": tuple(calls)}) if self.tool_calls else self


class MockScript(Config):
    """Everything the mock says and does."""

    models: tuple[str, ...] = ("mock",)
    keys: tuple[str, ...] = Field(default=(), description="Keys that are accepted; none given = all.")
    close_after_answer: bool = Field(default=False, description="Close each connection after its answer, unannounced.")
    replies: tuple[Reply, ...] = ()

    def find_reply(self, model: str, dialect: str, body: bytes, *, stream: bool, given: dict[str, int]) -> Reply:
        """The reply to a request. `given` counts the limited ones, and is changed."""
        for index, reply in enumerate(self.replies):
            match = reply.match
            if not fnmatchcase(model, match.model) or match.dialect not in (None, dialect):
                continue
            if match.stream not in (None, stream) or (match.contains and match.contains.encode() not in body):
                continue
            if reply.times is not None:
                count = f"{index} {model}"
                if given.get(count, 0) >= reply.times:
                    continue
                given[count] = given.get(count, 0) + 1
            return reply
        return Reply()


def parse_script(document: Mapping[str, Any], *, where: str) -> MockScript:
    """Raises ConfigError that says which field is wrong."""
    try:
        return MockScript.model_validate({key: value for key, value in document.items() if key != "headers"})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{where}.{place}: {first['msg']}") from error

"""The cassette: what an agent asked of models and tools, and what it was answered, as JSON Lines.

The first line is a `CassetteHeader`, each other one a `Recording` in the order of the requests. A cassette is made to
be committed and to be edited by hand: so it is a config, in which an unknown key is a mistake, and a body is JSON
wherever JSON gives the bytes back.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from agent_api.model import Config

CASSETTE_VERSION: Final = 1
MOST_RECORDINGS: Final = 20_000
MOST_BODY_BYTES: Final = 64 << 20
MOST_LINE_BYTES: Final = 4 * MOST_BODY_BYTES
MOST_CHUNKS: Final = 200_000

Side = Literal["models", "tools"]


class Body(Config):
    """Bytes, in the first of three forms that gives them back: `json`, `text`, `base64`."""

    json_value: Any = Field(default=None, alias="json")
    spaced: bool = Field(default=False, description="How `json` is written: with a space behind each ',' and ':'.")
    text: str | None = None
    base64: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = self.model_fields_set & {"json_value", "text", "base64"}
        if len(given) != 1:
            raise ValueError("a body has one of json, text and base64")
        return self


class Chunk(Config):
    """A part of a stream as it came, `at_ms` after the request."""

    at_ms: int = Field(default=0, ge=0)
    text: str = ""
    base64: str = Field(default="", description="Instead of `text`, when the part cuts a character in two.")


class RecordedRequest(Config):
    """What the agent asked, with secrets masked. No header is kept: keys are among them."""

    method: str = Field(pattern="^[A-Z]{1,16}$")
    path: str = Field(pattern="^/", description="With its query.")
    body: Body | None = None


class RecordedResponse(Config):
    """What the agent was answered: a `body`, or a `stream`."""

    status: int = Field(default=200, ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: Body | None = None
    stream: Annotated[tuple[Chunk, ...], Field(max_length=MOST_CHUNKS)] | None = None
    ending: Literal["whole", "cut", "left"] = Field(
        default="whole",
        description="cut: the connection broke. left: the agent went away first, so a replay waits for that.",
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.body is not None and self.stream is not None:
            raise ValueError("a response has a body or a stream")
        return self


class Recording(Config):
    """One request and its answer. `masked` says that a secret was taken out, so the bytes are not those that came."""

    side: Side
    request: RecordedRequest
    response: RecordedResponse
    masked: bool = False


class CassetteHeader(Config):
    """The first line."""

    cassette: Literal[1] = CASSETTE_VERSION
    agent: str
    left_out: tuple[str, ...] = Field(
        default=(), description="What a replay does not compare; for the reader, the program knows it."
    )

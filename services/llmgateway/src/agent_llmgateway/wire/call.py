"""A client's request as the rest of the gateway sees it, and what is sent to a provider for it."""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from yarl import URL

from agent_llmgateway.wire.answerstream import EventTranslator
from agent_llmgateway.wire.dialects import Dialect
from agent_llmgateway.wire.envelope import Envelope
from agent_llmgateway.wire.meter import RequestMeter

Delivery = Literal["live", "complete"]


class Call(msgspec.Struct, frozen=True):
    """One request. `headers` are those that go on to the provider, lower-case."""

    dialect: Dialect
    body: bytes
    envelope: Envelope
    model: str
    stream: bool
    delivery: Delivery
    headers: Mapping[str, str]
    query: str = ""
    meter: RequestMeter = msgspec.field(default_factory=RequestMeter)
    hold: Callable[[int], bool] = lambda _: True
    """Takes so many bytes of memory more for an answer; False when there are none left."""


class WireRequest(msgspec.Struct, frozen=True):
    """What a provider is sent, without its key, and how its answer is read.

    `dropped` names hints of the request that its dialect has no word for. `hides_usage`: a stream was asked for its
    usage, and the client was not the one who asked. `notes_states`: another key could not read what this one makes.
    `keep_items` is shown each event and answer with items that another provider could not look up.
    """

    url: URL
    body: bytes
    headers: Mapping[str, str]
    dialect: Dialect
    read_whole: Callable[[bytes], bytes] | None = None
    open_stream: Callable[[], EventTranslator] | None = None
    dropped: tuple[str, ...] = ()
    hides_usage: bool = False
    notes_states: bool = False
    keep_items: Callable[[bytes], None] | None = None

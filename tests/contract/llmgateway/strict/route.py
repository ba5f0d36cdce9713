"""A provider of the gateway beside the strict rules of its API, in one process: what it would be sent is judged."""

import json
from typing import Any

from contract.llmgateway.strict import chat_rules, messages_rules, responses_rules, writers
from contract.llmgateway.strict.rule import Document, Facts, Memory, first_refusal
from contract.llmgateway.strict.scripted import Said

from agent_api.gatewayconfig import GatewayProvider
from agent_llmgateway.config.providerset import Provider
from agent_llmgateway.http.prepare import prepare_wire
from agent_llmgateway.upstream.keys import open_pool
from agent_llmgateway.upstream.providers import paths_of
from agent_llmgateway.wire.call import Call, WireRequest
from agent_llmgateway.wire.dialects import DIALECTS
from agent_llmgateway.wire.envelope import read_envelope
from agent_llmgateway.wire.itemstore import ItemStore

MODELS = {
    "openai": ("gpt-5", Facts(128_000, reasons=True)),
    "anthropic": ("claude-sonnet-4-5", Facts(64_000)),
    "openai-compatible": ("qwen3-32b", Facts(32_768)),
}
OPTIONS: dict[str, Document] = {
    "openai": {"vendorApi": True},
    "anthropic": {"vendorApi": True},
    "openai-compatible": {"reasoning": True},
}


class StrictRoute:
    """A provider of the gateway, with the rules and the memory of its API."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.model, self.facts = MODELS[kind]
        self.memory = Memory(secret=kind)
        config = GatewayProvider.model_validate(
            {"name": kind, "type": kind, "baseUrl": "http://127.0.0.1:9/v1", "options": OPTIONS[kind]}
        )
        pool = open_pool(None, needs_key=False, register=lambda _: None, interval_s=1.0)
        self.provider = Provider(config, config.base_url, paths_of(kind, OPTIONS[kind]), pool)

    def wire(self, dialect: Any, document: Document, items: ItemStore) -> WireRequest:
        """What the provider would be sent."""
        body = json.dumps(document).encode()
        envelope, _ = read_envelope(body)
        stream = document.get("stream") is True
        call = Call(DIALECTS[dialect], body, envelope, "m", stream=stream, delivery="live", headers={})
        return prepare_wire(call, self.provider, self.model, items)

    def prepare(self, dialect: Any, document: Document, items: ItemStore) -> WireRequest:
        """The same. Raises AssertionError when the API would refuse it."""
        wire = self.wire(dialect, document, items)
        rules = {"messages": messages_rules.RULES, "responses": responses_rules.RULES}.get(wire.dialect.name)
        sent = json.loads(wire.body)
        refused = first_refusal(rules or chat_rules.rules_of(self.kind), sent, self.facts, self.memory)
        assert refused is None, f"{self.kind}, {wire.dialect.name}: {refused}\n{sent}"
        return wire

    def answer(self, wire: WireRequest, said: list[Said], *, stream: bool) -> bytes:
        """As its API gives it, in the client's dialect."""
        sent, dialect = json.loads(wire.body), wire.dialect.name
        if not stream:
            write: Any = {"messages": writers.write_message, "responses": writers.write_response}.get(dialect)
            given = writers.write_chat(said, sent, self.kind) if write is None else write(said, sent, self.memory)
            body = json.dumps(given).encode()
            return body if wire.read_whole is None else wire.read_whole(body)
        send: Any = {"messages": writers.stream_message, "responses": writers.stream_response}.get(dialect)
        events = writers.stream_chat(said, sent, self.kind) if send is None else send(said, sent, self.memory)
        if wire.open_stream is None:
            return b"".join(events)
        translator = wire.open_stream()
        data = [event.partition(b"data: ")[2].removesuffix(b"\n\n") for event in events]
        return b"".join(translator.feed(each) for each in data) + translator.finish()

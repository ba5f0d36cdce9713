"""Several choices, at any pair of providers and with a failover at any turn: each has all that was said in it.

`n` is a field of chat completions alone: the messages API refuses it by name, and the next route is asked. A stream is
read by the code that serves one, its events interleaved, its bytes split and cut anywhere.
"""

import asyncio
import json
import os
from random import Random
from typing import Any

import pytest
from contract.llmgateway.dialect_clients import TOOLS, ChatClient, read_events
from contract.llmgateway.strict import writers
from contract.llmgateway.strict.route import MODELS, StrictRoute
from contract.llmgateway.strict.rule import Document
from contract.llmgateway.strict.scripted import Said
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent_llmgateway.errors import AttemptError, NotCarriedError
from agent_llmgateway.wire.answerstream import AnswerStream
from agent_llmgateway.wire.call import WireRequest
from agent_llmgateway.wire.itemstore import ItemStore

WHOLE = os.environ.get("AGENTBERTH_WHOLE") == "1"
PROFILE = settings(
    max_examples=300 if WHOLE else 15,
    derandomize=not WHOLE,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
ARGUMENTS = st.dictionaries(TEXTS, TEXTS | st.integers(-9, 9), max_size=2).map(json.dumps)
CALLS = st.lists(st.builds(Said, st.just("call"), ARGUMENTS, st.sampled_from(TOOLS)), max_size=2)
SAID = st.builds(lambda text, calls: [Said("text", text), *calls], TEXTS, CALLS)
TURNS = st.tuples(
    st.lists(SAID, min_size=2, max_size=4), st.booleans(), st.booleans(), st.randoms(use_true_random=False)
)
"""What is said in each choice, whether it is a stream, whether the main is down, and where it is cut and split."""


class Source:
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def read_chunk(self, timeout_s: float) -> bytes:
        assert timeout_s
        return self._chunks.pop(0) if self._chunks else b""

    def close(self) -> None:
        pass


def find_route(routes: list[StrictRoute], request: Document) -> tuple[StrictRoute, WireRequest] | None:
    """The first route that can carry several choices."""
    for route in routes:
        try:
            return route, route.prepare("chat", request, ItemStore())
        except NotCarriedError as error:
            if (route.kind, error.param) != ("anthropic", "n"):
                raise
    return None


def chunks_of(choices: list[list[Said]], wire: WireRequest, kind: str, random: Random) -> list[bytes]:
    """The events of all choices; those of one in their order."""
    sent = {**json.loads(wire.body), "stream_options": {}}
    events = [list(writers.stream_chat(said, sent, kind))[:-1] for said in choices]
    order = [place for place, own in enumerate(events) for _ in own]
    if random.random() < 0.7:
        random.shuffle(order)
    interleaved = []
    for place in order:
        document = read_events(events[place].pop(0))[0]
        document["choices"][0]["index"] = place
        interleaved.append(writers.event(document))
    return [*interleaved, b"data: [DONE]\n\n"]


def split(data: bytes, random: Random) -> list[bytes]:
    pieces = []
    while data:
        size = random.choice((1, 7, 60, 300, 3000))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


async def read(data: bytes, wire: WireRequest, n: int, random: Random) -> bytes | None:
    """What the client sees; None when the stream ends with an error."""
    stream = AnswerStream(Source(split(data, random)), wire.dialect, choices=n, hides_usage=wire.hides_usage)
    out = b""
    try:
        while not stream.ended:
            out += await stream.next(1.0)
    except AttemptError:
        return None
    return out


def choice_of(stream: bytes, place: int) -> bytes:
    """The events of one choice, as a stream of its own."""
    mine = [event for event in read_events(stream) if event["choices"][0]["index"] == place]
    return b"".join(writers.event(event) for event in mine)


@pytest.mark.parametrize("main_kind,backup_kind", [(a, b) for a in MODELS for b in MODELS])
@settings(PROFILE)
@given(turns=st.lists(TURNS, min_size=1, max_size=4))
def test_each_choice_has_all_that_was_said_in_it(main_kind: str, backup_kind: str, turns: list[Any]) -> None:
    client = ChatClient()
    main, backup = StrictRoute(main_kind), StrictRoute(backup_kind)
    client.user("please begin", None)
    for choices, is_stream, is_down, random in turns:
        request = {**client.request(stream=is_stream), "n": len(choices)}
        found = find_route([backup] if is_down else [main, backup], request)
        if found is None:
            continue
        route, wire = found
        assert json.loads(wire.body)["n"] == len(choices)
        assert wire.open_stream is None, "bytes go through"
        before, kept = list(client.turns), random.randrange(len(choices))
        for place in [*range(len(choices)), kept]:  # the one that the conversation goes on with comes last
            client.turns = list(before)
            seen = _take(client, route, wire, choices, place, is_stream=is_stream, random=random)
            assert seen == choices[place]
        client.results([f"result {number}" for number, _ in enumerate(client.calls)])
        client.user("go on", None)


def _take(
    client: ChatClient,
    route: StrictRoute,
    wire: WireRequest,
    choices: Any,
    place: int,
    *,
    is_stream: bool,
    random: Random,
) -> list[Said]:
    if is_stream:
        data = b"".join(chunks_of(choices, wire, route.kind, random))
        seen = asyncio.run(read(data, wire, len(choices), random))
        assert seen is not None
        return client.take_stream(choice_of(seen, place))
    documents = [writers.write_chat(said, json.loads(wire.body), route.kind) for said in choices]
    return client.take({"choices": [documents[place]["choices"][0]]})


@settings(PROFILE)
@given(turn=TURNS, cut=st.floats(0, 1))
def test_a_cut_is_never_a_normal_end_with_less_than_every_choice(turn: Any, cut: float) -> None:
    choices, _, _, random = turn
    client = ChatClient()
    client.user("please begin", None)
    route = StrictRoute("openai")
    wire = route.prepare("chat", {**client.request(stream=True), "n": len(choices)}, ItemStore())
    data = b"".join(chunks_of(choices, wire, route.kind, random))
    seen = asyncio.run(read(data[: int(len(data) * cut)], wire, len(choices), random))
    if seen is not None:
        for place, said in enumerate(choices):
            assert ChatClient().take_stream(choice_of(seen, place)) == said

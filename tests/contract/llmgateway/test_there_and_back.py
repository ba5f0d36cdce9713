"""Any conversation, through each pair of dialects and with a failover at any turn: nothing is lost, nothing refused.

The same code that serves a request prepares each one and reads each answer; the strict rules of a provider judge what
it would have been sent, and its writers make the answer as its API does.
"""

import json
import os
from typing import Any

import pytest
from contract.llmgateway.dialect_clients import CLIENTS, TOOLS
from contract.llmgateway.strict.route import MODELS, StrictRoute
from contract.llmgateway.strict.scripted import Said
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent_llmgateway.wire.call import WireRequest
from agent_llmgateway.wire.itemstore import ItemStore

PICTURE = "data:image/png;base64,iVBORw0KGgo="
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | TEXTS
ARGUMENTS = st.dictionaries(TEXTS, VALUES | st.lists(VALUES, max_size=2), max_size=3).map(json.dumps)
CALLS = st.lists(st.builds(Said, st.just("call"), ARGUMENTS, st.sampled_from(TOOLS)), max_size=3)
ANSWERS = st.tuples(TEXTS, TEXTS | st.just(""), CALLS, st.booleans(), st.booleans(), TEXTS, st.booleans())
"""Thoughts, text, calls, whether it is a stream, whether the main is down, what is asked next, and with a picture."""


WHOLE = os.environ.get("AGENTBERTH_WHOLE") == "1"
PROFILE = settings(
    max_examples=300 if WHOLE else 12,
    derandomize=not WHOLE,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def by_kind(said: list[Said], kind: str) -> Any:
    if kind == "call":
        return [(part.name, json.loads(part.text or "{}")) for part in said if part.kind == "call"]
    return "".join(part.text for part in said if part.kind == kind)


def thinks(route: StrictRoute, wire: WireRequest) -> bool:
    """Whether the model was asked to, and its API shows it."""
    if wire.dialect.name == "messages":
        return (json.loads(wire.body).get("thinking") or {}).get("type") == "enabled"
    return route.kind != "openai" or wire.dialect.name == "responses"


@pytest.mark.parametrize("client_type", CLIENTS)
@pytest.mark.parametrize("backup_kind", MODELS)
@pytest.mark.parametrize("main_kind", MODELS)
@settings(PROFILE)
@given(answers=st.lists(ANSWERS, min_size=1, max_size=5))
def test_nothing_is_lost_and_nothing_refused(
    client_type: Any, main_kind: str, backup_kind: str, answers: list[Any]
) -> None:
    client, items = client_type(), ItemStore()
    main = StrictRoute(main_kind)
    backup = main if backup_kind == main_kind else StrictRoute(backup_kind)
    client.user("please begin", None)
    for thoughts, text, calls, stream, is_down, asked, has_picture in answers:
        route = backup if is_down else main
        wire = route.prepare(client.dialect, client.request(stream=stream), items)
        said = [Said("thinking", thoughts)] if thinks(route, wire) else []
        spoken = text or ("" if calls else "done")
        said += [*([Said("text", spoken)] if spoken else []), *calls]
        given_back = route.answer(wire, said, stream=stream)
        seen = client.take_stream(given_back) if stream else client.take(json.loads(given_back))
        for kind in ("text", "call", "thinking"):
            assert by_kind(seen, kind) == by_kind(said, kind), (kind, given_back)
        if client.calls:
            client.results([f"result {number} {asked}" for number, _ in enumerate(client.calls)])
        else:
            client.user(asked, PICTURE if has_picture else None)

"""Models that nobody has described: what their provider refuses is learnt from its own words, by the real process."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.llmgateway.harness import Gateway, run_gateway
from contract.llmgateway.strict.server import StrictProvider

Document = dict[str, Any]
TURNS = [{"role": "user", "content": "[[plain]]"}]


class Rig:
    """A gateway before three strict providers, each with one model that is not in the gateway's table."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.providers = {
            kind: stack.enter_context(StrictProvider(kind)) for kind in ("openai", "anthropic", "openai-compatible")
        }
        keys = folder / "keys"
        keys.mkdir()
        (keys / "api-key").write_text("a-key")
        providers = [
            {"name": kind, "type": kind, "baseUrl": each.url, "credentials": str(keys), "model": "of-nobody-16k",
             "options": {"vendorApi": True} if kind != "openai-compatible" else {}}
            for kind, each in self.providers.items()
        ]  # fmt: skip
        aliases = [{"name": f"to-{kind}", "routes": [{"provider": kind}]} for kind in self.providers]
        aliases += [
            {
                "name": "first-verified",
                "routes": [{"provider": "openai", "model": "unverified"}, {"provider": "anthropic"}],
            }
        ]
        config = {"providers": providers, "models": aliases, "limits": {"backoffSeconds": 0.01}}
        self.gateway: Gateway = stack.enter_context(run_gateway(folder / "gateway", config))

    def ask(self, path: str, model: str, **fields: Any) -> httpx.Response:
        for each in self.providers.values():
            each.clear()
        return httpx.post(f"{self.gateway.url}/v1/{path}", json={"model": model, **fields}, timeout=60)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(stack, tmp_path_factory.mktemp("lessons"))


@pytest.mark.parametrize("kind", ["openai", "anthropic", "openai-compatible"])
@pytest.mark.parametrize(
    "path,fields",
    [
        ("messages", {"messages": TURNS, "max_tokens": 64_000}),
        ("chat/completions", {"messages": TURNS, "max_completion_tokens": 64_000}),
        ("responses", {"input": TURNS, "max_output_tokens": 64_000}),
    ],
)
def test_a_limit_above_that_of_an_unknown_model_is_carried_within_it(
    rig: Rig, kind: str, path: str, fields: Document
) -> None:
    provider = rig.providers[kind]
    for stream in (False, True, False):
        answer = rig.ask(path, f"to-{kind}", **fields, stream=stream)
        assert answer.status_code == 200, answer.text
        assert "max_" in answer.headers["x-agentberth-dropped"]
        assert len(provider.requests) <= 2, "a limit is learnt once"
    assert [request.status for request in provider.requests] == [200]


def test_who_names_the_model_gets_its_refusal(rig: Rig) -> None:
    answer = rig.ask("messages", "of-nobody-16k", messages=TURNS, max_tokens=64_000)
    assert answer.status_code == 200, "the first that serves it is of another dialect"
    answer = rig.ask("chat/completions", "of-nobody-16k", messages=TURNS, max_tokens=64_000)
    assert answer.status_code == 400
    assert "supports at most 16384" in answer.json()["error"]["message"]


def test_an_organisation_that_may_not_stream_is_asked_for_the_whole(rig: Rig) -> None:
    for refused in (1, 0):
        answer = rig.ask("chat/completions", "first-verified", messages=TURNS)
        assert (answer.status_code, answer.headers["x-agentberth-provider"]) == (200, "openai"), answer.text
        assert len(rig.providers["openai"].refusals) == refused
        assert rig.providers["anthropic"].requests == []

"""Two organisations behind one provider: what a conversation refers to stays on the key that made it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.llmgateway.harness import Gateway, run_gateway, wait_until
from contract.llmgateway.strict.rule import Memory
from contract.llmgateway.strict.server import StrictProvider

Document = dict[str, Any]
KEYS = {"api-key-a": "key-of-one-organisation", "api-key-b": "key-of-another-one"}


class Rig:
    """A gateway before a provider with two keys."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.provider = stack.enter_context(StrictProvider("openai"))
        self.provider.organisations = {value: Memory(secret=value) for value in KEYS.values()}
        self.keys = folder / "keys"
        self.keys.mkdir(parents=True)
        for name, value in KEYS.items():
            (self.keys / name).write_text(value)
        provider = {"name": "main", "type": "openai", "baseUrl": self.provider.url, "credentials": str(self.keys),
                    "model": "gpt-5"}  # fmt: skip
        config = {"providers": [provider], "limits": {"backoffSeconds": 0.01}}
        self.gateway: Gateway = stack.enter_context(run_gateway(folder / "gateway", config))

    def ask(self, *, stream: bool = False, **fields: Any) -> Document:
        """The answer, or the error with its status."""
        body = {"model": "gpt-5", "input": "[[plain]]", "stream": stream, **fields}
        answer = httpx.post(f"{self.gateway.url}/v1/responses", json=body, timeout=60)
        if answer.status_code != 200 or not stream:
            return {"status_code": answer.status_code, **answer.json()}
        data = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        last: Document = json.loads(data[-1])["response"]
        return {"status_code": 200, **last}

    def used(self) -> list[str]:
        """The keys of the requests that were taken, in their order."""
        shown = [each.headers["Authorization"] for each in self.provider.requests if each.status == 200]
        return [each.removeprefix("Bearer ") for each in shown]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as stack:
        yield Rig(stack, tmp_path)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_two_conversations_in_turn_each_stay_on_their_key(rig: Rig, *, stream: bool) -> None:
    begun = [rig.ask(stream=stream) for _ in KEYS]
    assert set(rig.used()) == set(KEYS.values()), "keys take turns"
    for _ in range(4):
        begun = [rig.ask(stream=stream, previous_response_id=each["id"]) for each in begun]
        assert [each["status_code"] for each in begun] == [200, 200], begun
    assert rig.provider.refusals == [], "nothing had to be found out"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_sealed_thoughts_go_back_to_their_organisation(rig: Rig, *, stream: bool) -> None:
    sealed = {"include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low"}, "store": False}
    asked = {"role": "user", "content": "[[thinking]]"}
    for _ in range(4):
        first = rig.ask(stream=stream, input=[asked], **sealed)
        turns = [asked, *first["output"], {"role": "user", "content": "[[plain]]"}]
        assert rig.ask(stream=stream, input=turns, **sealed)["status_code"] == 200
    assert rig.provider.refusals == []


def test_what_a_new_process_does_not_know_is_found_out_once(rig: Rig) -> None:
    memory = rig.provider.organisations[KEYS["api-key-b"]]
    memory.responses.add("resp_of_another_process")
    for _ in range(4):
        answer = rig.ask(previous_response_id="resp_of_another_process")
        assert answer["status_code"] == 200, answer
    assert len(rig.provider.refusals) <= 1
    assert set(rig.used()) == {KEYS["api-key-b"]}


def test_a_key_that_is_gone_ends_its_conversation_with_one_clear_error(rig: Rig) -> None:
    first = rig.ask()
    made_by = rig.used()[-1]
    name = next(name for name, value in KEYS.items() if value == made_by)
    (rig.keys / name).unlink()
    wait_until(lambda: rig.gateway.report().providers[0].keys == 1)
    answer = rig.ask(previous_response_id=first["id"])
    assert (answer["status_code"], answer["error"]["message"]) == (
        400, f"Previous response with id '{first['id']}' not found.",
    )  # fmt: skip
    assert rig.ask()["status_code"] == 200


def test_a_cache_key_finds_its_key_again(rig: Rig) -> None:
    for number in range(3):
        for _ in range(3):
            assert rig.ask(prompt_cache_key=f"conversation {number}")["status_code"] == 200
        used = rig.used()[-3:]
        assert len(set(used)) == 1, used

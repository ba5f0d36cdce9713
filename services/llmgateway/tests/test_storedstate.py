"""Ids and seals in the bytes of requests and answers, and the keys that made them."""

import json
from typing import Any

import pytest

from agent_llmgateway.failover.affinity import MOST_STATES, KeyAffinity, by_cache_key
from agent_llmgateway.upstream.keys import Key
from agent_llmgateway.wire.storedstate import cache_key_in, states_in

SEAL = "gAAAA" + "x" * 5000
REFERENCES: list[tuple[Any, Any]] = [
    ({"previous_response_id": "resp_12345678"}, {"id": "resp_12345678", "output": []}),
    ({"conversation": "conv_12345678"}, {"conversation": {"id": "conv_12345678"}}),
    ({"conversation": {"id": "conv_12345678"}}, {"conversation": {"id": "conv_12345678"}}),
    ({"container": "container_1"}, {"container": {"id": "container_1", "expires_at": "x"}}),
    (
        {"input": [{"type": "item_reference", "id": "rs_12345678"}]},
        {"output": [{"type": "reasoning", "id": "rs_12345678"}]},
    ),
    ({"input": [{"type": "reasoning", "encrypted_content": SEAL}]}, {"output": [{"encrypted_content": SEAL}]}),
    (
        {"messages": [{"role": "assistant", "audio": {"id": "audio_1234"}}]},
        {"message": {"audio": {"id": "audio_1234"}}},
    ),
]


@pytest.mark.parametrize("spaces", [(",", ":"), (", ", " : ")])
@pytest.mark.parametrize("request_document,answer", REFERENCES)
def test_what_a_request_refers_to_is_in_the_answer(request_document: Any, answer: Any, spaces: tuple[str, str]) -> None:
    made = states_in(json.dumps(answer, separators=spaces).encode())
    assert set(states_in(json.dumps(request_document).encode())) & set(made)


def test_what_is_only_told_of_is_no_reference() -> None:
    told = {"input": 'I saw "previous_response_id": "resp_12345678"', "model": "m"}
    assert states_in(json.dumps(told).encode()) == ()
    assert states_in(b"") == ()
    assert states_in(b'"id":"short"') == ()


def test_a_body_of_megabytes_is_read_in_time() -> None:
    hostile = b'{"id":"' * 300_000
    assert len(states_in(hostile)) <= 64
    assert states_in(b'"id"' + b" " * 2_000_000) == ()


def test_the_newest_state_decides_and_the_oldest_are_forgotten() -> None:
    affinity = KeyAffinity()
    affinity.note("a", [b"1", b"2"], "one")
    affinity.note("a", [b"2", b"3"], "two")
    assert affinity.find("a", [b"1", b"2"]) == "two"
    assert affinity.find("a", [b"3", b"1"]) == "one"
    assert affinity.find("b", [b"1"]) is None
    affinity.note("a", [str(number).encode() for number in range(10, MOST_STATES + 10)], "three")
    assert affinity.find("a", [b"1"]) is None


def test_a_cache_key_has_its_own_order_of_keys() -> None:
    keys = tuple(Key(name, name, name) for name in "abcd")
    orders = {by_cache_key(keys, cache_key_in(b'{"prompt_cache_key": "%d"}' % number))[0].name for number in range(50)}
    assert orders == set("abcd")
    assert cache_key_in(b"{}") == b""

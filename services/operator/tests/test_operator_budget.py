"""What the operator makes of Pods whose gateways hold slices of a budget, and of the ledger in a status."""

import json
from typing import Any

import msgspec
import pytest
from services.operator.tests.operator_objects import pod, state

from agent_api.budget.granting import granted, noted
from agent_api.budget.grants import GrantReceipt, LastReceipt, Standing
from agent_api.budget.ledger import BudgetLedger, PodState, opened
from agent_api.budget.limits import amounts_of
from agent_api.signing import Signer
from agent_operator.budget.budgetstatus import read_ledger, show_ledger
from agent_operator.budget.keeper import budget_in
from agent_operator.budget.pods import is_running, states_of
from agent_operator.children.granted import with_granted_budget
from agent_operator.objects import AgentObject
from agent_operator.reconcile import with_budget
from agent_render.objects.podkeys import PodKeys

KEYS = PodKeys("secret" * 8)
SPENT = GrantReceipt(serial=4, standings=(Standing(limit="tokensPerHour", window=1, cap=30, spent=30),))
NOW = 1_800_000_000.0


def last_words(signer: Signer, receipt: GrantReceipt = SPENT) -> str:
    text = receipt.model_dump_json(by_alias=True)
    return LastReceipt(receipt=text, signature=signer.sign("last receipt", "", text.encode())).model_dump_json()


def ended(message: str) -> dict[str, Any]:
    return state("llmgateway", terminated={"exitCode": 0, "message": message})


def test_the_last_words_of_a_gateway_are_believed_when_they_are_its_own() -> None:
    own, other = KEYS.signer("llmgateway", "uid-pod"), KEYS.signer("llmgateway", "uid-other")
    tools = KEYS.signer("toolproxy", "uid-pod")
    texts = [last_words(own), last_words(other), last_words(tools), "", "{", "[" * 4000, '{"receipt": 1}']
    found = [states_of([pod(init=(ended(text),), phase="Succeeded")], KEYS)["uid-pod"] for text in texts]
    assert [each.ended for each in found] == [True] * len(texts)
    assert [each.receipt for each in found] == [SPENT, *[None] * (len(texts) - 1)]


@pytest.mark.parametrize(
    "container, phase, deleted, known",
    [
        (state("llmgateway", running={}), "Running", False, False),
        (ended(""), "Running", False, False),  # it is started again
        (ended(""), "Running", True, True),
        (ended(""), "Failed", False, True),
        (state("llmgateway", running={}), "Failed", False, None),  # evicted: nobody says that it has ended
        (state("toolproxy", running={}), "Failed", False, None),
    ],
)
def test_a_pod_has_ended_when_nothing_starts_its_gateway_again(
    container: dict[str, Any], phase: str, *, deleted: bool, known: bool | None
) -> None:
    metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else None
    found = states_of([pod(init=(container,), phase=phase, metadata=metadata)], KEYS)
    assert [each.ended for each in found.values()] == ([] if known is None else [known])


def test_a_gateway_is_asked_while_it_runs() -> None:
    running = state("llmgateway", running={})
    assert is_running(pod(init=(running,), podIP="10.0.0.1"))
    assert not is_running(pod(init=(running,)))
    assert not is_running(pod(init=(ended(""),), podIP="10.0.0.1"))
    assert not is_running(pod(podIP="10.0.0.1"))


def test_a_ledger_is_read_as_it_was_shown_and_a_damaged_one_begins_anew() -> None:
    pods = {"a": PodState("a", receipt=GrantReceipt(serial=0))}
    ledger = granted(
        noted(opened(BudgetLedger(), {"tokensPerHour": 800, "usdPerDay": 2_500_000}, (), (), NOW), pods, NOW), pods
    )
    shown = show_ledger(ledger)
    assert shown["summary"] == "0 of 800 tokens per hour; 0.00 of 2.50 USD per day"
    assert shown["limits"][1] == {
        "name": "usdPerDay", "limit": 2.5, "spent": 0.0, "granted": 0.3125, "resetsAt": "2027-01-16T00:00:00Z"
    }  # fmt: skip
    assert read_ledger(json.loads(json.dumps(shown))) == ledger
    for damaged in (None, {}, {"ledger": {"serial": -1}}, {"ledger": {"pools": "x"}}):
        assert read_ledger(damaged) == BudgetLedger()


def test_other_writers_of_the_status_leave_the_budget_as_it_is() -> None:
    before = {"llmStatus": {"answering": "a", "budget": {"summary": "x"}}}
    assert with_budget({"phase": "Failed"}, before)["llmStatus"] == {"budget": {"summary": "x"}}
    assert with_budget({"llmStatus": {"answering": "b"}}, before)["llmStatus"]["answering"] == "b"
    assert with_budget({"phase": "Failed"}, {"llmStatus": {}}) == {"phase": "Failed"}


def agent(spec: Any) -> AgentObject:
    return msgspec.convert({"metadata": {"name": "x"}, "spec": msgspec.Raw(json.dumps(spec).encode())}, AgentObject)


def test_limits_are_read_of_the_spec() -> None:
    budget = {"tokensPerHour": 5, "usdPerRun": 0.5}
    assert amounts_of(budget_in(agent({"llm": {"budget": budget}}))) == {"tokensPerHour": 5, "usdPerRun": 500_000}
    others: list[Any] = [
        {},
        {"llm": {}},
        {"llm": {"budget": {}}},
        {"llm": {"budget": {"tokensPerHour": "x"}}},
        {"llm": 3},
    ]
    for other in others:
        assert amounts_of(budget_in(agent(other))) == {}
    assert budget_in(agent({"llm": {"budget": {"warnAtPercent": 55}}})).warn_at_percent == 55
    assert budget_in(agent({})).warn_at_percent == 80


def test_only_gateways_with_limits_are_told_that_they_are_granted() -> None:
    def config(**budget: Any) -> dict[str, Any]:
        data = {"gateway.json": json.dumps({"budget": {"tokensPerHour": None, "granted": False, **budget}})}
        return {"kind": "ConfigMap", "metadata": {"name": "x-berth"}, "data": data}

    def told(child: dict[str, Any]) -> bool:
        (found,) = with_granted_budget((child,), "x-berth")
        granted_there: bool = json.loads(found["data"]["gateway.json"])["budget"]["granted"]
        return granted_there

    assert told(config(tokensPerHour=5))
    assert not told(config())
    assert not told({**config(tokensPerHour=5), "metadata": {"name": "other"}})

from typing import Any

import pytest

from agent_api.problems import examine


def agent(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "agents.example.com/v1",
        "kind": "AgentType",
        "metadata": {"name": "web"},
        "spec": {"agent": {"image": "nginx:1.27"}, **spec},
    }


def messages(document: dict[str, Any]) -> list[str]:
    return [f"{p.severity} {p.field}: {p.message}" for p in examine(document).problems]


def test_all_rules_that_break_are_told_at_once() -> None:
    document = agent(
        workload={"schedule": "@daily"},
        scaling={"minReplicas": 3, "maxReplicas": 1},
        memory={"type": "inmemory"},
    )

    assert messages(document) == [
        "error spec.workload: schedule, timeZone and concurrencyPolicy are for kind: CronJob",
        "error spec.scaling.minReplicas: minReplicas is larger than maxReplicas",
    ]


def test_null_is_as_if_it_were_not_there() -> None:
    assert messages(agent(tools=None, scaling=None)) == []


def test_misspelt_setting_of_a_provider_is_a_warning_because_it_is_passed_on() -> None:
    provider = {"name": "a", "type": "openai", "credentialsSecret": "s", "config": {"modell": "x"}}
    document = agent(llm={"providers": [provider]})

    assert messages(document) == [
        (
            "warning spec.llm.providers[0].config.modell: "
            'not a setting Agentberth knows; it is passed on as it is: did you mean "model"?'
        )
    ]
    parsed = examine(document).agent
    assert parsed is not None
    assert parsed.spec.llm is not None
    assert parsed.spec.llm.providers[0].config.model_extra == {"modell": "x"}


def test_the_script_of_a_mock_is_judged_by_the_gateway() -> None:
    document = agent(llm={"providers": [{"name": "a", "type": "mock", "config": {"replies": []}}]})

    assert messages(document) == []


def test_a_metric_is_judged_as_kubernetes_judges_it() -> None:
    metric = {"type": "Resource", "resource": {"name": "cpu"}}

    told = messages(agent(scaling={"maxReplicas": 2, "metrics": [metric]}))

    assert told == ["error spec.scaling.metrics[0].resource.target: is required"]


def test_a_field_nothing_resembles_is_told_with_what_is_known() -> None:
    (message,) = messages(agent(quux=1))

    assert message.startswith("error spec.quux: unknown field; known here: agent, llm, memory")


def test_a_field_of_a_newer_version_does_not_stop_an_older_reader() -> None:
    verdict = examine(agent(berths=2), newer_fields=True)

    assert verdict.agent is not None
    assert [(p.field, p.severity) for p in verdict.problems] == [("spec.berths", "warning")]


@pytest.mark.parametrize("kind", ["Agent", "Deployment"])
def test_other_kinds_are_refused(kind: str) -> None:
    assert messages({**agent(), "kind": kind}) == ['error kind: must be "AgentType"']


def test_status_and_server_side_metadata_are_left_alone() -> None:
    document = agent()
    document["metadata"] |= {"managedFields": [], "creationTimestamp": "2026-01-01T00:00:00Z"}
    document["status"] = {"phase": "Running", "unknownLater": 1}

    assert messages(document) == []


@pytest.mark.parametrize("port", ["http", 8080], ids=["by name", "by number"])
def test_a_probe_takes_a_port_by_name_or_number(port: str | int) -> None:
    document = agent()
    document["spec"]["agent"]["ports"] = [{"name": "http", "containerPort": 8080}]
    document["spec"]["agent"]["probes"] = {"readiness": {"httpGet": {"port": port}}}

    assert messages(document) == []


def test_a_port_of_another_type_is_one_problem_not_two() -> None:
    document = agent()
    document["spec"]["agent"]["probes"] = {"readiness": {"httpGet": {"port": 8.5}}}

    assert len(messages(document)) == 1

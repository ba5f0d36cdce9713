"""What `validate` accepts the API server accepts, and so it does the children that the operator makes of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from integration.api import AGENTS, APPLY, PREFIXES, Document, RefusedError
from integration.cluster import ROOT
from integration.namespace import Namespace

from agent_api.problems import examine
from agent_render import PlatformSettings, render

EDITS: Document = yaml.safe_load((ROOT / "tests" / "manifests" / "edits.yaml").read_text())
PLURALS = {
    "ServiceAccount": "serviceaccounts",
    "ConfigMap": "configmaps",
    "NetworkPolicy": "networkpolicies",
    "Service": "services",
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "Job": "jobs",
    "CronJob": "cronjobs",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "PersistentVolumeClaim": "persistentvolumeclaims",
}


def merged(base: Any, change: Any) -> Any:
    """`change` over `base`, as a merge patch; "FILL*3" is a text of three characters."""
    if isinstance(change, dict):
        known = base if isinstance(base, dict) else {}
        return {**known, **{name: merged(known.get(name), value) for name, value in change.items()}}
    if isinstance(change, list):
        return [merged(None, item) for item in change]
    if isinstance(change, str) and change.startswith("FILL*"):
        return "x" * int(change.removeprefix("FILL*"))
    return change


def documents(verdict: str) -> Iterator[tuple[str, Document]]:
    for name, change in EDITS[verdict].items():
        spec = merged(EDITS["base"], change)
        if spec.get("workload", {}).get("kind") == "CronJob":
            spec["memory"] = {"type": "inmemory"}
        yield (
            name,
            {
                "apiVersion": "agents.example.com/v1",
                "kind": "AgentType",
                "metadata": {"name": "edited"},
                "spec": json.loads(json.dumps(spec)),
            },
        )


async def refusal(namespace: Namespace, method: str, path: str, document: Document, **query: str) -> str:
    """The server's words, "" when it would take `document`. Nothing is kept."""
    strictly = {"dryRun": "All", "fieldValidation": "Strict", **query}
    try:
        await namespace.api.call(method, path, document, query=strictly, media=APPLY if query else "application/json")
    except RefusedError as error:
        return error.message
    return ""


async def judge(namespace: Namespace, document: Document) -> str:
    path = f"{PREFIXES[AGENTS]}/namespaces/{namespace.name}/{AGENTS}"
    return await refusal(namespace, "POST", path, document)


async def refused_children(namespace: Namespace, document: Document) -> Iterator[str]:
    agent = examine(document).agent
    assert agent is not None
    found = []
    for child in render(agent, PlatformSettings()):
        plural, name = PLURALS[child["kind"]], child["metadata"]["name"]
        path = f"{PREFIXES.get(plural, '/api/v1')}/namespaces/{namespace.name}/{plural}/{name}"
        child["metadata"]["namespace"] = namespace.name
        said = await refusal(namespace, "PATCH", path, child, fieldManager="law", force="true")
        found += [f"{child['kind']}: {said}"] if said else []
    return iter(found)


@pytest.mark.long
async def test_what_is_good_is_taken_by_all_three(own_namespace: Namespace) -> None:
    wrong: dict[str, Any] = {}
    for name, document in documents("good"):
        own = [f"{problem.field}: {problem.message}" for problem in examine(document).problems]
        said = await judge(own_namespace, document)
        children = [] if own else list(await refused_children(own_namespace, document))
        if own or said or children:
            wrong[name] = (own, said, children)

    assert wrong == {}


async def test_what_is_bad_is_refused_by_both_judges_of_the_agent(own_namespace: Namespace) -> None:
    wrong: dict[str, Any] = {}
    for name, document in documents("bad"):
        own = [f"{problem.field}: {problem.message}" for problem in examine(document).errors]
        said = await judge(own_namespace, document)
        if not own or not said:
            wrong[name] = (own, said)

    assert wrong == {}


def test_the_corpus_has_as_many_as_were_found_and_forty_more() -> None:
    assert len(EDITS["good"]) + len(EDITS["bad"]) >= 55 + 40

"""Objects of every earlier form of the API outlive its upgrades, on an API server whose definition is replaced."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.api import AGENTS, Document, RefusedError, define_agents
from integration.cluster import ROOT, Cluster, start_cluster, stop_cluster
from integration.conftest import open_namespace
from integration.namespace import Namespace, condition
from integration.operating import OperatorProcess
from integration.waiting import eventually

pytestmark = pytest.mark.step5

EXAMPLES = ROOT / "tests" / "manifests" / "valid"
FIRST = "basic-agent"
LATER = ("container-agent", "code-agent", "tooled-agent", "full-agent", "production-agent")


def example(name: str) -> Document:
    document: Document = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    return document


@pytest.fixture(scope="module")
def old_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An API server of its own: there is one definition per cluster, and others are at work with theirs."""
    found = start_cluster(tmp_path_factory.mktemp("old"))
    yield found
    stop_cluster(found)


@pytest.fixture
async def old_namespace(old_cluster: Cluster) -> AsyncIterator[Namespace]:
    """A namespace in it."""
    async with open_namespace(old_cluster, "upgraded") as found:
        yield found


async def create_once_known(namespace: Namespace, document: Document) -> None:
    """Creates an object as soon as the server knows its fields: a replaced definition takes a moment."""

    async def created() -> bool:
        try:
            await namespace.api.create(AGENTS, document)
        except RefusedError as refusal:
            raise AssertionError(refusal.message) from refusal
        return True

    await eventually(created)


async def present_form_is_served(namespace: Namespace) -> None:
    async def shown() -> bool:
        return "Reason" in await namespace.api.table(AGENTS, FIRST)

    await eventually(shown)


async def accepted(namespace: Namespace, name: str) -> Document:
    """The AgentType once the operator has said that it is valid."""

    async def said() -> Document:
        found = await namespace.agent(name)
        assert condition(found, "Accepted").get("status") == "True", found.get("status")
        return found

    return await eventually(said)


def missing(before: Any, after: Any) -> Any:
    """What of `before` is not in `after`; fields that came with defaults do not count."""
    if isinstance(before, Mapping):
        lost = {key: missing(value, (after or {}).get(key)) for key, value in before.items()}
        return {key: value for key, value in lost.items() if value}
    if isinstance(before, list) and len(before) == len(after or ()):
        return [lost for pair in zip(before, after, strict=True) if (lost := missing(*pair))]
    return None if before == after else before or "empty"


async def test_objects_of_every_earlier_form_are_carried_out_after_the_upgrade(
    old_cluster: Cluster, old_namespace: Namespace, tmp_path: Path
) -> None:
    await define_agents(old_cluster, "step1")
    old = {**example(FIRST), "status": {"phase": "Starting", "message": "a word that no present phase has"}}
    await create_once_known(old_namespace, old)
    await define_agents(old_cluster, "step5")
    for name in LATER:
        await create_once_known(old_namespace, example(name))
    stored = {name: (await old_namespace.agent(name))["spec"] for name in (FIRST, *LATER)}

    await define_agents(old_cluster)
    await present_form_is_served(old_namespace)
    arguments = ("--namespaces", old_namespace.name, "--leader-election=false")
    with OperatorProcess(old_cluster.kubeconfig, tmp_path, arguments=arguments) as operator:
        await operator.ready()
        for name in stored:
            await old_namespace.finds("deployments", name)
        await old_namespace.reaches(FIRST, "Running", ready="True")

        agents = {name: await accepted(old_namespace, name) for name in stored}
        lost = {name: missing(spec, agents[name]["spec"]) for name, spec in stored.items()}
        assert not any(lost.values()), lost
        assert operator.problems() == []

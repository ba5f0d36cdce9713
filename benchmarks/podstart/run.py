"""What our containers add to the start of a Pod: from `kubectl apply` to the agent's first instruction, and memory.

    uv run python benchmarks/podstart/run.py [--rounds 5] [--limit-s 3]

It runs where the e2e tests do: on the cluster of KUBECONFIG, else on a node of this machine (as root). The same agent
is started as a bare Pod and as AgentTypes with more and more around it; they take turns, so that whatever else the
machine does hits all. Exit code 1: the full Pod takes more than the limit longer than the bare one, by the medians.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))  # so that `e2e` can be imported

from e2e.agents import PYTHON_VERSION
from e2e.deployment import deploy_operator
from e2e.kubectl import KubectlError
from e2e.namespace import Agent, Namespace
from e2e.place import Site, open_cluster, site_of
from e2e.providers import provider, serving
from e2e.waiting import eventually
from memory import Memory, measure

LOOK_S = 1.0
"""Seldom: a kubectl takes CPU from what is measured, and the agent tells the time itself."""
FIRST = "import time; print(time.time_ns(), flush=True); import signal; signal.pause()"
FILES = {"files": [{"path": "greeting.txt", "content": "ahoy"}]}
TOOLS = {"tools": {"required": ["jq"]}}
BARE, FULL = "bare Pod", "initenv, toolproxy, llmgateway"


def shapes(url: str) -> dict[str, Mapping[str, Any] | None]:
    """What is around the agent, by name: parts of the AgentType's spec, None for a Pod without the operator."""
    llm = {"llm": {"providers": [provider("mock", url)]}}
    environment = {"environment": FILES}
    return {
        BARE: None,
        "AgentType alone": {},
        "initenv": environment,
        "llmgateway": llm,
        "toolproxy": TOOLS,
        FULL: {**environment, **TOOLS, **llm},
    }


def bare_pod(name: str, namespace: str, image: str) -> dict[str, Any]:
    """The agent's container, as the operator would harden it, and nothing else."""
    context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "agent", "image": image, "command": ["python", "-c", FIRST], "securityContext": context}
    spec = {"containers": [container], "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1}
    labels = {"agents.example.com/agent": name}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def start(namespace: Namespace, site: Site, extra: Mapping[str, Any] | None, name: str) -> Agent:
    """Applies one of the shapes."""
    image = site.images.python.format(version=PYTHON_VERSION)
    if extra is None:
        namespace.kubectl.apply(bare_pod(name, namespace.name, image))
        return Agent(namespace, name)
    environment = {"environment": extra["environment"]} if "environment" in extra else {}
    agent = {"image": image, "command": ["python", "-c", FIRST], **environment}
    spec = {part: value for part, value in extra.items() if part != "environment"}
    return namespace.create(name, agent, security={"profile": "restricted"}, **spec)


def first_instruction_ns(agent: Agent) -> int:
    """When the agent's own code began, by the node's clock."""

    def look() -> str:
        time.sleep(LOOK_S)
        try:
            return agent.log().strip()
        except (KubectlError, AssertionError):  # no Pod yet, or its container has not started
            return ""

    return int(eventually(look, what=f"{agent.name} has begun"))


def remove(agent: Agent, extra: Mapping[str, Any] | None) -> None:
    """Removes it; the next one starts on a quiet node."""
    if extra is None:
        agent.namespace.kubectl.run("delete", "pod", agent.name, "-n", agent.namespace.name)
    else:
        agent.delete()
        eventually(lambda: not agent.pods(), what=f"{agent.name} has gone")


def rounds(namespace: Namespace, site: Site, url: str, count: int) -> tuple[dict[str, list[float]], list[Memory]]:
    """Seconds of each start by shape, and what the full Pod's containers hold in the last one."""
    took: dict[str, list[float]] = {}
    memory: list[Memory] = []
    for number in range(count + 1):  # the first is for warming up
        for position, (shape, extra) in enumerate(shapes(url).items()):
            begun = time.time_ns()
            agent = start(namespace, site, extra, f"berth-{number}-{position}")
            seconds = (first_instruction_ns(agent) - begun) / 1e9
            if number:
                took.setdefault(shape, []).append(seconds)
            if number == count and shape == FULL and site.own:
                agent.wait_phase("Running")
                memory = measure(agent.pod())
            remove(agent, extra)
    return took, memory


def report(took: Mapping[str, list[float]], memory: list[Memory]) -> float:
    """Prints both tables; returns the seconds that the full Pod takes longer than the bare one."""
    medians = {shape: statistics.median(seconds) for shape, seconds in took.items()}
    bare = medians[BARE]
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {len(took[BARE])} rounds\n")
    print("| around the agent | s, median | s, least | added s | ratio |\n|---|---:|---:|---:|---:|")
    for shape, seconds in took.items():
        median = medians[shape]
        print(f"| {shape} | {median:.2f} | {min(seconds):.2f} | {median - bare:.2f} | {median / bare:.2f} |")
    if memory:
        print("\n| container | PSS MB | cgroup working set MB |\n|---|---:|---:|")
        sidecars = Memory("both sidecars")
        for one in memory:
            print(one.row())
            sidecars = sidecars.plus(one) if one.name in ("toolproxy", "llmgateway") else sidecars
        print(sidecars.row())
    return medians[FULL] - bare


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="counted starts of each shape")
    parser.add_argument("--limit-s", type=float, default=3.0, help="what may be added")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        site = site_of(os.environ, stack.enter_context(open_cluster(os.environ)))
        deploy_operator(site, folder)
        url = stack.enter_context(serving({}, host=site.host, file=folder / "mock.yaml"))
        namespace = f"podstart-{uuid.uuid4().hex[:6]}"
        site.kubectl.run("create", "namespace", namespace)
        stack.callback(site.kubectl.run, "delete", "namespace", namespace, "--wait=false")
        added = report(*rounds(Namespace(site.kubectl, namespace), site, url, options.rounds))
    print(f"\nadded: {added:.2f} s of {options.limit_s:.0f} s")
    sys.exit(added > options.limit_s)


if __name__ == "__main__":
    main()

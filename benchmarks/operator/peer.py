"""The peer: an operator of the same children on Go's controller-runtime, built and measured in the same run."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents import agent_document, children
from integration.cluster import Cluster
from phases import Converged, converge

NAMESPACE = "bench-peer"
SOURCE = Path(__file__).with_name("controller-runtime")


async def run_peer(cluster: Cluster, folder: Path, count: int, shape: str) -> Converged:
    """Converges `count` AgentTypes under the peer."""
    with start_peer(cluster, folder, shape) as pid:
        return await converge(cluster, pid, count, shape, namespace=NAMESPACE)


@contextmanager
def start_peer(cluster: Cluster, folder: Path, shape: str) -> Iterator[int]:
    """Builds the peer and runs it; its process id."""
    program, template = folder / "operator-peer", folder / "children.json"
    build = ["go", "build", "-trimpath", "-o", str(program), "."]
    subprocess.run(build, cwd=SOURCE, check=True, env={**os.environ, "CGO_ENABLED": "0"})
    text = json.dumps(children(agent_document(0, NAMESPACE, shape)))
    template.write_text(text.replace(agent_document(0, NAMESPACE, shape)["metadata"]["name"], "{name}"))
    command = [str(program), "--config", str(cluster.kubeconfig), "--namespace", NAMESPACE, "--children", str(template)]
    with (folder / "peer.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield process.pid
        finally:
            process.terminate()

"""How fast the operator is on a real API server, beside a client that makes the same children without any operator.

    uv run python benchmarks/operator/bench.py [--count 500] [--agent full|basic] [--resync-s 30]

A control plane of its own with fake nodes is started (see docs/development/testcluster.md), so the rates hold the API
server, etcd, the controllers and the fake kubelet on the same machine. One table; the ratios are of one run.
"""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests")]

from floor import Floor, run_floor  # noqa: E402 - the path is set only now
from integration.api import define_agents  # noqa: E402 - likewise
from integration.cluster import Cluster, run_cluster  # noqa: E402 - likewise
from phases import Converged, HandOver, Steady, converge, hand_over, start_operator, stay  # noqa: E402 - likewise

PODS_PER_NODE = 1000


@dataclass
class Results:
    """What one run has measured."""

    load_before: float
    floor: Floor | None = None
    converged: Converged | None = None
    steady: Steady | None = None
    hand_overs: dict[str, HandOver] = field(default_factory=dict)


def main() -> None:
    """Run all phases and print the table."""
    parser = argparse.ArgumentParser(description="Measure the operator on a real API server.")
    parser.add_argument("--count", type=int, default=500, help="AgentTypes (default 500)")
    parser.add_argument("--agent", choices=("full", "basic"), default="full", help="four children each, or two")
    parser.add_argument("--resync-s", type=float, default=30, help="seconds between looks at the steady state")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agentberth-bench-") as folder:
        results = asyncio.run(measure(Path(folder), options.count, options.agent, options.resync_s))
    print(table(results, options.count, options.agent, options.resync_s))


async def measure(folder: Path, count: int, agent: str, resync_s: float) -> Results:
    """All phases, one after the other, on one cluster."""
    results = Results(os.getloadavg()[0])
    cluster = await asyncio.to_thread(start, folder / "home", count)
    try:
        await define_agents(cluster)
        results.floor = await run_floor(cluster, count, agent)
        with start_operator(cluster, folder, "first") as first:
            await first.ready()
            results.converged = await converge(cluster, first, count, agent)
            with start_operator(cluster, folder, "second", "--resync-s", str(resync_s)) as second:
                await second.ready()
                results.hand_overs["TERM"] = await hand_over(first, second, "TERM")
                results.steady = await stay(cluster, second, count, resyncs=3, resync_s=resync_s)
                with start_operator(cluster, folder, "third") as third:
                    await third.ready()
                    results.hand_overs["KILL"] = await hand_over(second, third, "KILL")
    finally:
        await asyncio.to_thread(run_cluster, "down", "--home", str(folder / "home"))
    return results


def start(home: Path, count: int) -> Cluster:
    """A control plane with room for the floor's Pods or the operator's."""
    nodes = count // PODS_PER_NODE + 2
    flags = ("--control-plane", "--home", str(home), "--kwok", str(nodes), "--api-qps", "500")
    run_cluster("up", *flags, "--owner-pid", str(os.getpid()))
    return Cluster(Path(run_cluster("kubeconfig", "--home", str(home)).strip()), home)


def table(results: Results, count: int, agent: str, resync_s: float) -> str:
    """The results as Markdown."""
    floor, converged, steady = results.floor, results.converged, results.steady
    assert floor is not None
    assert converged is not None
    assert steady is not None
    term, kill = results.hand_overs["TERM"], results.hand_overs["KILL"]
    ratio = converged.rate / floor.ready_rate
    rows = [
        ("the children by a bare client, created", f"{floor.created_rate:.1f} agents/s", ""),
        ("the children by a bare client, Pods ready", f"{floor.ready_rate:.1f} agents/s", "1.00"),
        ("operator, Pods ready and said so", f"{converged.rate:.1f} agents/s", f"{ratio:.2f}"),
        ("CPU of all processes for each agent: bare client", f"{sum(floor.cpu_ms.values()):.1f} ms", ""),
        ("CPU of all processes for each agent: operator", f"{sum(converged.cpu_ms.values()):.1f} ms", ""),
        ("AgentType created -> first status, p50 / p99", f"{converged.p50_s:.2f} s / {converged.p99_s:.2f} s", ""),
        ("the same, one at a time, p50", f"{converged.alone_p50_s * 1000:.0f} ms", ""),
        ("writes of the operator for each agent, events apart", f"{converged.writes_per_agent:.2f}", ""),
        ("RSS of the operator, then / at most", f"{converged.rss_mb:.0f} MB / {converged.peak_mb:.0f} MB", ""),
        ("writes in the steady state, 3 resyncs", f"{steady.writes} ({steady.passes} passes)", ""),
        ("RSS in the steady state", f"{steady.rss_mb:.0f} MB", ""),
        ("takeover after SIGTERM", f"{term.seconds:.2f} s", ""),
        ("takeover after SIGKILL", f"{kill.seconds:.1f} s", ""),
    ]
    revision = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True)
    head = (
        f"{count} AgentTypes ({agent}), {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores {platform.machine()}, "
        f"Python {platform.python_version()}, revision {revision.strip()}, load before {results.load_before:.1f}, "
        f"resync {resync_s:g} s\n\n| what | measured | ratio |\n|---|---|---|\n"
    )
    text = head + "\n".join(f"| {what} | {value} | {part} |" for what, value, part in rows)
    return text + "\n\n" + cpu_table(floor.cpu_ms, converged.cpu_ms)


def cpu_table(floor: Mapping[str, float], converged: Mapping[str, float]) -> str:
    """CPU by process: where the time of each agent goes."""
    head = "| CPU for each agent | bare client | operator |\n|---|---|---|\n"
    rows = (f"| {name} | {floor.get(name, 0):.1f} ms | {used:.1f} ms |" for name, used in converged.items())
    return head + "\n".join(rows)


if __name__ == "__main__":
    main()

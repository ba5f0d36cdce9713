"""How fast the operator is on a real API server, beside a client that makes the same children without any operator.

    uv run python benchmarks/operator/bench.py [--count 500] [--agent full|basic|whole] [--resync-s 30] [--rounds 1]
        [--no-floor] [--peer]

Each contender gets a control plane of its own with fake nodes (see docs/development/testcluster.md), so the rates hold
the API server, etcd, the controllers and the fake kubelet on the same machine. One table; the ratios are of one run.
"""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests")]

from agents import SHAPES  # noqa: E402 - the path is set only now
from floor import Floor, run_floor  # noqa: E402 - the path is set only now
from integration.api import define_agents  # noqa: E402 - likewise
from integration.cluster import Cluster, run_cluster  # noqa: E402 - likewise
from peer import run_peer  # noqa: E402 - likewise
from phases import Converged, HandOver, Steady, converge, hand_over, start_operator, stay  # noqa: E402 - likewise
from pod import ACCOUNT, give_rights  # noqa: E402 - likewise
from sidecars import enter_network, reporting  # noqa: E402 - likewise

PODS_PER_NODE = 1000
Run = TypeVar("Run", Floor, Converged)


@dataclass
class Results:
    """What one run has measured: of each contender once a round, of ours in the end what comes after."""

    load_before: float
    floors: list[Floor] = field(default_factory=list)
    peers: list[Converged] = field(default_factory=list)
    ours: list[Converged] = field(default_factory=list)
    steady: Steady | None = None
    hand_overs: dict[str, HandOver] = field(default_factory=dict)


def main() -> None:
    """Run all phases and print the table."""
    parser = argparse.ArgumentParser(description="Measure the operator on a real API server.")
    parser.add_argument("--count", type=int, default=500, help="AgentTypes (default 500)")
    parser.add_argument(
        "--agent", choices=tuple(SHAPES), default="full", help="three children each, five, or all parts"
    )
    parser.add_argument("--resync-s", type=float, default=30, help="seconds between looks at the steady state")
    parser.add_argument("--rounds", type=int, default=1, help="times in turn; the round of the middle rate is shown")
    parser.add_argument("--no-floor", action="store_true", help="leave the bare client out: half of the time, no ratio")
    parser.add_argument("--peer", action="store_true", help="also an operator on controller-runtime (needs go)")
    options = parser.parse_args()
    if options.agent == "whole":
        if options.peer:
            parser.error("--peer makes the children of basic and full agents alone")
        run_cluster("build", "--control-plane", "--kwok")  # a network of its own leads nowhere
        enter_network()
    with tempfile.TemporaryDirectory(prefix="agentberth-bench-") as folder:
        results = asyncio.run(measure(Path(folder), options))
    print(table(results, options.count, options.agent, options.resync_s))


async def measure(folder: Path, options: argparse.Namespace) -> Results:
    """The rounds; the Pods' sidecars report where agents have any."""
    results, count, agent = Results(os.getloadavg()[0]), options.count, options.agent
    for _ in range(options.rounds):
        if not options.no_floor:
            async with control_plane(folder / "floor", count) as cluster:
                results.floors.append(await run_floor(cluster, count, agent))
        if options.peer:
            async with control_plane(folder / "peer", count) as cluster:
                results.peers.append(await run_peer(cluster, folder, count, agent))
        async with control_plane(folder / "ours", count) as cluster, reporting() if agent == "whole" else nullcontext():
            with tempfile.TemporaryDirectory(dir=folder) as own:
                await run_ours(cluster, Path(own), options, results)
    return results


async def run_ours(cluster: Cluster, folder: Path, options: argparse.Namespace, results: Results) -> None:
    """Converge; in the last round also hand over, rest, and hand over again."""
    count, resync_s = options.count, options.resync_s
    await give_rights(cluster, folder / ACCOUNT)
    with start_operator(cluster, folder, "first") as first:
        await first.ready()
        results.ours.append(await converge(cluster, first.pid, count, options.agent))
        if len(results.ours) < options.rounds:
            return
        with start_operator(cluster, folder, "second", "--resync-s", str(resync_s)) as second:
            await second.ready()
            results.hand_overs["TERM"] = await hand_over(first, second, "TERM")
            results.steady = await stay(cluster, second, count, resyncs=3, resync_s=resync_s)
            with start_operator(cluster, folder, "third") as third:
                await third.ready()
                results.hand_overs["KILL"] = await hand_over(second, third, "KILL")


@asynccontextmanager
async def control_plane(home: Path, count: int) -> AsyncIterator[Cluster]:
    """A fresh one with room for `count` Pods and AgentTypes defined: what one contender leaves would slow the next."""
    flags = ("--control-plane", "--home", str(home), "--kwok", str(count // PODS_PER_NODE + 2), "--api-qps", "500")
    await asyncio.to_thread(run_cluster, "up", *flags, "--owner-pid", str(os.getpid()))
    try:
        kubeconfig = await asyncio.to_thread(run_cluster, "kubeconfig", "--home", str(home))
        cluster = Cluster(Path(kubeconfig.strip()), home)
        await define_agents(cluster)
        yield cluster
    finally:
        await asyncio.to_thread(run_cluster, "down", "--home", str(home))


def table(results: Results, count: int, agent: str, resync_s: float) -> str:
    """The results as Markdown."""
    revision = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True)
    head = (
        f"{count} AgentTypes ({agent}), {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores {platform.machine()}, "
        f"Python {platform.python_version()}, revision {revision.strip()}, load before {results.load_before:.1f}, "
        f"resync {resync_s:g} s"
    )
    return "\n\n".join((head, rates(results), at_rest(results), cpu_table(results)))


def rates(results: Results) -> str:
    """How fast, with the bare client as the measure."""
    floor = middle(results.floors)
    rows = [
        "| until all Pods are ready | agents/s | ratio | first status p50 / p99 | writes each | RSS, then / at most |",
        "|---|---:|---:|---:|---:|---:|",
        *([f"| a bare client | {spread(results.floors)} | 1.00 | | | |"] if floor else []),
    ]
    named = (("operator on controller-runtime", results.peers), ("agent-operator", results.ours))
    rows.extend(_rate_row(name, runs, floor) for name, runs in named if runs)
    return "\n".join(rows)


def middle(runs: Sequence[Run]) -> Run | None:
    """The one with the middle rate; of an even number the slower one."""
    return sorted(runs, key=attrgetter("rate"))[(len(runs) - 1) // 2] if runs else None


def spread(runs: Sequence[Run]) -> str:
    """The middle rate, and the least and most of several."""
    of = middle(runs)
    assert of is not None
    rates = [run.rate for run in runs]
    return f"{of.rate:.1f}" + (f" ({min(rates):.1f} to {max(rates):.1f})" if len(rates) > 1 else "")


def _rate_row(name: str, runs: Sequence[Converged], floor: Floor | None) -> str:
    of = middle(runs)
    assert of is not None
    ratio = f"{of.rate / floor.rate:.2f}" if floor else ""
    return (
        f"| {name} | {spread(runs)} | {ratio} | {of.p50_s:.2f} s / {of.p99_s:.2f} s "
        f"| {of.writes_per_agent:.2f} | {of.rss_mb:.0f} MB / {of.peak_mb:.0f} MB |"
    )


def at_rest(results: Results) -> str:
    """What our operator does when nothing changes, and when it is replaced."""
    converged, steady = middle(results.ours), results.steady
    assert converged is not None
    assert steady is not None
    rows = [
        ("AgentType created -> first status, one at a time, p50", f"{converged.alone_p50_s * 1000:.0f} ms"),
        ("writes in the steady state, 3 resyncs", f"{steady.writes} ({steady.passes} passes)"),
        ("RSS in the steady state", f"{steady.rss_mb:.0f} MB"),
        ("takeover after SIGTERM", f"{results.hand_overs['TERM'].seconds:.2f} s"),
        ("takeover after SIGKILL", f"{results.hand_overs['KILL'].seconds:.1f} s"),
    ]
    return "\n".join(
        ("| agent-operator | measured |", "|---|---:|", *(f"| {what} | {value} |" for what, value in rows))
    )


def cpu_table(results: Results) -> str:
    """CPU by process: where the time of each agent goes."""
    named: tuple[tuple[str, Floor | Converged | None], ...] = (
        ("bare client", middle(results.floors)),
        ("on controller-runtime", middle(results.peers)),
        ("agent-operator", middle(results.ours)),
    )
    columns = {name: run.cpu_ms for name, run in named if run is not None}
    rows = [f"| CPU ms for each agent | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    processes = columns["agent-operator"]
    rows.extend(_cpu_row(process, [used.get(process, 0) for used in columns.values()]) for process in processes)
    rows.append(_cpu_row("together", [sum(used.values()) for used in columns.values()]))
    return "\n".join(rows)


def _cpu_row(process: str, used_ms: list[float]) -> str:
    return f"| {process} | {' | '.join(f'{used:.1f}' for used in used_ms)} |"


if __name__ == "__main__":
    main()

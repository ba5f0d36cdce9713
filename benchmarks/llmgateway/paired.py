"""The gateway beside another revision of itself, without and with a budget, in turns on one core.

    git worktree add --detach /tmp/before REVISION
    uv run --no-sync python benchmarks/llmgateway/paired.py --before /tmp/before [--seconds 4] [--rounds 5]

Each number is the median of the ratios of the rounds, this tree to the other: requests/s above 1 are faster, CPU below
1 is less. Within a round the two are measured one after the other, and which one is first changes from round to round.
On a busy machine the CPU of a request says more than the requests of a second, and the least CPU of all rounds most:
others on the machine only ever add to it.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from operator import truediv
from pathlib import Path

from run import LOADS, Load, build, measure
from targets import Target, free_port, running, start_target, wait_for

HERE = Path(__file__).parent
TREE = HERE.parents[1]
SOURCES = ("services/llmgateway/src", "libs/api/src", "libs/base/src", "libs/kit/src")
BUDGET = {"tokensPerHour": 10**12}


def start(stack: ExitStack, tree: Path, name: str, folder: Path, upstream: str, *, limited: bool) -> Target:
    """The gateway of one tree."""
    place = folder / name.replace(" ", "-")
    place.mkdir()
    port = free_port()
    provider = {"name": "upstream", "type": "openai-compatible", "baseUrl": upstream, "model": "m"}
    config = {"schemaVersion": 1, "agent": "benchmark", "providers": [provider], "budget": BUDGET if limited else {}}
    (place / "gateway.json").write_text(json.dumps(config))
    path = ":".join(str(tree / source) for source in SOURCES)
    command = ["env", f"PYTHONPATH={path}", sys.executable, "-m", "agent_llmgateway.app"]
    command += ["--config", str(place / "gateway.json"), "--port", str(port), "--ops-port", str(free_port())]
    return start_target(stack, name, [*command, "--state", str(place / "budget.json")], port, folder)


def ratios(load: Load, before: Target, after: Target) -> tuple[float, float, float]:
    """The number that is shown of a load, the CPU of a request, and the least CPU of a request."""
    return (
        statistics.median(map(truediv, after.values[load.name], before.values[load.name])),
        statistics.median(map(truediv, after.cpu_us[load.name], before.cpu_us[load.name])),
        min(after.cpu_us[load.name]) / min(before.cpu_us[load.name]),
    )


async def main() -> None:
    """Run all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="the tree to compare with")
    parser.add_argument("--seconds", type=float, default=4, help="of each load on each target")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of the names of the loads to measure")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        traffic = str(folder / "traffic")
        build(traffic)
        port = free_port()
        wait_for(
            port, stack.enter_context(running([traffic, "upstream", "-port", str(port)], core=1, log=folder / "u"))
        )
        upstream = f"http://127.0.0.1:{port}/v1"
        pairs = [
            [
                start(stack, tree, f"{which}{' limited' if limited else ''}", folder, upstream, limited=limited)
                for which, tree in (("before", options.before), ("after", TREE))
            ]
            for limited in (False, True)
        ]
        loads = [load for load in LOADS if options.only in load.name]
        for turn in range(options.rounds):
            for load in loads:
                for pair in pairs:
                    for target in pair[:: -1 if turn % 2 else 1]:
                        await measure(load, target, traffic, folder, options.seconds)
        columns = "number | CPU | least CPU"
        print(f"| | {columns} | with a budget: {columns} |\n|---|---:|---:|---:|---:|---:|---:|")
        for load in loads:
            found = (f"{ratio:.3f}" for pair in pairs for ratio in ratios(load, *pair))
            print(f"| {load.name} | {' | '.join(found)} |")


if __name__ == "__main__":
    asyncio.run(main())

"""The gateway beside another revision of itself, without and with a budget, in turns on one core.

    git worktree add --detach /tmp/before REVISION
    uv run --no-sync python benchmarks/llmgateway/paired.py --before /tmp/before [--seconds 4] [--rounds 5]

Each number is the ratio of two medians, this tree's to the other's: requests/s above 1 are faster, CPU below 1 is less.
On a busy machine the CPU of a request says more than the requests of a second.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from run import LOADS, build, measure
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


def ratios(before: Target, after: Target) -> list[tuple[str, float, float]]:
    """Of each load: the number that is shown, and the CPU of a request."""
    return [
        (
            load.name,
            after.median(load.name) / before.median(load.name),
            statistics.median(after.cpu_us[load.name]) / statistics.median(before.cpu_us[load.name]),
        )
        for load in LOADS
    ]


async def main() -> None:
    """Run all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="the tree to compare with")
    parser.add_argument("--seconds", type=float, default=4, help="of each load on each target")
    parser.add_argument("--rounds", type=int, default=5)
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
        for _ in range(options.rounds):
            for load in LOADS:
                for target in (target for pair in pairs for target in pair):
                    await measure(load, target, traffic, folder, options.seconds)
        print("| | number | CPU | with a budget: number | CPU |\n|---|---:|---:|---:|---:|")
        for (load, number, cpu), (_, limited_number, limited_cpu) in zip(
            *(ratios(*pair) for pair in pairs), strict=True
        ):
            print(f"| {load} | {number:.2f} | {cpu:.2f} | {limited_number:.2f} | {limited_cpu:.2f} |")


if __name__ == "__main__":
    asyncio.run(main())

"""How quick the console's list is with thousands of agents, in a real Chromium.

    uv run --no-sync python benchmarks/console/run.py [--agents 2000] [--rounds 5]

Prints medians: from opening the page to its first paint and to the drawn list, and a filter from the key to the layout.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from contract.console.browser import Page, open_page

from agentberth.console.runsource import RunSource
from agentberth.console.server import ConsoleServer, serving
from agentberth.console.view import AgentRow
from agentberth.local.ports import Ports

FILTER = """(() => {
  const box = document.getElementById("filter");
  const took = [];
  for (const text of ["agent-19", "agent-1907", "", "pending", "nobody"]) {
    box.value = text;
    const began = performance.now();
    box.dispatchEvent(new Event("input"));
    document.body.offsetHeight;
    took.push(performance.now() - began);
  }
  return took;
})()"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
DRAWN = "document.querySelector('table.agents') ? performance.now() : null"


class ManyAgents(RunSource):
    """A list of `count` agents; every second one is not ready."""

    def __init__(self, count: int) -> None:
        super().__init__("many", (), Ports({}), dict)
        self._rows = [
            AgentRow(
                namespace=f"team-{number % 20}",
                name=f"agent-{number:04}",
                phase="Running" if number % 2 else "Pending",
                ready=bool(number % 2),
                reason="" if number % 2 else "Unschedulable",
                message="" if number % 2 else "0/3 nodes are available: 3 Insufficient cpu.",
                replicas="1/1",
                created="2026-01-01T00:00:00Z",
                tokens=number * 1000,
            )
            for number in range(count)
        ]

    async def agents(self) -> list[AgentRow]:
        return self._rows


async def open_once(page: Page, address: str) -> tuple[float, float]:
    """Milliseconds to the first paint, and until the list is there."""
    await page.open("about:blank")
    await page.open(address)
    drawn = None
    while drawn is None:
        drawn = await page.js(DRAWN)
    return float(await page.js(PAINT) or drawn), float(drawn)


async def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        async with serving(ConsoleServer(ManyAgents(options.agents))) as address, open_page(Path(profile)) as page:
            opened = [await open_once(page, address) for _ in range(options.rounds + 1)][1:]
            filtered = [each for _ in range(options.rounds) for each in await page.js(FILTER)]
    paints, drawn = zip(*opened, strict=True)
    print(f"{options.agents} agents, medians of {options.rounds} rounds:")
    print(f"  first paint {statistics.median(paints):6.0f} ms")
    print(f"  list drawn  {statistics.median(drawn):6.0f} ms")
    print(f"  filter      {statistics.median(filtered):6.1f} ms, at most {max(filtered):.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())

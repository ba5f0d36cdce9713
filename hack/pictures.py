"""Pictures of the console for README and docs, from a real run of an example: `python hack/pictures.py`."""

import asyncio
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from contract.console.browser import Page, open_page  # noqa: E402 - found by the path above

FOLDER = ROOT / "docs" / "images"
AGENT = "#/agents/default/quickstart"


async def main() -> None:
    """Runs the example with its console, and takes each picture."""
    command = [str(Path(sys.executable).with_name("agentberth")), "run", "--console", "examples/quickstart/agent.yaml"]
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else is to be done meanwhile
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None  # noqa: S101 - a pipe
        address = ""
        for line in run.stderr:
            address = next(iter(re.findall(r"console: (http://\S+)", line)), address)
            if "the run is over" in line:
                break
        try:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
                async with open_page(Path(profile)) as page:
                    await take(page, address)
        finally:
            run.send_signal(signal.SIGTERM)
            run.wait()


async def take(page: Page, address: str) -> None:
    """The overview, and the timeline with a call opened."""
    await page.resize(1280, 980)
    await page.open(address)
    await page.see("live", "quickstart")
    await page.js(f"location.hash = '{AGENT}'")
    await page.see("Models", "breaker open")
    await page.picture(FOLDER / "console-overview.png")
    await page.js(f"location.hash = '{AGENT}/timeline'")
    await page.see("failover")
    await page.js("[...document.querySelectorAll('.call')].at(-1).click()")
    await page.see("Tries")
    await page.picture(FOLDER / "console-timeline.png")


if __name__ == "__main__":
    asyncio.run(main())

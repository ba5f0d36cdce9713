"""The official conformance suite, stable and newest, against the proxy with a full server behind it.

CI runs the scenarios of what a proxy can get wrong; AGENTBERTH_WHOLE=1 runs all of every revision. What may fail is
in conformance/expected.json with its reason.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from contract.toolproxy.conformance import suite
from contract.toolproxy.conformance.plain_names import plain_names
from contract.toolproxy.toolproxy_harness import ToolProxy

WHOLE = os.environ.get("AGENTBERTH_WHOLE") == "1"
TESTS = Path(__file__).parents[2]
EXPECTED: dict[str, str] = json.loads((Path(suite.__file__).with_name("expected.json")).read_text())
JOB_SOURCE: dict[str, tuple[suite.Release, str, tuple[str, ...]]] = {
    "stable": ("stable", "legacy", ()),
    "newest, 2025-11-25": ("newest", "legacy", ("--requirements", "2025-11-25")),
    "newest, 2026-07-28": ("newest", "modern", ("--requirements", "2026-07-28")),
}
SAMPLE: tuple[tuple[suite.Release, str, tuple[str, ...]], ...] = (
    ("stable", "legacy", ("--scenario", "tools-call-elicitation")),
    ("newest", "modern", ("--scenario", "server-stateless", "--spec-version", "2026-07-28")),
)


class FullServer:
    """The full server as a process of its own."""

    def __init__(self, era: str) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = int(listener.getsockname()[1])
        command = [sys.executable, "-m", "contract.toolproxy.conformance.full_server", str(self.port)]
        self.process = subprocess.Popen(
            command + (["legacy"] if era == "legacy" else []),
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def is_up(self) -> bool:
        return httpx.get(f"http://127.0.0.1:{self.port}/mcp").status_code in (400, 406)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ToolProxy]]:
    """A proxy for each era, with the full server of that era behind it."""
    suite.install()
    servers = {era: FullServer(era) for era in ("modern", "legacy")}
    made: dict[str, ToolProxy] = {}
    try:
        for era, server in servers.items():
            source = f"mcp+http://127.0.0.1:{server.port}/mcp"
            made[era] = ToolProxy(
                tmp_path_factory.mktemp(era), tools=[{"name": "full", "custom": {"name": "full", "source": source}}]
            ).launch()
        for era, server in servers.items():
            made[era].wait_for(server.is_up)
            made[era].wait_for_state("full", "ready")
        yield made
    finally:
        for proxy in made.values():
            proxy.close()
        for server in servers.values():
            server.close()


def unexpected(checks: list[suite.Check]) -> list[str]:
    """What failed without a reason in the table, and what is in the table and did not fail."""
    failed = {check.key: check.message for check in checks if check.status == "FAILURE"}
    excused = {key for key in failed if key in EXPECTED or key.partition(":")[0] in EXPECTED}
    used = excused | {key.partition(":")[0] for key in excused}
    seen = {check.scenario for check in checks} | {check.key for check in checks}
    stale = [f"{key} passes: take it out of expected.json" for key in EXPECTED if key in seen and key not in used]
    return [f"{key}: {message}" for key, message in failed.items() if key not in excused] + stale


@pytest.mark.skipif(WHOLE, reason="AGENTBERTH_WHOLE=1 runs all of it")
async def test_a_sample_of_the_suite_passes(proxies: dict[str, ToolProxy], tmp_path: Path) -> None:
    for number, (release, era, arguments) in enumerate(SAMPLE):
        async with plain_names(f"{proxies[era].url}/mcp") as url:
            checks = await suite.run(release, url, tmp_path / str(number), *arguments)
        assert not unexpected(checks)
        assert any(check.status == "SUCCESS" for check in checks)


@pytest.mark.skipif(not WHOLE, reason="AGENTBERTH_WHOLE=1 runs it: a minute for each")
@pytest.mark.parametrize("name", JOB_SOURCE)
async def test_the_whole_suite_passes(proxies: dict[str, ToolProxy], tmp_path: Path, name: str) -> None:
    release, era, arguments = JOB_SOURCE[name]
    async with plain_names(f"{proxies[era].url}/mcp") as url:
        checks = await suite.run(release, url, tmp_path / "results", *arguments)
    assert not unexpected(checks)
    passed = [check for check in checks if check.status == "SUCCESS"]
    sys.stdout.write(f"{name}: {len(passed)} checks passed of {len(checks)}\n")
    assert len(passed) > 30

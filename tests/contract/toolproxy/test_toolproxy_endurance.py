"""A thousand calls leave what was there before: processes, descriptors, and about the memory."""

from pathlib import Path

import httpx
from contract.toolproxy.test_toolproxy_upstream import server, stdio
from contract.toolproxy.toolproxy_harness import ToolProxy, descendants, modern_request
from contract.toolproxy.upstream_server import UpstreamServer

CALLS = 1000
GROWTH_KIB = 16 * 1024


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def test_a_thousand_calls(proxy: ToolProxy) -> None:
    with UpstreamServer() as upstream:
        proxy.write_config(tools=[server("http", upstream.url), stdio(proxy, "child", "modern")])
        proxy.start()
        with httpx.Client() as client:

            def call(number: int) -> None:
                name = ("http__echo", "child__echo")[number % 2]
                request = modern_request("tools/call", {"name": name, "arguments": {"text": str(number)}}, name=name)
                assert str(number) in client.post(f"{proxy.url}/mcp", **request).text

            for number in range(100):
                call(number)
            before = descriptors(proxy.pid), len(descendants(proxy.pid)), resident_kib(proxy.pid)
            for number in range(CALLS):
                call(number)
        assert descriptors(proxy.pid) <= before[0] + 2
        assert len(descendants(proxy.pid)) == before[1]
        assert resident_kib(proxy.pid) <= before[2] + GROWTH_KIB
        assert len(upstream.behaviour.calls) == (CALLS + 100) // 2

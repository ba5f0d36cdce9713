"""The supervisor with sidecars: the order of a Pod's start, and what ends a run."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentberth.errors import CommandError
from agentberth.local.pod import LocalProcess, Probe
from agentberth.local.supervisor import Outcome, Supervisor

Lines = list[tuple[str, str]]

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def log_message(self, *a): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"""


def process(name: str, role: str, code: str, *arguments: str, startup: Probe | None = None) -> LocalProcess:
    return LocalProcess(name, role, (sys.executable, "-c", code, *arguments), {}, Path.cwd(), startup)  # type: ignore[arg-type]


def _probe(port: int) -> Probe:
    return Probe(f"http://127.0.0.1:{port}/", patience_s=20)


async def run(*processes: LocalProcess, stop: asyncio.Event | None = None) -> tuple[Outcome, Lines]:
    lines: Lines = []
    supervisor = Supervisor(lambda name, line, _: lines.append((name, line)), stop or asyncio.Event(), grace_s=2)
    return await supervisor.run(processes), lines


async def test_the_agent_starts_after_init_and_sidecar(unused_tcp_port: int) -> None:
    probe = _probe(unused_tcp_port)

    outcome, lines = await run(
        process("init", "init", "print('prepared')"),
        process("side", "sidecar", SERVER, str(unused_tcp_port), startup=probe),
        process("agent", "agent", "print('hello')"),
    )

    assert outcome == Outcome("agent", "agent", 0)
    assert sorted(lines[:2]) == [("init", "prepared"), ("side", "listening")]
    assert lines[2:] == [("agent", "hello")]


async def test_sidecars_start_together_and_the_agent_after_all_of_them(
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    first, second = unused_tcp_port_factory(), unused_tcp_port_factory()
    needs_second = f"import socket, time\nwhile socket.socket().connect_ex(('127.0.0.1', {second})): time.sleep(0.05)"

    outcome, lines = await run(
        process("a", "sidecar", f"{needs_second}\n{SERVER}", str(first), startup=_probe(first)),
        process("b", "sidecar", SERVER, str(second), startup=_probe(second)),
        process("agent", "agent", "print('hello')"),
    )

    assert outcome == Outcome("agent", "agent", 0)
    assert lines == [("b", "listening"), ("a", "listening"), ("agent", "hello")]


async def test_the_agent_does_not_start_after_a_failed_init() -> None:
    outcome, lines = await run(
        process("init", "init", "raise SystemExit(1)"), process("agent", "agent", "print('hello')")
    )

    assert outcome == Outcome("init", "init", 1)
    assert lines == []


async def test_a_sidecar_that_dies_while_init_works_ends_the_run() -> None:
    outcome, lines = await run(
        process("init", "init", "import time; time.sleep(60)"),
        process("side", "sidecar", "raise SystemExit(4)"),
        process("agent", "agent", "print('hello')"),
    )

    assert outcome == Outcome("sidecar", "side", 4)
    assert lines == []


async def test_a_crashed_sidecar_ends_the_run() -> None:
    outcome, _ = await run(
        process("side", "sidecar", "import time; time.sleep(0.3); raise SystemExit(4)"),
        process("agent", "agent", "import time; time.sleep(600)"),
    )

    assert outcome == Outcome("sidecar", "side", 4)


async def test_a_sidecar_that_dies_before_it_is_up_ends_the_run(unused_tcp_port: int) -> None:
    probe = Probe(f"http://127.0.0.1:{unused_tcp_port}/", patience_s=10)

    outcome, lines = await run(
        process("side", "sidecar", "raise SystemExit(4)", startup=probe), process("agent", "agent", "print('hello')")
    )

    assert outcome == Outcome("sidecar", "side", 4)
    assert lines == []


async def test_a_sidecar_that_never_comes_up_is_an_error(unused_tcp_port: int) -> None:
    probe = Probe(f"http://127.0.0.1:{unused_tcp_port}/", patience_s=0.06)

    with pytest.raises(CommandError, match="side: did not come up"):
        await run(process("side", "sidecar", "import time; time.sleep(600)", startup=probe))


UNREADY = SERVER.replace(
    "self.send_response(200); self.end_headers()",
    "self.send_response(503); self.end_headers(); self.wfile.write(b'[-] tools: no sextant\\nfailed\\n')",
)


async def test_what_a_sidecar_lacks_is_told_while_it_is_awaited_and_at_the_end(unused_tcp_port: int) -> None:
    probe = Probe(f"http://127.0.0.1:{unused_tcp_port}/", patience_s=3)
    lines: Lines = []
    pod = Supervisor(lambda name, line, _: lines.append((name, line)), asyncio.Event(), grace_s=2, tell_after_s=1)

    with pytest.raises(CommandError, match=r"side: did not come up: tools: no sextant$"):
        await pod.run([process("side", "sidecar", UNREADY, str(unused_tcp_port), startup=probe)])

    assert [line for line in lines if "sextant" in line[1]] == [("side", "not ready yet: tools: no sextant")]


async def test_stop_ends_the_run_at_any_stage() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, stop.set)

    outcome, _ = await run(process("init", "init", "import time; time.sleep(600)"), stop=stop)

    assert outcome == Outcome("stopped")


async def test_a_line_without_end_is_passed_on_in_pieces() -> None:
    _, lines = await run(process("agent", "agent", "print('x' * 3_000_000, end='')"))

    assert "".join(line for _, line in lines) == "x" * 3_000_000
    assert len(lines) > 1

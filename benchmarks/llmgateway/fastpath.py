"""What the fast path for small requests is worth: the gateway with it and without it, in turn, over the same traffic.

    uv run --no-sync python benchmarks/llmgateway/fastpath.py [--rounds 5] [--requests 2000]

Each round sends the same number of requests through both, in turn; which one is first changes from round to round.
Printed are the ratios of the rounds, with over without: requests a second, and the gateway's CPU time for each.
docs/adr/0025-past-aiohttps-session.md says what they decide.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from targets import compile_programs, cpu_s, free_port, gateway_command, running, wait_for

CONCURRENCY = 32
ANSWER = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "An answer."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
    }
).encode()
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "A question of some length."}]}).encode()
WITHOUT = (
    "import sys; from agent_llmgateway.upstream import connections; connections.SMALL_BYTES = -1; "
    "sys.argv[0] = 'agent-llmgateway'; from agent_llmgateway.command import main; sys.exit(main())"
)
"""No body is small then: all go through the session."""


@dataclass(frozen=True)
class Measured:
    """One gateway in one round."""

    per_s: float
    cpu_us: float


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The provider: one answer to whatever is asked."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n".encode()
    while await read_message(reader):
        writer.write(head + ANSWER)
    writer.close()


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """The head of a request or response, once its body is read too; empty at the end."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
    return head


async def ask(port: int, count: int) -> None:
    """`count` requests, one after the other, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = ("POST /v1/chat/completions HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json")
    message = "\r\n".join((*lines, f"Content-Length: {len(BODY)}", "", "")).encode() + BODY
    for _ in range(count):
        writer.write(message)
        head = await read_message(reader)
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise SystemExit(f"the gateway answered {head[:200]!r}")
    writer.close()


async def measure(port: int, pid: int, count: int) -> Measured:
    """All requests through one gateway."""
    cpu_before_s, began = cpu_s(pid), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENCY):
            group.create_task(ask(port, count // CONCURRENCY))
    done = count // CONCURRENCY * CONCURRENCY
    return Measured(done / (time.monotonic() - began), (cpu_s(pid) - cpu_before_s) / done * 1e6)


async def run(rounds: int, count: int, without: str) -> None:
    """Prints each round, and the medians of the ratios, to a gateway that the program `without` starts."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    with ExitStack() as stack:
        targets: dict[str, tuple[int, int]] = {}
        for name in ("with", "without"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            compile_programs(folder)
            port = free_port()
            command = gateway_command(folder, upstream, port)
            if name == "without":
                command = [sys.executable, "-c", without, *command[1:]]
            process = stack.enter_context(running(command, core=None, log=folder / "log"))
            await asyncio.to_thread(wait_for, port, process)
            targets[name] = (port, process.pid)
            await measure(*targets[name], CONCURRENCY * 10)
        ratios = [await one_round(number, targets, count) for number in range(rounds)]
    await asyncio.sleep(0.2)  # the connections of gateways that have ended, end too
    speed, cpu = (statistics.median(values) for values in zip(*ratios, strict=True))
    print(f"median: requests/s {speed:.3f}, CPU {cpu:.3f} (with / without)")


async def one_round(number: int, targets: dict[str, tuple[int, int]], count: int) -> tuple[float, float]:
    """The ratios of requests/s and of CPU time."""
    order = sorted(targets, reverse=bool(number % 2))
    found = {name: await measure(*targets[name], count) for name in order}
    fast, session = found["with"], found["without"]
    ratios = fast.per_s / session.per_s, fast.cpu_us / session.cpu_us
    print(
        f"round {number + 1}: {fast.per_s:.0f} and {session.per_s:.0f} requests/s ({ratios[0]:.3f}), "
        f"{fast.cpu_us:.0f} and {session.cpu_us:.0f} us of CPU ({ratios[1]:.3f})"
    )
    return ratios


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    asyncio.run(run(options.rounds, options.requests, WITHOUT))


if __name__ == "__main__":
    main()

"""`agent-llmgateway mock --script FILE --port N`: the mock as a server of its own."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import yaml

from agent_llmgateway.errors import ConfigError
from agent_llmgateway.mock.script import MockScript, parse_script
from agent_llmgateway.mock.server import MockServer


def serve_mock(arguments: list[str]) -> int:
    """Serve until a signal; the exit code: 0, or 2 for a script or address that cannot be used."""
    parser = argparse.ArgumentParser(prog="agent-llmgateway mock", description="A scripted model provider.")
    parser.add_argument("--script", type=Path, help="YAML file: models, keys, replies; without it, a friendly answer")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on [127.0.0.1]")
    parser.add_argument("--port", type=int, default=8899, help="port; 0 takes a free one [8899]")
    options = parser.parse_args(arguments)
    try:
        script = _read_script(options.script)
        asyncio.run(_serve(script, options.host, options.port))
    except (ConfigError, OSError, OverflowError) as error:  # the last one is a port that there is not
        sys.stderr.write(f"agent-llmgateway mock: {error}\n")
        return 2
    return 0


def _read_script(path: Path | None) -> MockScript:
    if path is None:
        return MockScript()
    try:
        document = yaml.safe_load(path.read_text("utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: a script is a map with models, keys and replies")
    return parse_script(document, where=str(path))


async def _serve(script: MockScript, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with MockServer(script, open_to_tests=True) as server:
        port = await server.start(host, port)
        sys.stdout.write(f"mock provider on http://{host}:{port}/v1\n")
        sys.stdout.flush()
        await stop.wait()

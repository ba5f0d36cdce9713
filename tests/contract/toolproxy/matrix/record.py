"""Tries every cell of the matrix and keeps what was found.

`PYTHONPATH=tests python -m contract.toolproxy.matrix.record` writes results.json; `make generate` makes
docs/reference/mcp-matrix.md of it.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from contract.toolproxy.matrix.clients import CLIENTS, Client
from contract.toolproxy.matrix.servers import SERVERS, prepare, web_site
from contract.toolproxy.toolproxy_harness import ToolProxy

RESULTS: Final = Path(__file__).with_name("results.json")
WORKS: Final = "works"
_READY_S: Final = 300
_CA_FILES: Final = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
Calls = dict[str, tuple[str, dict[str, Any]]]


@contextmanager
def running_servers(folder: Path) -> Iterator[tuple[str, Calls, Mapping[str, str]]]:
    """The proxy's address with all servers behind it, a call for each that is ready, and why the others are not."""
    with web_site() as site:
        proxy = ToolProxy(folder)
        index = proxy.root / "etc/agentberth/index"
        index.mkdir()
        if authority := next((os.environ[name] for name in _CA_FILES if name in os.environ), None):
            shutil.copy(authority, index / "ca.crt")
        prepare(proxy.workspace, site)
        tools = [server.definition(name) for name, server in SERVERS.items()]
        proxy.write_config(tools=tools, indexFolder="/etc/agentberth/index", limits={"timeoutSeconds": 120})
        try:
            proxy.launch()
            states = {name: proxy.wait_for_state(name, "ready", "failed", timeout_s=_READY_S) for name in SERVERS}
            places = {"workspace": str(proxy.workspace), "site": site}
            ready = {name: server for name, server in SERVERS.items() if states[name]["state"] == "ready"}
            calls = {name: server.call(name, **places) for name, server in ready.items()}
            yield (
                f"{proxy.url}/mcp",
                calls,
                {name: f"the server does not start: {states[name]['error']}" for name in SERVERS if name not in ready},
            )
        finally:
            proxy.close()


def try_client(client: Client, url: str, calls: Calls) -> dict[str, str]:
    """By server: `works`, or what came instead."""
    try:
        found = client.ask(url, calls)
    except RuntimeError as error:
        return dict.fromkeys(calls, str(error).splitlines()[-1][:200])
    return {name: judge(name, found[name]) for name in calls}


def judge(server: str, said: str) -> str:
    """`works` when the answer has in it what the server was asked for."""
    works = not said.startswith("error: ") and SERVERS[server].expected in said
    return WORKS if works else said[:200]


def main() -> None:
    """Writes results.json."""
    clients = {}
    with tempfile.TemporaryDirectory() as folder, running_servers(Path(folder) / "pod") as (url, calls, absent):
        for name, client in CLIENTS.items():
            cells = {**try_client(client, url, calls), **absent}
            clients[name] = {"title": client.title, "release": client.release, "cells": cells}
            sys.stderr.write(f"{name}: {cells}\n")
    servers = {name: {"source": server.source, "tool": server.tool} for name, server in SERVERS.items()}
    RESULTS.write_text(json.dumps({"servers": servers, "clients": clients}, indent=2) + "\n")


if __name__ == "__main__":
    main()

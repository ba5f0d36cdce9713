"""The servers of the matrix, as their authors publish them, and what each is asked."""

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

CHROMIUM: Final = "/usr/bin/chromium"
WORD: Final = "harbour"


@dataclass(frozen=True)
class Server:
    """A column. `{workspace}` and `{site}` stand in its texts for the workspace and for a web site on this machine."""

    source: str
    tool: str
    asked: Mapping[str, Any]
    expected: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def definition(self, name: str) -> dict[str, Any]:
        """For tools.json; the proxy knows its workspace itself."""
        own = {"name": name, "source": f"mcp+stdio:{self.source}", "arguments": list(self.arguments)}
        return {"name": name, "custom": {**own, "environment": dict(self.environment)}}

    def call(self, name: str, **places: str) -> tuple[str, dict[str, Any]]:
        """The served name of its tool, and the arguments."""
        text = json.dumps(self.asked)
        for place, value in places.items():
            text = text.replace(f"{{{place}}}", value)
        arguments: dict[str, Any] = json.loads(text)
        return f"{name}__{self.tool}", arguments


_MODEL_CONTEXT: Final = "npm:@modelcontextprotocol/server-{}@2026.8.31"
_ENTITY: Final = {"type": "entity", "name": WORD, "entityType": "place", "observations": ["deep"]}
SERVERS: Final[Mapping[str, Server]] = {
    "everything": Server(_MODEL_CONTEXT.format("everything"), "echo", {"message": WORD}, WORD, ("stdio",)),
    "filesystem": Server(
        _MODEL_CONTEXT.format("filesystem"),
        "read_text_file",
        {"path": "{workspace}/note.txt"},
        WORD,
        ("{workspace}",),
    ),
    "memory": Server(
        _MODEL_CONTEXT.format("memory"),
        "search_nodes",
        {"query": WORD},
        WORD,
        environment={"MEMORY_FILE_PATH": "{workspace}/memory.jsonl"},
    ),
    "git": Server("pypi:mcp-server-git==2026.10.19", "git_status", {"repo_path": "{workspace}/repository"}, "branch"),
    "fetch": Server(
        "pypi:mcp-server-fetch==2026.10.24",
        "fetch",
        {"url": "{site}/"},
        WORD,
        ("--ignore-robots-txt", "--allow-private-ips"),
        {"PATH": "/nonexistent"},  # as in the catalogue
    ),
    "time": Server(
        "pypi:mcp-server-time==2026.10.19", "get_current_time", {"timezone": "UTC"}, "UTC", ("--local-timezone", "UTC")
    ),
    "playwright": Server(
        "npm:@playwright/mcp@0.0.83",
        "browser_navigate",
        {"url": "{site}/"},
        WORD,
        ("--headless", "--no-sandbox", "--isolated", "--executable-path", CHROMIUM),
    ),
    "kubernetes": Server(
        "npm:kubernetes-mcp-server@0.0.67",
        "configuration_view",
        {},
        WORD,
        environment={"KUBECONFIG": "{workspace}/kubeconfig"},
    ),
}


def prepare(workspace: Path, site: str) -> None:
    """What the tools look at."""
    (workspace / "note.txt").write_text(WORD)
    (workspace / "memory.jsonl").write_text(json.dumps(_ENTITY) + "\n")
    subprocess.run(["git", "init", "-q", str(workspace / "repository")], check=True)
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": WORD,
        "contexts": [{"name": WORD, "context": {"cluster": WORD, "user": WORD}}],
        "clusters": [{"name": WORD, "cluster": {"server": site}}],
        "users": [{"name": WORD, "user": {"token": "nobody"}}],
    }
    (workspace / "kubeconfig").write_text(json.dumps(kubeconfig))


@contextmanager
def web_site() -> Iterator[str]:
    """The address of a page, and of an API server that has nothing but a version."""
    page = f"<!doctype html><title>{WORD}</title><h1>{WORD}</h1><p>Ships lie in the {WORD}.</p>".encode()
    documents: dict[str, object] = {
        "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = documents.get(self.path.partition("?")[0])
            content = page if document is None else json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if document is None else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()

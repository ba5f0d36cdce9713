"""A Python package index over real HTTP, with faults that can be switched on.

It speaks the "simple" API (PEP 503, with `data-requires-python`) and serves wheels that `make_wheel` builds
on the spot, so that tests of an installer need no network. Other test layers may import it.
"""

import base64
import hashlib
import io
import ssl
import struct
import threading
import zipfile
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from typing import Any, Self


def make_wheel(
    name: str,
    version: str,
    *,
    files: Mapping[str, str] | None = None,
    requires: tuple[str, ...] = (),
    requires_python: str = "",
    scripts: Mapping[str, str] | None = None,
    tag: str = "py3-none-any",
) -> tuple[str, bytes]:
    """File name and bytes of a wheel; without `files` it holds one module that knows its version."""
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    if requires_python:
        metadata.append(f"Requires-Python: {requires_python}")
    content = dict(files or {f"{name}.py": f'VERSION = "{version}"\n'})
    content[f"{info}/METADATA"] = "\n".join(metadata) + "\n"
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
    if scripts:
        lines = "".join(f"{script} = {target}\n" for script, target in scripts.items())
        content[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}"
    record = "".join(_record_line(path, text) for path, text in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, text in content.items():
            wheel.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return f"{name}-{version}-{tag}.whl", packed.getvalue()


def _record_line(path: str, text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(text.encode())}\n"


@dataclass(frozen=True)
class Distribution:
    """One file of a project, as the index offers it."""

    filename: str
    content: bytes
    requires_python: str
    sha256: str


@dataclass
class Hold:
    """A fault that keeps the request open until `release` is set; `reached` tells that it came."""

    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


RESET = "reset"
Fault = int | str | Hold


class FaultyServer:
    """A threaded HTTP(S) server whose requests can be made to fail, a path prefix at a time."""

    def __init__(self, tls: tuple[Path, Path] | None = None, *, address: str = "127.0.0.1", port: int = 0) -> None:
        self._address = address
        self.requests: list[str] = []
        self.credentials: tuple[str, str] | None = None
        self.seen_authorisations: list[str] = []
        self.redirect_to: str | None = None
        self.sent_bytes = 0
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((address, port), type("Handler", (_Handler,), {"owner": self}))
        self._server.daemon_threads = True
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def origin(self) -> str:
        return f"{self._scheme}://{self.host}"

    @property
    def host(self) -> str:
        return f"{self._address}:{self._server.server_address[1]}"

    def fail(self, prefix: str, *faults: Fault) -> None:
        """Meet the next requests below `prefix` with `faults`, one each: a status, RESET or a Hold."""
        with self._lock:
            self._faults[prefix].extend(faults)

    def answer(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes = b""
    ) -> tuple[int, str, bytes]:
        """Status, content type and body for a request."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next_fault(self, path: str) -> Fault | None:
        with self._lock:
            for prefix, faults in self._faults.items():
                if path.startswith(prefix) and faults:
                    return faults.popleft()
        return None

    def is_authorised(self, header: str | None) -> bool:
        if header is not None:
            self.seen_authorisations.append(header)
        if self.credentials is None:
            return True
        wanted = base64.b64encode(":".join(self.credentials).encode()).decode()
        return header == f"Basic {wanted}"


class _Handler(BaseHTTPRequestHandler):
    """Answers for `owner`, which `FaultyServer` sets on a subclass of its own."""

    protocol_version = "HTTP/1.1"
    owner: FaultyServer

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.owner.requests.append(self.path)
        fault = self.owner.next_fault(self.path)
        if isinstance(fault, int):
            self._send(fault, "text/plain", b"switched on by the test")
        elif fault == RESET:
            self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        else:
            self._answer(fault)

    def _answer(self, fault: Fault | None) -> None:
        if isinstance(fault, Hold):
            fault.reached.set()
            fault.release.wait(30)
        if self.owner.redirect_to is not None:
            self._send(302, "text/plain", b"")
        elif self.owner.is_authorised(self.headers.get("Authorization")):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._send(*self.owner.answer(self.path, dict(self.headers.items()), self.command, body))
        else:
            self._send(401, "text/plain", b"credentials, please")

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
        if status == 302:
            self.send_header("Location", f"{self.owner.redirect_to}{self.path}")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.owner.sent_bytes += len(body)
            self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):
            self.close_connection = True  # the client left, or the test cut the connection

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Keep the test's output quiet."""


class PackageIndex(FaultyServer):
    """The index: `url` is what an installer is given."""

    def __init__(self, tls: tuple[Path, Path] | None = None, *, address: str = "127.0.0.1") -> None:
        super().__init__(tls, address=address)
        self._projects: dict[str, list[Distribution]] = {}

    @property
    def url(self) -> str:
        return f"{self.origin}/simple"

    def add(self, filename: str, content: bytes, *, requires_python: str = "", sha256: str | None = None) -> str:
        """Offer a file and return the sha256 that the index claims for it."""
        project = filename.split("-", maxsplit=1)[0].replace("_", "-").lower()
        claimed = sha256 or hashlib.sha256(content).hexdigest()
        self._projects.setdefault(project, []).append(Distribution(filename, content, requires_python, claimed))
        return claimed

    def add_wheel(self, name: str, version: str, **wheel: Any) -> str:
        """Build a wheel by `make_wheel` and offer it; returns its sha256."""
        filename, content = make_wheel(name, version, **wheel)
        return self.add(filename, content, requires_python=wheel.get("requires_python", ""))

    def answer(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes = b""
    ) -> tuple[int, str, bytes]:
        del headers, method, body
        parts = path.split("?", maxsplit=1)[0].strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 2 and parts[1] in self._projects:
            links = "".join(_link(offered) for offered in self._projects[parts[1]])
            return 200, "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        if parts[0] == "files" and len(parts) == 2:
            for offered in (one for project in self._projects.values() for one in project):
                if offered.filename == parts[1]:
                    return 200, "application/octet-stream", offered.content
        return 404, "text/plain", b"not here"


def _link(offered: Distribution) -> str:
    requires = offered.requires_python.replace("<", "&lt;").replace(">", "&gt;")
    attribute = f' data-requires-python="{requires}"' if requires else ""
    return f'<a href="/files/{offered.filename}#sha256={offered.sha256}"{attribute}>{offered.filename}</a><br>'

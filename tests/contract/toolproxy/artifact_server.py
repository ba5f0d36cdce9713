"""Downloads over real HTTP, with ranges and ETags, that can be cut off, held, or answered with a status."""

import hashlib
import io
import re
import stat
import tarfile
import threading
import zipfile
from collections import defaultdict, deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

SCRIPT = b'#!/bin/sh\necho ran "$@"\n'


class ArtifactServer:
    """Serves `files`. `faults[path]` has statuses, or numbers of bytes (negative) after which the body is cut."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, deque[int]] = defaultdict(deque)
        self.redirects: dict[str, str] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.held = threading.Event()
        self.release = threading.Event()
        self.hold_path = ""
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def add(self, path: str, content: bytes) -> str:
        """Serve `content`; its sha256."""
        self.files[path] = content
        return hashlib.sha256(content).hexdigest()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: ArtifactServer

    def do_GET(self) -> None:
        owner = self.owner
        asked = self.headers.get("Range")
        owner.requests.append((self.path, asked))
        fault = owner.faults[self.path].popleft() if owner.faults[self.path] else 0
        content = owner.files.get(self.path)
        if self.path in owner.redirects:
            self._send(302, b"", {"Location": owner.redirects[self.path]})
        elif fault > 0 or content is None:
            self._send(fault if fault > 0 else 404, b"")
        else:
            etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            start = self._start(asked, etag)
            headers = {"ETag": etag}
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._send(206 if start else 200, content[start:], headers, cut_at=-fault if fault else None)

    def _start(self, asked: str | None, etag: str) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", asked or "")
        return int(found[1]) if found and self.headers.get("If-Range") == etag else 0

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut_at: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = len(body) // 2 if self.path == self.owner.hold_path else len(body)
        self.wfile.write(body[:half] if cut_at is None else body[:cut_at])
        if cut_at is not None:
            self.close_connection = True
        elif half < len(body):
            self.wfile.flush()
            self.owner.held.set()
            self.owner.release.wait(60)
            self.wfile.write(body[half:])

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (ConnectionError, ValueError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Quiet."""


def tar_of(fill: Callable[[tarfile.TarFile], None], mode: Any = "w:gz") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        fill(archive)
    return packed.getvalue()


def add_member(archive: tarfile.TarFile, name: str, content: bytes = b"x", **attributes: Any) -> None:
    """A member with whatever attributes a hostile archive would have."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o755
    for key, value in attributes.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content) if member.isreg() else None)


def zip_of(*members: tuple[str, bytes, int]) -> bytes:
    """Members as (name, content, st_mode)."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return packed.getvalue()


REGULAR = stat.S_IFREG | 0o755

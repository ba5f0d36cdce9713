"""A company's way out: a proxy that ends TLS with an authority of its own. Its names exist nowhere but behind it."""

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
_HEAD_BYTES = 65_536
_TURNS_TO_CLOSE = 10


class CompanyProxy:
    """Leads names to local ports: `servers` is port by host name. `seen` has each CONNECT and each plain request.

    Behind CONNECT it ends TLS with a certificate of `ca_file`, and goes on in plain HTTP.
    """

    def __init__(self, folder: Path, servers: Mapping[str, int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = folder / "ca.crt"
        self.seen: list[str] = []
        self.port = 0
        self._servers = dict(servers)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tls = _certificates(folder, tuple(servers))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """What the renderer gives to a container where the platform has a proxy and an authority."""
        variables = {"HTTPS_PROXY": self.url, "HTTP_PROXY": self.url, "NO_PROXY": "localhost,127.0.0.1"}
        lower = {name.lower(): value for name, value in variables.items()}
        trust = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO")
        return variables | lower | dict.fromkeys(trust, str(self.ca_file))

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_BYTES))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(_end_all(self._server, self._writers))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self.seen.append(f"{method} {target}")
            host = target.rpartition(":")[0] if method == "CONNECT" else urlsplit(target).hostname or ""
            if host not in self._servers:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            elif method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
                await writer.start_tls(self._tls)
                await self._relay(reader, writer, self._servers[host])
            else:
                path = urlsplit(target)._replace(scheme="", netloc="").geturl() or "/"
                first = head.replace(target.encode(), path.encode(), 1)
                await self._relay(reader, writer, self._servers[host], first)
        writer.close()

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, first: bytes = b""
    ) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        self._writers.add(up_writer)
        up_writer.write(first)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_copy(reader, up_writer))
            tasks.create_task(_copy(up_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _end_all(server: asyncio.Server, writers: set[asyncio.StreamWriter]) -> None:
    server.close()
    for writer in writers:
        writer.transport.abort()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for _ in range(_TURNS_TO_CLOSE):
        await asyncio.sleep(0)


def _certificates(folder: Path, hosts: tuple[str, ...]) -> ssl.SSLContext:
    (folder / "names").write_text(f"subjectAltName={','.join(f'DNS:{host}' for host in hosts)}\n")
    for command in (
        f"req -x509 {_KEY} -keyout ca.key -out ca.crt -days 2 -subj /CN=company-ca",
        f"req {_KEY} -keyout server.key -out server.csr -subj /CN=proxy",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context

"""The API server, for reading.

Through `kubectl proxy` on a socket in a folder of this user's: so every way to log in works, the rights are the user's
own, and nobody else on the machine gets in. Some answers come from a Pod through the API server: all are bounded.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from agentberth.cluster.kubectl import Kubectl
from agentberth.console.view import Plain
from agentberth.errors import CommandError

_START_S: Final = 15.0
_ANSWER_S: Final = 20.0
_MOST_BYTES: Final = 128 << 20
_MOST_LINE_BYTES: Final = 16 << 20
_MOST_SAID_BYTES: Final = 1000


class RefusedError(CommandError):
    """Raised when the API server says no: `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Api:
    """Reads from `base`."""

    session: aiohttp.ClientSession
    base: str

    async def get(self, path: str, **query: str) -> Plain:
        """One document. Raises RefusedError and CommandError."""
        text = await self.text(path, **query)
        try:
            document: Plain = json.loads(text)
        except ValueError as error:
            raise CommandError(f"{path}: the answer is not JSON") from error
        return document

    async def text(self, path: str, **query: str) -> str:
        """A text, at most 128 MiB. Raises RefusedError and CommandError."""
        body, _ = await self.read(path, {}, query)
        return body.decode(errors="replace")

    async def read(
        self, path: str, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body of an answer, at most 128 MiB, and its headers. Raises RefusedError and CommandError."""
        try:
            async with self.session.get(
                f"{self.base}{path}", params=query, headers=headers, timeout=_timeout(_ANSWER_S)
            ) as answer:
                body = await _read(answer.content)
                if answer.status >= 400:
                    raise RefusedError(answer.status, _reason(answer.status, body))
                return body, answer.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CommandError(f"the cluster does not answer: {str(error) or type(error).__name__}") from error

    async def lines(self, path: str, **query: str) -> AsyncIterator[bytes]:
        """The lines of a watch, until its end. Raises CommandError."""
        try:
            async with self.session.get(f"{self.base}{path}", params=query, timeout=_timeout(None)) as answer:
                if answer.status >= 400:
                    raise RefusedError(answer.status, _reason(answer.status, await answer.content.read(10_000)))
                rest = b""
                async for chunk in answer.content.iter_any():
                    *whole, rest = (rest + chunk).split(b"\n")
                    if len(rest) > _MOST_LINE_BYTES:
                        raise CommandError("the cluster sent an object that is too large")
                    for line in whole:
                        yield line
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CommandError(f"the cluster does not answer: {str(error) or type(error).__name__}") from error


@asynccontextmanager
async def through_kubectl(kubectl: Kubectl) -> AsyncIterator[Api]:
    """Raises CommandError when kubectl cannot be started, or does not come up."""
    with tempfile.TemporaryDirectory(prefix="agentberth-console-") as folder:
        socket = f"{folder}/api"
        words = ("proxy", f"--unix-socket={socket}", "--reject-methods=^(POST|PUT|PATCH|DELETE)$")
        process = await asyncio.create_subprocess_exec(
            kubectl.program,
            *kubectl.flags,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        said = bytearray()
        draining = asyncio.create_task(_drain(process, said), name="stderr of kubectl proxy")
        try:
            await _await_socket(process, Path(socket), said, draining)
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket, limit=0)) as session:
                yield Api(session, "http://localhost")
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            draining.cancel()
            with suppress(asyncio.CancelledError):
                await draining


async def _drain(process: asyncio.subprocess.Process, said: bytearray) -> None:
    """Keeps the end of what it writes: a pipe that nobody reads fills up, and would stop it."""
    assert process.stderr is not None  # noqa: S101 - a pipe
    while chunk := await process.stderr.read(_MOST_SAID_BYTES):
        said += chunk
        del said[:-_MOST_SAID_BYTES]


async def _await_socket(
    process: asyncio.subprocess.Process, socket: Path, said: bytearray, draining: asyncio.Task[None]
) -> None:
    for _ in range(round(_START_S / 0.05)):
        if await asyncio.to_thread(socket.exists):
            return
        if process.returncode is not None:
            await asyncio.wait((draining,), timeout=1)
            words = said.decode(errors="replace").strip()
            raise CommandError(f"kubectl proxy ended: {words.removeprefix('error: ')}", cure="kubectl cluster-info")
        await asyncio.sleep(0.05)
    raise CommandError("kubectl proxy did not start", cure="kubectl cluster-info")


async def _read(content: aiohttp.StreamReader) -> bytes:
    """All of an answer. Raises CommandError for one that is too large."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise CommandError(f"an answer is larger than {_MOST_BYTES} bytes")
    return bytes(body)


def _timeout(total_s: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total_s, sock_connect=_ANSWER_S)


def _reason(status: int, body: bytes) -> str:
    try:
        document: Any = json.loads(body)
        return str(document["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()[:500] or f"the API server answers {status}"

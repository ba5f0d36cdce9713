"""One file over HTTPS: bounded, resumable, and hashed as it arrives.

A part that is there already is continued with a range request that the server must recognise by its ETag, and is
read again for the hash, so a resumed file is verified as a whole. Redirects are followed by hand: each hop goes
through the address policy.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from agent_toolproxy.errors import AddressRefused, DownloadFailed, LimitExceeded, NotFound
from agent_toolproxy.network.addresspolicy import AddressPolicy

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MOST_REDIRECTS: Final = 5
_CHUNK_BYTES: Final = 1 << 18
_WORTH_RETRYING: Final = (408, 425, 429)
_STALL_S: Final = 30.0  # without a byte


@dataclass(frozen=True)
class _Part:
    """What is there of a file, and the ETag it belongs to."""

    path: Path
    etag: str
    size_bytes: int


class Downloader:
    """Fetches files with one HTTP session."""

    def __init__(self, session: aiohttp.ClientSession, addresses: AddressPolicy) -> None:
        self._session = session
        self._addresses = addresses

    async def fetch(self, url: str, path: Path, *, limit_bytes: int) -> str:
        """The sha256 of the file at `url`, which is at `path` afterwards.

        Raises DownloadFailed (retryable for network faults, 429 and 5xx), NotFound, AddressRefused, LimitExceeded.
        A retryable failure leaves the part for the next attempt.
        """
        part = await asyncio.to_thread(_read_part, path)
        try:
            async with self._open(url, part) as response:
                return await self._receive(response, part, limit_bytes)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if refused := _find_refusal(error):
                raise refused from error
            raise DownloadFailed(f"{_shown(url)}: {_reason(error)}", retryable=True) from error

    @asynccontextmanager
    async def _open(self, url: str, part: _Part) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if part.size_bytes:
            headers |= {"Range": f"bytes={part.size_bytes}-", "If-Range": part.etag}
        for _ in range(_MOST_REDIRECTS):
            await self._addresses.check_url(url)
            async with self._session.get(
                URL(url, encoded=True),
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, connect=_STALL_S, sock_read=_STALL_S),
            ) as response:
                if response.status in _REDIRECTS and (location := response.headers.get("Location")):
                    url = str(URL(url, encoded=True).join(URL(location)))
                    continue
                _check_status(response, url)
                yield response
                return
        raise DownloadFailed(f"{_shown(url)}: more than {_MOST_REDIRECTS} redirects")

    async def _receive(self, response: aiohttp.ClientResponse, part: _Part, limit_bytes: int) -> str:
        resumed = response.status == 206
        digest = hashlib.sha256()
        received_bytes = part.size_bytes if resumed else 0
        if resumed:
            await asyncio.to_thread(_hash_into, digest, part.path)
        await asyncio.to_thread(_begin, part.path, response.headers.get("ETag", ""), keep=resumed)
        with part.path.open("ab") as file:
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                received_bytes += len(chunk)
                if received_bytes > limit_bytes:
                    await asyncio.to_thread(discard, part.path)
                    raise LimitExceeded(f"the download is larger than limits.downloadBytes ({limit_bytes} bytes)")
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
        return digest.hexdigest()


def discard(path: Path) -> None:
    """Forget a download, with what is known of it."""
    path.unlink(missing_ok=True)
    _notes_of(path).unlink(missing_ok=True)


def _notes_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.etag")


def _read_part(path: Path) -> _Part:
    with suppress(OSError, ValueError, TypeError):
        etag = json.loads(_notes_of(path).read_text())
        if etag and isinstance(etag, str):
            return _Part(path, etag, path.stat().st_size)
    return _Part(path, "", 0)


def _begin(path: Path, etag: str, *, keep: bool) -> None:
    if not keep:
        discard(path)
        strong = etag if etag.startswith('"') else ""
        path.touch()
        _notes_of(path).write_text(json.dumps(strong))


def _hash_into(digest: "hashlib._Hash", path: Path) -> None:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)


def _check_status(response: aiohttp.ClientResponse, url: str) -> None:
    status = response.status
    if status in (200, 206):
        return
    if status in (404, 410):
        raise NotFound(f"{_shown(url)}: {status}, there is no such file")
    if status == 416:
        raise DownloadFailed(f"{_shown(url)}: the part that is there does not fit the file", retryable=True)
    raise DownloadFailed(
        f"{_shown(url)}: the server answered {status}", retryable=status >= 500 or status in _WORTH_RETRYING
    )


def _find_refusal(error: BaseException | None) -> AddressRefused | None:
    while error is not None:
        if isinstance(error, AddressRefused):
            return error
        error = error.__cause__ or error.__context__
    return None


def _reason(error: BaseException) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _shown(url: str) -> str:
    """Without the query, which may hold a signature."""
    return url.partition("?")[0][:300]

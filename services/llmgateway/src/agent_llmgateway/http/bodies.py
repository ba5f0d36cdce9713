"""Reads the body of a request: after there is memory for it, and no longer than it may take."""

import asyncio
from typing import Final

from aiohttp import web

from agent_llmgateway.errors import BadRequestError, TooLargeError, TooSlowError
from agent_llmgateway.upstream.heldmemory import COPIES, LEAST_BYTES, Lease

BODY_S: Final = 60.0
"""In which a body must be there; it comes over loopback."""
STEP_BYTES: Final = 1 << 20
"""By which memory is taken for a body that does not say how long it is."""


def read_ready(request: web.BaseRequest, limit_bytes: int, lease: Lease) -> bytes | None:
    """The body, when all of it came with the headers, as it does for most; what it holds is in `lease`.

    None when it has to be received, or there is no memory for it now.
    """
    content = request.content
    if not content.is_eof() or content.exception() is not None or content.total_bytes > limit_bytes:
        return None
    return content.read_nowait() if lease.reserve_now(LEAST_BYTES + content.total_bytes * COPIES) else None


async def receive_body(request: web.BaseRequest, limit_bytes: int, lease: Lease) -> bytes:
    """The body, however it comes; what it holds is in `lease`. Raises TooLargeError, TooSlowError and BusyError."""
    declared = request.content_length
    if declared is not None and declared > limit_bytes:
        raise TooLargeError(limit_bytes)
    expected = STEP_BYTES if declared is None else declared
    await lease.reserve(LEAST_BYTES + expected * COPIES)
    if request.headers.get("expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    try:
        async with asyncio.timeout(BODY_S):
            return await _join(request, limit_bytes, expected, lease)
    except TimeoutError:
        raise TooSlowError(BODY_S) from None


async def _join(request: web.BaseRequest, limit_bytes: int, expected: int, lease: Lease) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await request.content.readany():
        size += len(piece)
        if size > limit_bytes:
            raise TooLargeError(limit_bytes)
        if size > expected:
            expected += max(STEP_BYTES, size - expected)
            await lease.reserve(LEAST_BYTES + expected * COPIES)
        pieces.append(piece)
    if request.content.exception() is not None:
        raise BadRequestError("The body ended early", code="invalid_body")
    return b"".join(pieces)

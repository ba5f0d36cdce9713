"""Bodies of HTTP messages from a server that may send anything."""

from collections.abc import AsyncIterable


async def read_at_most(limit: int, pieces: AsyncIterable[bytes]) -> bytes | None:
    """All of a body, however many pieces it comes in; None when it is more than `limit` bytes."""
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limit:
            return None
    return bytes(body)

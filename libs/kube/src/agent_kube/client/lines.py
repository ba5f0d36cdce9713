"""Lines of a watch.

aiohttp's own reader fails on a long line in the middle of the stream, with what it has read lost; here the limit is
ours and the failure says what to do about it: list again.
"""

from collections.abc import AsyncIterator

from agent_kube.errors import LineTooLong


async def split_lines(chunks: AsyncIterator[bytes], max_bytes: int) -> AsyncIterator[bytes]:
    """The complete lines in `chunks`, without their ends; an unfinished last line is dropped.

    Raises LineTooLong as soon as a line exceeds `max_bytes`.
    """
    pending: list[bytes] = []
    pending_bytes = 0
    async for chunk in chunks:
        head, *rest = chunk.split(b"\n")
        pending.append(head)
        pending_bytes += len(head)
        if pending_bytes > max_bytes:
            raise LineTooLong(f"an event exceeds {max_bytes} bytes")
        if not rest:
            continue
        yield b"".join(pending)
        for line in rest[:-1]:
            yield line
        pending = [rest[-1]]
        pending_bytes = len(rest[-1])

"""What a stream has said, as one text for the recorder.

Its events are put together before anything is masked: of a secret that comes in two pieces, neither has its shape.
"""

from agent_kit.errors import EventTooLargeError
from agent_kit.sse import EventScanner, read_data
from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.collect import open_collector


class Transcript:
    """Reads the first `most_bytes` of what a client is sent in its `dialect`."""

    def __init__(self, dialect: str, most_bytes: int) -> None:
        self._collector = open_collector(dialect)
        self._scanner = EventScanner(most_bytes)
        self._left_bytes = most_bytes

    def feed(self, piece: bytes) -> None:
        """More of the stream. What cannot be read ends the transcript, not the stream."""
        if self._left_bytes <= 0:
            return
        self._left_bytes -= len(piece)
        try:
            for block in self._scanner.feed(piece).blocks:
                data = read_data(block)
                if data is not None and data.strip() != b"[DONE]":
                    self._collector.feed(data)
        except (EventTooLargeError, MalformedEventError):
            self._left_bytes = 0

    def text(self) -> bytes:
        """The answer as far as it has come, as JSON; empty where that cannot be put together."""
        try:
            return self._collector.finish()
        except MalformedEventError:
            return b""

"""Lines out of the bytes that a foreign program prints, with a bound on what is kept of each.

The rest of a longer line is dropped instead of being passed on as a line of its own: a secret that lies across such
a cut would be in neither part, and so would not be masked.
"""


class BoundedLines:
    """Splits a stream of bytes into lines, without their ends, of at most `most_bytes` each."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._part = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that end in `chunk`."""
        first, *others = chunk.split(b"\n")
        self._part += first[: self._most_bytes - len(self._part)]
        if not others:
            return []
        lines = [self._part, *(line[: self._most_bytes] for line in others)]
        self._part = lines.pop()
        return lines

    def close(self) -> list[bytes]:
        """The last line when it has no end."""
        part, self._part = self._part, b""
        return [part] if part else []

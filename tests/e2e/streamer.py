"""An agent that reads one long stream, goes on when it is told to end, and says how the stream ended."""

import json
import os
import signal
import sys
import urllib.request
from typing import Any


class Seen:
    """Pieces of text so far, and how many there were when SIGTERM came."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.told_at: int | None = None
        self.finish = ""
        self.done = False

    def take(self, line: str) -> None:
        """One line of the stream."""
        data = line.removeprefix("data: ")
        if data == line:
            return
        if data == "[DONE]":
            self.done = True
            return
        (choice,) = json.loads(data).get("choices") or [{}]
        piece = choice.get("delta", {}).get("content")
        if piece:
            self.pieces.append(piece)
        self.finish = choice.get("finish_reason") or self.finish


def say(document: dict[str, Any]) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Reads the stream to its end."""
    seen = Seen()
    signal.signal(signal.SIGTERM, lambda *_: setattr(seen, "told_at", len(seen.pieces)))
    question = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "a long story"}]}
    headers = {"content-type": "application/json", "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    address = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    request = urllib.request.Request(address, json.dumps(question).encode(), headers)  # noqa: S310 - the gateway's address
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
        for raw in answer:
            before = len(seen.pieces)
            seen.take(raw.decode().strip())
            if (before, len(seen.pieces)) == (0, 1):
                say({"started": True})
    say(
        {
            "text": "".join(seen.pieces),
            "of": len(seen.pieces),
            "toldAt": seen.told_at,
            "finish": seen.finish,
            "done": seen.done,
        }
    )


if __name__ == "__main__":
    main()

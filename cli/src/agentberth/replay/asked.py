"""What a request is about, in words that a test and a person use: a model, or a tool by name."""

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import unquote

from agent_api.cassette import Side
from agentberth.replay.bodies import parsed

_RUN: Final = re.compile(r"^/v1/tools/([^/?]+):run(?:$|\?)")
_LONGEST_CHARS: Final = 128


@dataclass(frozen=True)
class Asked:
    """One request. `tool` and `model` are empty where it is not about one."""

    side: Side
    title: str
    reads: bool
    """True when it changes nothing: it may come any number of times."""
    tool: str = ""
    model: str = ""

    @classmethod
    def of(cls, side: Side, method: str, path: str, body: bytes) -> Self:
        title = f"{method} {path}"[:_LONGEST_CHARS]
        if method in ("GET", "HEAD"):
            return cls(side, title, reads=True)
        if side == "models":
            return cls._of_model(title, path, body)
        if found := _RUN.match(path):
            tool = unquote(found[1])[:_LONGEST_CHARS]
            return cls(side, f"tool {tool}", reads=False, tool=tool)
        return cls._of_message(title, body) if path.partition("?")[0] == "/mcp" else cls(side, title, reads=False)

    @classmethod
    def _of_model(cls, title: str, path: str, body: bytes) -> Self:
        value = parsed(body)
        model = value.get("model") if isinstance(value, dict) else None
        model = model[:_LONGEST_CHARS] if isinstance(model, str) else ""
        reads = path.partition("?")[0].endswith(("/count_tokens", "/input_tokens"))
        return cls("models", f"{title} of the model {model}" if model else title, reads=reads, model=model)

    @classmethod
    def _of_message(cls, title: str, body: bytes) -> Self:
        value = parsed(body)
        message = value if isinstance(value, dict) else {}
        method = str(message.get("method", ""))[:_LONGEST_CHARS]
        params = message.get("params")
        if method != "tools/call":
            return cls("tools", f"MCP {method}" if method else title, reads=bool(method))
        tool = str(params.get("name", ""))[:_LONGEST_CHARS] if isinstance(params, dict) else ""
        return cls("tools", f"tool {tool}", reads=False, tool=tool)

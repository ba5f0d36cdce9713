"""The model behind the strict providers: what it says follows from the conversation alone, so it needs no state.

A user's text names the scene: `[[plain]]`, `[[tools]]`, `[[pictures]]`, `[[structured]]`, `[[thinking]]`,
`[[failover]]`. Which step of it comes next is the number of rounds of tool results behind that text.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from contract.llmgateway.strict.conversation import Conversation

PLAIN = 'Grüezi 👩‍💻, "quoted" \\ back\nslash {"not": "json"} … 漢字.'
THOUGHT = 'First I think\nabout it: "why?" 🤔'
SPOKEN = "Then I speak: ja, ✓."
CITIES = ("Zürich", 'Rome "eterna"')
ZONE = "Europe/Zurich"
SHELLS: dict[str, Callable[[str], dict[str, Any]]] = {
    "Bash": lambda command: {"command": command, "description": "Look"},
    "exec_command": lambda command: {"cmd": command},
    "shell_command": lambda command: {"command": command},
    "shell": lambda command: {"command": ["bash", "-lc", command]},
}
ANSWER = {"city": "Zürich", "degrees": 21}
LOOKING = "Let me look. 🔍"
PICTURE = re.compile(r"/\S+\.png")
SCENE = re.compile(r"\[\[(\w+)\]\]")


@dataclass(frozen=True)
class Said:
    """A part of an answer. `text` of a call is its arguments as JSON, `name` its tool."""

    kind: Literal["text", "thinking", "call"]
    text: str
    name: str = ""


def scene_of(seen: Conversation) -> str:
    """The last scene that a user named."""
    named = [found for text in seen.asked for found in SCENE.findall(text)]
    return named[-1] if named else "plain"


def step_of(seen: Conversation) -> int:
    """Rounds of results so far."""
    return len(seen.results)


def answer(seen: Conversation) -> list[Said]:
    """What the model says next."""
    scene = scene_of(seen)
    thoughts = [Said("thinking", THOUGHT)] if seen.thinks else []
    if scene == "structured":
        return _structured(seen)
    if scene in ("tools", "failover"):
        return [*thoughts, *_tool_step(seen)]
    if scene == "pictures":
        return [*thoughts, *_pictures(seen)]
    if scene == "thinking":
        return [*thoughts, Said("text", SPOKEN)]
    return [*thoughts, Said("text", PLAIN)]


def _structured(seen: Conversation) -> list[Said]:
    """By the schema of the answer, or by a tool that has to be called: what is done depends on the client."""
    name = _tool(seen, "StructuredOutput") or seen.choice
    if seen.results:
        return [Said("text", PLAIN)]
    if name is None and (seen.has_schema or not seen.tools):
        return [Said("text", json.dumps(ANSWER))]
    return [Said("call", json.dumps(ANSWER), seen.tools[-1] if name in (None, "*") else str(name))]


def _pictures(seen: Conversation) -> list[Said]:
    """A coding agent is told the picture's path, and shown it by a tool."""
    found = PICTURE.search(seen.asked[-1])
    reader = _tool(seen, "Read")
    if found and reader and not seen.results:
        return [_call(reader, {"file_path": found.group()})]
    return [Said("text", "I see " + ", ".join(seen.pictures))]


def _tool_step(seen: Conversation) -> list[Said]:
    """Two calls at once, then one, then what all of them gave."""
    step = step_of(seen)
    if not _tool(seen, "get_weather", *SHELLS):
        return [Said("text", PLAIN)]
    if step == 0:
        return [Said("text", LOOKING), *(_weather(seen, city) for city in CITIES)]
    if step == 1:
        return [_time(seen)]
    return [Said("text", "Results: " + " | ".join(text.strip() for results in seen.results for text in results))]


def _weather(seen: Conversation, city: str) -> Said:
    name = _tool(seen, "get_weather")
    return _call(name, {"city": city}) if name else _shell(seen, f"echo weather of {len(city)}")


def _time(seen: Conversation) -> Said:
    name = _tool(seen, "get_time")
    return _call(name, {"zone": ZONE}) if name else _shell(seen, "echo noon")


def _shell(seen: Conversation, command: str) -> Said:
    """The tool of a coding agent that runs a command."""
    name = _tool(seen, *SHELLS) or ""
    return _call(name, SHELLS[name](command))


def _tool(seen: Conversation, *names: str) -> str | None:
    """The first tool called so, perhaps behind a prefix."""
    for name in names:
        for tool in seen.tools:
            if tool == name or tool.endswith(f"__{name}"):
                return tool
    return None


def _call(name: str, arguments: Any) -> Said:
    return Said("call", json.dumps(arguments, ensure_ascii=False), name)

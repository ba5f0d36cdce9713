"""What every driver is given, the tools it offers, and how it says what its client showed.

A driver is run in its client's own environment as `python DRIVER.py '{"url": ..., "key": ..., "feature": ...}'`. The
last line that it prints is a JSON object: `texts` of the answers in order, and `parsed` and `thinking` where asked for.
"""

import base64
import json
import sys
from pathlib import Path

TASK = json.loads(sys.argv[1])
URL, KEY, FEATURE = TASK["url"], TASK["key"], TASK["feature"]
PICTURE = base64.b64encode(Path(TASK["picture"]).read_bytes()).decode()
DATA_URL = f"data:image/png;base64,{PICTURE}"
SCENES = {"plain": "plain", "stream": "plain"}
PROMPT = f"Please do it: [[{SCENES.get(FEATURE, FEATURE)}]]"
FOLLOW_UP = "Thank you. [[plain]]"
SYSTEM = "You are a careful assistant."
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
THINKS = FEATURE in ("thinking", "failover")
OPENAI_MODEL = "gpt-5" if THINKS else "gpt-4.1"
ANTHROPIC_MODEL = "claude-sonnet-4-5"


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 21°"


def get_time(zone: str) -> str:
    """The time of a zone."""
    return f"noon in {zone}"


TOOLS = {"get_weather": (get_weather, "city"), "get_time": (get_time, "zone")}


def run_tool(name: str, arguments: dict[str, str]) -> str:
    function, parameter = TOOLS[name]
    return function(arguments[parameter])


def schema_of(name: str) -> dict[str, object]:
    parameter = TOOLS[name][1]
    return {
        "type": "object",
        "properties": {parameter: {"type": "string"}},
        "required": [parameter],
        "additionalProperties": False,
    }


def show(texts: list[str], parsed: object = None, thinking: str = "") -> None:
    sys.stdout.write(json.dumps({"texts": texts, "parsed": parsed, "thinking": thinking}) + "\n")

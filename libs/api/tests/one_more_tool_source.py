"""Agentberth with other tables of tool sources: prints what follows from the source `toy` in them, as JSON.

python one_more_tool_source.py FOLDER     toolsources.py and packages.py in FOLDER take the place of our own
"""

import json
import sys
from pathlib import Path
from typing import Any

import agent_api
import agent_toolproxy.installers

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT), sys.argv[1]]
agent_api.__path__.insert(0, sys.argv[1])
agent_toolproxy.installers.__path__.insert(0, sys.argv[1])

from hack.generate import spec_page  # noqa: E402 - all of these read the tables when they are imported

from agent_api.crd import crd  # noqa: E402
from agent_api.problems import Verdict, examine  # noqa: E402
from agent_api.toolsconfig import ToolDefinition  # noqa: E402
from agent_render import PlatformSettings  # noqa: E402
from agent_render.endpoints import endpoints  # noqa: E402
from agent_toolproxy.errors import SourceInvalid  # noqa: E402
from agent_toolproxy.sources.source import parse_source  # noqa: E402


def examined(source: str) -> Verdict:
    """What the checks say of an agent with this one tool."""
    return examine(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web"},
            "spec": {"agent": {"image": "nginx:1.27"}, "tools": {"custom": [{"name": "ball", "source": source}]}},
        }
    )


def refusal() -> str:
    """What a form that is not there is answered."""
    try:
        parse_source("nothing:of==this")
    except SourceInvalid as error:
        return str(error)
    return ""


def main() -> None:
    """Writes one JSON object to stdout."""
    parsed = {text: parse_source(text) for text in ("toy:ball==1", "mcp+stdio:toy:ball")}
    toy: Any = parsed["toy:ball==1"]
    verdicts = {text: examined(text) for text in ("toy:ball==1", "mcp+stdio:toy:ball==1")}
    agent = verdicts["toy:ball==1"].agent
    ((_, page),) = spec_page.files(ROOT)
    facts = {
        "problems": {text: [problem.message for problem in verdict.problems] for text, verdict in verdicts.items()},
        "egress": [str(endpoint) for endpoint in endpoints(agent, PlatformSettings())] if agent else [],
        "parsed": {text: repr(source) for text, source in parsed.items()},
        "installer": toy.installer("parts"),
        "refusal": refusal(),
        "definition": json.dumps(crd()),
        "page": page,
        "schema": json.dumps(ToolDefinition.model_json_schema()),
    }
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main()

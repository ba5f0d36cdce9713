"""Agentberth with another table of provider types: prints what follows from the type `toy` in it, as JSON.

python one_more_provider.py FOLDER        a providers.py in FOLDER takes the place of agent_api's own
"""

import json
import sys
from pathlib import Path
from typing import Any

import agent_api

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))
agent_api.__path__.insert(0, sys.argv[1])

from hack.generate import spec_page  # noqa: E402 - all of these read the table when they are imported

from agent_api.crd import crd  # noqa: E402
from agent_api.problems import Verdict, examine  # noqa: E402
from agent_llmgateway.upstream.providers import key_headers, paths_of  # noqa: E402
from agent_render import PlatformSettings  # noqa: E402
from agent_render.endpoints import endpoints  # noqa: E402


def examined(provider: dict[str, Any]) -> Verdict:
    """What the checks say of an agent with this one provider."""
    return examine(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web"},
            "spec": {"agent": {"image": "nginx:1.27"}, "llm": {"providers": [provider]}},
        }
    )


def main() -> None:
    """Writes one JSON object to stdout."""
    sound = examined({"name": "only", "type": "toy", "credentialsSecret": "toy-key"})
    keyless = examined({"name": "only", "type": "toy"})
    ((_, page),) = spec_page.files(ROOT)
    facts = {
        "problems": [problem.message for problem in sound.problems],
        "problems without a key": [problem.message for problem in keyless.problems],
        "egress": [str(each) for each in endpoints(sound.agent, PlatformSettings())] if sound.agent else [],
        "headers": dict(key_headers("toy", "canary")),
        "paths": dict(paths_of("toy", {})),
        "definition": json.dumps(crd()),
        "page": page,
    }
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main()

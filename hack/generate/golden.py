"""The golden files of agent_render, one for each agent in its tests; the diff is for a person to read."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from agent_api.problems import examine
from agent_render import PlatformSettings, render
from agentberth.yamlout import dump

AGENTS = Path("libs/render/tests/agents")
GOLDEN = Path("libs/render/tests/golden")


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """One file per agent.

    Raises SystemExit for an agent that is not valid.
    """
    for file in sorted((root / AGENTS).glob("*.yaml")):
        verdict = examine(yaml.safe_load(file.read_text()))
        if verdict.agent is None:
            raise SystemExit(f"{file}: {verdict.problems}")
        yield GOLDEN / file.name, dump(render(verdict.agent, PlatformSettings(pod_monitors=True)))

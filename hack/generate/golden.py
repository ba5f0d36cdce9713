"""Writes the golden files of agent_render anew; the diff is for a person to read."""

from pathlib import Path

import yaml

from agent_api.problems import examine
from agent_render import PlatformSettings, render
from agentberth.yamlout import dump

TESTS = Path(__file__).parents[2] / "libs" / "render" / "tests"


def main() -> None:
    """One golden file per agent."""
    for file in sorted((TESTS / "agents").glob("*.yaml")):
        verdict = examine(yaml.safe_load(file.read_text()))
        if verdict.agent is None:
            raise SystemExit(f"{file}: {verdict.problems}")
        (TESTS / "golden" / file.name).write_text(dump(render(verdict.agent, PlatformSettings())))


main()

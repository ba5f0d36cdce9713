"""Agents of others, unmodified, recorded and replayed: a Python framework, a TypeScript one, and a coding agent.

They run in the environments of the gateway's clients. The cassettes beside this file were made by
`agentberth run --record` of the same agents. Claude Code has none: what it sends is its vendor's, and says what machine
it is on, so it is recorded anew. CI tries one of them; AGENTBERTH_WHOLE=1 tries all.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from contract.llmgateway.clients.environments import NODE, prepare

AGENTBERTH = Path(sys.executable).parent / "agentberth"
HERE = Path(__file__).parent
AGENTS = HERE / "agents"
WHOLE = os.environ.get("AGENTBERTH_WHOLE") == "1"
ANSWER = "It is 21 degrees in Zürich."
ALONE = ("unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
"""Without any network but loopback, where a user may make a namespace."""
MANIFEST = """\
apiVersion: agents.example.com/v1
kind: AgentType
metadata: {{name: stranger}}
spec:
  agent: {{type: container, image: example.com/stranger:1}}
  llm:
    providers:
      - name: scripted
        type: mock
        config:
          model: {model}
          replies:
            - {{times: 1, toolCalls: [{call}]}}
            - {{text: {answer}}}
"""
WEATHER = '{name: get_weather, arguments: {city: "Zürich"}}'
SHELL = '{name: Bash, arguments: {command: "echo 21 degrees", description: "Ask"}}'


@dataclass(frozen=True)
class Stranger:
    """An agent: how it is started, what the model calls, and its cassette."""

    command: Callable[[], tuple[str | Path, ...]]
    model: str
    call: str
    cassette: str = ""


def node(*inside: str) -> Path:
    return prepare(NODE).joinpath("node_modules", *inside)


STRANGERS = {
    "openai-agents": Stranger(
        lambda: (prepare("openai-agents") / "bin" / "python", AGENTS / "openai_agents.py"),
        "gpt-4.1",
        WEATHER,
        "openai-agents.cassette.jsonl",
    ),
    "ai-sdk": Stranger(
        lambda: (node("node", "bin", "node"), AGENTS / "ai_sdk.mjs", node().parent),
        "gpt-4.1",
        WEATHER,
        "ai-sdk.cassette.jsonl",
    ),
    "claude-code": Stranger(lambda: (AGENTS / "claude_code.sh", node(".bin", "claude")), "claude-sonnet-4-5", SHELL),
}
TRIED = STRANGERS if WHOLE else ("openai-agents",)


def network_taken_away() -> tuple[str, ...]:
    can = subprocess.run([*ALONE, "true"], capture_output=True, check=False).returncode == 0
    return ALONE if can else ()


def run(folder: Path, stranger: Stranger, *options: str, before: tuple[str, ...] = ()) -> str:
    """What the agent prints."""
    (folder / "agent.yaml").write_text(MANIFEST.format(model=stranger.model, call=stranger.call, answer=ANSWER))
    command = shlex.join(map(str, stranger.command()))
    words = [*before, str(AGENTBERTH), "run", "-q", str(folder / "agent.yaml"), "--command", command, *options]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, cwd=folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TRIED)
def test_an_unmodified_agent_is_replayed_with_the_network_taken_away(name: str, tmp_path: Path) -> None:
    stranger, cassette = STRANGERS[name], tmp_path / "a.jsonl"
    if WHOLE or not stranger.cassette:
        assert ANSWER in run(tmp_path, stranger, "--record", str(cassette))
        assert ANSWER in run(tmp_path, stranger, "--replay", str(cassette), before=network_taken_away())
    if stranger.cassette:
        shutil.copy(HERE / stranger.cassette, cassette)
        assert ANSWER in run(tmp_path, stranger, "--replay", str(cassette), before=network_taken_away())

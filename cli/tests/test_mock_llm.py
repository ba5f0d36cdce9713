import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agentberth.local.mockllm import REPLY

from .conftest import Run

Write = Callable[..., Path]
MODELS = """\
  llm:
    providers:
      - {name: main, type: anthropic, credentialsSecret: anthropic-key, config: {model: claude-x}}
      - {name: backup, type: openai, credentialsSecret: openai-key, config: {model: gpt-x}}
    models: [{name: fast, routes: [{provider: backup}]}]
"""
ASK = """
import json, os, urllib.request
def ask(model):
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        json.dumps({"model": model, "messages": [{"role": "user", "content": "?"}]}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return [response.headers["x-agentberth-provider"], json.load(response)["choices"][0]["message"]["content"]]
print(json.dumps([ask("auto"), ask("fast")]))
"""


def test_a_provider_without_its_secret_is_told_with_both_ways_out(agentberth: Run, agent: Write) -> None:
    done = agentberth("run", str(agent(ASK, extra=MODELS)))

    assert done.returncode == 1
    assert 'the provider main has no key: the Secret "anthropic-key" is not in the files given' in done.stderr
    assert "--mock-llm" in done.stderr


@pytest.mark.parametrize("held", ['{api-key: "  "}', "{}"])
def test_a_secret_without_a_key_is_told_before_anything_starts(
    agentberth: Run, agent: Write, tmp_path: Path, held: str
) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: anthropic-key}\nstringData: " + held
    (tmp_path / "secrets.yaml").write_text(secret)

    done = agentberth("run", str(agent(ASK, extra=MODELS)), "secrets.yaml")

    assert done.returncode == 1
    assert done.stderr.startswith('error: the provider main has no key: the Secret "anthropic-key" is empty\n  try: ')


def test_mock_llm_answers_for_every_provider_and_alias_without_a_key(agentberth: Run, agent: Write) -> None:
    done = agentberth("run", "--quiet", "--mock-llm", str(agent(ASK, extra=MODELS)))

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["main", REPLY], ["backup", REPLY]]

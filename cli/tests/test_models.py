import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from agent_api.agenttype import AgentType
from agentberth.errors import ManifestError
from agentberth.local.models import REPLY, with_keys
from agentberth.local.objects import Objects

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
        {"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]},
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


SCRIPT = """\
replies:
  - times: 1
    toolCalls: [{name: look, arguments: {at: tide}}, {name: look, arguments: {at: wind}}]
  - {toolCalls: [{name: look}]}
"""
CALLS = """
import json, os, urllib.request
def ask():
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        json.dumps({"model": "auto", "messages": [{"role": "user", "content": "?"}]}).encode(),
        {"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]},
    )
    with urllib.request.urlopen(request) as response:
        return [call["id"] for call in json.load(response)["choices"][0]["message"]["tool_calls"]]
print(json.dumps([*ask(), *ask()]))
"""


def test_a_script_sets_the_answers_and_each_tool_call_has_an_id_of_its_own(
    agentberth: Run, agent: Write, tmp_path: Path
) -> None:
    (tmp_path / "mock.yaml").write_text(SCRIPT)

    done = agentberth("run", "--quiet", "--mock-script", "mock.yaml", str(agent(CALLS, extra=MODELS)))

    assert done.returncode == 0, done.stderr
    ids = json.loads(done.stdout)
    assert len(ids) == 3
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    "script, message",
    [
        ("replies: [{txt: hello}]", "mock.yaml.replies.0.txt: "),
        ("[]", "is not a script for the mock"),
        ("models: [a]\nreplies: []", "is not a script for the mock"),
        ("replies: 3", "mock.yaml.replies: "),
    ],
)
def test_a_wrong_script_is_told_before_anything_starts(
    agentberth: Run, agent: Write, tmp_path: Path, script: str, message: str
) -> None:
    (tmp_path / "mock.yaml").write_text(script)

    done = agentberth("run", "--mock-script", "mock.yaml", str(agent(CALLS, extra=MODELS)))

    assert done.returncode == 1
    assert message in done.stderr
    assert "\n  try: " in done.stderr


def run_models(text: str, environment: dict[str, str], *secrets: str) -> tuple[Objects, tuple[str, ...]]:
    spec = {"agent": {"image": "a:1"}, **yaml.safe_load(textwrap.dedent(text))}
    agent = AgentType.model_validate(
        {"apiVersion": "agents.example.com/v1", "kind": "AgentType", "metadata": {"name": "a"}, "spec": spec}
    )
    given = Objects({("Secret", name): {"api-key": b"k"} for name in secrets})
    return with_keys(agent, given, environment)


def test_the_shells_key_is_used_and_that_is_said() -> None:
    objects, notices = run_models(MODELS, {"ANTHROPIC_API_KEY": "from-the-shell"}, "openai-key")

    assert objects.get("Secret", "anthropic-key") == {"api-key": b"from-the-shell"}
    assert notices == ("the provider main uses ANTHROPIC_API_KEY of this shell",)


def test_a_key_in_the_files_wins_over_the_shells() -> None:
    objects, notices = run_models(
        MODELS, {"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "x"}, "openai-key", "anthropic-key"
    )

    assert objects.get("Secret", "openai-key") == {"api-key": b"k"}
    assert notices == ()


def test_a_provider_without_a_key_is_passed_over_as_long_as_another_has_one() -> None:
    objects, notices = run_models(MODELS, {}, "openai-key")

    assert objects.get("Secret", "anthropic-key") == {}
    assert notices == (
        'the provider main has no key, so it is passed over: the Secret "anthropic-key" is not in the files given',
    )


ELSEWHERE = """\
llm:
  providers:
    - {name: main, type: openai, credentialsSecret: own, config: {baseUrl: "https://models.example.com/v1"}}
"""


def test_the_shells_key_never_goes_to_an_address_of_the_manifest() -> None:
    with pytest.raises(ManifestError, match="has no key") as error:
        run_models(ELSEWHERE, {"OPENAI_API_KEY": "from-the-shell"})

    assert "OPENAI_API_KEY of this shell is for the provider's own address" in error.value.cure


def test_a_missing_first_key_does_not_stop_a_run_whose_backup_has_one(
    agentberth: Run, agent: Write, tmp_path: Path
) -> None:
    models = MODELS.replace("type: openai, credentialsSecret: openai-key", "type: mock")

    done = agentberth("run", str(agent(ASK, extra=models)), environment={"ANTHROPIC_API_KEY": ""})

    assert done.returncode == 0, done.stderr
    assert "the provider main has no key, so it is passed over" in done.stderr
    assert '["backup", "This is ' in done.stdout

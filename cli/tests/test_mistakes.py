"""Typical mistakes of a first day. Each ends at once, in a message from which somebody who knows nothing can go on."""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentberth.app import main

LIMIT_S = 10  # of CPU, so that a busy machine decides nothing
AGENT = """\
apiVersion: agents.example.com/v1
kind: AgentType
metadata: {name: tester}
spec:
  agent:
    type: code
    code:
      runtime: python
      source: {type: local, path: code}
"""
LLM = "  llm:\n    providers:\n      - {name: main, type: openai, credentialsSecret: openai, config: {model: m}}\n"
OWN = "{name: own, type: openai-compatible, config: {model: m}}"


@dataclass(frozen=True)
class Mistake:
    """What somebody typed and wrote, and what the answer must hold. `{folder}` is where they are."""

    words: str
    says: tuple[str, ...]
    manifest: str | None = AGENT
    files: Mapping[str, str] = field(default_factory=lambda: {"code/main.py": "print('ahoy')\n"})


MISTAKES: dict[str, Mistake] = {
    "a misspelt command": Mistake("rnu agent.yaml", ("unknown command rnu", "try: run")),
    "a misspelt option": Mistake("run agent.yaml --mock-lm", ("unknown option --mock-lm", "--mock-llm")),
    "a file that is not there": Mistake("run agnet.yaml", ("agnet.yaml",)),
    "a folder without an agent": Mistake("validate code", ("code",)),
    "tabs": Mistake("validate agent.yaml", ("agent.yaml:6", "indent with spaces"), AGENT.replace("    type", "\ttype")),
    "a misspelt field": Mistake(
        "validate agent.yaml", ("agent.yaml:8:7", "runtim", "runtime"), AGENT.replace("runtime:", "runtim:")
    ),
    "a version without quotes": Mistake(
        "validate agent.yaml",
        ("version", "quote it"),
        AGENT.replace("runtime: python", "runtime: python\n      version: 3.12"),
    ),
    "no name": Mistake("validate agent.yaml", ("metadata.name",), AGENT.replace("{name: tester}", "{}")),
    "a name in capitals": Mistake(
        "validate agent.yaml", ("metadata.name", "lower-case"), AGENT.replace("tester", "Tester")
    ),
    "a provider that does not exist": Mistake(
        "validate agent.yaml", ("type", "openai"), AGENT + LLM.replace("type: openai", "type: opennai")
    ),
    "a provider without a key": Mistake(
        "validate agent.yaml", ("needs credentialsSecret",), AGENT + LLM.replace("credentialsSecret: openai, ", "")
    ),
    "a server without its address": Mistake(
        "validate agent.yaml", ("needs config.baseUrl",), AGENT + f"  llm:\n    providers: [{OWN}]\n"
    ),
    "a key in an address": Mistake(
        "validate agent.yaml",
        ("baseUrl", "without credentials"),
        AGENT + f"  llm:\n    providers: [{OWN.replace('model: m', 'model: m, baseUrl: https://me:sk-1@host/v1')}]\n",
    ),
    "a tool twice": Mistake(
        "validate agent.yaml", ("both required and optional",), AGENT + "  tools: {required: [git], optional: [git]}\n"
    ),
    "a tool from plain http": Mistake(
        "validate agent.yaml",
        ("source", "https://"),
        AGENT + "  tools: {custom: [{name: shelf, source: http://files.example.com/shelf.tgz}]}\n",
    ),
    "a field twice": Mistake(
        "validate agent.yaml", ("agent.yaml:11", "replicas"), AGENT + "  replicas: 1\n  replicas: 2\n"
    ),
    "two owners of the replicas": Mistake(
        "validate agent.yaml", ("remove replicas",), AGENT + "  replicas: 2\n  scaling: {maxReplicas: 3}\n"
    ),
    "no folder with the code": Mistake("run agent.yaml", ("there is no folder {folder}/code",), files={}),
    "no file to start": Mistake(
        "run agent.yaml", ("there is no main.py in {folder}/code", "entrypoint: [app.py]"), files={"code/app.py": ""}
    ),
    "no key of any provider": Mistake("run agent.yaml", ("OPENAI_API_KEY", "--mock-llm"), AGENT + LLM),
    "a laptop's folder for a cluster": Mistake("render agent.yaml", ("beside the manifest", "git source", "configMap")),
    "settings with a misspelt field": Mistake(
        "validate agent.yaml --settings platform.yaml",
        ("platform.yaml:1", "registri", 'did you mean "registry"'),
        files={"code/main.py": "", "platform.yaml": "registri: mirror.example.com\nstorageClas: fast\n"},
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_ends_in_one_message_that_says_what_to_do(
    mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir() if mistake.files else None
    for name, text in mistake.files.items():
        (tmp_path / name).write_text(text)
    if mistake.manifest is not None:
        (tmp_path / "agent.yaml").write_text(mistake.manifest)
    start = time.process_time()

    code = main(mistake.words.split())

    said = "".join(capsys.readouterr())
    assert code in (1, 2)
    assert time.process_time() - start < LIMIT_S
    for words in mistake.says:
        assert words.replace("{folder}", str(tmp_path)) in said, said
    assert "Traceback" not in said
    assert "pydantic" not in said
    assert len(said.splitlines()) <= 4, said
    assert not re.search(r"\bsk-1\b", said)


def test_there_are_twenty_of_them() -> None:
    assert len(MISTAKES) >= 20


def test_all_faults_of_the_settings_are_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agent.yaml").write_text(AGENT)
    (tmp_path / "platform.yaml").write_text("registri: a\nstorageClas: b\nimages: {initenvv: c}\n")

    assert main(["validate", "agent.yaml", "--settings", "platform.yaml"]) == 1

    said = "".join(capsys.readouterr())
    assert all(name in said for name in ("registri", "storageClas", "initenvv"))

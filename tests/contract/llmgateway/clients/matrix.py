"""The matrix of clients: its rows and columns, what each cell has to show, and which cells are limits of an API."""

import hashlib
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from contract.llmgateway.clients.environments import NODE, prepare
from contract.llmgateway.strict import scripted

DRIVERS: Final = Path(__file__).parent / "drivers"
TARGETS: Final = ("openai", "anthropic", "openai-compatible")
FEATURES: Final = ("plain", "stream", "tools", "pictures", "structured", "thinking", "failover")
BACKUPS: Final = {"openai": "anthropic", "anthropic": "openai-compatible", "openai-compatible": "openai"}
"""Who answers while the provider of the column is down."""
RESULTS: Final = ("Zürich: 21°", 'Rome "eterna": 21°', "noon in Europe/Zurich")


_ADK: Final = ("google.adk.agents", "google.adk.models.lite_llm", "google.adk.runners", "litellm")
_ADK_RESULT: Final = '{{"result": {}}}'
_LANGCHAIN: Final = ("langchain.agents", "langchain_openai", "langchain_anthropic")
_PYDANTIC_AI: Final = ("pydantic_ai", "pydantic_ai.models.openai", "pydantic_ai.models.anthropic")


@dataclass(frozen=True)
class Client:
    """A row. `limits` says of features that it has no way to ask for why: there is nothing to try."""

    name: str
    environment: str
    driver: str
    variant: str = ""
    limits: dict[str, str] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    is_command: bool = False
    result_form: str = "{}"
    """What it makes of a tool's text before the model sees it."""


_STRUCTURED_ONLY: Final = dict.fromkeys(
    (feature for feature in FEATURES if feature != "structured"), "Instructor is about structured output alone"
)
CLIENTS: Final = (
    Client("openai, chat completions", "openai", "openai_chat.py", imports=("openai",)),
    Client("openai, responses", "openai", "openai_responses.py", imports=("openai",)),
    Client("anthropic", "openai", "anthropic_messages.py", imports=("anthropic",)),
    Client("openai-agents, responses", "openai-agents", "openai_agents.py", "responses", imports=("agents",)),
    Client("openai-agents, chat completions", "openai-agents", "openai_agents.py", "chat", imports=("agents",)),
    Client(
        "google-adk, LiteLLM as openai", "google-adk", "google_adk.py", "openai", imports=_ADK, result_form=_ADK_RESULT
    ),
    Client(
        "google-adk, LiteLLM as anthropic",
        "google-adk",
        "google_adk.py",
        "anthropic",
        imports=_ADK,
        result_form=_ADK_RESULT,
    ),
    Client("langchain, ChatOpenAI", "langchain", "langchain_models.py", "chat", imports=_LANGCHAIN),
    Client("langchain, ChatOpenAI with responses", "langchain", "langchain_models.py", "responses", imports=_LANGCHAIN),
    Client("langchain, ChatAnthropic", "langchain", "langchain_models.py", "anthropic", imports=_LANGCHAIN),
    Client("pydantic-ai, OpenAIChatModel", "pydantic-ai", "pydantic_ai_agent.py", "chat", imports=_PYDANTIC_AI),
    Client(
        "pydantic-ai, OpenAIResponsesModel", "pydantic-ai", "pydantic_ai_agent.py", "responses", imports=_PYDANTIC_AI
    ),
    Client("pydantic-ai, AnthropicModel", "pydantic-ai", "pydantic_ai_agent.py", "anthropic", imports=_PYDANTIC_AI),
    Client("instructor, openai", "instructor", "instructor_client.py", "openai", _STRUCTURED_ONLY, ("instructor",)),
    Client(
        "instructor, anthropic", "instructor", "instructor_client.py", "anthropic", _STRUCTURED_ONLY, ("instructor",)
    ),
    Client("openai for node, chat completions", NODE, "openai_node.mjs", "chat"),
    Client("openai for node, responses", NODE, "openai_node.mjs", "responses"),
    Client("@anthropic-ai/sdk", NODE, "anthropic_node.mjs"),
    Client("Vercel AI SDK, openai", NODE, "vercel_ai.mjs", "responses"),
    Client("Vercel AI SDK, openai.chat", NODE, "vercel_ai.mjs", "chat"),
    Client("Vercel AI SDK, openai-compatible", NODE, "vercel_ai.mjs", "compatible"),
    Client("Vercel AI SDK, anthropic", NODE, "vercel_ai.mjs", "anthropic"),
    Client("Claude Code", "openai", "commands.py", "claude", is_command=True),
    Client("Codex", "openai", "commands.py", "codex", is_command=True),
)
ALWAYS: Final = ("openai, chat completions", "openai, responses", "anthropic")
"""Tried in every run."""
SAMPLED: Final = tuple(client.name for client in CLIENTS if client.environment in ("openai-agents", "pydantic-ai"))
"""Of these some cells are: their environments are small."""


class Runner:
    """A client's process, which runs one task after the other."""

    def __init__(self, client: Client, folder: Path) -> None:
        environment = prepare(client.environment)
        self.client = client
        self._commands = prepare(NODE) if client.is_command else environment
        if client.environment == NODE:
            command = [str(environment / "node_modules/node/bin/node"), str(DRIVERS / client.driver)]
        else:
            drive = [str(DRIVERS / "serve.py"), str(DRIVERS / client.driver), *client.imports]
            command = [str(environment / "bin/python"), "-P", *drive]
        self._log = (folder / "client.log").open("w")
        self._process = subprocess.Popen(
            command, env=_environ(folder, environment), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log, text=True,
        )  # fmt: skip

    def run(self, task: dict[str, Any], folder: Path) -> dict[str, Any]:
        """What the client showed. Raises AssertionError with what it printed when it fails."""
        process = self._process
        assert process.stdin
        assert process.stdout
        task = {**task, "variant": self.client.variant, "folder": str(folder), "commands": str(self._commands)}
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, f"{self.client.name} ended: {Path(self._log.name).read_text()[-4000:]}"
        answer = json.loads(line)
        assert answer["status"] == 0, f"{self.client.name} failed:\n{answer['printed'][-6000:]}"
        shown: dict[str, Any] = json.loads(answer["printed"].strip().splitlines()[-1])
        return shown

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        self._log.close()


def _environ(folder: Path, environment: Path) -> dict[str, str]:
    """Nothing of this machine's own: no keys, no proxies, and a home of its own."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    paths = [str(environment / "node_modules/node/bin"), "/usr/local/bin", "/usr/bin", "/bin"]
    return {**kept, "PATH": os.pathsep.join(paths), "HOME": str(folder), "CLIENTS": str(environment)}


def write_picture(folder: Path) -> tuple[Path, str]:
    """A small PNG, and the digest that the model calls it by."""
    path = folder / "picture.png"
    path.write_bytes(PIXEL)
    return path, hashlib.sha256(PIXEL).hexdigest()[:12]


PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63489870e03f0005b402b0779f"
    "9eda0000000049454e44ae426082"
)


COMMANDS: Final = re.compile(r"Results: (?=.*weather of 6)(?=.*weather of 13)[^|]*\|[^|]*\|.*noon.*", re.DOTALL)
"""What coding agents give back of commands has a frame of their own, in the order in which the commands ended."""


def check_shown(client: Client, feature: str, shown: dict[str, Any], digest: str) -> None:
    """Everything that the model said, in its place."""
    results = _results_of(client)
    texts = [results if client.is_command and COMMANDS.fullmatch(text.strip()) else text for text in shown["texts"]]
    if feature == "structured":
        assert shown["parsed"] == scripted.ANSWER
    elif feature == "pictures":
        assert texts
        assert all(text == f"I see {digest}" for text in texts), texts
    elif feature in ("tools", "failover"):
        assert texts
        assert texts == [results, scripted.PLAIN] * (len(texts) // 2), texts
    elif feature == "thinking":
        assert texts
        assert texts == [scripted.SPOKEN, scripted.PLAIN] * (len(texts) // 2), texts
    else:
        assert texts == [scripted.PLAIN, scripted.PLAIN], texts


def _results_of(client: Client) -> str:
    """What the model says of the results."""
    forms = [json.dumps(text, ensure_ascii=False) if '"' in client.result_form else text for text in RESULTS]
    return "Results: " + " | ".join(client.result_form.format(text) for text in forms)

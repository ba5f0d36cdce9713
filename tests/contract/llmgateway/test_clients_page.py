"""docs/how-to/clients.md: each setting, as the page has it, leads an unmodified client to the gateway.

Claude Code and Codex are set up from the page by their driver: see test_client_matrix.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from contract.llmgateway.clients.environments import NODE, prepare
from contract.llmgateway.harness import run_gateway
from contract.llmgateway.strict import scripted
from contract.llmgateway.strict.server import StrictProvider

PAGE: Final = Path(__file__).parents[3] / "docs" / "how-to" / "clients.md"
WHOLE: Final = os.environ.get("AGENTBERTH_WHOLE") == "1"
SMALL: Final = ("openai", "openai-agents", "pydantic-ai")
"""Environments that CI has."""
BY_THEIR_DRIVER: Final = ("Claude Code", "Codex")
OPENAI = """
from openai import OpenAI
messages = [{"role": "user", "content": "[[plain]]"}]
print(LINE.chat.completions.create(model="MODEL", messages=messages).choices[0].message.content)
"""
ANTHROPIC = """
from anthropic import Anthropic
messages = [{"role": "user", "content": "[[plain]]"}]
print(LINE.messages.create(model="MODEL", max_tokens=99, messages=messages).content[0].text)
"""
OPENAI_NODE = """
import OpenAI from "openai";
const messages = [{ role: "user", content: "[[plain]]" }];
const answer = await (LINE).chat.completions.create({ model: "MODEL", messages });
console.log(answer.choices[0].message.content);
"""
ANTHROPIC_NODE = """
import Anthropic from "@anthropic-ai/sdk";
const messages = [{ role: "user", content: "[[plain]]" }];
const answer = await (LINE).messages.create({ model: "MODEL", max_tokens: 99, messages });
console.log(answer.content[0].text);
"""
OPENAI_AGENTS = """
from agents import Agent, OpenAIResponsesModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI
set_tracing_disabled(True)
print(Runner.run_sync(Agent(name="a", model=LINE), "[[plain]]").final_output)
"""
GOOGLE_ADK = """
import asyncio
from google.adk.models import LlmRequest
from google.adk.models.lite_llm import LiteLlm
from google.genai import types
request = LlmRequest(contents=[types.Content(role="user", parts=[types.Part(text="[[plain]]")])])
async def ask():
    async for answer in LINE.generate_content_async(request):
        print(answer.content.parts[0].text)
asyncio.run(ask())
"""
LITELLM = """
import litellm
messages = [{"role": "user", "content": "[[plain]]"}]
print(LINE.choices[0].message.content)
"""
LANGCHAIN = """
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
print(LINE.invoke("[[plain]]").content)
"""
PYDANTIC_AI = """
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
print(Agent(OpenAIChatModel("MODEL", provider=LINE)).run_sync("[[plain]]").output)
"""
INSTRUCTOR = f"""
import instructor
from openai import OpenAI
from pydantic import BaseModel
class Weather(BaseModel):
    city: str
    degrees: int
messages = [{{"role": "user", "content": "[[structured]]"}}]
answer = LINE.chat.completions.create(model="MODEL", messages=messages, response_model=Weather)
print({scripted.PLAIN!r} if answer.model_dump() == {scripted.ANSWER!r} else answer)
"""
VERCEL = """
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";
console.log((await generateText({ model: LINE("MODEL"), prompt: "[[plain]]" })).text);
"""
PROGRAMS: Final = {
    "OpenAI(": ("openai", OPENAI),
    "Anthropic(": ("openai", ANTHROPIC),
    "new OpenAI(": (NODE, OPENAI_NODE),
    "new Anthropic(": (NODE, ANTHROPIC_NODE),
    "OpenAIResponsesModel(": ("openai-agents", OPENAI_AGENTS),
    "LiteLlm(": ("google-adk", GOOGLE_ADK),
    "litellm.completion(": ("google-adk", LITELLM),
    "ChatOpenAI(": ("langchain", LANGCHAIN),
    "ChatAnthropic(": ("langchain", LANGCHAIN),
    "OpenAIProvider(": ("pydantic-ai", PYDANTIC_AI),
    "instructor.from_openai(": ("instructor", INSTRUCTOR),
    "createOpenAI(": (NODE, VERCEL),
    "createAnthropic(": (NODE, VERCEL),
}
"""By the beginning of a line: its environment, and a program that prints an answer. `LINE` is the line."""


def rows() -> Iterator[tuple[str, str]]:
    table = PAGE.read_text("utf-8").partition("| Client | Setting |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        name, setting = (cell.strip() for cell in line.strip("|").split("|"))
        yield name, setting


def lines() -> Iterator[tuple[str, str]]:
    """Each line of code; the client without anything set where the page says that nothing has to be."""
    for name, setting in rows():
        if name in BY_THEIR_DRIVER:
            continue
        for code in re.findall(r"`([^`]*)`", setting):
            begin = next(begin for begin in PROGRAMS if code.startswith(begin))
            yield code, begin
            if setting.startswith("nothing"):
                yield f"{begin})", begin


def cases() -> Iterator[Any]:
    for code, begin in lines():
        if WHOLE or PROGRAMS[begin][0] in SMALL:
            yield pytest.param(code, begin, id=code)


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Of an agent: where its models are."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "keys").mkdir()
    (folder / "keys" / "api-key").write_text("a-key")
    with StrictProvider("openai") as vendor:
        provider = {
            "name": "main",
            "type": "openai",
            "baseUrl": vendor.url,
            "credentials": str(folder / "keys"),
            "options": {"vendorApi": True},
            "timeouts": {"connect": 60, "firstToken": 300},
        }
        alias = {"name": "MODEL", "routes": [{"provider": "main", "model": "gpt-4.1"}]}
        with run_gateway(folder, {"providers": [provider], "models": [alias]}) as gateway:
            yield {
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "PYTHONUTF8": "1",
                "OPENAI_BASE_URL": f"{gateway.url}/v1",
                "OPENAI_API_KEY": "a-placeholder",
                "ANTHROPIC_BASE_URL": gateway.url,
                "ANTHROPIC_API_KEY": "a-placeholder",
            }


@pytest.mark.timeout(900)
@pytest.mark.parametrize("code,begin", list(cases()))
def test_a_line_of_the_page_leads_to_the_gateway(environ: dict[str, str], code: str, begin: str) -> None:
    name, program = PROGRAMS[begin]
    folder = prepare(name)
    program = program.replace("LINE", code)
    if name == NODE:
        command = [str(folder / "node_modules/node/bin/node"), "--input-type=module", "-e", program]
    else:
        command = [str(folder / "bin/python"), "-P", "-c", f"import os\n{program}"]
    ended = subprocess.run(
        command, env=environ, cwd=folder, capture_output=True, timeout=300, check=False, encoding="utf-8"
    )
    assert ended.stdout.rstrip("\n") == scripted.PLAIN, ended.stdout + ended.stderr[-4000:]


def test_every_client_of_the_page_is_tried() -> None:
    tried = {begin for _, begin in lines()}
    assert tried == set(PROGRAMS)
    assert {name for name, _ in rows()} >= set(BY_THEIR_DRIVER)

"""The console of a run in a real Chromium: every page and action, by pointer and keyboard, with a hostile agent."""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from contract.console.browser import Page, open_page

AGENTBERTH = Path(sys.executable).parent / "agentberth"
HOSTILE = "<img src=x onerror=document.title='owned'>"
AGENT = f"""
import json, os, urllib.error, urllib.parse, urllib.request
print({HOSTILE!r} + chr(27) + "[31m" + chr(0x202e), flush=True)
def post(url, body):
    headers = {{"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}}
    try:
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).read()
    except urllib.error.HTTPError as error:
        error.read()
chat = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
words = [{{"role": "user", "content": {HOSTILE!r}}}]
post(chat, {{"model": "auto", "messages": words}})
tool = os.environ["TOOL_PROXY_URL"] + "/v1/tools/"
post(tool + "git:run", {{"arguments": {{"args": ["--version"]}}}})
post(tool + "absent:run", {{"arguments": {{}}}})
post(tool + urllib.parse.quote({HOSTILE!r}, safe="") + ":run", {{"arguments": {{}}}})
print("asked", flush=True)
"""
MANIFEST = """\
apiVersion: agents.example.com/v1
kind: AgentType
metadata: {name: pilot}
spec:
  agent:
    type: code
    code:
      runtime: python
      source: {type: local, path: code}
  tools: {required: [git], optional: [nowhere-to-be-found]}
  monitoring: {content: true}
  llm:
    providers:
      - name: flagship
        type: mock
        config:
          model: grand
          replies: [{status: 429, headers: {retry-after: "60"}, error: {message: "<b>come back</b> in a minute"}}]
      - {name: standby, type: mock, config: {model: steady, replies: [{text: ahoy}]}}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A run that is over, and its console."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "code").mkdir()
    (folder / "code" / "main.py").write_text(AGENT)
    (folder / "agent.yaml").write_text(MANIFEST)
    with running(folder, "the run is over") as (found, _):
        yield found


@contextlib.contextmanager
def running(folder: Path, until: str) -> Iterator[tuple[str, Path]]:
    """The address of a run's console, and its log, once `until` is in that."""
    log = folder / "run.log"
    command = [str(AGENTBERTH), "run", "--console", str(folder / "agent.yaml")]
    with log.open("wb") as out, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as run:
        try:
            wait_for(log, until)
            yield re.findall(r"console: (http://\S+)", log.read_text(errors="replace"))[0], log
        finally:
            run.send_signal(signal.SIGTERM)
            run.wait(30)


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 90
    while text not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.1)


@pytest.fixture
async def page(address: str, tmp_path: Path) -> AsyncIterator[Page]:
    async with open_page(tmp_path / "profile") as opened:
        await opened.resize(1280, 900)
        await opened.open(address)
        await opened.see("1 of 1 agents", "live")
        yield opened
        assert opened.errors == []
        own = address.partition("?")[0]
        assert [url for url in opened.requests if not url.startswith((own, "data:"))] == []
        assert "owned" not in await opened.js("document.title")
        assert await opened.js("document.querySelectorAll('main img, main b:not(p b)').length") == 0


async def go(page: Page, tab: str = "") -> None:
    await page.js(f"location.hash = '#/agents/default/pilot{tab}'")


async def test_the_list_is_filtered_as_one_types(page: Page) -> None:
    await page.js("document.getElementById('filter').focus()")
    await page.do("Input.insertText", text="nobody")
    await page.see("No agent matches the filter.", "0 of 1 agents")
    assert await page.js("document.activeElement.id") == "filter"


async def test_the_overview_says_what_is_there_and_what_is_wrong(page: Page) -> None:
    await page.click("tbody a")

    said = await page.see(
        "Pod", "llmgateway", "Models", "flagship", "breaker open", "standby", "answering", "Tools", "git"
    )

    assert "nowhere-to-be-found" in said
    assert "not in the platform's catalogue" in said
    assert "<b>come back</b> in a minute" in said


async def open_call(page: Page, name: str) -> None:
    """Shows the details of the call with that in its line."""
    found = f"[...document.querySelectorAll('.call')].find((each) => each.innerText.includes('{name}'))"
    await page.js(f"{found}.getAttribute('aria-expanded') === 'true' || {found}.click()")
    await page.see("Tries")


async def test_the_timeline_shows_failover_refusal_and_details(page: Page) -> None:
    await go(page, "/timeline")
    said = await page.see("model calls", "failover", "denied", "git")
    assert HOSTILE in said

    await page.js("[...document.querySelectorAll('.call')].find((each) => each.innerText.includes('standby')).click()")
    detail = await page.see("Tries", "rate_limited", "answered", "Prompt", "Trace")
    assert "<b>come back</b> in a minute" in detail
    await page.js("[...document.querySelectorAll('.choice')].find((each) => each.innerText === 'Trouble').click()")
    assert await page.js("document.querySelectorAll('.call').length") == 3

    await page.js("[...document.querySelectorAll('.choice')].find((each) => each.innerText === 'All calls').click()")
    await page.js("document.getElementById('calls').focus()")
    await page.do("Input.insertText", text="standby RATE")
    await page.see("Spent on", "no price")
    assert await page.js("document.querySelectorAll('.call').length") == 1
    assert await page.js("document.activeElement.id") == "calls"


async def test_a_log_is_text_whatever_is_in_it(page: Page) -> None:
    await go(page, "/logs?container=agent&pod=")

    said = await page.see("asked")

    assert HOSTILE in said
    assert "\x1b" not in said
    assert "\\u202e" in said


async def test_everything_can_be_reached_by_keyboard(page: Page) -> None:
    await go(page, "/timeline")
    await page.see("model calls")
    for _ in range(40):
        await page.press("Tab", 9)
        if await page.js("document.activeElement.classList.contains('call')"):
            break
    await page.press("Enter", 13)

    await page.see("Took", "Outcome")
    assert await page.js("document.activeElement.getAttribute('aria-expanded')") == "true"


ASKING = """
import json, os, urllib.error, urllib.request
for words in (["--version", HOSTILE], ["push", "x" * 5000]):
    url = os.environ["TOOL_PROXY_URL"] + "/v1/tools/git:run"
    body = json.dumps({"arguments": {"args": words}}).encode()
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"})).read()
        print("carried out", flush=True)
    except urllib.error.HTTPError as error:
        print(error.code, json.loads(error.read())["error"]["code"], flush=True)
"""
RULES = """\
apiVersion: agents.example.com/v1
kind: AgentType
metadata: {name: waiting-run}
spec:
  agent: {type: code, code: {runtime: python, source: {type: local, path: code}}}
  tools:
    required: [git]
    policy:
      rules: [{tools: [git], action: ask, reason: "<b>pushes</b> are reviewed"}]
      approvals: {waitSeconds: 600, expireSeconds: 900}
"""


@pytest.fixture
def waiting_run(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A run whose agent waits for a person, and its log."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.py").write_text(ASKING.replace("HOSTILE", repr(HOSTILE)))
    (tmp_path / "agent.yaml").write_text(RULES)
    with running(tmp_path, "waits for a decision in the console") as found:
        yield found


async def test_a_call_is_approved_and_another_denied_in_the_console_of_its_run(
    waiting_run: tuple[str, Path], tmp_path: Path, axe: str
) -> None:
    address, log = waiting_run
    async with open_page(tmp_path / "profile") as page:
        await page.resize(390, 844, dark=True)
        await page.open(address)
        await page.see("1 waiting")
        await page.click("#to-approvals")
        said = await page.see("waiting-run default calls git", "Waiting", "Approve", "Deny")
        assert HOSTILE in said
        assert "<b>pushes</b> are reviewed" in said
        assert await page.js("document.querySelectorAll('main b:not(p > b:first-child), main img').length") == 0
        await page.js(axe + "; 0")
        assert await page.js("axe.run().then((r) => r.violations.map((v) => v.id + ': ' + v.nodes[0].html))") == []
        assert not await page.js("document.documentElement.scrollWidth > innerWidth")
        await tab_to(page, "approve ")
        await page.press("Enter", 13)
        await page.see("Approved", "arguments may be longer than what is shown")
        await tab_to(page, "deny ")
        await page.press("Enter", 13)
        await page.see("Denied", "No call waits for a person.")
        assert page.errors == []
        await asyncio.to_thread(wait_for, log, "the run is over")
    assert "carried out" in log.read_text()
    assert "approval_denied" in log.read_text()


async def tab_to(page: Page, key: str) -> None:
    for _ in range(30):
        await page.press("Tab", 9)
        if await page.js(f"(document.activeElement.dataset.key ?? '').startsWith('{key}')"):
            return
    raise AssertionError(key)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "axe-core@4"]
    subprocess.run(install, cwd=folder, check=True, timeout=110, capture_output=True)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_no_page_has_an_accessibility_violation_nor_is_wider_than_a_phone(
    page: Page, axe: str, dark: bool
) -> None:
    found: list[str] = []
    for width in (1280, 390):
        await page.resize(width, 844, dark=dark)
        for tab, text in (("", "Models"), ("/timeline", "model calls"), ("/logs", "asked")):
            await go(page, tab)
            await page.see(text)
            if tab == "/timeline":
                await open_call(page, "standby")
            await page.js(axe + "; 0")
            seen = await page.js("axe.run().then((r) => r.violations.map((v) => v.id + ': ' + v.nodes[0].html))")
            found += [f"{width} {tab} {each}" for each in seen]
            if await page.js("document.documentElement.scrollWidth > innerWidth"):
                found.append(f"{width} {tab}: scrolls sideways")
    assert found == []

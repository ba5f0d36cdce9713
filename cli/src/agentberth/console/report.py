"""A run as one HTML file: the console's own page, with what it would ask for inside.

A browser loads no modules from a file, so they are joined into one script. Nothing is fetched, and the policy in the
file allows that one script by its hash.
"""

import asyncio
import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Final

from agentberth.console.source import Source, about
from agentberth.console.view import plain
from agentberth.errors import CommandError

_MODULES: Final = ("dom.js", "agents.js", "agent.js", "timeline.js", "approvals.js", "revisions.js", "app.js")
"""In an order in which each finds what it imports."""
_IMPORT: Final = re.compile(r"(?m)^import .*?;\n")
_EXPORT: Final = re.compile(r"(?m)^export ")


async def write_report(file: Path, source: Source) -> None:
    """Writes everything that the source shows. Raises CommandError when the file cannot be written."""
    text = _document(await _answers(source))
    await asyncio.to_thread(_write, file, text)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file}: cannot be written: {error.strerror}") from error


async def _answers(source: Source) -> dict[str, object]:
    """What the page would be answered, by path."""
    rows = await source.agents()
    answers: dict[str, object] = {"/api/agents": {"agents": [plain(row) for row in rows], "notes": []}}
    answers["/api/about"] = about(source)
    answers["/api/approvals"] = plain(await source.approvals())
    for row in rows:
        api = f"/api/agents/{row.namespace}/{row.name}"
        view = await source.agent(row.namespace, row.name)
        answers[api] = plain(view)
        answers[f"{api}/calls"] = plain(await source.calls(row.namespace, row.name))
        for each in view.containers:
            log = await source.logs(row.namespace, row.name, each.name, each.pod)
            answers[f"{api}/logs?container={each.name}&pod={each.pod}"] = plain(log)
    return answers


def _document(answers: dict[str, object]) -> str:
    page = files("agentberth.console").joinpath("page")
    data = json.dumps(answers).replace("<", "\\u003c")  # no end of the script in a text of the agent
    modules = (page.joinpath(name).read_text("utf-8") for name in _MODULES)
    code = "\n".join(_EXPORT.sub("", _IMPORT.sub("", module)) for module in modules)
    script = f"\nglobalThis.agentberthReport = {data};\n{code}\n"
    style = page.joinpath("style.css").read_text("utf-8")
    icon = f"data:image/svg+xml;base64,{base64.b64encode(page.joinpath('icon.svg').read_bytes()).decode()}"
    policy = f"default-src 'none'; img-src data:; script-src {_hash(script)}; style-src {_hash(style)}"
    text = page.joinpath("index.html").read_text("utf-8")
    text = text.replace(
        "<title>", f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">\n    <title>'
    )
    text = text.replace('<link rel="stylesheet" href="/page/style.css">', f"<style>{style}</style>")
    text = text.replace("/page/icon.svg", icon)
    before, after = text.split('<script type="module" src="/page/app.js"></script>')
    return f'{before}<script type="module">{script}</script>{after}'


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

"""`agentberth init`: a first agent that runs, with a test, from a template."""

import argparse
import json
import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from agentberth.commands import add
from agentberth.errors import CommandError
from agentberth.terminal import stdout

if TYPE_CHECKING:
    from agentberth.commands import Commands

TEMPLATES = ("research", "web", "batch", "node")
SCHEMA = ".agenttype.schema.json"
_FOLDER = Path("my-agent")  # also what the templates call their agent
_LONGEST_NAME = 40
_RENAMED = {"gitignore": ".gitignore"}  # packages are built without files that begin with a dot
_EPILOG = """\
templates:
  research   answers a question with the help of a tool, then ends (default)
  web        streams answers over HTTP
  batch      processes the lines of a file in parallel, then ends
  node       answers over HTTP, in Node.js

The command asks no questions and overwrites no file. The agent is named after the folder.

examples:
  agentberth init                              the template research in my-agent/
  agentberth init harbour --template web
  agentberth run harbour/agent.yaml --mock-script harbour/mock.yaml
"""


def register(commands: "Commands") -> None:
    """Adds the command."""
    parser = add(commands, "init", summary="create a first agent that runs, with a test", epilog=_EPILOG, call=_call)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=_FOLDER, metavar="FOLDER", help=f"folder to create (default: {_FOLDER})"
    )
    parser.add_argument("-t", "--template", choices=TEMPLATES, default=TEMPLATES[0], help=f"default: {TEMPLATES[0]}")


def _call(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    name = agent_name(folder)
    source = resources.files("agentberth").joinpath("templates", options.template)
    files = {path: text.replace(_FOLDER.name, name) for path, text in _texts(source, Path())}
    _write(folder, {**files, Path(SCHEMA): _schema()})
    out = stdout()
    out.line(f"{folder}: the agent {name}, from the template {options.template}")
    out.line(f"  run it without a key:  agentberth run {folder / 'agent.yaml'} --mock-script {folder / 'mock.yaml'}")
    out.line(f"  with a key:            OPENAI_API_KEY=... agentberth run {folder / 'agent.yaml'}")
    out.line(f"  test it:               cd {folder} && python -m unittest")
    return 0


def agent_name(folder: Path) -> str:
    """A name of Kubernetes from the folder's.

    Raises CommandError when nothing of it is left.
    """
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:_LONGEST_NAME].strip("-")
    if not name or not name[0].isalpha():
        raise CommandError(
            f"{folder}: an agent cannot have the name of this folder",
            cure="use a folder whose name begins with a letter: agentberth init my-agent",
        )
    return name


def _texts(source: Traversable, below: Path) -> Iterator[tuple[Path, str]]:
    for item in source.iterdir():
        if item.name == "__pycache__":
            continue
        if item.is_dir():
            yield from _texts(item, below / item.name)
        else:
            yield below / _RENAMED.get(item.name, item.name), item.read_text(encoding="utf-8")


def _schema() -> str:
    from agent_api.agenttype import AgentType  # noqa: PLC0415 - keeps `--help` quick

    return f"{json.dumps(AgentType.model_json_schema(by_alias=True), indent=2)}\n"


def _write(folder: Path, files: dict[Path, str]) -> None:
    """All files or, when one of them is there already, none."""
    there = [path for path in files if (folder / path).exists()]
    if there:
        raise CommandError(
            f"{folder / there[0]}: already exists", cure=f"choose another folder: agentberth init {folder}-2"
        )
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{folder}: cannot be written: {error.strerror}") from error

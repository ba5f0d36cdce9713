"""A test case of an agent: `NAME.agenttest.yaml`, beside what it names."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, ValidationError

from agent_api.model import Config
from agentberth.errors import CommandError, ManifestError
from agentberth.manifest import read

SUFFIX: Final = ".agenttest.yaml"
_DEFAULT_CASSETTE: Final = ".cassette.jsonl"


def _compiled(pattern: str) -> str:
    """Raises ValueError for what is not a valid regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a valid regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compiled)]
Texts = Annotated[tuple[str, ...], Field(max_length=100)]


class OutputExpectation(Config):
    """Of a text: the agent's standard output, or an answer."""

    equals: str | None = None
    contains: Texts = ()
    lacks: Texts = ()
    matches: Annotated[tuple[Pattern, ...], Field(max_length=100)] = Field(
        default=(), description="Regular expressions, searched for."
    )


class AtMost(Config):
    """The most tokens or US dollars that a run may take, inclusive."""

    at_most: float = Field(ge=0)


class Expectation(Config):
    """What the run must come to. What is left out is not compared, but for the exit code."""

    exit_code: int | None = Field(default=None, description="Default: 0, and 143 for an agent that had to be stopped.")
    output: OutputExpectation = OutputExpectation()
    tools: Texts | None = Field(default=None, description="Names of all tools that are called, in order.")
    models: Texts | None = Field(default=None, description="Names of all models that are asked for, in order.")
    tokens: AtMost | None = None
    usd: AtMost | None = Field(default=None, description="By the price table of the platform settings.")
    unused: Literal["fail", "allow"] = Field(
        default="fail", description="What recordings lead to that are not asked for, although they have an effect."
    )


class HttpRequest(Config):
    """A request to an agent that serves; sent once it listens."""

    url: str = Field(pattern=r"^http://(127\.0\.0\.1|localhost):\d+/")
    method: str = Field(default="", description="Default: GET, or POST with a body.")
    body: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    status: int = 200
    expect: OutputExpectation = OutputExpectation()


class CaseDocument(Config):
    """The file. Paths are relative to it."""

    manifest: str = "agent.yaml"
    more: Texts = Field(default=(), description="Further manifests, with ConfigMaps and Secrets.")
    cassette: str = Field(default="", description="Default: NAME.cassette.jsonl beside the file.")
    settings: str = Field(default="", description="Platform settings, for prices.")
    command: str = Field(default="", description="In place of a container agent's image.")
    arguments: Texts = ()
    workspace: str = Field(default="", description="A folder that the workspace begins as a copy of.")
    live: tuple[Literal["tools", "models"], ...] = ()
    requests: Annotated[tuple[HttpRequest, ...], Field(max_length=100)] = Field(
        default=(), description="To an agent that serves; after the last one it is stopped."
    )
    until: Pattern = Field(
        default="", description="A regular expression: at such a line of output the agent is stopped."
    )
    timeout_seconds: float = Field(default=300, gt=0, le=3600)
    expect: Expectation = Expectation()


@dataclass(frozen=True)
class Case:
    """A test case and where it is."""

    file: Path
    document: CaseDocument

    @property
    def name(self) -> str:
        """The file's, without its ending."""
        return self.file.name.removesuffix(SUFFIX)

    def path(self, relative: str) -> Path:
        """A path that the file names."""
        return self.file.resolve().parent / relative

    @property
    def cassette(self) -> Path:
        return self.path(self.document.cassette or f"{self.name}{_DEFAULT_CASSETTE}")


def find_cases(paths: Iterable[Path]) -> tuple[Case, ...]:
    """The cases that `paths` name; a folder stands for those below it. Raises CommandError."""
    cases: list[Case] = []
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path}: there is no such file or folder")
        files = sorted(_below(path)) if path.is_dir() else [path]
        if not files:
            raise CommandError(f"{path}: there are no *{SUFFIX} files in this folder", cure="agentberth test --help")
        cases += map(read_case, files)
    return tuple(cases)


def _below(folder: Path) -> Iterator[Path]:
    for file in folder.rglob(f"*{SUFFIX}"):
        inner = file.relative_to(folder).parts[:-1]
        if not any(part.startswith(".") or part == "node_modules" for part in inner):
            yield file


def read_case(file: Path) -> Case:
    """Raises ManifestError for what is no test case."""
    documents = read(file)
    if len(documents) != 1:
        raise ManifestError(f"{file}: must contain one document; it contains {len(documents)}")
    for finding in documents[0].repeated_keys():
        raise ManifestError(str(finding))
    try:
        return Case(file, CaseDocument.model_validate(documents[0].data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path: tuple[Any, ...] = first["loc"]
        line, column = documents[0].line_of(path)
        place = ".".join(map(str, path))
        raise ManifestError(f"{file}:{line}:{column}: {place + ': ' if place else ''}{first['msg']}") from error

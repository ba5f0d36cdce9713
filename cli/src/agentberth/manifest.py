"""Manifests as people write them: YAML documents that remember on which line each field stands."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.problems import Path as FieldPath
from agent_api.problems import Problem, examine
from agentberth.errors import ManifestError

_MOST_NODES = 100_000
_SUFFIXES = {".yaml", ".yml", ".json"}


@dataclass(frozen=True)
class Finding:
    """A problem at its place: file, line and column count from 1."""

    file: Path
    line: int
    column: int
    problem: Problem

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        field = f"{self.problem.field}: " if self.problem.field else ""
        kind = "warning: " if self.problem.severity == "warning" else ""
        return f"{place}: {kind}{field}{self.problem.message}"


@dataclass(frozen=True)
class Document:
    """One YAML document: its data, and the node tree that knows where things stand."""

    file: Path
    data: Any
    node: yaml.Node

    @property
    def is_agent_type(self) -> bool:
        """True for an AgentType of any version of our group."""
        if not isinstance(self.data, dict):
            return False
        return self.data.get("kind") == layout.KIND or str(self.data.get("apiVersion", "")).startswith(layout.GROUP)

    def line_of(self, path: FieldPath) -> tuple[int, int]:
        """Line and column of the deepest part of `path` that is there; of two equal keys the last, as YAML does."""
        node: yaml.Node = self.node
        mark = node.start_mark
        for part in path:
            if isinstance(node, yaml.MappingNode):
                pairs = [(key, value) for key, value in node.value if key.value == str(part)]
                if not pairs:
                    break
                key, node = pairs[-1]
                mark = key.start_mark
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                node = node.value[part]
                mark = node.start_mark
        return mark.line + 1, mark.column + 1

    def examine(self) -> tuple[AgentType | None, tuple[Finding, ...]]:
        """The AgentType, or None when it has errors, and every finding."""
        if not isinstance(self.data, dict):
            return None, (self.find(Problem((), "must be a mapping with apiVersion, kind, metadata and spec")),)
        twice = self.repeated_keys()
        verdict = examine(self.data)
        found = twice + tuple(self.find(problem) for problem in verdict.problems)
        return (None if twice else verdict.agent), found

    def repeated_keys(self) -> tuple[Finding, ...]:
        """Keys that stand twice in one mapping."""
        return tuple(self.find(problem) for problem in _repeated_keys(self.node, ()))

    def find(self, problem: Problem) -> Finding:
        """`problem` at its place in the file."""
        return Finding(self.file, *self.line_of(problem.path), problem)


def _repeated_keys(node: yaml.Node, path: FieldPath) -> Iterator[Problem]:
    """YAML keeps the last of two equal keys and says nothing: a field would vanish."""
    if isinstance(node, yaml.SequenceNode):
        for at, item in enumerate(node.value):
            yield from _repeated_keys(item, (*path, at))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield Problem((*path, key.value), "this key appears twice: keep one of them")
            seen.add(key.value)
            yield from _repeated_keys(value, (*path, key.value))


def read(file: Path) -> tuple[Document, ...]:
    """The documents of a YAML file.

    Raises ManifestError when it cannot be read or is not YAML.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ManifestError(f"{file}: cannot be read: {reason}") from error
    try:
        nodes = yaml.compose_all(text, Loader=yaml.SafeLoader)
        documents = [Document(file, _construct(_bounded(node)), node) for node in nodes]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        tab = "\\t" in (error.problem or "")
        reason = "YAML takes no tabs here: indent with spaces" if tab else f"is not YAML: {error.problem or error}"
        raise ManifestError(f"{place}: {reason}") from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{file}: is not YAML: {str(error).splitlines()[0]}") from error
    except RecursionError:
        raise ManifestError(f"{file}: is nested too deeply") from None
    return tuple(document for document in documents if document.data is not None)


def _bounded(root: yaml.Node) -> yaml.Node:
    """`root`, unless its aliases would make it endless or huge.

    Raises yaml.MarkedYAMLError at the node where that shows.
    """
    sizes: dict[int, int] = {}

    def measure(node: yaml.Node, above: frozenset[int]) -> int:
        if id(node) in above:
            raise yaml.MarkedYAMLError(problem="an alias contains itself", problem_mark=node.start_mark)
        if id(node) not in sizes:
            inner = above | {id(node)}
            sizes[id(node)] = 1 + sum(measure(child, inner) for child in _children(node))
        if sizes[id(node)] > _MOST_NODES:
            text = f"its aliases stand for more than {_MOST_NODES} values"
            raise yaml.MarkedYAMLError(problem=text, problem_mark=node.start_mark)
        return sizes[id(node)]

    measure(root, frozenset())
    return root


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _construct(node: yaml.Node) -> Any:  # noqa: ANN401 - YAML
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def files_of(paths: list[Path]) -> tuple[Path, ...]:
    """The YAML and JSON files that `paths` name; a folder stands for those below it, sorted.

    JSON files that name no AgentType are an agent's own, and left out where a folder is given. So are hidden folders,
    such as the .agentberth of a run, and node_modules.

    Raises ManifestError for a path that does not exist or a folder without manifests.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ManifestError(f"{path}: there is no such file or folder")
        inside = sorted(_below(path)) if path.is_dir() else [path]
        if not inside:
            raise ManifestError(f"{path}: there are no .yaml, .yml or .json files in this folder")
        found += inside
    return tuple(found)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "node_modules"]
        named = (Path(root, name) for name in files if Path(name).suffix in _SUFFIXES)
        yield from (file for file in named if file.suffix != ".json" or _names_an_agent(file))


def _names_an_agent(file: Path) -> bool:
    try:
        return b"AgentType" in file.read_bytes()
    except OSError:
        return True  # reading it as a manifest says why it cannot be read

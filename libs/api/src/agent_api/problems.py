"""What is wrong with a manifest, in words a person can act on, with the place of each fault.

The API server judges by the CRD; this module gives the same verdicts on a laptop, all at once and with the
same messages for every rule, and names what the server would only say in its own terms.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from agent_api.agenttype import AgentType, ApiModel, ListMap, OpenModel
from agent_api.metrics import METRIC_GROUPS, unknown_groups
from agent_api.wording import describe

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One fault. `path` leads to it in the document; `severity` is error, or warning for what is only odd."""

    path: Path
    message: str
    severity: str = "error"

    @property
    def field(self) -> str:
        """The path as Kubernetes writes it: spec.llm.providers[1].name."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")


@dataclass(frozen=True)
class Verdict:
    """The parsed object, or None when it has errors, and every problem in the order of the document."""

    agent: AgentType | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that make the manifest unusable."""
        return tuple(p for p in self.problems if p.severity == "error")


def examine(document: Mapping[str, Any], *, newer_fields: bool = False) -> Verdict:
    """Judges one AgentType document: unknown fields, schema and bounds, then duplicates and rules.

    `newer_fields`: the document may be of a newer version than these models, so an unknown field is a warning.
    """
    raw = without_nulls(document)
    found = list(_unknown(AgentType, raw, ()))
    if newer_fields:
        found = [replace(problem, severity="warning") for problem in found]
    try:
        agent = AgentType.model_validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        found += translate(error)
        return Verdict(None, tuple(found))
    found += _broken_rules(agent, ())
    found += _unknown_metrics(agent)
    verdict = Verdict(agent, tuple(found))
    return Verdict(None, verdict.problems) if verdict.errors else verdict


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    """`value` without the fields that are null: to Kubernetes, they are not there."""
    if isinstance(value, Mapping):
        return {str(k): without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(v) for v in value]
    return value


def _unknown(model: type[BaseModel], raw: Any, path: Path) -> Iterator[Problem]:  # noqa: ANN401 - JSON
    if not isinstance(raw, dict) or path in {("metadata",), ("status",)}:
        return
    fields = {info.alias or name: info for name, info in model.model_fields.items()}
    open_model = model if issubclass(model, OpenModel) else None
    for key in [k for k in raw if k not in fields]:
        if open_model is None or open_model.names_unknown:
            yield _unknown_field(key, tuple(fields), (*path, key), kept=open_model is not None)
    skipped = model.unexamined(raw) if issubclass(model, ApiModel) else frozenset()
    for key, info in ((k, i) for k, i in fields.items() if k not in skipped):
        for inner in models_in(info.annotation):
            value = raw.get(key)
            for at, item in enumerate(value) if isinstance(value, list) else ((None, value),):
                yield from _unknown(inner, item, (*path, key) if at is None else (*path, key, at))


def _unknown_field(key: str, known: tuple[str, ...], path: Path, *, kept: bool) -> Problem:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f': did you mean "{close[0]}"?' if close else ""
    if not kept:
        return Problem(path, f"unknown field{hint or '; known here: ' + ', '.join(sorted(known))}")
    return Problem(path, f"not a setting Agentberth knows; it is passed on as it is{hint}", severity="warning")


def _unknown_metrics(agent: AgentType) -> Iterator[Problem]:
    names = agent.spec.monitoring.metrics if agent.spec.monitoring else ()
    for name in unknown_groups(names):
        close = difflib.get_close_matches(name, METRIC_GROUPS, n=1, cutoff=0.6)
        hint = f'did you mean "{close[0]}"?' if close else f"known are {', '.join(METRIC_GROUPS)}"
        text = f'"{name}" is not a group of metrics, so it keeps none: {hint}'
        yield Problem(("spec", "monitoring", "metrics", names.index(name)), text, severity="warning")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a type
    """The models that `annotation` has in it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def translate(error: ValidationError) -> Iterator[Problem]:
    """Each fault that pydantic found, once for each place, in words for people."""
    seen: set[Path] = set()
    for item in error.errors(include_url=False, include_input=False):
        path: Path = tuple(item["loc"])
        if item["type"] == "too_short" and any(at[: len(path)] == path for at in seen):
            continue  # the list is only short of the items that are wrong themselves
        if path and path[-1] in {"int", "str", "[key]"}:  # branches of a union, the key of a map
            path = path[:-1]
        if path not in seen:
            seen.add(path)
            yield Problem(path, describe(item["type"], item.get("ctx", {})))


def _broken_rules(model: ApiModel, path: Path) -> Iterator[Problem]:
    for rule in type(model).rules:
        if not rule.holds(model):
            yield Problem((*path, rule.field) if rule.field else path, rule.message)
    for name, info in type(model).model_fields.items():
        value, here = getattr(model, name), (*path, info.alias or name)
        if isinstance(value, ApiModel):
            yield from _broken_rules(value, here)
        elif isinstance(value, tuple):
            yield from _duplicates(info, value, here)
            for at, item in enumerate(value):
                if isinstance(item, ApiModel):
                    yield from _broken_rules(item, (*here, at))


def _duplicates(info: FieldInfo, items: tuple[Any, ...], path: Path) -> Iterator[Problem]:
    keys = [marker.key for marker in info.metadata if isinstance(marker, ListMap)]
    first: dict[str, int] = {}
    for at, item in enumerate(items if keys else ()):
        value = getattr(item, _attribute(type(item), keys[0]))
        if value in first:
            yield Problem((*path, at, keys[0]), f'"{value}" is already the {keys[0]} of item {first[value]}')
        first.setdefault(value, at)


def _attribute(model: type[BaseModel], alias: str) -> str:
    return next(name for name, info in model.model_fields.items() if (info.alias or name) == alias)

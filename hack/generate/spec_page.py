"""docs/spec/agenttype.md: what the models say goes between its markers; BLOCKS has a function for each."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from hack.generate.bounds import bounds_of, type_of
from hack.generate.marked import Blocks, fill

from agent_api.agenttype import AgentType, ApiModel, OpenModel, Reason, Rule, Spec, Status
from agent_api.agenttype.agent import PLATFORM_CONTAINERS, PLATFORM_PORTS
from agent_api.agenttype.environment import JOINED_VARIABLES, OWNED_FOLDERS, PLATFORM_VARIABLES
from agent_api.crd import structural
from agent_api.initreport import InitFault
from agent_render import PlatformSettings

PAGE = Path("docs/spec/agenttype.md")
Models = Mapping[type[ApiModel], list[str]]
"""Each model with the paths it is used at; its section stands under the first."""

_SPECIAL = re.compile(r"[*<|]|(?<!\w)_(?!\w)")
_PARTS = ("agent", "init", "toolproxy", "llmgateway", "memory")


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """The page, with every generated part anew.

    Raises SystemExit when the page lacks one of the markers.
    """
    yield PAGE, fill(PAGE, (root / PAGE).read_text(encoding="utf-8"), BLOCKS)


def _spec() -> str:
    return _sections(_models(Spec, "spec"))


def _status() -> str:
    return _sections(_models(Status, "status"))


def _sections(models: Models) -> str:
    return "\n\n".join(_section(model, models) for model in models)


def _metadata() -> str:
    return "\n".join(map(_rule, AgentType.rules))


def _models(root: type[ApiModel], path: str) -> Models:
    """Every model below `root`, in the order of the fields."""
    found: dict[type[ApiModel], list[str]] = {root: [path]}
    for name, info in root.model_fields.items():
        inner, is_list = _inner(info.annotation)
        if inner is not None:
            below = f"{path}.{info.alias or name}{'[]' if is_list else ''}"
            for model, paths in _models(inner, below).items():
                found.setdefault(model, []).extend(paths)
    return found


def _inner(annotation: Any) -> tuple[type[ApiModel] | None, bool]:  # noqa: ANN401 - a type
    """The model inside of an annotation, and whether it is the item of a list."""
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        return annotation, False
    is_list = getattr(annotation, "__origin__", None) is tuple
    for argument in get_args(annotation):
        model, inside = _inner(argument)
        if model is not None:
            return model, is_list or inside
    return None, False


def _section(model: type[ApiModel], models: Models) -> str:
    first, *others = models[model]
    lines = [f"### `{first}`", "", escape((model.__doc__ or "").strip().replace("\n    ", "\n")), ""]
    if others:
        lines += [f"The same at {', '.join(f'`{path}`' for path in others)}.", ""]
    if issubclass(model, OpenModel):
        lines += ["Fields that are not listed are kept and passed on.", ""]
    lines += ["| Field | Type | Default | Bounds | Description |", "|---|---|---|---|---|", *_rows(model, models)]
    if model.rules:
        lines += ["", "Rules:", "", *map(_rule, model.rules)]
    return "\n".join(lines)


def _rows(model: type[ApiModel], models: Models) -> Iterator[str]:
    schema = structural(model.model_json_schema(mode="validation"))
    for name, info in model.model_fields.items():
        alias = info.alias or name
        node: dict[str, Any] = schema["properties"][alias]
        inner, is_list = _inner(info.annotation)
        kind = escape(type_of(node))
        if inner is not None:
            link = anchor(models[inner][0])
            kind = f"list of [objects](#{link})" if is_list else f"[object](#{link})"
        default = "**required**" if alias in schema.get("required", ()) else _default(node)
        bounds = escape("; ".join(bounds_of(node, is_object=inner is not None)))
        yield f"| `{alias}` | {kind} | {default} | {bounds} | {escape(node.get('description', ''))} |"


def _default(node: Mapping[str, Any]) -> str:
    return f"`{json.dumps(node['default'])}`" if "default" in node else ""


def _rule(rule: Rule) -> str:
    field = f" At `{rule.field}`." if rule.field else ""
    return f"- **{escape(rule.message)}**<br>{escape(rule.reason)}{field}"


def _names() -> str:
    rows = {
        "Variables that only the platform sets": PLATFORM_VARIABLES,
        "Variables that are joined with the platform's part": JOINED_VARIABLES,
        "Container names of the platform": PLATFORM_CONTAINERS,
        "Ports of the platform": PLATFORM_PORTS,
        "Folders under `/shared` of the platform": OWNED_FOLDERS,
    }
    lines = [f"| {what} | {', '.join(f'`{name}`' for name in names)} |" for what, names in rows.items()]
    return "\n".join(["| What | Names |", "|---|---|", *lines])


def _profiles() -> str:
    profiles = PlatformSettings().profiles
    lines = ["| Profile | Container | Requests: cpu, memory | Limits: cpu, memory |", "|---|---|---|---|"]
    for name, profile in profiles.items():
        for part in _PARTS:
            size = getattr(profile, part)
            lines.append(f"| {name} | {part} | {size.cpu}, {size.memory} | {size.cpu_limit}, {size.memory_limit} |")
    return "\n".join(lines)


def _reasons() -> str:
    lines = ["| Reason | Of | Cause | Cure |", "|---|---|---|---|"]
    for reason in Reason:
        cause = reason.cause.replace("](", "](../")
        lines.append(f"| `{reason}` | {', '.join(reason.conditions)} | {cause} | {reason.cure} |")
    return "\n".join(lines)


def _faults() -> str:
    lines = ["| Fault | Cause | Cure |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| `{fault}` | {fault.cause} | {fault.cure} |" for fault in InitFault)])


def escape(text: str) -> str:
    """`text` as a cell of a table: its characters as they are, on one line."""
    return _SPECIAL.sub(lambda match: f"\\{match.group()}", " ".join(text.split()))


def anchor(heading: str) -> str:
    """The name of a heading in links, as forges make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


BLOCKS: Blocks = MappingProxyType(
    {
        "metadata": _metadata,
        "spec": _spec,
        "profiles": _profiles,
        "names": _names,
        "status": _status,
        "reasons": _reasons,
        "faults": _faults,
    }
)

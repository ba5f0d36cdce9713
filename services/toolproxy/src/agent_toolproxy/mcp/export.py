"""A server's tools as we show them: filtered, renamed, and under the server's name.

The name is the configured one, not what a server calls itself: two servers may call themselves the same.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from agent_api.toolsconfig import ToolOptions
from agent_toolproxy.mcp.definitions import DefinitionError, check_definition
from agent_toolproxy.mcp.messages import Json
from agent_toolproxy.mcp.paramheaders import ParamHeaders, extract_param_headers
from agent_toolproxy.schema import Schema

LONGEST_NAME: Final = 64
"""Many model APIs take no longer ones."""
_HASH_CHARS: Final = 8
_REASON_CHARS: Final = 300
_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9_-]")
"""What common model APIs do not take in the name of a tool; MCP itself takes a dot too."""
_DEFINITION_KEYS: Final = frozenset({"title", "description", "icons", "annotations", "outputSchema", "_meta"})


@dataclass(frozen=True)
class ExportedTool:
    """A tool under our name, and what the leg to its server needs."""

    definition: Json
    upstream_name: str
    headers: ParamHeaders
    schema: Schema | None = None
    """Of its arguments, where the author says more than the server; `definition` has it then."""
    own_definition: Json | None = None
    """The server's, where `definition` is not."""


def export_name(server: str, tool: str) -> str:
    """`server__tool`, legal and not too long; what was changed about it is made unique by a hash."""
    plain = f"{server}__{tool}"
    name = _ILLEGAL.sub("_", plain)
    if len(name) <= LONGEST_NAME and name == plain:
        return name
    digest = hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    return f"{name[: LONGEST_NAME - _HASH_CHARS - 1]}-{digest}"


@dataclass(frozen=True)
class Export:
    """What is made of a server's list: the tools that are served, and why others are not, by a name for each."""

    tools: tuple[ExportedTool, ...]
    set_aside: Mapping[str, str]


def export_tools(server: str, tools: Iterable[object], options: ToolOptions) -> Export:
    """The tools that are served. One that clients or models would refuse is set aside alone."""
    exported: dict[str, ExportedTool] = {}
    set_aside: dict[str, str] = {}
    for number, tool in enumerate(tools, 1):
        try:
            definition = check_definition(tool)
            if not _is_wanted(definition["name"], options):
                continue
            each = _export(server, definition, options)
            if each.definition["name"] in exported:
                raise DefinitionError("another tool of the server has the same name")
        except ValueError as error:
            set_aside[_name_of(server, tool, number)] = str(error)[:_REASON_CHARS]
        else:
            exported[each.definition["name"]] = each
    own_names = {each.upstream_name for each in exported.values()}
    for name in options.input_schemas.keys() - own_names:
        set_aside.setdefault(export_name(server, name), "config.inputSchemas names it, and it is not among the served")
    return Export(tuple(exported.values()), set_aside)


def _name_of(server: str, tool: object, number: int) -> str:
    """For the report: a name that is not one is not repeated."""
    name = tool.get("name") if isinstance(tool, dict) else None
    readable = isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and name.isprintable() and name.isascii()
    return export_name(server, str(name)) if readable else f"{server}__[{number}]"


def _export(server: str, tool: Json, options: ToolOptions) -> ExportedTool:
    if _needs_tasks(tool):
        raise DefinitionError("it can only be run as a task, which is not relayed")
    stripped, headers = extract_param_headers(tool["inputSchema"])
    own_name: str = tool["name"]
    name = export_name(server, options.rename.get(own_name, own_name))
    kept = {key: value for key, value in tool.items() if key in _DEFINITION_KEYS and value is not None}
    exported = ExportedTool({"name": name, **kept, "inputSchema": stripped}, own_name, headers)
    narrow = options.input_schemas.get(own_name)
    return exported if narrow is None else _narrowed(exported, narrow)


def _narrowed(tool: ExportedTool, schema: Json) -> ExportedTool:
    definition = {**tool.definition, "inputSchema": {"type": "object", **schema}}
    try:
        check_definition(definition)
    except DefinitionError as error:
        raise DefinitionError(f"config.inputSchemas: {error}") from error
    return replace(
        tool, definition=definition, schema=Schema(definition["inputSchema"]), own_definition=tool.definition
    )


def _is_wanted(name: str, options: ToolOptions) -> bool:
    included = not options.include or any(fnmatchcase(name, pattern) for pattern in options.include)
    return included and not any(fnmatchcase(name, pattern) for pattern in options.exclude)


def _needs_tasks(tool: Json) -> bool:
    """Tools that can only be run as tasks, which we do not relay."""
    execution = tool.get("execution")
    return isinstance(execution, dict) and execution.get("taskSupport") == "required"

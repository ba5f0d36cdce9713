"""A server's tools as we show them: filtered, renamed, and under the server's name.

The name is the configured one, not what a server calls itself: two servers may call themselves the same.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from agent_api.toolsconfig import ToolOptions
from agent_toolproxy.mcp.messages import Json
from agent_toolproxy.mcp.paramheaders import AnnotationError, ParamHeaders, extract_param_headers

LONGEST_NAME: Final = 64
"""Many model APIs take no longer ones."""
_HASH_CHARS: Final = 8
_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9_.-]")
_DEFINITION_KEYS: Final = frozenset({"title", "description", "icons", "annotations", "outputSchema", "_meta"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportedTool:
    """A tool under our name, and what the leg to its server needs."""

    definition: Json
    upstream_name: str
    headers: ParamHeaders


def export_name(server: str, tool: str) -> str:
    """`server__tool`, legal and not too long; what was changed about it is made unique by a hash."""
    name = f"{server}__{_ILLEGAL.sub('_', tool)}"
    if len(name) <= LONGEST_NAME and not _ILLEGAL.search(tool):
        return name
    digest = hashlib.sha256(f"{server}__{tool}".encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    return f"{name[: LONGEST_NAME - _HASH_CHARS - 1]}-{digest}"


def export_tools(server: str, tools: Iterable[Json], options: ToolOptions) -> list[ExportedTool]:
    """The tools that are served. Those that cannot be, by their own fault, are left out and logged."""
    exported: dict[str, ExportedTool] = {}
    for tool in tools:
        if not _is_wanted(tool["name"], options) or _needs_tasks(tool):
            continue
        try:
            each = _export(server, tool, options.rename)
        except ValueError as error:
            _log.warning(
                "a server's tool is left out",
                extra={"server": server, "tool": tool["name"][:100], "reason": str(error)},
            )
            continue
        if each.definition["name"] in exported:
            _log.warning(
                "a server has two tools of one name", extra={"server": server, "tool": each.definition["name"]}
            )
            continue
        exported[each.definition["name"]] = each
    return list(exported.values())


def _export(server: str, tool: Json, rename: Mapping[str, str]) -> ExportedTool:
    schema = tool.get("inputSchema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise AnnotationError("its inputSchema is not of an object")
    stripped, headers = extract_param_headers(schema)
    name = export_name(server, rename.get(tool["name"], tool["name"]))
    kept = {key: value for key, value in tool.items() if key in _DEFINITION_KEYS and value is not None}
    return ExportedTool({"name": name, **kept, "inputSchema": stripped}, tool["name"], headers)


def _is_wanted(name: str, options: ToolOptions) -> bool:
    included = not options.include or any(fnmatchcase(name, pattern) for pattern in options.include)
    return included and not any(fnmatchcase(name, pattern) for pattern in options.exclude)


def _needs_tasks(tool: Json) -> bool:
    """Tools that can only be run as tasks, which we do not relay."""
    execution = tool.get("execution")
    return isinstance(execution, dict) and execution.get("taskSupport") == "required"

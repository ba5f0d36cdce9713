"""Tools of a responses request as functions, which is all that chat completions have.

A custom tool becomes a function with one text; tools of a namespace get a name that holds both. `Target.names`
remembers what each of them was, so that calls come back as the client knows them.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from agent_llmgateway.wire.dialects.base import has_content
from agent_llmgateway.wire.translate.base import Target, refuse
from agent_llmgateway.wire.translate.requests.responseschema import (
    AllowedChoice,
    CustomTool,
    FunctionTool,
    NamedCustomTool,
    NamedTool,
    NamespaceTool,
    ResponsesRequest,
)

Document = dict[str, Any]
LONGEST_NAME: Final = 64
INPUT: Final = "input"
"""The one argument of a custom tool's function."""


def function_name(name: str, namespace: str | None) -> str:
    """The name of a function for a tool, which may be one of a namespace."""
    if not namespace or name.startswith(namespace):
        return name
    flat = f"{namespace.rstrip('_')}__{name}"
    if len(flat) <= LONGEST_NAME:
        return flat
    return f"{flat[: LONGEST_NAME - 9]}_{hashlib.sha256(flat.encode()).hexdigest()[:8]}"


def make_tools(request: ResponsesRequest, target: Target) -> Document:
    """`tools` and `tool_choice` of the completion. Raises NotCarriedError."""
    functions = list(_functions(request.tools or (), None, target))
    choice = request.tool_choice
    chosen: Any = choice
    if isinstance(choice, AllowedChoice):
        names = {each.get("name") for each in choice.tools if isinstance(each, dict)}
        functions = [f for f in functions if f["function"]["name"] in names or _plain_name(f, target) in names]
        chosen = choice.mode
    elif isinstance(choice, NamedTool | NamedCustomTool):
        chosen = {"type": "function", "function": {"name": _flat_name(choice.name, functions, target)}}
    if not functions:
        return {}
    return {"tools": functions} if chosen is None else {"tools": functions, "tool_choice": chosen}


def _flat_name(name: str, functions: list[Document], target: Target) -> str:
    """The name of the function for the tool that is called `name` there. Raises NotCarriedError when two are."""
    names = [function["function"]["name"] for function in functions]
    if name in names:
        return name
    flat = [function["function"]["name"] for function in functions if _plain_name(function, target) == name]
    if len(flat) > 1:
        refuse(f"tool_choice: more than one namespace has a tool `{name}`", "tool_choice")
    return flat[0] if flat else name


def _plain_name(function: Document, target: Target) -> str:
    name: str = function["function"]["name"]
    return str(target.names.get(name, {}).get("name", name))


def _functions(tools: Iterable[Any], namespace: str | None, target: Target) -> Iterable[Document]:
    for tool in tools:
        if isinstance(tool, NamespaceTool):
            yield from _functions(tool.tools, tool.name, target)
        elif isinstance(tool, FunctionTool):
            yield {"type": "function", "function": _function(tool, namespace, target)}
        elif isinstance(tool, CustomTool):
            yield {"type": "function", "function": _custom(tool, namespace, target)}
        else:  # a search of the provider: the model does without it
            target.drop(f"tools.{type(tool).__struct_config__.tag}")


def _function(tool: FunctionTool, namespace: str | None, target: Target) -> Document:
    name = function_name(tool.name, namespace)
    if namespace:
        target.names[name] = {"name": tool.name, "namespace": namespace}
    function: Document = {"name": name}
    if has_content(tool.parameters):
        function["parameters"] = tool.parameters
    for field, value in (("description", tool.description), ("strict", tool.strict)):
        if value is not None:
            function[field] = value
    return function


def _custom(tool: CustomTool, namespace: str | None, target: Target) -> Document:
    name = function_name(tool.name, namespace)
    target.names[name] = {"name": tool.name, "custom": True, **({"namespace": namespace} if namespace else {})}
    grammar = tool.format.get("definition") if isinstance(tool.format, dict) else None
    about = [tool.description or "", f"`{INPUT}` has to match this grammar:\n{grammar}" if grammar else ""]
    if grammar:
        target.drop("tools.format")
    text = {"type": "string", "description": "The whole input of the tool, as it is."}
    parameters = {"type": "object", "properties": {INPUT: text}, "required": [INPUT], "additionalProperties": False}
    return {"name": name, "description": "\n\n".join(filter(None, about)), "parameters": parameters}

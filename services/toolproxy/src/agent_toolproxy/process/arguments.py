"""From the JSON arguments of a call to a program's argument vector, standard input and folder.

A value is always exactly one argument, whatever characters it holds. What is left to addresses against is a positional
value that the program takes for an option: one that begins with `-` is refused, unless the template has put `--`
before it or says that dashes are welcome.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent_api.toolsconfig import Argument, ToolOptions
from agent_toolproxy.errors import InvalidArguments

DEFAULT_INPUT_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "args": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Arguments of the program, one each. No shell: nothing is expanded.",
        },
        "stdin": {"type": "string", "description": "Text for its standard input."},
        "cwd": {"type": "string", "description": "Folder to run in, relative to the workspace."},
    },
    "additionalProperties": False,
}
_DEFAULT_TEMPLATE: Final = (Argument(property="args", dashes=True),)
_RESERVED: Final = frozenset({"stdin", "cwd"})
_ARGUMENT_BYTES: Final = 120_000  # the kernel takes 128 KiB in one argument


@dataclass(frozen=True)
class Invocation:
    """How to call the program; `folder` is relative to the workspace."""

    argv: tuple[str, ...]
    stdin: bytes
    folder: str


def input_schema_of(options: ToolOptions) -> Mapping[str, Any]:
    """The schema that the tool's calls are checked against, and that clients see."""
    return options.input_schema or DEFAULT_INPUT_SCHEMA


def build_invocation(options: ToolOptions, arguments: Mapping[str, Any]) -> Invocation:
    """The invocation for `arguments`, which fit the tool's schema. Raises InvalidArguments."""
    template = _template_of(options)
    placed = {part.property for part in template if isinstance(part, Argument)}
    argv = (*options.arguments, *_fill(template, arguments))
    return Invocation(
        argv=argv,
        stdin=b"" if "stdin" in placed else _text(arguments, "stdin").encode("utf-8", "surrogatepass"),
        folder="" if "cwd" in placed else _text(arguments, "cwd"),
    )


def _template_of(options: ToolOptions) -> tuple[str | Argument, ...]:
    if options.argv:
        return options.argv
    if not options.input_schema:
        return _DEFAULT_TEMPLATE
    properties = options.input_schema.get("properties", {})
    kinds = {name: each.get("type") if isinstance(each, dict) else None for name, each in properties.items()}
    return tuple(
        Argument(property=name, flag=_flag_of(name, kind), joined=kind != "boolean")
        for name, kind in kinds.items()
        if name not in _RESERVED
    )


def _flag_of(name: str, kind: object) -> str:
    return f"--{name.replace('_', '-')}" + ("" if kind == "boolean" else "=")


def _fill(template: tuple[str | Argument, ...], arguments: Mapping[str, Any]) -> Iterator[str]:
    options_over = False
    for part in template:
        if isinstance(part, str):
            options_over = options_over or part == "--"
            yield part
        else:
            yield from _place(part, arguments.get(part.property), guarded=not (options_over or part.dashes))


def _place(part: Argument, value: Any, *, guarded: bool) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if value is None:
        return
    if isinstance(value, bool) and part.flag and not part.joined:
        if value:
            yield part.flag
        return
    for each in value if isinstance(value, list) else [value]:
        text = _word(part.property, each)
        if part.joined:
            yield part.flag + text
        elif part.flag:
            yield from (part.flag, text)
        elif guarded and text.startswith("-"):
            raise InvalidArguments(f"{part.property}: a value must not begin with '-', it would be read as an option")
        else:
            yield text


def _word(name: str, value: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise InvalidArguments(f"{name}: only text, numbers, booleans and lists of them can be arguments of a program")


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidArguments(f"{name}: must be text")
    return value


def check_arguments(arguments: tuple[str, ...]) -> None:
    """Raise InvalidArguments for what no program can be given."""
    for argument in arguments:
        if "\0" in argument:
            raise InvalidArguments("an argument holds a NUL character: no program can be given that")
        if len(argument.encode("utf-8", "surrogatepass")) > _ARGUMENT_BYTES:
            raise InvalidArguments(
                f"an argument is longer than {_ARGUMENT_BYTES} bytes: give large input in stdin or a file"
            )

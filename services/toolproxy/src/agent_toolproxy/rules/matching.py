"""Which rule a call falls under.

Patterns are globs. What cannot be matched for certain is taken the careful way: an `allow` that may not apply does
not, a `deny` or `ask` that may apply does.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from agent_api.toolsconfig import ArgumentMatch, CallRule

LONGEST_VALUE_CHARS: Final = 10_000
"""Longer values are not looked through."""
_MOST_VALUES: Final = 1000


def find_rule(rules: Iterable[CallRule], tool: str, arguments: Mapping[str, Any]) -> CallRule | None:
    """The first rule that a call falls under."""
    return next((rule for rule in rules if _applies(rule, tool, arguments)), None)


def names_tool(patterns: Iterable[str], tool: str) -> bool:
    """Whether one of the globs is of the tool's served name."""
    return any(fnmatchcase(tool, pattern) for pattern in patterns)


def _applies(rule: CallRule, tool: str, arguments: Mapping[str, Any]) -> bool:
    return names_tool(rule.tools, tool) and all(
        _holds(condition, arguments, strict=rule.action == "allow") for condition in rule.where
    )


def _holds(condition: ArgumentMatch, arguments: Mapping[str, Any], *, strict: bool) -> bool:
    """Of a list, every value must match to be allowed, and one is enough to be denied or asked about."""
    values = list(_values(arguments, condition.argument.split(".")))
    if len(values) > _MOST_VALUES or any(len(value) > LONGEST_VALUE_CHARS for value in values):
        return not strict
    matches = (any(fnmatchcase(value, pattern) for pattern in condition.matches) for value in values)
    return all(matches) if strict else any(matches)


def _values(value: Any, path: list[str]) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """The texts at `path`: of a list all, of what is absent the empty text."""
    if isinstance(value, list):
        if not value:
            yield ""
        for each in value[: _MOST_VALUES + 1]:
            yield from _values(each, path)
    elif path:
        yield from _values(value.get(path[0]) if isinstance(value, Mapping) else None, path[1:])
    elif value is None:
        yield ""
    else:
        yield value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)

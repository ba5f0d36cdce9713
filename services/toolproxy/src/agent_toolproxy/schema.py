"""JSON Schemas of calls: compiled once, checked on each call, without ever fetching a reference.

Patterns run in linear time and nothing is loaded from the network, because a schema may come from an upstream
server that is not to be trusted with either.
"""

from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs

from agent_toolproxy.errors import InvalidArguments

_PROBLEMS_SHOWN: Final = 5
_MESSAGE_CHARS: Final = 300


class SchemaError(ValueError):
    """Not a JSON Schema, or one that refers to another document."""


class Schema:
    """A compiled schema. Raises SchemaError for one that cannot be used."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        try:
            self._validator = jsonschema_rs.validator_for(dict(document), retriever=_refuse)
        except (ValueError, TypeError) as error:
            raise SchemaError(str(error).splitlines()[0][:_MESSAGE_CHARS]) from error

    def problems(self, value: Any) -> list[str]:  # noqa: ANN401 - any JSON
        """What is wrong with `value`, a line for each of the first few problems."""
        found = []
        for error in self._validator.iter_errors(value):
            where = "/".join(str(part) for part in error.instance_path)
            found.append(f"{where or 'arguments'}: {error.message[:_MESSAGE_CHARS]}")
            if len(found) == _PROBLEMS_SHOWN:
                break
        return found

    def check(self, arguments: Any) -> None:  # noqa: ANN401 - any JSON
        """Raise InvalidArguments unless `arguments` fit."""
        if problems := self.problems(arguments):
            raise InvalidArguments("; ".join(problems))


def _refuse(uri: str) -> Any:  # noqa: ANN401 - the protocol's
    raise ValueError(f"a schema refers to {uri[:200]}: references to other documents are not followed")

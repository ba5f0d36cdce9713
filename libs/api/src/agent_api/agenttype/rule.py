"""One rule, two judges: CEL in the API server and Python on a laptop, with the same message.

A rule stands beside the model it constrains. `ApiModel` puts its CEL form into the CRD; `agent_api.problems`
asks its Python form. The corpus in tests/manifests/invalid holds both to the same answer.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

RULE_ERROR = "rule"


def cel_list(values: tuple[str | int, ...]) -> str:
    """`values` as a list literal of CEL."""
    return "[" + ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in values) + "]"


@dataclass(frozen=True)
class Rule:
    """A condition over several fields of one object.

    `reason` says what would go wrong without the rule. `cel` sees the object as `self` with defaults applied;
    `holds` gets the parsed model. `field` is the JSON name of the field the message is about, empty for the
    object itself.
    """

    message: str
    reason: str
    cel: str
    holds: Callable[[Any], bool]
    field: str = ""

    def schema(self) -> dict[str, str]:
        """The rule as an entry of x-kubernetes-validations."""
        entry = {"rule": self.cel, "message": self.message}
        return {**entry, "fieldPath": f".{self.field}"} if self.field else entry


@dataclass(frozen=True)
class Matches:
    """A string's shape, with a message a person can act on instead of a regular expression.

    The expression must mean the same to RE2 and to Python; it is matched as a whole.
    """

    pattern: str
    message: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - pydantic's protocol
        compiled = re.compile(self.pattern)

        def check(value: str) -> str:
            if not compiled.fullmatch(value):
                raise PydanticCustomError(RULE_ERROR, "{message}", {"message": self.message})
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        result = handler(schema)
        quoted = self.pattern.replace("\\", "\\\\").replace("'", "\\'")
        rule = {"rule": f"self.matches('^(?:{quoted})$')", "message": self.message}
        return {**result, "x-kubernetes-validations": [*result.get("x-kubernetes-validations", []), rule]}


@dataclass(frozen=True)
class ListMap:
    """A list whose items are told apart by one field: the API server refuses a duplicate, and merges by it."""

    key: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            **handler(schema),
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": [self.key],
        }


class ApiModel(BaseModel):
    """A part of the AgentType API: frozen, camelCase in JSON.

    Unknown fields are ignored on reading, because an object may have been written by a newer version;
    `agent_api.problems` names them to whoever writes a manifest.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def unexamined(cls, raw: dict[str, Any]) -> frozenset[str]:
        """Fields of `raw` whose unknown keys somebody else judges."""
        del raw
        return frozenset()

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        result = handler.resolve_ref_schema(handler(schema))
        if cls.rules:
            result["x-kubernetes-validations"] = [rule.schema() for rule in cls.rules]
        return result


class OpenModel(ApiModel):
    """A part that keeps unknown fields: what a provider or a Kubernetes object has beyond what we know."""

    model_config = ConfigDict(extra="allow")

    names_unknown: ClassVar[bool] = True
    """False where unknown fields are Kubernetes' own, so that naming them would only be noise."""

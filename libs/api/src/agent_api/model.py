"""The two kinds of model that cross a boundary, and nothing else.

A *config* is written by us and read by us: an unknown key is a mistake, so it is refused. A *report* may
come from a newer sidecar than its reader: an unknown key is ignored.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

LARGEST_INTEGER: Final = 2**53
"""That every reader of JSON takes as it is. The API server takes 2**63 - 1 as a limit for a negative number."""


class Config(BaseModel):
    """Frozen, camelCase in JSON, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class Report(BaseModel):
    """Frozen, camelCase in JSON, unknown keys ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

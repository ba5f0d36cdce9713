"""What a row of the table of reasons has."""

from enum import StrEnum
from typing import Self

from agent_api.agenttype.conditiontypes import ConditionType


class ReasonRow(StrEnum):
    """A reason that its row makes.

    `conditions` are those that can have the reason; `cause` and `cure` are sentences in Markdown, with links as
    docs/ has them. With a `failing` reason the phase is Failed: waiting alone does not mend it.
    """

    conditions: tuple[ConditionType, ...]
    cause: str
    cure: str
    failing: bool

    def __new__(
        cls, value: str, conditions: tuple[ConditionType, ...], cause: str, cure: str, *failing: bool
    ) -> Self:  # fmt: skip
        """A member from its row."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.conditions = conditions
        member.cause = cause
        member.cure = cure
        member.failing = any(failing)
        return member

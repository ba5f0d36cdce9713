"""The part of the full server that asks in the handshake revisions: sampling, and forms with every kind of field."""

from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.types import SamplingMessage, TextContent
from pydantic import BaseModel, Field


class UserResponse(BaseModel):
    response: str = Field(description="User's response")


class Defaults(BaseModel):
    """A default of each primitive type (SEP-1034)."""

    name: str = Field(default="John Doe", description="User name")
    age: int = Field(default=30, description="User age")
    score: float = Field(default=95.5, description="User score")
    status: str = Field(default="active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = Field(default=True, description="Verification status")


def _titled(key: str, *names: str) -> dict[str, Any]:
    return {key: [{"const": name.split()[0].lower(), "title": name} for name in names]}


class Enums(BaseModel):
    """Every way to write a choice (SEP-1330)."""

    untitledSingle: Annotated[str, Field(json_schema_extra={"enum": ["active", "inactive", "pending"]})]  # noqa: N815
    titledSingle: Annotated[str, Field(json_schema_extra=_titled("oneOf", "Low Priority", "High Priority"))]  # noqa: N815
    untitledMulti: Annotated[  # noqa: N815
        list[str], Field(json_schema_extra={"items": {"type": "string", "enum": ["read", "write", "execute"]}})
    ]
    titledMulti: Annotated[  # noqa: N815
        list[str], Field(json_schema_extra={"items": _titled("anyOf", "Feature New", "Bug Fix")})
    ]
    legacyEnum: Annotated[  # noqa: N815
        str, Field(json_schema_extra={"enum": ["small", "large"], "enumNames": ["Small Size", "Large Size"]})
    ]


async def _elicit(ctx: Context[Any], message: str, schema: type[BaseModel]) -> str:
    result = await ctx.elicit(message=message, schema=schema)
    content = result.data.model_dump_json() if result.action == "accept" else "{}"
    return f"action={result.action}, content={content}"


async def test_sampling(prompt: str, ctx: Context[Any]) -> str:
    """Tests server-initiated sampling (LLM completion request)"""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    result = await ctx.session.create_message(messages=[message], max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {getattr(result.content, 'text', 'none')}"


async def test_elicitation(message: str, ctx: Context[Any]) -> str:
    """Tests server-initiated elicitation (user input request)"""
    return f"User response: {await _elicit(ctx, message, UserResponse)}"


async def test_elicitation_sep1034_defaults(ctx: Context[Any]) -> str:
    """Tests elicitation with default values for all primitive types (SEP-1034)"""
    return f"Elicitation result: {await _elicit(ctx, 'Please provide user information', Defaults)}"


async def test_elicitation_sep1330_enums(ctx: Context[Any]) -> str:
    """Tests elicitation with enum schema variations per SEP-1330"""
    return f"Elicitation completed: {await _elicit(ctx, 'Please select values', Enums)}"


TOOLS = (test_sampling, test_elicitation, test_elicitation_sep1034_defaults, test_elicitation_sep1330_enums)

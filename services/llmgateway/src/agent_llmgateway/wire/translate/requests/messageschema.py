"""Requests of the messages API as far as they can be carried elsewhere."""

from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, Struct


class TextBlock(Struct, tag="text", tag_field="type", forbid_unknown_fields=True):
    """Text."""

    text: str
    cache_control: Any = None
    citations: Any = None


class Base64Source(Struct, tag="base64", tag_field="type", forbid_unknown_fields=True):
    """An image itself."""

    media_type: str
    data: str


class UrlSource(Struct, tag="url", tag_field="type", forbid_unknown_fields=True):
    """Address of an image."""

    url: str


class ImageBlock(Struct, tag="image", tag_field="type", forbid_unknown_fields=True):
    """An image."""

    source: Base64Source | UrlSource
    cache_control: Any = None


class TextSource(Struct, tag="text", tag_field="type", forbid_unknown_fields=True):
    """A document as plain text."""

    data: str
    media_type: str = "text/plain"


class ContentSource(Struct, tag="content", tag_field="type", forbid_unknown_fields=True):
    """A document as blocks."""

    content: str | list[TextBlock]


class DocumentBlock(Struct, tag="document", tag_field="type", forbid_unknown_fields=True):
    """A document."""

    source: Base64Source | UrlSource | TextSource | ContentSource
    title: str | None = None
    context: str | None = None
    citations: Any = None
    cache_control: Any = None


class ToolUseBlock(Struct, tag="tool_use", tag_field="type", forbid_unknown_fields=True):
    """A call that the model made. `input` keeps its bytes."""

    id: str
    name: str
    input: Raw
    cache_control: Any = None
    caller: Any = None


class SearchResultBlock(Struct, tag="search_result", tag_field="type", forbid_unknown_fields=True):
    """Something that was found, with where it was found."""

    source: str
    title: str
    content: list[TextBlock]
    citations: Any = None
    cache_control: Any = None


class ToolResultBlock(Struct, tag="tool_result", tag_field="type", forbid_unknown_fields=True):
    """What a tool gave back."""

    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock | SearchResultBlock] | None = None
    is_error: bool | None = None
    cache_control: Any = None


class ThinkingBlock(Struct, tag="thinking", tag_field="type", forbid_unknown_fields=True):
    """Thoughts; only the provider that made the signature can read them again."""

    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Struct, tag="redacted_thinking", tag_field="type", forbid_unknown_fields=True):
    """Thoughts that are not shown."""

    data: str


UserBlock = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ToolResultBlock
AssistantBlock = TextBlock | ToolUseBlock | ThinkingBlock | RedactedThinkingBlock


class UserMessage(Struct, tag="user", tag_field="role", forbid_unknown_fields=True):
    """What the user said, and what tools gave back."""

    content: str | list[UserBlock]


class AssistantMessage(Struct, tag="assistant", tag_field="role", forbid_unknown_fields=True):
    """What the model said."""

    content: str | list[AssistantBlock]


class SystemMessage(Struct, tag="system", tag_field="role", forbid_unknown_fields=True):
    """Instructions in the middle of a conversation."""

    content: str | list[TextBlock]


class ToolDefinition(Struct, forbid_unknown_fields=True):
    """A tool of the client. Tools of the provider have another `type` and cannot be carried."""

    name: str
    input_schema: Raw
    description: str | None = None
    type: Literal["custom"] | None = None
    strict: bool | None = None
    cache_control: Any = None
    eager_input_streaming: bool | None = None


class AutoChoice(Struct, tag="auto", tag_field="type", forbid_unknown_fields=True):
    """The model chooses."""

    disable_parallel_tool_use: bool | None = None


class AnyChoice(Struct, tag="any", tag_field="type", forbid_unknown_fields=True):
    """Some tool has to be called."""

    disable_parallel_tool_use: bool | None = None


class ToolChoice(Struct, tag="tool", tag_field="type", forbid_unknown_fields=True):
    """One tool has to be called."""

    name: str
    disable_parallel_tool_use: bool | None = None


class NoChoice(Struct, tag="none", tag_field="type", forbid_unknown_fields=True):
    """No tool may be called."""


class ThinkingOn(Struct, tag="enabled", tag_field="type", forbid_unknown_fields=True):
    """Think for so many tokens."""

    budget_tokens: int = 1024
    display: str | None = None


class ThinkingAdaptive(Struct, tag="adaptive", tag_field="type", forbid_unknown_fields=True):
    """Think as much as needed."""

    display: str | None = None


class ThinkingOff(Struct, tag="disabled", tag_field="type", forbid_unknown_fields=True):
    """Do not think."""


class SchemaOutput(Struct, tag="json_schema", tag_field="type", forbid_unknown_fields=True):
    """JSON by a schema."""

    schema: Raw


class OutputConfig(Struct, forbid_unknown_fields=True):
    """Effort and form of the answer."""

    effort: str | None = None
    format: SchemaOutput | None = None


class Metadata(Struct, forbid_unknown_fields=True):
    """Whom the request is for."""

    user_id: str | None = None


class MessagesRequest(Struct, forbid_unknown_fields=True):
    """A request."""

    model: str
    messages: list[UserMessage | AssistantMessage | SystemMessage]
    max_tokens: int
    system: str | list[TextBlock] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[ToolDefinition] | None = None
    tool_choice: AutoChoice | AnyChoice | ToolChoice | NoChoice | None = None
    thinking: ThinkingOn | ThinkingAdaptive | ThinkingOff | None = None
    output_config: OutputConfig | None = None
    output_format: SchemaOutput | None = None
    """Of the API's beta: what `output_config.format` has become, sent by clients to this day."""
    metadata: Metadata | None = None
    cache_control: Any = None
    service_tier: Any = None
    context_management: Any = None
    top_k: Any = None
    container: Any = None
    mcp_servers: Any = None


MESSAGES_REQUESTS: Final = msgspec.json.Decoder(MessagesRequest)

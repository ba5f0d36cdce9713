"""Chat completion requests as far as they can be carried elsewhere. A field that is not here is refused by its name."""

from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, Struct

NOTHING: Final = Raw(b"null")
"""A raw field that is not there: msgspec has no optional `Raw`."""


class TextPart(Struct, tag="text", tag_field="type", forbid_unknown_fields=True):
    """Text."""

    text: str


class ImageUrl(Struct, forbid_unknown_fields=True):
    """Address of an image, or the image itself as a data URL."""

    url: str
    detail: str | None = None


class ImagePart(Struct, tag="image_url", tag_field="type", forbid_unknown_fields=True):
    """An image."""

    image_url: ImageUrl


class FileData(Struct, forbid_unknown_fields=True):
    """A file itself as a data URL, or the id of one that a provider keeps."""

    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None


class FilePart(Struct, tag="file", tag_field="type", forbid_unknown_fields=True):
    """A document."""

    file: FileData


class RefusalPart(Struct, tag="refusal", tag_field="type", forbid_unknown_fields=True):
    """A refusal of the model."""

    refusal: str


class FunctionCall(Struct, forbid_unknown_fields=True):
    """What is called. `arguments` is JSON as text."""

    name: str
    arguments: str


class ToolCall(Struct, forbid_unknown_fields=True):
    """A call that the model made."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"
    index: int | None = None


class SystemTurn(Struct, tag="system", tag_field="role", forbid_unknown_fields=True):
    """Instructions."""

    content: str | list[TextPart]


class DeveloperTurn(Struct, tag="developer", tag_field="role", forbid_unknown_fields=True):
    """Instructions, by their newer name."""

    content: str | list[TextPart]


class UserTurn(Struct, tag="user", tag_field="role", forbid_unknown_fields=True):
    """What the user said."""

    content: str | list[TextPart | ImagePart | FilePart] = ""


class AssistantTurn(Struct, tag="assistant", tag_field="role", forbid_unknown_fields=True):
    """What the model said. Fields of answers that clients send back as nulls are allowed as such."""

    content: str | list[TextPart | RefusalPart] | None = None
    tool_calls: list[ToolCall] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    audio: None = None
    function_call: None = None
    annotations: list[Raw] | None = None


class ToolTurn(Struct, tag="tool", tag_field="role", forbid_unknown_fields=True):
    """What a tool gave back. Pictures in it are not OpenAI's, but some providers take them and responses have them."""

    tool_call_id: str
    content: str | list[TextPart | ImagePart | FilePart] = ""


Turn = SystemTurn | DeveloperTurn | UserTurn | AssistantTurn | ToolTurn


class Function(Struct, forbid_unknown_fields=True):
    """A function that may be called. `parameters` keeps its bytes."""

    name: str
    description: str | None = None
    parameters: Raw = NOTHING
    strict: bool | None = None


class Tool(Struct, tag="function", tag_field="type", forbid_unknown_fields=True):
    """A tool."""

    function: Function


class NamedFunction(Struct, forbid_unknown_fields=True):
    """The name of a function."""

    name: str


class NamedTool(Struct, tag="function", tag_field="type", forbid_unknown_fields=True):
    """The tool that has to be called."""

    function: NamedFunction


class AllowedTools(Struct, forbid_unknown_fields=True):
    """The tools that may be called now."""

    mode: Literal["auto", "required"]
    tools: list[NamedTool]


class AllowedChoice(Struct, tag="allowed_tools", tag_field="type", forbid_unknown_fields=True):
    """Some of the tools."""

    allowed_tools: AllowedTools


class JsonSchema(Struct, forbid_unknown_fields=True):
    """The form of a structured answer. `schema` keeps its bytes."""

    name: str
    schema: Raw = Raw(b"{}")
    description: str | None = None
    strict: bool | None = None


class TextFormat(Struct, tag="text", tag_field="type", forbid_unknown_fields=True):
    """Free text."""


class JsonFormat(Struct, tag="json_object", tag_field="type", forbid_unknown_fields=True):
    """JSON of any form."""


class SchemaFormat(Struct, tag="json_schema", tag_field="type", forbid_unknown_fields=True):
    """JSON by a schema."""

    json_schema: JsonSchema


class ChatRequest(Struct, forbid_unknown_fields=True):
    """A request. Fields typed `Any` are looked up in `NEUTRAL` and `HINTS`."""

    model: str
    messages: list[Turn]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | AllowedChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: TextFormat | JsonFormat | SchemaFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    user: str | None = None
    n: Any = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    logit_bias: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    modalities: Any = None
    seed: Any = None
    audio: Any = None
    functions: Any = None
    function_call: Any = None
    web_search_options: Any = None
    moderation: Any = None
    verbosity: Any = None
    metadata: Any = None
    store: Any = None
    prediction: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    safety_identifier: Any = None
    service_tier: Any = None


NEUTRAL: Final[dict[str, tuple[Any, ...]]] = {
    "n": (1,),
    "frequency_penalty": (0, 0.0),
    "presence_penalty": (0, 0.0),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "audio": (),
    "functions": ([],),
    "function_call": ("none",),
    "web_search_options": (),
    "moderation": (),
}
"""Fields that have no counterpart, with the values that mean nothing anyway."""

HINTS: Final = (
    "verbosity",
    "metadata",
    "store",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "seed",
    "logprobs",
    "top_logprobs",
)
"""Fields that an answer does not depend on: left out, and named in a header."""

CHAT_REQUESTS: Final = msgspec.json.Decoder(ChatRequest)

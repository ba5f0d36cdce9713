"""Requests of the responses API as far as they can be carried elsewhere: those that need no state of a provider."""

from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, Struct

from agent_llmgateway.wire.translate.requests.chatschema import NOTHING


class InputText(Struct, tag="input_text", tag_field="type", forbid_unknown_fields=True):
    """Text."""

    text: str


class InputImage(Struct, tag="input_image", tag_field="type", forbid_unknown_fields=True):
    """An image itself, its address, or the id of one that a provider keeps."""

    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class InputFile(Struct, tag="input_file", tag_field="type", forbid_unknown_fields=True):
    """A document itself, or where a provider or the web has it."""

    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None
    file_url: str | None = None


class OutputText(Struct, tag="output_text", tag_field="type", forbid_unknown_fields=True):
    """Text of the model."""

    text: str
    annotations: list[Raw] | None = None
    logprobs: list[Raw] | None = None


class Refusal(Struct, tag="refusal", tag_field="type", forbid_unknown_fields=True):
    """A refusal of the model."""

    refusal: str


class MessageItem(Struct, tag="message", tag_field="type", forbid_unknown_fields=True):
    """A turn."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[InputText | InputImage | InputFile | OutputText | Refusal]
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class CallItem(Struct, tag="function_call", tag_field="type", forbid_unknown_fields=True):
    """A call that the model made."""

    call_id: str
    name: str
    arguments: str
    namespace: str | None = None
    id: str | None = None
    status: str | None = None
    caller: Any = None


class ResultItem(Struct, tag="function_call_output", tag_field="type", forbid_unknown_fields=True):
    """What a tool gave back."""

    call_id: str
    output: str | list[InputText | InputImage | InputFile | OutputText]
    id: str | None = None
    status: str | None = None


class CustomCallItem(Struct, tag="custom_tool_call", tag_field="type", forbid_unknown_fields=True):
    """A call whose argument is text of any form."""

    call_id: str
    name: str
    input: str
    namespace: str | None = None
    id: str | None = None
    status: str | None = None


class CustomResultItem(Struct, tag="custom_tool_call_output", tag_field="type", forbid_unknown_fields=True):
    """What such a tool gave back."""

    call_id: str
    output: str | list[InputText | InputImage | InputFile | OutputText]
    id: str | None = None
    status: str | None = None


class ReferenceItem(Struct, tag="item_reference", tag_field="type", forbid_unknown_fields=True):
    """An earlier item, by its id."""

    id: str


class ReasoningItem(Struct, tag="reasoning", tag_field="type"):
    """Thoughts; only the provider that made them can read them again."""


class WebSearchItem(Struct, tag="web_search_call", tag_field="type"):
    """A search that a provider made; what came of it is in the text behind it."""


Item = (
    MessageItem
    | CallItem
    | ResultItem
    | CustomCallItem
    | CustomResultItem
    | ReferenceItem
    | ReasoningItem
    | WebSearchItem
)


class FunctionTool(Struct, tag="function", tag_field="type", forbid_unknown_fields=True):
    """A tool of the client."""

    name: str
    description: str | None = None
    parameters: Raw = NOTHING
    strict: bool | None = None


class CustomTool(Struct, tag="custom", tag_field="type", forbid_unknown_fields=True):
    """A tool of the client whose argument is text; `format` may be a grammar."""

    name: str
    description: str | None = None
    format: Any = None


class NamespaceTool(Struct, tag="namespace", tag_field="type", forbid_unknown_fields=True):
    """Tools under one name."""

    name: str
    tools: list[FunctionTool | CustomTool]
    description: str | None = None


class WebSearchTool(Struct, tag="web_search", tag_field="type"):
    """A search that the provider makes."""


class ToolSearchTool(Struct, tag="tool_search", tag_field="type"):
    """A search among tools that the provider makes."""


class NamedTool(Struct, tag="function", tag_field="type", forbid_unknown_fields=True):
    """The tool that has to be called."""

    name: str


class NamedCustomTool(Struct, tag="custom", tag_field="type", forbid_unknown_fields=True):
    """The custom tool that has to be called."""

    name: str


class AllowedChoice(Struct, tag="allowed_tools", tag_field="type", forbid_unknown_fields=True):
    """The tools that may be called now."""

    mode: Literal["auto", "required"]
    tools: list[Any]


class TextFormat(Struct, tag="text", tag_field="type", forbid_unknown_fields=True):
    """Free text."""


class JsonFormat(Struct, tag="json_object", tag_field="type", forbid_unknown_fields=True):
    """JSON of any form."""


class SchemaFormat(Struct, tag="json_schema", tag_field="type", forbid_unknown_fields=True):
    """JSON by a schema."""

    name: str
    schema: Raw
    description: str | None = None
    strict: bool | None = None


class TextConfig(Struct, forbid_unknown_fields=True):
    """Form of the answer."""

    format: TextFormat | JsonFormat | SchemaFormat | None = None
    verbosity: str | None = None


class Reasoning(Struct, forbid_unknown_fields=True):
    """How much to think."""

    effort: str | None = None
    summary: Any = None
    generate_summary: str | None = None


class ResponsesRequest(Struct, forbid_unknown_fields=True):
    """A request. State of the provider (`previous_response_id`, `conversation`) is not among its fields."""

    model: str
    input: str | list[Raw] = ""
    instructions: str | None = None
    max_output_tokens: int | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[FunctionTool | CustomTool | NamespaceTool | WebSearchTool | ToolSearchTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | NamedCustomTool | AllowedChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    user: str | None = None
    metadata: Any = None
    store: bool | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    include: list[str] | None = None
    truncation: str | None = None
    stream_options: Any = None
    background: Literal[False] | None = None
    previous_response_id: None = None
    conversation: None = None
    prompt: None = None
    top_logprobs: int | None = None
    max_tool_calls: None = None
    client_metadata: Any = None
    prompt_cache_retention: Any = None
    prompt_cache_options: Any = None


RESPONSES_REQUESTS: Final = msgspec.json.Decoder(ResponsesRequest)
ITEMS: Final = msgspec.json.Decoder(Item)

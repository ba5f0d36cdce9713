"""How large a request is to a model, which is not how many bytes it has.

Text is measured in bytes: no tokenizer makes more than one token of a byte. Pictures, documents and sound have their
own rules. What a request only refers to (an earlier answer, a file, a search) may be as long as the model can read.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.lenient import has_unicode_escape, read_json
from agent_llmgateway.wire.mediatokens import (
    MOST_PICTURE_TOKENS,
    PAGE_TOKENS,
    Family,
    document_tokens,
    picture_tokens,
    sound_tokens,
)

Document = dict[str, Any]
LONGEST_DOCUMENT_TOKENS: Final = 100 * PAGE_TOKENS
"""A document behind an address or an id: the APIs take a hundred pages."""
LEAST_MEDIA_CHARACTERS: Final = 64
"""A shorter text is counted as text wherever it stands."""
_OPEN_FIELDS: Final = ("previous_response_id", "conversation", "prompt", "container", "mcp_servers")
_SEARCH: Final = "web_search_options"
"""Of chat completions: what is found is added to the input, whether or not an option is set."""
SMALL_BYTES: Final = 8192
"""Of a body that is searched for a few words in less time than it is decoded in."""
_TURNS: Final = ("messages", "input", "system")
_HOLDERS: Final = ("content", "output", "source")
"""Fields of turns and parts in which there may be media."""
_PLAIN_TOOLS: Final = frozenset({"function", "custom", "namespace", ""})
_MEDIA_KINDS: Final = frozenset(
    {"image", "document", "image_url", "input_image", "file", "input_file", "container_upload", "input_audio"}
)
_MARKS: Final = tuple(
    f'"{name}"'.encode() for name in sorted({*_MEDIA_KINDS, *_OPEN_FIELDS, _SEARCH, "tools", "item_reference"})
)
"""One of these is in each request that is more than its text. Within a text the quotes would be escaped."""


class RequestSize(msgspec.Struct, frozen=True):
    """`text_bytes` are all bytes that are not media. `is_open`: it refers to what is kept elsewhere.

    Documents and sound say themselves how long they are: by `doubtful_tokens` they may be longer.
    """

    text_bytes: int
    media_tokens: int = 0
    is_open: bool = False
    doubtful_tokens: int = 0


class _Media(NamedTuple):
    """One piece of media in the `taken` characters of a body."""

    taken: int
    tokens: int
    doubtful: int = 0


def measure_request(body: bytes, family: Family) -> RequestSize:
    """The size of a request of a dialect of `family`. A body that is not JSON is text, and so is all of most others."""
    if len(body) <= SMALL_BYTES and not has_unicode_escape(body) and not any(map(body.__contains__, _MARKS)):
        return RequestSize(len(body))
    try:
        document = read_json(body)
    except MalformedEventError:
        return RequestSize(len(body), is_open=True)
    media_bytes = media_tokens = doubtful_tokens = 0
    is_open = isinstance(document, dict) and _is_open(document)
    for taken, tokens, doubtful in _media_of(document, family):
        media_bytes += taken
        media_tokens += tokens
        doubtful_tokens += doubtful
    return RequestSize(max(0, len(body) - media_bytes), media_tokens, is_open, doubtful_tokens)


def _is_open(document: Document) -> bool:
    """Whether the provider adds to the input what the request does not hold."""
    if any(isinstance(document.get(name), str | dict | list) and document[name] for name in _OPEN_FIELDS):
        return True
    if document.get(_SEARCH) is not None:
        return True
    tools = document.get("tools")
    if isinstance(tools, list) and any(_runs_at_provider(tool) for tool in tools):
        return True
    items = document.get("input")
    return isinstance(items, list) and any(isinstance(i, dict) and i.get("type") == "item_reference" for i in items)


def _runs_at_provider(tool: object) -> bool:
    if not isinstance(tool, dict):
        return False
    kind = tool.get("type", "")
    return not (isinstance(kind, str) and kind in _PLAIN_TOOLS)


def _media_of(document: Any, family: Family) -> Iterator[_Media]:  # noqa: ANN401 - JSON
    """Each piece of media. Without recursion: a body may be nested deeply.

    Only where the APIs take media: what looks like it in a tool's schema or arguments is text to a model.
    """
    if not isinstance(document, dict):
        return
    waiting: list[Any] = [document.get(name) for name in _TURNS]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            found = _media_at(value, family)
            if found is None:
                waiting += [value.get(name) for name in _HOLDERS]
            else:
                yield found


def _media_at(part: Document, family: Family) -> _Media | None:
    """Media that `part` is; None when it is something else, whose parts are looked at."""
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _MEDIA_KINDS:
        return None
    source = part.get("source")
    if kind in ("image", "document") and isinstance(source, dict):
        return _source_at(kind, source, family)
    if kind in ("image_url", "input_image"):
        given = part.get("image_url")
        holder = given if isinstance(given, dict) else part
        url = holder.get("url") if isinstance(given, dict) else given
        return _picture_at(url, family, low_detail=holder.get("detail") == "low")
    if kind in ("file", "input_file", "container_upload"):
        holder = part["file"] if isinstance(part.get("file"), dict) else part
        return _document_at(holder.get("file_data"))
    if kind == "input_audio" and isinstance(part.get("input_audio"), dict):
        data = part["input_audio"].get("data")
        return _Media(len(data), *sound_tokens(data)) if _is_long(data) else None
    return None


def _source_at(kind: str, source: Document, family: Family) -> _Media | None:
    data = source.get("data")
    if source.get("type") in ("text", "content"):
        return None
    return _picture_at(data, family) if kind == "image" else _document_at(data)


def _picture_at(url: object, family: Family, *, low_detail: bool = False) -> _Media:
    if not isinstance(url, str) or not _is_long(url):
        return _Media(0, MOST_PICTURE_TOKENS)
    return _Media(len(url), picture_tokens(_payload(url), family, low_detail=low_detail))


def _document_at(data: object) -> _Media:
    if not isinstance(data, str) or not _is_long(data):
        return _Media(0, LONGEST_DOCUMENT_TOKENS)
    tokens = document_tokens(_payload(data))
    return _Media(len(data), tokens, max(0, LONGEST_DOCUMENT_TOKENS - tokens))


def _payload(url: str) -> str:
    """Of a `data:` address the base64."""
    return url.partition(",")[2] if url.startswith("data:") else url


def _is_long(data: object) -> bool:
    return isinstance(data, str) and len(data) >= LEAST_MEDIA_CHARACTERS

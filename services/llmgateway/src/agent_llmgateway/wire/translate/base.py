"""What a translation between two dialects is made of."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol, TypeVar

import msgspec

from agent_llmgateway.errors import MalformedEventError, NotCarriedError
from agent_llmgateway.surrogates import join_halves
from agent_llmgateway.wire.answerstream import EventTranslator
from agent_llmgateway.wire.itemstore import ItemStore
from agent_llmgateway.wire.lenient import read_json
from agent_llmgateway.wire.models import LimitField, ModelFacts, facts_of, limit_field

T = TypeVar("T")
Document = dict[str, Any]
MOST_UNKNOWN: Final = 64
"""Unknown fields that are left out of one request, each of one type of object; more are refused."""
_STEP: Final = re.compile(r"\[(\d+|\.\.\.)\]|([^.\[\]]+)")


@dataclass(slots=True)
class Target:
    """Whom a request goes to, and what is left out of it on the way.

    `strict`: nothing may be left out or carried in another form. `names` has what the tools of a responses request
    are called in its translation, by that name. `is_vendor`: it is the vendor itself, which refuses thoughts and fields
    that are not its own, and not another server that speaks its dialect.
    """

    model: str
    kind: str = "openai"
    options: Mapping[str, Any] = field(default_factory=dict)
    items: ItemStore = field(default_factory=ItemStore)
    names: dict[str, Document] = field(default_factory=dict)
    is_vendor: bool = True
    _dropped: dict[str, None] = field(default_factory=dict)

    @property
    def strict(self) -> bool:
        """Whether the provider's `translation` is `strict`."""
        return self.options.get("translation") == "strict"

    @property
    def facts(self) -> ModelFacts:
        """What is known of the model."""
        return facts_of(self.model, self.kind, self.options)

    @property
    def limit_field(self) -> LimitField:
        """What the limit of the answer is called in chat completions."""
        return limit_field(self.facts, self.kind, self.options)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Names of what was left out, or changed."""
        return tuple(self._dropped)

    def drop(self, name: str) -> None:
        """`name` of the request is left out, or carried in the nearest form. Raises NotCarriedError when strict."""
        if self.strict:
            refuse(f"`{name}` cannot be carried as it is, and `translation` is strict", name)
        self._dropped[name] = None


@dataclass(frozen=True, slots=True)
class TranslatedRequest:
    """A request in the other dialect. `dropped` names hints that do not change the answer and have no word there."""

    body: bytes
    dropped: tuple[str, ...] = ()


class Translation(Protocol):
    """From a client's dialect to a provider's, and back."""

    def request(self, body: bytes, target: Target) -> TranslatedRequest:
        """Raises NotCarriedError that names the field."""
        ...

    def answer(self, body: bytes, target: Target) -> bytes:
        """A whole answer in the client's dialect. Raises MalformedEventError."""
        ...

    def stream(self, target: Target, *, with_usage: bool) -> EventTranslator:
        """For one stream. `with_usage`: the client asked for usage."""
        ...


def decode_request(decoder: "msgspec.json.Decoder[T]", body: bytes, target: Target, to: str) -> T:
    """Decode a request. Fields that are not known are left out and named; what is unknown in another way is refused.

    Raises NotCarriedError that names the field.
    """
    for _ in range(MOST_UNKNOWN):
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            path, name = _unknown_field(str(error))
            if name is None:
                refuse(f"This request cannot be carried to {to}: {error}", path)
            pattern = re.sub(r"\[\d+\]|\[\.\.\.\]", "[]", path or "")
            target.drop(f"{pattern}.{name}".lstrip("."))
            document = read_json(body)
            _remove(document, [step.group(1) or step.group(2) for step in _STEP.finditer(path or "")], name)
            body = msgspec.json.encode(document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            body = _mend(body, error, to)
    raise NotCarriedError(f"This request cannot be carried to {to}: more than {MOST_UNKNOWN} of its fields are unknown")


def refuse(message: str, param: str | None) -> NoReturn:
    """Raise NotCarriedError."""
    raise NotCarriedError(message, param=param)


def _mend(body: bytes, error: Exception, to: str) -> bytes:
    """`body` with halves of characters joined or replaced; a request may hold them, UTF-8 cannot."""
    try:
        text = json.dumps(read_json(body), ensure_ascii=False)
    except (MalformedEventError, RecursionError):
        refuse(f"This request cannot be carried to {to}: {error}", None)
    mended = join_halves(text).encode()
    if mended == body:
        refuse(f"This request cannot be carried to {to}: {error}", None)
    return mended


def _unknown_field(message: str) -> tuple[str | None, str | None]:
    """Where a field is unknown, and its name: ``unknown field `x` - at `$.messages[0]` ``; no name for other errors."""
    path = message.rpartition(" - at `$")[2].rstrip("`").lstrip(".") if " - at `$" in message else ""
    name = message.partition("unknown field `")[2].partition("`")[0]
    return path or None, name or None


def _remove(document: Any, path: list[str], name: str) -> None:  # noqa: ANN401 - JSON
    """Take `name` out of the object that `path` leads to, and of those of its type beside it, which do not know it.

    `...` stands for every value, of an object whose keys are not told.
    """
    if isinstance(document, list) and path:
        chosen = [_type_of(each) for place, each in enumerate(document) if path[0] in (str(place), "...")]
        for element in document:
            if _type_of(element) in chosen:
                _remove(element, path[1:], name)
    elif isinstance(document, dict) and path:
        for value in document.values() if path[0] == "..." else [document.get(path[0])]:
            _remove(value, path[1:], name)
    elif isinstance(document, dict):
        document.pop(name, None)


def _type_of(element: object) -> object:
    """What tells the objects of one list apart."""
    return (element.get("type"), element.get("role")) if isinstance(element, dict) else None

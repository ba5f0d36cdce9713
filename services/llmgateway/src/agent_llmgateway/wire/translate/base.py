"""What a translation between two dialects is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeVar

import msgspec

from agent_llmgateway.errors import NotCarriedError
from agent_llmgateway.wire.answerstream import EventTranslator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TranslatedRequest:
    """A request in the other dialect. `dropped` names hints that do not change the answer and have no word there."""

    body: bytes
    dropped: tuple[str, ...] = ()


class Translation(Protocol):
    """From a client's dialect to a provider's, and back."""

    def request(self, body: bytes, model: str, options: Mapping[str, Any]) -> TranslatedRequest:
        """Raises NotCarriedError that names the field. `options` are the provider's."""
        ...

    def answer(self, body: bytes) -> bytes:
        """A whole answer in the client's dialect. Raises MalformedEventError."""
        ...

    def stream(self, model: str, *, with_usage: bool) -> EventTranslator:
        """For one stream. `with_usage`: the client asked for usage."""
        ...


def decode_strict(decoder: "msgspec.json.Decoder[T]", body: bytes, target: str) -> T:
    """Decode a request whose every field must be known. Raises NotCarriedError that names the first that is not."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        refuse(f"This request cannot be carried to {target}: {error}", _path_of(str(error)))


def refuse(message: str, param: str | None) -> NoReturn:
    """Raise NotCarriedError."""
    raise NotCarriedError(message, param=param)


def _path_of(message: str) -> str | None:
    """The field that msgspec complains about: `... - at `$.messages[0]`` and ``unknown field `x```."""
    path = message.rpartition(" - at `$")[2].rstrip("`").lstrip(".") if " - at `$" in message else ""
    unknown = message.partition("unknown field `")[2].partition("`")[0]
    return ".".join(part for part in (path, unknown) if part) or None

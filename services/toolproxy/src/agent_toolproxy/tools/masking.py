"""Keeps the values of credentials out of everything that a tool or server answers: its result, and what comes before.

A tool is given its credentials, and may print them; an agent that reads them could use them without the tool.
"""

import asyncio
import codecs
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from agent_base.redaction import Redactor, StreamMasker
from agent_toolproxy.call import Call, Caller, Handler, Json, ProgressListener
from agent_toolproxy.offers.offer import Offer
from agent_toolproxy.process.runner import OutputListener, Stream

_AT_ONCE_CHARS: Final = 262_144
"""Of a larger result, the escapes are looked through beside the event loop: megabytes of them take seconds."""


async def call_masked(handler: Handler, call: Call, redactor: Redactor) -> Json:
    """The result of a call, in which, as in its output and progress, no credential is. Raises CallError."""

    def mask(text: str) -> str:
        return redactor.mask_escaped(redactor.mask_cut(text))

    output = _MaskedOutput(call.on_output, redactor) if call.on_output else None
    progress = _masked_progress(call.on_progress, mask) if call.on_progress else None
    caller = _MaskedCaller(call.caller, mask) if call.caller else None
    masked = replace(call, on_output=output.send if output else None, on_progress=progress, caller=caller)
    result = await handler(masked)
    if output is not None:
        await output.flush()
    if _length(result) > _AT_ONCE_CHARS:
        return await asyncio.to_thread(_masked_values, result, redactor.mask_escaped)
    return _masked_values(result, redactor.mask_escaped)


def _masked_values(result: Json, mask: Callable[[str], str]) -> Json:
    return {key: _masked(value, mask) for key, value in result.items()}


def _length(value: Any) -> int:  # noqa: ANN401 - any JSON
    """In characters, and one for each thing in it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(str(key)) + _length(each) for key, each in value.items())
    return sum(map(_length, value)) if isinstance(value, list) else 1


def mask_offer(offer: Offer, mask: Callable[[str], str]) -> Offer:
    """What a server offers without credentials, in URIs too: one that cannot be read then is the lesser harm."""
    resources, templates, prompts = (
        tuple(_masked(list(each), mask)) for each in (offer.resources, offer.templates, offer.prompts)
    )
    return replace(offer, resources=resources, templates=templates, prompts=prompts)


class _MaskedCaller:
    """What a server asks or logs comes to the client without credentials; the client's answers go as they are."""

    def __init__(self, caller: Caller, mask: Callable[[str], str]) -> None:
        self._caller = caller
        self._mask = mask

    @property
    def owner(self) -> object:
        return self._caller.owner

    @property
    def log_level(self) -> str | None:
        return self._caller.log_level

    async def ask(self, method: str, params: Json) -> Json:
        return await self._caller.ask(method, _masked(params, self._mask))

    async def log(self, params: Json) -> None:
        await self._caller.log(_masked(params, self._mask))


class _MaskedOutput:
    """Passes output on. A value may come in pieces, so the end of each waits until it is known to be none's begin."""

    def __init__(self, listener: OutputListener, redactor: Redactor) -> None:
        self._listener = listener
        decoder = codecs.getincrementaldecoder("utf-8")
        streams: tuple[Stream, Stream] = ("stdout", "stderr")
        self._streams = {name: (decoder("replace"), StreamMasker(redactor)) for name in streams}

    async def send(self, stream: Stream, data: bytes) -> None:
        decoder, masker = self._streams[stream]
        await self._pass_on(stream, masker.feed(decoder.decode(data)))

    async def flush(self) -> None:
        for stream, (decoder, masker) in self._streams.items():
            await self._pass_on(stream, masker.feed(decoder.decode(b"", final=True)) + masker.flush())

    async def _pass_on(self, stream: Stream, text: str) -> None:
        if text:
            await self._listener(stream, text.encode())


def _masked_progress(listener: ProgressListener, mask: Callable[[str], str]) -> ProgressListener:
    async def listen(progress: Json) -> None:
        await listener(_masked(progress, mask))

    return listen


def _masked(value: Any, mask: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(str(key)): _masked(each, mask) for key, each in value.items()}
    return [_masked(each, mask) for each in value] if isinstance(value, list) else value

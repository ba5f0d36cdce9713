"""What a provider is sent for a request: the same bytes where it speaks the dialect, a translation elsewhere."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from yarl import URL

from agent_api.providers import PROVIDERS
from agent_llmgateway.config.providerset import Provider
from agent_llmgateway.errors import NotCarriedError
from agent_llmgateway.providererrors.lessons import NO_OPTIONS, Options
from agent_llmgateway.upstream.providers import ANTHROPIC_VERSION
from agent_llmgateway.wire.call import Call, WireRequest
from agent_llmgateway.wire.dialects import DIALECTS, DialectName
from agent_llmgateway.wire.envelope import ask_for_usage, replace_model
from agent_llmgateway.wire.foreignitems import clean_request
from agent_llmgateway.wire.itemstore import ItemStore
from agent_llmgateway.wire.modelfit import fit_request
from agent_llmgateway.wire.translate import TRANSLATIONS, Target

PASSED_HEADERS: Final = frozenset(
    {
        "content-type",
        "user-agent",
        "openai-beta",
        "idempotency-key",
        "x-request-id",
        "x-client-request-id",
        "traceparent",
        "tracestate",
        "baggage",
    }
)
"""Headers of a client that mean something to a provider. Keys and identities are the gateway's to show."""


_USUAL_HEADERS: Final = frozenset(
    spelling
    for name in ("Host", "Accept", "Accept-Encoding", "Content-Length", "Connection", "Authorization", "X-Api-Key")
    for spelling in (name, name.lower())
)
"""Headers of nearly every request, none of them passed on: not looked at twice."""


def select_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Those of a client's headers that go on, in lower case."""
    chosen = {}
    for name, value in headers.items():
        if name in _USUAL_HEADERS:
            continue
        lower = name.lower()
        if lower in PASSED_HEADERS or (lower.startswith("anthropic-") and "dangerous" not in lower):
            chosen[lower] = value
    return chosen


def prepare_wire(
    call: Call, provider: Provider, model: str, items: ItemStore, taught: Options = NO_OPTIONS
) -> WireRequest:
    """What is sent, with `taught` before the provider's own options. Raises NotCarriedError when there is no way to."""
    spoken = call.dialect.name
    target = _target(provider, model, items, taught)
    if spoken in provider.paths:
        body = clean_request(spoken, call.body, target)
        if model != call.model:
            body = fit_request(spoken, replace_model(body, model), target, call.envelope)
        headers = _headers(call, spoken, same_dialect=True)
        asks = _needs_usage(call, target.options)
        return WireRequest(
            provider.url(spoken, call.query),
            ask_for_usage(body) if asks else body,
            headers,
            call.dialect,
            dropped=target.dropped,
            hides_usage=asks,
            notes_states=len(provider.keys.keys) > 1,
            keep_items=items.take if spoken == "responses" and not _KEEPS_NOTHING.search(call.body) else None,
        )
    for dialect in _TARGETS.get(spoken, ()):
        if dialect in provider.paths:
            return _translate(call, provider, dialect, target)
    raise NotCarriedError(f"{spoken} is not served by the provider {provider.name} of type {provider.config.type}")


def _needs_usage(call: Call, options: Options) -> bool:
    """Whether a stream has to be asked for its usage, because the client did not; off by `streamUsage: false`."""
    if not call.stream or call.dialect.name != "chat" or call.envelope.asks_for_usage:
        return False
    return options.get("streamUsage") is not False


_KEEPS_NOTHING: Final = re.compile(rb'"store"\s*:\s*false')
"""Such a client sends whole items itself."""
USER_AGENT: Final = "agent-llmgateway"
"""For requests of clients that do not say what they are."""
_TARGETS: Final[Mapping[DialectName, tuple[DialectName, ...]]] = {
    "chat": ("messages",),
    "messages": ("chat",),
    "responses": ("chat", "messages"),
}


def _target(provider: Provider, model: str, items: ItemStore, taught: Options) -> Target:
    """A server that only speaks a vendor's dialect has another address; so has the vendor behind a proxy."""
    config = provider.config
    is_vendor = config.options.get("vendorApi")
    if not isinstance(is_vendor, bool):
        is_vendor = _is_vendors(provider.base_url, config.type)
    options = {**provider.options_for(model), **taught} if taught else provider.options_for(model)
    return Target(model, config.type, options, items, is_vendor=is_vendor)


@lru_cache(maxsize=64)
def _is_vendors(base_url: str, kind: str) -> bool:
    """Whether an address is the vendor's own for this type of provider; cached, as it is asked for each request."""
    return URL(base_url).host == URL(PROVIDERS[kind].address).host


def _translate(call: Call, provider: Provider, dialect: DialectName, target: Target) -> WireRequest:
    translation = TRANSLATIONS[call.dialect.name, dialect]
    translated = translation.request(call.body, target)
    with_usage = call.dialect.name != "chat" or call.envelope.asks_for_usage
    return WireRequest(
        provider.url(dialect, ""),
        translated.body,
        _headers(call, dialect, same_dialect=False),
        DIALECTS[dialect],
        lambda body: translation.answer(body, target),
        lambda: translation.stream(target, with_usage=with_usage),
        translated.dropped,
    )


def _headers(call: Call, target: DialectName, *, same_dialect: bool) -> dict[str, str]:
    headers = {"accept-encoding": "identity", "content-type": "application/json", "user-agent": USER_AGENT}
    headers["accept"] = "text/event-stream" if call.stream else "application/json"
    if same_dialect:
        headers.update(call.headers)
    else:
        headers.update({k: v for k, v in call.headers.items() if not k.startswith("anthropic-") and k != "openai-beta"})
    if DIALECTS[target].family == "anthropic":
        headers.setdefault("anthropic-version", ANTHROPIC_VERSION)
    return headers

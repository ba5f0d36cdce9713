"""Which era a POST belongs to, by its body first and its headers second.

A request that carries 2026-07-28's `_meta` is served by it; `initialize` selects the handshake revisions; what has
neither is judged by the version header. One endpoint serves both at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent_toolproxy.mcp.messages import (
    ANNOUNCED,
    BEFORE_HTTP,
    INVALID_PARAMS,
    INVALID_REQUEST,
    KEY_CAPABILITIES,
    KEY_VERSION,
    LEGACY_VERSIONS,
    MODERN_VERSIONS,
    OLDEST,
    UNSUPPORTED_VERSION,
    Json,
    RequestId,
    is_id,
)


@dataclass(frozen=True)
class Modern:
    """A request of 2026-07-28 and later."""

    message: Json


@dataclass(frozen=True)
class Legacy:
    """Messages of a handshake revision; several only in a batch."""

    messages: tuple[Json, ...]
    version: str
    batch: bool = False


@dataclass(frozen=True)
class Accepted:
    """Nothing to answer: a notification, or the response to a question."""

    message: Json


@dataclass(frozen=True)
class Refused:
    """Not served: an HTTP status and a JSON-RPC error."""

    status: int
    code: int
    text: str
    message_id: RequestId | None = None
    data: Any = None


Verdict = Modern | Legacy | Accepted | Refused
_LEGACY_SERVED = frozenset({*LEGACY_VERSIONS, BEFORE_HTTP})


def classify(body: Any, version: str | None) -> Verdict:  # noqa: ANN401 - any JSON
    """The verdict on a parsed body under the version header, None when it is absent."""
    if isinstance(body, list):
        return _classify_batch(body, version)
    problem = find_fault(body)
    if problem:
        return Refused(400, INVALID_REQUEST, problem, _readable_id(body))
    if "method" not in body:
        return Accepted(body) if version is None or version in _LEGACY_SERVED else _not_a_request()
    if "id" not in body:
        return Accepted(body) if version is None or _is_served(version) else _unsupported(None, version)
    return _classify_request(body, version)


def _classify_request(body: Json, version: str | None) -> Verdict:
    meta = body.get("params", {}).get("_meta")
    keys = meta if isinstance(meta, Mapping) else {}
    if KEY_VERSION in keys or (KEY_CAPABILITIES in keys and body["method"] != "initialize"):
        return Modern(body)
    if body["method"] == "initialize":
        return Legacy((body,), OLDEST if version not in _LEGACY_SERVED else str(version))
    if version in MODERN_VERSIONS:
        text = f"params._meta must have {KEY_VERSION} and {KEY_CAPABILITIES}"
        return Refused(400, INVALID_PARAMS, text, body["id"])
    if version is None or version in _LEGACY_SERVED:
        return Legacy((body,), version or OLDEST)
    return _unsupported(body["id"], version)


def _classify_batch(body: Sequence[Any], version: str | None) -> Verdict:
    if version not in (None, OLDEST):
        return Refused(400, INVALID_REQUEST, f"batches are of {OLDEST} alone")
    if not body:
        return Refused(400, INVALID_REQUEST, "an empty batch")
    for message in body:
        problem = find_fault(message)
        if problem is None and message.get("method") == "initialize":
            problem = "initialize must not be in a batch"
        if problem:
            return Refused(400, INVALID_REQUEST, problem, _readable_id(message))
    return Legacy(tuple(body), OLDEST, batch=True)


def find_fault(message: Any) -> str | None:  # noqa: ANN401 - any JSON
    """What keeps a parsed value from being a JSON-RPC message; None when it is one."""
    if not isinstance(message, dict):
        return "a message is a JSON object"
    if message.get("jsonrpc") != "2.0":
        return 'jsonrpc must be "2.0"'
    if "method" not in message:
        is_response = "id" in message and ("result" in message) != (message.get("error") is not None)
        return None if is_response else "a message has a method, or an id with a result or an error"
    if not isinstance(message["method"], str):
        return "method must be a string"
    if "id" in message and not is_id(message["id"]):
        return "id must be a string or an integer"
    return None if isinstance(message.get("params", {}), dict) else "params must be an object"


def answers(message: Any, awaited: RequestId) -> bool:  # noqa: ANN401 - any JSON
    """Whether a value that is no message was meant as the answer to the request `awaited`."""
    if not isinstance(message, dict) or "method" in message or str(message.get("id")) != str(awaited):
        return False
    return not {"jsonrpc", "result", "error"}.isdisjoint(message)


def _is_served(version: str) -> bool:
    return version in MODERN_VERSIONS or version in _LEGACY_SERVED


def _readable_id(message: Any) -> RequestId | None:  # noqa: ANN401 - any JSON
    found = message.get("id") if isinstance(message, dict) else None
    return found if is_id(found) else None


def _not_a_request() -> Refused:
    return Refused(400, INVALID_REQUEST, "a client sends requests and notifications, no responses")


def _unsupported(message_id: RequestId | None, version: str | None) -> Refused:
    data = {"supported": list(ANNOUNCED), "requested": version}
    return Refused(400, UNSUPPORTED_VERSION, "Unsupported protocol version", message_id, data)

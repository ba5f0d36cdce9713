"""What a server's reply to a request comes down to: its result, or the error that it stands for."""

from typing import Any, Final

from agent_toolproxy.errors import UpstreamAuth, UpstreamProtocol, UpstreamRefused
from agent_toolproxy.mcp.messages import Json

_LONGEST_REASON_CHARS: Final = 2000
_KNOWN_RESULTS: Final = ("complete", "input_required")


def result_of(reply: Json) -> Json:
    """The result in a response. Raises UpstreamAuth, UpstreamRefused, UpstreamProtocol."""
    if (failure := reply.get("error")) is not None:
        code, text = dig(failure, "code"), dig(failure, "message")
        if code in (401, 403):
            raise UpstreamAuth("the server refused the credential")
        reason = str(text or failure)[:_LONGEST_REASON_CHARS]
        raise UpstreamRefused(code if isinstance(code, int) else 0, reason, dig(failure, "data"))
    result = reply.get("result")
    if not isinstance(result, dict):
        raise UpstreamProtocol("a result that is not an object")
    if result.get("resultType", "complete") not in _KNOWN_RESULTS:
        raise UpstreamProtocol(f"a result of an unknown kind: {str(result['resultType'])[:50]!r}")
    return result


def dig(value: Any, *keys: str) -> Any:  # noqa: ANN401 - any JSON
    """The value below `keys`, None where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value

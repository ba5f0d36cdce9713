# ruff: noqa: N818 - a name says what happened; what kind of thing it is, its place in the tree says
"""The errors of the tool proxy.

    ToolProxyError
    ├── InstallError             a tool could not be made ready; `retryable` tells whether time may heal it
    │   ├── SourceInvalid        the source is not one of the documented forms
    │   ├── NotAllowed           the policy forbids the tool, or asks for a checksum that is not there
    │   ├── NotFound             nothing in the four places, or no such package or file
    │   ├── DownloadFailed       the network, or the server's answer (retryable)
    │   ├── AddressRefused       the address is neither public nor in an allowed network
    │   ├── ChecksumMismatch     the bytes are not those that were promised
    │   ├── PinMismatch          the bytes are not those of the first install
    │   ├── NotAProgram          what was downloaded cannot be run here
    │   ├── UnsafeArchive        a member would leave the folder, or is not a plain file, folder or inner link
    │   ├── LimitExceeded        too many bytes, files or seconds
    │   └── PackageFailed        uv or npm refused; `retryable` for network faults
    ├── CallError                a call was not carried out; has a `code` and an HTTP `status`
    │   ├── UnknownTool          404 unknown_tool
    │   ├── UnknownOffer         404 unknown_offer: no such prompt or resource
    │   ├── TooManySubscriptions 429 too_many_subscriptions
    │   ├── InvalidArguments     400 invalid_arguments
    │   ├── ToolNotReady         503 tool_not_ready
    │   ├── ToolBlocked          403 tool_blocked
    │   ├── ToolBusy             429 tool_busy
    │   ├── CallDenied           403 call_denied: by a rule
    │   ├── RateExceeded         429 rate_exceeded
    │   ├── ApprovalPending      409 approval_pending: a person has not decided yet
    │   ├── ApprovalDenied       403 approval_denied
    │   ├── MemoryUnavailable    503 memory_unavailable
    │   └── UpstreamRejected     502 upstream_rejected: an upstream's JSON-RPC error, `rpc_code` and `data`
    ├── UpstreamError            an upstream MCP server did not do its part
    │   ├── UpstreamUnavailable  not reachable, or gone during the call
    │   ├── UpstreamRestart      its Secret has changed, and it has to be started again; no call was running
    │   ├── UpstreamTimeout      no answer in time
    │   ├── UpstreamAuth         it refused our credential: 401 or 403
    │   ├── UpstreamHttp         an HTTP `status` that is no answer of MCP
    │   │   └── UpstreamSessionLost  a handshake server does not know our session any more, and has run nothing
    │   ├── UpstreamProtocol     its answer is not MCP
    │   └── UpstreamRefused      it answered with a JSON-RPC error: `code`, `data`
    └── StoreBusy                another proxy works on the same tools folder

Every message is for a person, names the cause and what to do, and may still need redaction before it leaves.
"""

from typing import Any, ClassVar


class ToolProxyError(Exception):
    """Root of the proxy's errors."""


class InstallError(ToolProxyError):
    """A tool could not be made ready."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        self.retryable = retryable
        super().__init__(message)


class SourceInvalid(InstallError):
    """A source that is not one of the documented forms."""


class NotAllowed(InstallError):
    """Forbidden by the policy."""


class NotFound(InstallError):
    """Nothing by that name."""


class DownloadFailed(InstallError):
    """The network or the server failed."""


class AddressRefused(InstallError):
    """An address that is neither public nor in an allowed network."""


class ChecksumMismatch(InstallError):
    """Bytes that are not those that were promised."""


class PinMismatch(InstallError):
    """Bytes that are not those of the first install."""


class NotAProgram(InstallError):
    """What was downloaded cannot be run here."""


class UnsafeArchive(InstallError):
    """An archive that would write where it must not."""


class LimitExceeded(InstallError):
    """Too many bytes, files or seconds."""


class PackageFailed(InstallError):
    """uv or npm could not install a package."""


class CallError(ToolProxyError):
    """A call that was not carried out."""

    code: ClassVar[str] = "call_failed"
    status: ClassVar[int] = 500


class UnknownTool(CallError):
    """No tool of that name is served."""

    code = "unknown_tool"
    status = 404


class UnknownOffer(CallError):
    """No server has such a prompt or resource."""

    code = "unknown_offer"
    status = 404


class TooManySubscriptions(CallError):
    """More resources are watched than may be."""

    code = "too_many_subscriptions"
    status = 429


class InvalidArguments(CallError):
    """Arguments that do not fit the tool's schema, or cannot be given to a program."""

    code = "invalid_arguments"
    status = 400


class ToolNotReady(CallError):
    """The tool is still being installed, or could not be."""

    code = "tool_not_ready"
    status = 503


class ToolBlocked(CallError):
    """The tool's definition changed and has not been approved."""

    code = "tool_blocked"
    status = 403


class ToolBusy(CallError):
    """No place became free in time."""

    code = "tool_busy"
    status = 429


class CallDenied(CallError):
    """A rule of the agent's author denies the call."""

    code = "call_denied"
    status = 403


class RateExceeded(CallError):
    """The tool was called as often as it may be."""

    code = "rate_exceeded"
    status = 429


class ApprovalPending(CallError):
    """A person has to approve the call, and nobody has yet."""

    code = "approval_pending"
    status = 409


class ApprovalDenied(CallError):
    """A person denied the call."""

    code = "approval_denied"
    status = 403


class MemoryUnavailable(CallError):
    """The agent's Redis cannot be used now."""

    code = "memory_unavailable"
    status = 503


class UpstreamRejected(CallError):
    """An upstream server answered a call with a JSON-RPC error that its caller should see."""

    code = "upstream_rejected"
    status = 502

    def __init__(self, rpc_code: int, message: str, data: Any = None) -> None:  # noqa: ANN401 - any JSON
        self.rpc_code = rpc_code
        self.data = data
        super().__init__(message)


class UpstreamError(ToolProxyError):
    """An upstream MCP server did not do its part."""


class UpstreamUnavailable(UpstreamError):
    """Not reachable, or gone during the call."""


class UpstreamRestart(UpstreamError):
    """The server is ended between calls, to be started with the present values of its Secret."""


class UpstreamTimeout(UpstreamError):
    """No answer in time."""


class UpstreamAuth(UpstreamError):
    """The server refused our credential."""


class UpstreamHttp(UpstreamError):
    """An HTTP status that is no answer of MCP."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class UpstreamSessionLost(UpstreamHttp):
    """A handshake server does not know our session any more."""


class UpstreamProtocol(UpstreamError):
    """An answer that is not MCP."""


class UpstreamRefused(UpstreamError):
    """A JSON-RPC error as answer."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:  # noqa: ANN401 - any JSON
        self.code = code
        self.data = data
        super().__init__(message)


class StoreBusy(ToolProxyError):
    """Another proxy works on the same tools folder."""

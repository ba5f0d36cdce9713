"""The client behind a request, as far as its server may reach it: log messages, and questions for a person or a model.

A server sends what it likes, so both are counted and checked here before anyone else sees them.
"""

from typing import Any, Final

from agent_toolproxy.boundedjson import dump_json, is_deeper
from agent_toolproxy.call import Caller, CallerRefused
from agent_toolproxy.mcp.messages import (
    ELICIT,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    LOG_LEVELS,
    METHOD_NOT_FOUND,
    SAMPLE,
    Json,
    response,
)
from agent_toolproxy.mcp.messages import error as error_message

QUESTIONS: Final = (ELICIT, SAMPLE)
"""What a handshake server may ask. Roots are not among them: servers take those of a client for folders to open."""
MOST_QUESTIONS: Final = 100
MOST_LOG_MESSAGES: Final = 1000
_LARGEST_CHARS: Final = 256 << 10
_LONGEST_LOG_CHARS: Final = 16 << 10
_LONGEST_LOGGER_CHARS: Final = 200
_DEEPEST: Final = 50


class BoundedCaller:
    """A caller during one request of a server."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._questions = 0
        self._log_messages = 0

    @property
    def owner(self) -> object:
        return self._caller.owner

    @property
    def log_level(self) -> str | None:
        return self._caller.log_level

    async def ask(self, method: str, params: Json) -> Json:
        self._questions += 1
        if self._questions > MOST_QUESTIONS:
            raise CallerRefused(INVALID_PARAMS, f"more than {MOST_QUESTIONS} questions in one request")
        if (fault := find_question_fault(method, params)) is not None:
            raise CallerRefused(INVALID_PARAMS, fault)
        return await self._caller.ask(method, params)

    async def log(self, params: Json) -> None:
        self._log_messages += 1
        message = _readable_log(params)
        if message is not None and self._log_messages <= MOST_LOG_MESSAGES:
            await self._caller.log(message)


def find_question_fault(method: str, params: Json) -> str | None:
    """What keeps a server's question from being put to a client; None when it can be."""
    if is_deeper(params, _DEEPEST) or len(dump_json(params)) > _LARGEST_CHARS:
        return f"a question is nested at most {_DEEPEST} deep and has at most {_LARGEST_CHARS} characters"
    if method == ELICIT:
        if not isinstance(params.get("message"), str):
            return "params.message must be a string"
        if params.get("mode", "form") == "form":
            return (
                None if isinstance(params.get("requestedSchema"), dict) else "params.requestedSchema must be an object"
            )
        return None if isinstance(params.get("url"), str) else "params.url must be a string"
    if method == SAMPLE and not isinstance(params.get("messages"), list):
        return "params.messages must be a list"
    return None


def _readable_log(params: Json) -> Json | None:
    """The parts of a log message that are what they should be; None for one without a level."""
    level, data = params.get("level"), params.get("data")
    if level not in LOG_LEVELS:
        return None
    message: Json = {"level": level, "data": _bounded(data)}
    if isinstance(logger := params.get("logger"), str):
        message["logger"] = logger[:_LONGEST_LOGGER_CHARS]
    return message


def _bounded(data: Any) -> Any:  # noqa: ANN401 - any JSON
    if is_deeper(data, _DEEPEST):
        return "[nested too deeply to be shown]"
    if isinstance(data, str):
        return data[:_LONGEST_LOG_CHARS]
    text = dump_json(data)
    return data if len(text) <= _LONGEST_LOG_CHARS else text[:_LONGEST_LOG_CHARS]


async def answer_server(message: Json, caller: Caller | None) -> Json:
    """The response to what a handshake server asks. Without a caller that it can be meant for, only `ping` has one."""
    message_id, method = message["id"], message["method"]
    if method == "ping":
        return response(message_id, {})
    if method not in QUESTIONS:
        return error_message(message_id, METHOD_NOT_FOUND, "Method not found")
    if caller is None:
        text = "there is no one client that this can be meant for: no call is running, or calls of several clients are"
        return error_message(message_id, METHOD_NOT_FOUND, text)
    try:
        return response(message_id, await caller.ask(method, message.get("params", {})))
    except CallerRefused as refusal:
        return error_message(message_id, refusal.code, str(refusal))
    except TimeoutError:
        return error_message(message_id, INTERNAL_ERROR, "the client did not answer in time")

"""The clients of running calls, as servers reach them."""

from typing import Final

from agent_toolproxy.call import CallerRefused
from agent_toolproxy.mcp.messages import ELICIT, LOG_LEVELS, LOG_MESSAGE, METHOD_NOT_FOUND, SAMPLE, Json, notification
from agent_toolproxy.mcp.replies import dig
from agent_toolproxy.serving.mcp.answer import Answer
from agent_toolproxy.serving.mcp.sessions import ClientSession

_ROOTS: Final = "roots/list"


class ModernCaller:
    """Of one request of 2026-07-28, which is told what it asked for. Questions reach it as `input_required` alone."""

    def __init__(self, answer: Answer, log_level: str | None) -> None:
        self._answer = answer
        self._log_level = log_level

    @property
    def owner(self) -> object:
        return self

    @property
    def log_level(self) -> str | None:
        return self._log_level

    async def ask(self, method: str, params: Json) -> Json:
        del params
        text = f"{method}: a server of an older revision cannot ask a client of 2026-07-28"
        raise CallerRefused(METHOD_NOT_FOUND, text)

    async def log(self, params: Json) -> None:
        if is_severe_enough(params["level"], self._log_level):
            await self._answer.notify(notification(LOG_MESSAGE, params))


class SessionCaller:
    """Of one call in a session. It is asked in the stream of its call, for what it has declared."""

    def __init__(self, session: ClientSession, answer: Answer) -> None:
        self._session = session
        self._answer = answer

    @property
    def owner(self) -> object:
        return self._session.id

    @property
    def log_level(self) -> str | None:
        return self._session.log_level

    async def ask(self, method: str, params: Json) -> Json:
        if not self._answer.takes_events:
            raise CallerRefused(METHOD_NOT_FOUND, "the client takes no event stream, so it cannot be asked")
        if not can_answer(self._session.capabilities, method, params):
            raise CallerRefused(METHOD_NOT_FOUND, f"the client has not declared that it can answer {method} like this")
        return await self._session.ask(method, params, self._answer.notify, self)

    def close(self) -> None:
        """The call has ended."""
        self._session.withdraw(self)

    async def log(self, params: Json) -> None:
        if is_severe_enough(params["level"], self._session.log_level):
            await self._answer.notify(notification(LOG_MESSAGE, params))


def is_severe_enough(level: str, least: str | None) -> bool:
    """Whether a client that wants messages from `least` on wants one of `level`."""
    return least is not None and LOG_LEVELS.index(level) >= LOG_LEVELS.index(least)


def can_answer(capabilities: Json, method: str, params: Json) -> bool:
    """Whether a client with these capabilities may be asked this."""
    if method == ELICIT:
        elicitation = capabilities.get("elicitation")
        if params.get("mode", "form") == "form":
            return isinstance(elicitation, dict) and (not elicitation or "form" in elicitation)
        return dig(elicitation, str(params["mode"])) is not None
    if method == SAMPLE:
        uses_tools = not {"tools", "toolChoice"}.isdisjoint(params)
        return "sampling" in capabilities and (not uses_tools or dig(capabilities, "sampling", "tools") is not None)
    return method == _ROOTS and "roots" in capabilities

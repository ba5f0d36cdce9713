"""Sessions of clients of the handshake revisions: what such a client can be asked and told beside its calls.

A session adds to what is served without one: log messages, questions, updates of resources and changed lists, and
cancelling by an id. So a client that shows an id that nobody knows, since the proxy was started anew or had too many,
is served as one without a session instead of being sent away: most clients would end over a 404.
"""

import asyncio
import itertools
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from agent_toolproxy.call import CallerRefused
from agent_toolproxy.mcp.messages import CANCELLED, INTERNAL_ERROR, Json, RequestId, is_id, notification, request
from agent_toolproxy.mcp.replies import dig
from agent_toolproxy.serving.mcp.calls import Send, relayed_capabilities
from agent_toolproxy.tools.servers.signals import Signals, Subscriber

MOST_SESSIONS: Final = 256
IDLE_S: Final = 3600.0
"""After which a session that nobody uses makes room."""
ANSWER_S: Final = 300.0
"""In which a client must answer a question: there may be a person behind it."""
MOST_OPEN_QUESTIONS: Final = 16
DEFAULT_LOG_LEVEL: Final = "info"
_LONGEST_REASON_CHARS: Final = 500


class ClientSession:
    """One client's. `stream` is whether it listens to what it is told unasked."""

    def __init__(self, capabilities: object, clock: Callable[[], float]) -> None:
        self.id = secrets.token_hex(16)
        self.capabilities: Json = relayed_capabilities(capabilities)
        self.log_level = DEFAULT_LOG_LEVEL
        self.subscriber = Subscriber()
        self.replaced = asyncio.Event()
        self.streams = 0
        self.running: dict[RequestId, asyncio.Task[Any]] = {}
        self._clock = clock
        self.used_at = clock()
        self._ids = itertools.count(1)
        self._questions: dict[RequestId, tuple[object, asyncio.Future[Json]]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is going on in it."""
        return not (self.streams or self.running or self._questions)

    def touch(self) -> None:
        """It is used now."""
        self.used_at = self._clock()

    async def ask(self, method: str, params: Json, send: Send, about: object) -> Json:
        """The client's result. `send` writes to the stream of the call that it is `about`. Raises CallerRefused."""
        if len(self._questions) >= MOST_OPEN_QUESTIONS:
            raise CallerRefused(INTERNAL_ERROR, f"{MOST_OPEN_QUESTIONS} questions wait for the client's answer")
        question_id = f"q{next(self._ids)}"
        future = asyncio.get_running_loop().create_future()
        self._questions[question_id] = about, future
        try:
            await send(request(question_id, method, params))
            async with asyncio.timeout(ANSWER_S):
                return _result_of(await future)
        except BaseException:
            if not future.done() or future.cancelled():
                await send(notification(CANCELLED, {"requestId": question_id}))
            raise
        finally:
            self._questions.pop(question_id, None)

    def take_response(self, message: Json) -> None:
        """The client's answer to a question; what was not asked here is dropped."""
        found = self._questions.get(message["id"]) if is_id(message["id"]) else None
        if found is not None and not found[1].done():
            found[1].set_result(message)

    def withdraw(self, about: object) -> None:
        """The call has ended: nobody waits for what it asked."""
        for call, future in self._questions.values():
            if call is about and not future.done():
                future.set_exception(CallerRefused(INTERNAL_ERROR, "the call has ended"))

    def cancel(self, message_id: object) -> None:
        """The client does not wait for this answer any more."""
        task = self.running.get(message_id) if isinstance(message_id, str | int) else None
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """End what goes on in it."""
        self.replaced.set()
        for about, _ in tuple(self._questions.values()):
            self.withdraw(about)


def _result_of(message: Json) -> Json:
    if message.get("error") is not None:
        code, text = dig(message, "error", "code"), dig(message, "error", "message")
        reason = str(text)[:_LONGEST_REASON_CHARS] if isinstance(text, str) else "the client refused"
        raise CallerRefused(code if isinstance(code, int) else INTERNAL_ERROR, reason)
    result = message.get("result")
    if not isinstance(result, dict):
        raise CallerRefused(INTERNAL_ERROR, "the client's answer is not an object")
    return result


class Sessions:
    """Those that are open, the least used first."""

    def __init__(self, signals: Signals, clock: Callable[[], float] = time.monotonic) -> None:
        self._signals = signals
        self._clock = clock
        self._open: OrderedDict[str, ClientSession] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def open(self, params: Mapping[str, Any]) -> ClientSession | None:
        """A new one for a client that says `initialize`; None when all that there may be are in use."""
        self._make_room()
        if len(self._open) >= MOST_SESSIONS:
            return None
        session = ClientSession(params.get("capabilities"), self._clock)
        self._open[session.id] = session
        return session

    def find(self, session_id: str | None) -> ClientSession | None:
        """The session of that id, which is used now."""
        session = self._open.get(session_id) if session_id else None
        if session is not None:
            session.touch()
            self._open.move_to_end(session.id)
        return session

    def has_ended(self, session_id: str | None) -> bool:
        """Whether the client itself has ended it."""
        return session_id is not None and session_id in self._ended

    def end(self, session_id: str) -> bool:
        """End one at its client's wish; whether there was one."""
        if session_id not in self._open:
            return False
        self._drop(session_id)
        self._ended[session_id] = None
        while len(self._ended) > MOST_SESSIONS:
            self._ended.popitem(last=False)
        return True

    def _make_room(self) -> None:
        idle = [each for each in self._open.values() if each.is_idle]
        for session in idle:
            if len(self._open) < MOST_SESSIONS and self._clock() - session.used_at < IDLE_S:
                break
            self._drop(session.id)

    def _drop(self, session_id: str) -> None:
        session = self._open.pop(session_id)
        session.close()
        self._signals.drop(session.subscriber)

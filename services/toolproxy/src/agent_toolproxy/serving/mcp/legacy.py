"""The handshake revisions. Tools, prompts and resources are served with a session or without; see sessions.py."""

import asyncio
from contextlib import closing
from dataclasses import replace
from typing import Final

from agent_toolproxy.errors import CallError
from agent_toolproxy.mcp.messages import (
    BEFORE_HTTP,
    CANCELLED,
    HEADER_SESSION,
    INSTRUCTIONS,
    INVALID_PARAMS,
    LATEST_LEGACY,
    LEGACY_VERSIONS,
    LOG_LEVELS,
    METHOD_NOT_FOUND,
    SERVER_INFO,
    Json,
    error,
    response,
)
from agent_toolproxy.serving.mcp.answer import Answer, Reply
from agent_toolproxy.serving.mcp.callers import SessionCaller
from agent_toolproxy.serving.mcp.calls import Asked, RpcError, describe_wire
from agent_toolproxy.serving.mcp.downlevel import lower
from agent_toolproxy.serving.mcp.methods import CAPABILITIES, METHODS, Methods, Offers, as_rpc_error
from agent_toolproxy.serving.mcp.sessions import ClientSession, Sessions
from agent_toolproxy.tools.servers.signals import Signals

_ECHOED: Final = frozenset({*LEGACY_VERSIONS, BEFORE_HTTP})


class LegacyServer:
    """Answers messages of the handshake revisions."""

    def __init__(self, methods: Methods, offers: Offers, sessions: Sessions, signals: Signals) -> None:
        self._methods = methods
        self._offers = offers
        self._sessions = sessions
        self._signals = signals

    async def answer(
        self, messages: tuple[Json, ...], version: str, answer: Answer, session: ClientSession | None, *, batch: bool
    ) -> Reply:
        """The reply; without a message when there was nothing but notifications and responses."""
        self.take_notices(messages, session)
        requests = [message for message in messages if "method" in message and "id" in message]
        if not requests:
            return Reply(None)
        if not batch and requests[0]["method"] == "initialize":
            return self._initialize(requests[0])
        replies = [await self._answer_one(message, version, answer, session) for message in requests]
        return Reply(replies if batch else replies[0])

    @staticmethod
    def take_notices(messages: tuple[Json, ...], session: ClientSession | None) -> None:
        """What has no answer: responses to questions, and the wish not to have an answer any more."""
        if session is None:
            return
        for message in messages:
            if "method" not in message:
                session.take_response(message)
            elif message["method"] == CANCELLED and "id" not in message:
                session.cancel(message.get("params", {}).get("requestId"))

    def _initialize(self, message: Json) -> Reply:
        params = message.get("params", {})
        wanted = params.get("protocolVersion")
        if not isinstance(wanted, str):
            return Reply(error(message["id"], INVALID_PARAMS, "params.protocolVersion must be a string"))
        result: Json = {
            "protocolVersion": wanted if wanted in _ECHOED else LATEST_LEGACY,
            "capabilities": dict(CAPABILITIES),
            "serverInfo": dict(SERVER_INFO),
            "instructions": INSTRUCTIONS,
        }
        session = self._sessions.open(params)
        headers = {HEADER_SESSION: session.id} if session else {}
        return Reply(response(message["id"], result), headers=headers)

    async def _answer_one(self, message: Json, version: str, answer: Answer, session: ClientSession | None) -> Json:
        message_id, task = message["id"], asyncio.current_task()
        if session is not None and task is not None:
            session.running[message_id] = task
        try:
            result = await self._result(message, version, answer, session)
        except RpcError as failure:
            return error(message_id, failure.code, failure.text, failure.data)
        finally:
            if session is not None:
                session.running.pop(message_id, None)
                session.touch()
        return response(message_id, result)

    async def _result(self, message: Json, version: str, answer: Answer, session: ClientSession | None) -> Json:
        method, params = message["method"], message.get("params", {})
        if method == "ping":
            return {}
        if method in METHODS:
            asked = Asked(
                params, answer.notify, wire=describe_wire(message["id"], version, session.id if session else "")
            )
            if session is None:
                return lower(method, await self._methods.answer(method, asked), version)
            with closing(SessionCaller(session, answer)) as caller:
                asked = replace(asked, capabilities=session.capabilities, caller=caller)
                return lower(method, await self._methods.answer(method, asked), version)
        if method == "logging/setLevel":
            return self._set_level(params, session)
        if method in ("resources/subscribe", "resources/unsubscribe"):
            return self._subscribe(method, params, session)
        raise RpcError(METHOD_NOT_FOUND, "Method not found")

    def _set_level(self, params: Json, session: ClientSession | None) -> Json:
        level = params.get("level")
        if not isinstance(level, str) or level not in LOG_LEVELS:
            raise RpcError(INVALID_PARAMS, f"params.level must be one of {', '.join(LOG_LEVELS)}")
        if session is not None:
            session.log_level = level
            self._signals.want_log(level)
        return {}

    def _subscribe(self, method: str, params: Json, session: ClientSession | None) -> Json:
        uri = params.get("uri")
        if not isinstance(uri, str):
            raise RpcError(INVALID_PARAMS, "params.uri must be a string")
        if session is None:
            raise RpcError(INVALID_PARAMS, "updates need a session: send the Mcp-Session-Id of initialize's answer")
        if method == "resources/unsubscribe":
            self._signals.unsubscribe(session.subscriber, uri)
            return {}
        try:
            self._offers.subscribe(uri, session.subscriber)
        except CallError as refusal:
            raise as_rpc_error(refusal, params, modern=False) from refusal
        return {}

"""One request from its arrival to its last byte."""

import re
from typing import Final

import msgspec
from aiohttp import web

from agent_api.gatewayconfig import is_free
from agent_base.redaction import Redactor
from agent_kit.telemetry import Span
from agent_llmgateway.budget.price import price_of
from agent_llmgateway.config.providerset import ProviderSet
from agent_llmgateway.errors import AllRoutesError, GatewayError, NotCarriedError, ReturnedError
from agent_llmgateway.failover.dependencies import RoutedAnswer, RoutePlan
from agent_llmgateway.failover.failover import Failover
from agent_llmgateway.http.account import RequestAccount
from agent_llmgateway.http.delivery import Delivery, number_headers
from agent_llmgateway.http.prepare import prepare_wire
from agent_llmgateway.http.problems import DROPPED, ESTIMATED, PROVIDER, count_tries
from agent_llmgateway.http.state import GatewayState
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.lessons import Options
from agent_llmgateway.wire.call import Call, WireRequest
from agent_llmgateway.wire.tokencount import COUNTS, estimate_tokens

_SHOWN_HEADERS: Final = ("x-request-id", "request-id", "openai-processing-ms", "openai-version", "openai-model")
_USUAL_HEADERS: Final = frozenset(
    spelling
    for name in ("Content-Type", "Content-Length", "Date", "Server", "Connection", "Transfer-Encoding", "Vary")
    for spelling in (name, name.lower())
)
"""Headers of nearly every answer, none of them shown: not looked at twice."""
LONGEST_HEADER: Final = 256
_LIMIT_WORDS: Final = (
    "limit|remaining|reset|requests|tokens|input|output|priority|fast|project|second|minute|hour|day|month"
    "|unified|status|overage|5h|7d"
)
_LIMIT_HEADER: Final = re.compile(rf"(?:x|anthropic)-ratelimit(?:-(?:{_LIMIT_WORDS}))+")
"""Word by word: a provider that echoes what it was sent may do so in a name too."""


class CompletionHandler:
    """Answers one call. `span` is told what happens."""

    def __init__(self, state: GatewayState, provider_set: ProviderSet, call: Call, span: Span) -> None:
        self._state = state
        self._provider_set = provider_set
        self._config = provider_set.config
        self._call = call
        self._account = RequestAccount(state, provider_set, call, span)

    async def run(self, request: web.BaseRequest) -> web.StreamResponse:
        """The response, sent as far as it is a stream. Raises GatewayError for what has to be told instead."""
        call = self._call
        plans = self._provider_set.plans(call.model, call.dialect.name)
        self._state.failover.retry_budget.note_request()
        error = "cancelled"
        try:
            if call.dialect.name in COUNTS:  # costs nothing
                response = await self._count_tokens(plans)
            elif self._provider_set.has_budget:
                response = await self._answer_in_budget(request, plans)
            elif call.stream:
                response = await self._answer_stream(request, plans)
            else:  # the short way: every coroutine in between is paid for at each wake-up
                response = self._respond(await self._failover(plans).run())
            error = ""
            self._state.rehearsal.offer(len(call.body), plans, self._prepare)
        except GatewayError as failed:
            error = type(failed).__name__
            raise
        finally:
            self._account.note_end(plans[0].route, error)
        return response

    async def _answer_in_budget(self, request: web.BaseRequest, plans: tuple[RoutePlan, ...]) -> web.StreamResponse:
        call, meter, config = self._call, self._state.meter, self._config
        routes = [plan.route for plan in plans]
        bounds = meter.bounds(config, call, routes)
        amount = meter.reserve(config, bounds, routes)
        async with self._state.budget.admit(config.budget, amount.tokens, amount.micro_usd) as reservation:
            try:
                if call.stream:
                    return await self._answer_stream(request, plans)
                return self._respond(await self._failover(plans).run())
            finally:
                self._account.charge(reservation, bounds)

    async def _answer_stream(self, request: web.BaseRequest, plans: tuple[RoutePlan, ...]) -> web.StreamResponse:
        delivery = Delivery(self._state, self._call, request, self._account)
        failover = self._failover(plans)
        if self._call.delivery == "complete":
            return await delivery.send_complete(failover, self._headers_of)
        routed = await failover.run()
        self._account.note_first_output(routed)
        return await delivery.send_live(routed, self._headers_of(routed))

    async def _count_tokens(self, plans: tuple[RoutePlan, ...]) -> web.StreamResponse:
        """A provider's count; where none can be had, about as many as there are."""
        try:
            return self._respond(await self._failover(plans).run())
        except (NotCarriedError, AllRoutesError, ReturnedError) as failed:
            if isinstance(failed, ReturnedError) and failed.failure.cause is not Cause.UNSUITED:
                raise
            count = {**COUNTS[self._call.dialect.name], "input_tokens": estimate_tokens(self._call.body)}
            headers = {ESTIMATED: "input_tokens", "content-type": "application/json"}
            return web.Response(body=msgspec.json.encode(count), headers=headers)

    def _respond(self, routed: RoutedAnswer) -> web.Response:
        self._account.settle(routed, routed.answer.usage)
        body = routed.answer.body
        if body is None:
            raise GatewayError("the complete response has no body")
        headers = self._headers_of(routed)
        overhead_s = self._state.clock() - self._account.began - routed.upstream_s
        headers.update(number_headers(self._state, count_tries(routed.attempts), overhead_s))
        headers["content-type"] = "application/json"
        return web.Response(body=body, headers=headers)

    def _headers_of(self, routed: RoutedAnswer) -> dict[str, str]:
        return headers_of(routed, self._state.redactor)

    def _failover(self, plans: tuple[RoutePlan, ...]) -> Failover:
        return Failover(
            self._state.failover, self._config, self._call, plans, self._prepare, self._account.note_attempt
        )  # fmt: skip

    def _prepare(self, plan: RoutePlan, taught: Options) -> WireRequest:
        route = plan.route
        provider = self._provider_set.providers[route.provider]
        if self._config.limits_money and not is_free(provider.config) and price_of(self._config, route) is None:
            raise NotCarriedError(
                f"the budget is in USD and {route.provider}/{route.model} has no price: add it to prices",
                param="model",
            )
        return prepare_wire(self._call, provider, route.model, self._state.items, taught)


def _shown_name(name: str) -> str:
    """A field's name as a header can have it: a client may call a field anything."""
    return "".join(character if "!" <= character <= "~" else "?" for character in name[:64])


def headers_of(routed: RoutedAnswer, redactor: Redactor) -> dict[str, str]:
    """Headers of an answer: who gave it, and what its provider said of itself."""
    headers = {PROVIDER: routed.plan.route.provider}
    for name, value in routed.answer.headers.items():
        if name in _USUAL_HEADERS:
            continue
        lower = name.lower()
        if lower in _SHOWN_HEADERS or _LIMIT_HEADER.fullmatch(lower):
            shown = redactor.redact(value) if redactor.holds_value(value) else value
            headers[lower] = shown[:LONGEST_HEADER]
    if routed.wire.dropped:
        headers[DROPPED] = ", ".join(map(_shown_name, routed.wire.dropped))
    return headers

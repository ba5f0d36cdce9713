"""One request from its arrival to its last byte."""

import logging
from functools import partial
from typing import Final

from aiohttp import web

from agent_kit.telemetry import Span
from agent_llmgateway.budget.budget import Reservation, assume_usage, cost_micro_usd, price_of
from agent_llmgateway.config.roster import Roster
from agent_llmgateway.errors import GatewayError, NotCarriedError
from agent_llmgateway.failover.failover import Failover
from agent_llmgateway.failover.plan import RoutePlan, Won
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.failures.attempt import AttemptRecord
from agent_llmgateway.failures.failure import Failure
from agent_llmgateway.http.delivery import Delivery
from agent_llmgateway.http.prepare import prepare_wire
from agent_llmgateway.http.problems import CACHE, DROPPED, PROVIDER, count_tries
from agent_llmgateway.http.state import Core, WholeAnswer
from agent_llmgateway.wire.call import Call, WireRequest
from agent_llmgateway.wire.usage import Usage

_log = logging.getLogger(__name__)
OPERATIONS: Final = {"embeddings": "embeddings", "count_tokens": "count_tokens"}
_SHOWN_HEADERS: Final = ("x-request-id", "request-id", "openai-processing-ms", "openai-version", "openai-model")
_USUAL_HEADERS: Final = frozenset(
    spelling
    for name in ("Content-Type", "Content-Length", "Date", "Server", "Connection", "Transfer-Encoding", "Vary")
    for spelling in (name, name.lower())
)
"""Headers of nearly every answer, none of them shown: not looked at twice."""
_SHOWN_PREFIXES: Final = ("x-ratelimit-", "anthropic-ratelimit-")


class Exchange:
    """A call at work. `span` is told what happens."""

    def __init__(self, core: Core, roster: Roster, call: Call, span: Span) -> None:
        self._core = core
        self._roster = roster
        self._config = roster.config
        self._call = call
        self._span = span
        self._began = core.clock()
        self.operation = OPERATIONS.get(call.dialect.name, "chat")
        self._reservation: Reservation | None = None

    async def run(self, request: web.BaseRequest) -> web.StreamResponse:
        """The response, sent as far as it is a stream. Raises GatewayError for what has to be told instead."""
        call = self._call
        plans = self._roster.plans(call.model, call.dialect.name)
        self._core.tools.allowance.note_request()
        error = "cancelled"
        try:
            if self._roster.has_budget:
                response = await self._answer_in_budget(request, plans)
            elif self._call.stream:
                response = await self._answer_stream(request, plans)
            elif self._roster.has_cache:
                response = await self._answer_from_cache(plans)
            else:  # the short way: every coroutine in between is paid for at each wake-up
                response = self._respond(self._whole(await self._failover(plans).run()))
            error = ""
        except GatewayError as failed:
            error = type(failed).__name__
            raise
        finally:
            self._note_end(plans[0].route, error)
        return response

    async def _answer_in_budget(self, request: web.BaseRequest, plans: tuple[RoutePlan, ...]) -> web.StreamResponse:
        call = self._call
        routes = [plan.route for plan in plans]
        limit = call.envelope.output_limit_tokens
        async with self._core.budget.admit(self._config, routes, len(call.body), limit) as reservation:
            self._reservation = reservation
            if call.stream:
                return await self._answer_stream(request, plans)
            return await self._answer_from_cache(plans)

    async def _answer_stream(self, request: web.BaseRequest, plans: tuple[RoutePlan, ...]) -> web.StreamResponse:
        delivery = Delivery(self._core, self._call, request, self._began, self._note_stream_end)
        failover = self._failover(plans)
        if self._call.delivery == "complete":
            return await delivery.send_complete(failover, self.headers_of)
        won = await failover.run()
        self._note_first_output(won)
        return await delivery.send_live(won, self.headers_of(won))

    async def _answer_from_cache(self, plans: tuple[RoutePlan, ...]) -> web.StreamResponse:
        """A whole answer, from the cache as far as that is switched on."""
        if not self._roster.has_cache:
            return self._respond(await self._make_whole(plans))
        parts = (self._call.dialect.name.encode(), self._call.query.encode(), self._call.body)
        make = partial(self._make_whole, plans)
        whole, source = await self._core.cache.get(self._config.cache, parts, make)
        if source != "miss":
            self._core.metrics.note_cached(source)
        return self._respond(whole, source)

    async def _make_whole(self, plans: tuple[RoutePlan, ...]) -> WholeAnswer:
        return self._whole(await self._failover(plans).run())

    def _whole(self, won: Won) -> WholeAnswer:
        self._settle(won, won.answer.usage, 0)
        body = won.answer.body
        if body is None:
            raise GatewayError("a whole answer without a body")
        return WholeAnswer(body, self.headers_of(won), count_tries(won.attempts), won.upstream_s)

    def _respond(self, whole: WholeAnswer, cache: str = "") -> web.Response:
        headers = dict(whole.headers)
        upstream_s = whole.upstream_s
        if cache in ("hit", "coalesced"):
            upstream_s = 0.0
        if cache:
            headers[CACHE] = cache
        headers.update(Delivery.numbers(self._core, whole.attempts, self._core.clock() - self._began - upstream_s))
        headers["content-type"] = "application/json"
        return web.Response(body=whole.body, headers=headers)

    def headers_of(self, won: Won) -> dict[str, str]:
        """Headers of an answer: who gave it, and what its provider said of itself."""
        headers = {PROVIDER: won.plan.route.provider}
        for name, value in won.answer.headers.items():
            if name in _USUAL_HEADERS:
                continue
            lower = name.lower()
            if lower in _SHOWN_HEADERS or lower.startswith(_SHOWN_PREFIXES):
                headers[lower] = value
        if won.wire.dropped:
            headers[DROPPED] = ", ".join(won.wire.dropped)
        return headers

    # Routes

    def _failover(self, plans: tuple[RoutePlan, ...]) -> Failover:
        return Failover(self._core.tools, self._config, self._call, plans, self._prepare, self._note_attempt)

    def _prepare(self, plan: RoutePlan) -> WireRequest:
        route = plan.route
        if self._config.budget.usd_per_day is not None and price_of(self._config, route) is None:
            raise NotCarriedError(
                f"budget.usdPerDay is set and {route.provider}/{route.model} has no price: add it to prices",
                param="model",
            )
        return prepare_wire(self._call, self._roster.providers[route.provider], route.model)

    # Accounts

    def _note_attempt(self, record: AttemptRecord, failure: Failure | None) -> None:
        core = self._core
        core.metrics.note_attempt(record)
        core.tally.note_attempt(record, failure)
        if failure is None and not core.telemetry.enabled:
            return
        event: dict[str, str | int | float] = {
            "provider": record.provider,
            "model": record.model,
            "outcome": record.outcome,
            "status": record.status,
            "duration_s": record.duration_s,
        }
        self._span.event("attempt", event)
        if failure is not None:
            message = core.redactor.redact(record.message)
            _log.warning("provider failed", extra={**event, "key": record.key, "reason": message})

    def _note_failovers(self, won: Won) -> None:
        left = {record.provider for record in won.attempts} - {won.plan.route.provider}
        for provider in left:
            self._core.tally.of(provider).failovers += 1
            self._core.metrics.note_failover(provider)
        if left:
            route = won.plan.route
            extra = {"from": ", ".join(sorted(left)), "to": route.provider, "model": route.model}
            _log.warning("failed over", extra=extra)

    def _note_first_output(self, won: Won) -> None:
        route = won.plan.route
        self._core.metrics.note_first_chunk(
            self.operation, route.provider, route.model, self._core.clock() - self._began
        )

    def _note_stream_end(self, won: Won, failure: Failure | None) -> None:
        """A stream has ended: told by `Delivery`, also when the client went away."""
        stream = won.answer.stream
        if stream is None:
            return
        route = won.plan.route
        if stream.malformed:
            self._core.metrics.note_malformed(route.provider, stream.malformed)
        if failure is not None:
            self._core.metrics.note_broken(route.provider, failure.cause)
            self._core.tally.note_error(route.provider, failure)
            self._span.fail(failure.cause)
        self._settle(won, stream.usage, stream.outputs)

    def _settle(self, won: Won, usage: Usage | None, outputs: int) -> None:
        core, route = self._core, won.plan.route
        if self._call.dialect.name == "count_tokens":
            return
        if len(won.attempts) > 1:
            self._note_failovers(won)
        core.metrics.note_usage(self.operation, route.provider, route.model, usage)
        if core.telemetry.enabled:
            self._describe(won, usage)
        if usage is not None:
            core.tally.note_usage(route.provider, usage)
        if self._reservation is not None:
            core.budget.note_output(usage)
            charged = usage or assume_usage(len(self._call.body), outputs)
            self._reservation.charge(charged.total_tokens, cost_micro_usd(self._config, route, charged) or 0)

    def _describe(self, won: Won, usage: Usage | None) -> None:
        span, route = self._span, won.plan.route
        span.set("gen_ai.response.model", won.answer.model or route.model)
        span.set("gen_ai.provider.name", self._roster.providers[route.provider].config.type)
        span.set("agentberth.provider", route.provider)
        if usage is not None:
            span.set("gen_ai.usage.input_tokens", usage.input_tokens)
            span.set("gen_ai.usage.output_tokens", usage.output_tokens)

    def _note_end(self, route: Route, error: str) -> None:
        duration_s = self._core.clock() - self._began
        self._core.metrics.note_end(self.operation, route.provider, route.model, duration_s, error)

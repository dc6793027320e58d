"""From a request to its response: limits, faults, authentication, the cached answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping

import attrs
from aiohttp import web

from ._account import Fleet
from ._answers import Refusal, SimulatedAnswer, error_answer
from ._faults import Faults
from ._journal import Journal, LoggedRequest
from ._limits import SlidingLimits, Verdict
from ._pages import PageRules
from ._routes import answer_call

__all__ = ["Hook", "Service"]

HOUR = 3600.0
MAX_TARGETS = 10_000
NO_LIMIT = 5000
PAST = 60

Hook = Callable[[web.BaseRequest], object]


@attrs.define
class Target:
    """What a raw path stands for, and the answer that was last made for it.

    Attributes:
        path: The path without the query.
        query: The query, the last value of each name.
        version: Version of the fleet that the answer shows.
        answer: The answer to an authenticated GET request.
    """

    path: str
    query: dict[str, str]
    version: int = -1
    answer: SimulatedAnswer | None = None


class ServedExchange:
    """One request on its way through the service; what faults act on.

    Attributes:
        request: The request.
        headers: The headers that every answer carries.
        request_id: The ``x-request-id`` of the answer.
        target: What the path stands for.
        logged: Whether the request is in the log.
        hung_up: Whether the connection was closed on purpose.
    """

    __slots__ = (
        "_at",
        "_connection",
        "_service",
        "headers",
        "hung_up",
        "logged",
        "request",
        "request_id",
        "target",
    )

    def __init__(
        self, service: Service, request: web.BaseRequest, connection: int, number: int
    ) -> None:
        self._at = time.monotonic()
        self._connection = connection
        self._service = service
        self.request = request
        self.request_id = f"00000000-0000-4000-8000-{number:012x}"
        self.headers: dict[str, str] = {"x-request-id": self.request_id}
        self.target = service.target(request)
        self.logged = self.hung_up = False

    def usual(self) -> SimulatedAnswer:
        """Return what the API would answer."""
        return self._service.usual(self)

    def send(
        self, answer: SimulatedAnswer, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        """Log the answer and make the response for it."""
        self.log(answer.status)
        fields = {**self.headers, "Content-Type": answer.content_type, **(headers or {})}
        response = web.Response(status=answer.status, body=answer.body, headers=fields)
        if self._service.compress and "Content-Encoding" not in response.headers:
            response.enable_compression()
        return response

    def log(self, status: int) -> None:
        """Put the request into the log with the status that is sent (0 for none); once."""
        if self.logged:
            return
        self.logged = True
        target = self.target
        entry = LoggedRequest(
            method=self.request.method,
            path=target.path,
            query=target.query,
            headers=self.request.headers,
            status=status,
            at=self._at,
            connection=self._connection,
            request_id=self.request_id,
        )
        self._service.journal.record(entry)

    async def hold(self) -> None:
        """Wait until the simulator's `release` is called."""
        await self._service.journal.hold()

    async def hang_up(self) -> None:
        """Wait for the end of a connection that was closed on purpose; never returns."""
        self.hung_up = True
        await asyncio.get_running_loop().create_future()


@attrs.define(eq=False)
class Service:
    """The API without its sockets.

    Attributes:
        fleet: The account.
        token: The access token that is accepted.
        limits: The token's limits, ``None`` for no limit.
        scopes: What the token may do.
        rules: How listings are paged.
        reset_in_past: Whether ``ratelimit-reset`` of a 429 lies in the past.
        latency: Least and most seconds before each answer.
        compress: Whether answers are compressed for clients that accept it.
        clock: Seconds since the epoch.
        faults: What goes wrong, and when.
        journal: The log and the counters.
        rng: Source of the latencies.
        hooks: Called with each request before it is answered.
        serving: False while the simulator cuts its connections.
    """

    fleet: Fleet
    token: str
    limits: SlidingLimits | None
    scopes: frozenset[str]
    rules: PageRules
    reset_in_past: bool
    latency: tuple[float, float]
    compress: bool
    clock: Callable[[], float]
    faults: Faults
    journal: Journal
    rng: random.Random
    hooks: tuple[Hook, ...] = ()
    serving: bool = attrs.field(default=False, init=False)
    _targets: dict[str, Target] = attrs.field(factory=dict[str, Target], init=False)

    def open(self, origin: str) -> None:
        """Begin to serve; links point at ``origin`` from now on."""
        self.serving = True
        self.rules = attrs.evolve(self.rules, origin=origin)
        self._targets.clear()

    def spend(self, count: int) -> None:
        """Count requests that somebody else made with the token."""
        for _ in range(count):
            if self.limits is not None:
                self.limits.take(self.clock())

    async def handle(self, request: web.BaseRequest, connection: int) -> web.StreamResponse:
        """Answer a request that came on the connection with this number."""
        exchange = ServedExchange(self, request, connection, self.journal.arrive(connection))
        try:
            return await self._respond(exchange)
        except (asyncio.CancelledError, ConnectionResetError):
            self.journal.cancelled += self.serving and not exchange.hung_up
            raise asyncio.CancelledError from None  # a reset would be logged as an error of ours
        except Exception as error:
            exchange.log(error.status if isinstance(error, web.HTTPException) else 500)
            raise
        finally:
            exchange.log(0)
            self.journal.leave(connection)

    async def _respond(self, exchange: ServedExchange) -> web.StreamResponse:
        for hook in self.hooks:
            hook(exchange.request)
        verdict = self._judge(exchange)
        if self.latency[1]:
            await asyncio.sleep(self.rng.uniform(*self.latency))
        if not verdict.allowed:
            return self._reject(exchange, verdict)
        if self.faults.rules:
            for fault in self.faults.draw(exchange.target.path, exchange.target.query):
                response = await fault.act(exchange)
                if response is not None:
                    return response
        return exchange.send(self.usual(exchange))

    def _authorized(self, request: web.BaseRequest) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.token}"

    def _judge(self, exchange: ServedExchange) -> Verdict:
        now = self.clock()
        if self.limits is None:
            verdict = Verdict(True, NO_LIMIT, NO_LIMIT - 1, now + HOUR)
        elif self._authorized(exchange.request):
            verdict = self.limits.take(now)
        else:
            verdict = self.limits.peek(now)
        headers = exchange.headers
        headers["ratelimit-limit"] = str(verdict.limit)
        headers["ratelimit-remaining"] = str(verdict.remaining)
        headers["ratelimit-reset"] = str(int(verdict.reset_at))
        return verdict

    def _reject(self, exchange: ServedExchange, verdict: Verdict) -> web.Response:
        headers: dict[str, str] = {}
        if verdict.retry_after is not None:
            headers["retry-after"] = str(verdict.retry_after)
        if self.reset_in_past:
            headers["ratelimit-reset"] = str(int(self.clock()) - PAST)
        return exchange.send(error_answer(429, exchange.request_id), headers)

    def target(self, request: web.BaseRequest) -> Target:
        """Tell what the request's raw path stands for."""
        raw = request.raw_path
        target = self._targets.get(raw)
        if target is None:
            if len(self._targets) >= MAX_TARGETS:
                self._targets.clear()
            target = self._targets[raw] = Target(request.path, dict(request.query.items()))
        return target

    def usual(self, exchange: ServedExchange) -> SimulatedAnswer:
        """Return what the API answers when nothing goes wrong."""
        try:
            if not self._authorized(exchange.request):
                raise Refusal(401)
            if exchange.request.method != "GET":
                raise Refusal(405)
            return self._cached(exchange.target)
        except Refusal as refusal:
            return error_answer(refusal.status, exchange.request_id, refusal.message)

    def _cached(self, target: Target) -> SimulatedAnswer:
        if target.answer is None or target.version != self.fleet.version:
            with self.fleet.reading():
                target.version = self.fleet.version
                target.answer = None
                target.answer = answer_call(
                    self.fleet, target.path, target.query, self.scopes, self.rules
                )
        return target.answer

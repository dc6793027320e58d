"""From an endpoint to its answer over the wire: tries, redirects, what becomes of a failure.

It decides little by itself: `_http` says what an answer is, `_retry` whether it is worth another
try, `_pacing` when that may be sent, `_connections` over which session.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from ._call import Call, Terms
from ._config import AccessToken, Config
from ._connections import Connections, LoopConnections
from ._exchange import Exchange, redacted
from ._fork import OfOneProcess
from ._http import (
    Endpoint,
    RateLimitHeaders,
    Response,
    redirect_target,
    status_error,
    validation_error,
)
from ._options import RequestOptions
from ._pacing import Pacer
from ._retry import retry_delay
from ._session import StaleConnectionError
from ._structure import DecodeFailure, decode, decode_any
from ._wire_errors import WIRE_FAILURES, may_have_been_sent, wire_error
from .errors import APIError, APIResponseValidationError, RateLimitError

__all__ = ["Transport", "decoded", "decoded_any"]

T = TypeVar("T")

MAX_REDIRECTS: Final = 5
LOGGER: Final = logging.getLogger("gradient_async")


class Transport(OfOneProcess):
    """Sends the requests of one client.

    Args:
        config: The settings of the client.
        connections: The connections, shared with its copies.
        pacer: The rate limit of its token, shared with its copies and with every request.
    """

    def __init__(self, config: Config, connections: Connections, pacer: Pacer) -> None:
        self.config = config
        self.connections = connections
        self.pacer = pacer
        self._proxy = connections.proxy_for(config.base_url)
        self._terms = Terms.of(config)

    def terms(self, options: RequestOptions) -> Terms:
        """Return the terms of requests with these options.

        Raises:
            TypeError: There is no such option, or its value is of another type.
            ValueError: The value of an option is out of its range.
        """
        return self._terms.changed(options) if options else self._terms

    def request(self, endpoint: Endpoint[Any], terms: Terms) -> Coroutine[Any, Any, Response]:
        """Send a request until it is answered well, and read the answer, when awaited.

        Raises:
            APIError: See `gradient_async.errors`.
            RuntimeError: The client is closed.
        """
        here, call = self.connections.here(), Call(endpoint, terms)
        return here.run(self._whole_answer(call, here), call.about)

    async def open(self, endpoint: Endpoint[Any], terms: Terms) -> Exchange:
        """Send a request until it is answered well, and leave the body to be read.

        The answer holds its connection until it is closed.

        Raises:
            APIError: See `gradient_async.errors`.
            RuntimeError: The client is closed.
        """
        here, call = self.connections.here(), Call(endpoint, terms)
        exchange = await here.run(self._answer(call, here), call.about)
        try:
            exchange.take_what_arrived()
            _log(call, exchange.response(b""))
        except BaseException:
            exchange.close()
            raise
        return exchange

    async def _whole_answer(self, call: Call, here: LoopConnections) -> Response:
        while True:
            exchange = await self._answer(call, here)
            try:
                response = exchange.response(await exchange.receive())
            except WIRE_FAILURES as error:
                await self._pause(call, wire_error(error, call))
            else:
                _log(call, response)
                return response

    async def _answer(self, call: Call, here: LoopConnections) -> Exchange:
        """Send a request until an answer has a good status."""
        while True:
            try:
                exchange = await self._send(call, here)
                call.repeated = False  # each try may find its connection closed
                if exchange.status_code < 300:
                    return exchange
                response = redacted(exchange.response(await exchange.receive()), call.terms.token)
            except WIRE_FAILURES as error:
                if not self._repeat_at_once(call, error):
                    await self._pause(call, wire_error(error, call))
                continue
            await self._deal_with(call, response)

    async def _send(self, call: Call, here: LoopConnections) -> Exchange:
        """Send one try, as soon as it may be sent, and wait for the headers of its answer."""
        sent_at = self._start_nowait(here)
        if sent_at is None:
            sent_at = await self._take_place(call, here)
        call.refusal = None
        call.sent += 1
        started, answered = time.monotonic(), here.answered
        deadline = here.deadlines.after(call.terms.timeout.total)
        try:
            with deadline:
                connect = call.terms.timeout.connect
                raw = await here.get(call.target, call.terms.headers, self._proxy, connect)
        except BaseException as error:
            here.slots.release()
            call.others_answered = here.answered > answered
            if may_have_been_sent(error):
                self.pacer.finish(sent_at, None)
            else:
                self.pacer.give_back(sent_at)
            raise
        here.answered += 1
        limits = RateLimitHeaders(raw.headers, time.time())
        if raw.status == 429:
            self.pacer.on_refusal(sent_at, limits)
        else:
            self.pacer.finish(sent_at, limits)
        return Exchange(raw, here, call, deadline, started)

    def _start_nowait(self, here: LoopConnections) -> float | None:
        """Take a connection and a place in the limit if there are both; ``None`` if not."""
        if not here.slots.acquire_nowait():
            return None
        sent_at = self.pacer.start_nowait()
        if sent_at is None:
            here.slots.release()
        return sent_at

    async def _take_place(self, call: Call, here: LoopConnections) -> float:
        """Wait for the rate limit, then for a connection, and give the time of the start.

        Where the gate was closed in the meantime, that is waited for, too.
        """
        while True:
            sent_at = await self._wait_for_rate_limit(call)
            try:
                await here.slots.acquire()
            except BaseException:
                self.pacer.give_back(sent_at)
                raise
            if not self.pacer.closed_since(sent_at):
                return sent_at
            here.slots.release()
            self.pacer.give_back(sent_at)

    async def _wait_for_rate_limit(self, call: Call) -> float:
        """Wait until a try may be sent; what is waited is taken off the patience of the call."""
        asked_at = time.monotonic()
        try:
            sent_at = await self.pacer.start(call.patience)
        except RateLimitError as refused:
            error = call.refusal or refused
            error.retry_after, error.kind = refused.retry_after, refused.kind or error.kind
            error.request, error.droplet_id = call.request_line(), call.droplet_id
            error.attempts = call.sent
            raise error from None
        if call.patience is not None:
            call.patience = max(0.0, call.patience - (sent_at - asked_at))
        return sent_at

    def _repeat_at_once(self, call: Call, error: Exception) -> bool:
        """Decide whether to repeat a try at once, as after a kept connection that was closed."""
        again = isinstance(error, StaleConnectionError) and not call.repeated
        call.repeated = again
        return again

    async def _deal_with(self, call: Call, response: Response) -> None:
        """Get ready for the next try after an answer with a bad status, or raise its error."""
        _log(call, response)
        target = redirect_target(call.url, response)
        if target is not None and call.redirects < MAX_REDIRECTS:
            call.redirect(target)
            return
        limits = RateLimitHeaders(response.headers, time.time())
        error = status_error(response, limits, call.droplet_id)
        if isinstance(error, RateLimitError):
            wait = self.pacer.closed_for()
            if error.retry_after is None:
                error.retry_after = wait
            if call.terms.max_retries == 0 and call.patience is not None:
                raise error
            call.refusal = error
            LOGGER.info("%s: %s; rate limit closed for %.1f s", error.request, error.message, wait)
            return
        await self._pause(call, error, limits.retry_after)

    async def _pause(self, call: Call, error: APIError, retry_after: float | None = None) -> None:
        """Wait as long as it takes until the next try, or raise the error if there is none."""
        call.failures += 1
        delay = retry_delay(
            error,
            attempt=call.failures,
            max_retries=call.terms.max_retries,
            jitter=random.random(),
            retry_after=retry_after,
        )
        if delay is None:
            raise error
        LOGGER.info("%s: %s; tried again in %.1f s", error.request, error.message, delay)
        await asyncio.sleep(delay)


def _log(call: Call, response: Response) -> None:
    if LOGGER.isEnabledFor(logging.DEBUG):
        about = call.request_line()
        LOGGER.debug("%s: %d in %.3f s", about, response.status_code, response.seconds)


def decoded(endpoint: Endpoint[T], response: Response, token: AccessToken) -> T:
    """Decode the body of a good answer.

    Raises:
        APIResponseValidationError: It is not what the endpoint promises.
    """
    try:
        return decode(endpoint.answer, response.content)
    except DecodeFailure as failure:
        raise _invalid(failure, endpoint, response, token) from None


def decoded_any(endpoint: Endpoint[Any], response: Response, token: AccessToken) -> Any:
    """Decode the body of a good answer into plain objects.

    Raises:
        APIResponseValidationError: It is no JSON.
    """
    try:
        return decode_any(response.content)
    except DecodeFailure as failure:
        raise _invalid(failure, endpoint, response, token) from None


def _invalid(
    failure: DecodeFailure, endpoint: Endpoint[Any], response: Response, token: AccessToken
) -> APIResponseValidationError:
    return validation_error(
        token.redact(str(failure)),
        token.redact(failure.path),
        redacted(response, token),
        endpoint.droplet_id,
    )

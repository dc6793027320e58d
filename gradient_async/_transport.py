"""From an endpoint to its answer over the wire: tries, redirects, what a failure is called.

It decides little by itself: `_http` says what an answer is, `_retry` whether it is worth another
try, `_pacing` when that may be sent, `_connections` over which session.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar

import aiohttp

from . import errors
from ._config import AccessToken, Config
from ._connections import Connections, LoopConnections, StaleConnectionError
from ._http import (
    Endpoint,
    Headers,
    RateLimitHeaders,
    RequestOptions,
    Response,
    Timeout,
    checked_count,
    checked_headers,
    checked_seconds,
    failed_response,
    query_string,
    redirect_target,
    status_error,
    validation_error,
)
from ._pacing import Pacer
from ._retry import retry_delay
from ._structure import DecodeFailure, decode
from ._version import __version__

__all__ = ["Exchange", "Transport", "unexpected_body"]

T = TypeVar("T")

MAX_REDIRECTS: Final = 5
WIRE_FAILURES: Final = (aiohttp.ClientError, OSError, EOFError)
"""What aiohttp raises when the other side, or the way there, is at fault."""
UNSENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
"""Those of them before which nothing is sent."""
USER_AGENT: Final = f"gradient-async/{__version__}"


class _Call:
    """One request of a user over all its tries."""

    def __init__(
        self,
        config: Config,
        headers: Mapping[str, str],
        endpoint: Endpoint[Any],
        options: RequestOptions,
    ) -> None:
        if options and (unknown := options.keys() - RequestOptions.__optional_keys__):
            raise TypeError(f"there is no keyword {', '.join(map(repr, sorted(unknown)))}")
        self.token: AccessToken = config.access_token
        self.droplet_id: int | None = endpoint.droplet_id
        query = query_string(config.default_query, endpoint.query, options.get("extra_query"))
        self.url: str = f"{config.base_url}{endpoint.path}{query}"
        extra_headers = options.get("extra_headers")
        if extra_headers is not None:
            extra_headers = checked_headers("extra_headers", extra_headers)
            headers = _merged_headers(headers, extra_headers, self.token)
        self.headers: Mapping[str, str] = headers
        self.timeout: Timeout = Timeout.of(options.get("timeout", config.timeout))
        self.max_retries: int = config.max_retries
        if "max_retries" in options:
            self.max_retries = checked_count("max_retries", options["max_retries"], least=0)
        self.patience = config.max_rate_limit_wait
        if "max_rate_limit_wait" in options:
            self.patience = checked_seconds("max_rate_limit_wait", options["max_rate_limit_wait"])
        self.max_bytes: int = config.max_response_bytes
        self.sent = 0
        self.failures = 0
        self.redirects = 0
        self.refusal: errors.RateLimitError | None = None

    def failed_request(self) -> errors.FailedRequest:
        """Give the request in the form in which errors keep it."""
        return errors.FailedRequest("GET", self.token.redact(self.url))

    def about(self) -> dict[str, Any]:
        """Give what every error about this request says."""
        return {
            "request": self.failed_request(),
            "droplet_id": self.droplet_id,
            "attempts": self.sent,
        }


def _merged_headers(
    defaults: Mapping[str, str], extra: Mapping[str, str], token: AccessToken
) -> dict[str, str]:
    """Join headers, later ones winning in any case of their names; the token is always ours."""
    merged = {name.title(): value for part in (defaults, extra) for name, value in part.items()}
    return {**merged, "Authorization": token.authorization}


class Exchange:
    """One answer whose headers have arrived. It holds its connection until it is closed."""

    def __init__(
        self, raw: aiohttp.ClientResponse, here: LoopConnections, call: _Call, started: float
    ) -> None:
        self.here = here
        self.status_code: int = raw.status
        self.url: str = call.url
        self.headers: Mapping[str, str] = raw.headers
        self.retries_taken: int = call.sent - 1
        self.closed: bool = False
        self._begun = False
        self._raw = raw
        self._call = call
        self._started = started
        self._arrived: bytes | None = None

    def take_what_arrived(self) -> None:
        """Take the body if all of it is there.

        aiohttp has given the connection to others then, and an error of theirs would reach this
        body as long as it is not read.
        """
        if self._raw.content.is_eof():
            self._arrived = self._raw.content.read_nowait()

    def begin(self) -> None:
        """Take the body, which can be read once: what of it is still there is a matter of timing.

        Raises:
            RuntimeError: It was taken before, or the answer is closed.
        """
        if self._begun:
            raise RuntimeError(
                "the body of this answer was already read, in pieces or not to its end: only "
                "`read` keeps it"
            )
        if self.closed:
            raise RuntimeError("the block of this answer was left before its body was read")
        self._begun = True

    async def read(self) -> bytes:
        """Read the whole body and give the connection back.

        Raises:
            APIConnectionError: The body broke off, or did not arrive in time.
            APIResponseValidationError: It is larger than `max_response_bytes`. That of an answer
                with a bad status is cut off there.
        """
        try:
            if self._arrived is None and self._is_small():
                return await self._raw.read()
            return b"".join([chunk async for chunk in self._chunks(self._call.max_bytes)])
        except WIRE_FAILURES as error:
            raise _wire_error(error, self._call) from _shown_cause(error, self._call.token)
        finally:
            self.close()

    def _is_small(self) -> bool:
        """Tell whether the body is known to be within the limit, so that no chunk is counted."""
        length = self._raw.content_length
        return (
            length is not None
            and length <= self._call.max_bytes
            and "Content-Encoding" not in self._raw.headers
        )

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Give the body in pieces, as they arrive; errors as with `read`, but no limit."""
        self.begin()
        try:
            async for chunk in self._chunks(None):
                yield chunk
                if self.closed:
                    raise RuntimeError("the block of this answer was left while it was read")
        except WIRE_FAILURES as error:
            raise _wire_error(error, self._call) from _shown_cause(error, self._call.token)
        finally:
            self.close()

    async def _chunks(self, max_bytes: int | None) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in self._parts():
            received += len(chunk)
            if max_bytes is not None and received > max_bytes:
                if self.status_code >= 300:  # which is what the answer says, more than its body
                    yield chunk[: max_bytes - received]
                    return
                raise errors.APIResponseValidationError(
                    f"an answer of more than {max_bytes} bytes: raise `max_response_bytes` if "
                    "that is expected",
                    response=failed_response(_redacted(self.response(b""), self._call.token)),
                    **self._call.about(),
                )
            yield chunk

    async def _parts(self) -> AsyncIterator[bytes]:
        if self._arrived is not None:
            if self._arrived:
                yield self._arrived
            return
        async for chunk in self._raw.content.iter_any():
            yield chunk

    def response(self, content: bytes) -> Response:
        """Give the answer as a value, with the body that was read."""
        return Response(
            "GET",
            self.url,
            self.status_code,
            self.headers,
            content,
            timedelta(seconds=time.monotonic() - self._started),
            self.retries_taken,
        )

    def close(self) -> None:
        """Give the connection back, or drop it when the body was not read to its end."""
        if not self.closed:
            self.closed = True
            self._raw.release() if self._raw.content.at_eof() else self._raw.close()
            self.here.slots.release()


class Transport:
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
        self._headers = _merged_headers(
            {"Accept": "application/json", "User-Agent": USER_AGENT},
            config.default_headers,
            config.access_token,
        )

    def _call(self, endpoint: Endpoint[Any], options: RequestOptions) -> _Call:
        return _Call(self.config, self._headers, endpoint, options)

    async def request(self, endpoint: Endpoint[Any], options: RequestOptions) -> Response:
        """Send a request until it is answered, and read the answer.

        Raises:
            APIError: See `gradient_async.errors`.
            RuntimeError: The client is closed.
        """
        here = self.connections.here()
        return await here.run(self._request(self._call(endpoint, options), here))

    async def _request(self, call: _Call, here: LoopConnections) -> Response:
        while True:
            exchange = await self._answer(call, here)
            try:
                return exchange.response(await exchange.read())
            except errors.APIConnectionError as error:
                await self._pause(call, error)

    @asynccontextmanager
    async def stream(
        self, endpoint: Endpoint[Any], options: RequestOptions
    ) -> AsyncIterator[Exchange]:
        """Send a request until it is answered well, and leave the body to be read.

        Raises:
            APIError: See `gradient_async.errors`.
            RuntimeError: The client is closed.
        """
        here = self.connections.here()
        exchange = await here.run(self._answer(self._call(endpoint, options), here))
        try:
            exchange.take_what_arrived()
            yield exchange
        finally:
            exchange.close()

    async def _answer(self, call: _Call, here: LoopConnections) -> Exchange:
        """Send a request until an answer has a good status."""
        while True:
            try:
                exchange = await self._send(call, here)
                if exchange.status_code < 300:
                    return exchange
                response = _redacted(exchange.response(await exchange.read()), call.token)
            except errors.APIConnectionError as error:
                await self._pause(call, error)
                continue
            await self._deal_with(call, response)

    def decoded(self, endpoint: Endpoint[T], response: Response) -> T:
        """Decode the body of a good answer.

        Raises:
            APIResponseValidationError: It is not what the endpoint promises.
        """
        try:
            return decode(endpoint.answer, response.content)
        except DecodeFailure as failure:
            token = self.config.access_token
            raise unexpected_body(failure, endpoint, response, token) from None

    async def _deal_with(self, call: _Call, response: Response) -> None:
        """Get ready for the next try after an answer with a bad status, or raise its error."""
        target = redirect_target(call.url, response)
        if target is not None and call.redirects < MAX_REDIRECTS:
            call.url = target
            call.redirects += 1
            return
        limits = RateLimitHeaders(response.headers, time.time())
        error = status_error(response, limits, call.droplet_id)
        if isinstance(error, errors.RateLimitError):
            if call.max_retries == 0 and call.patience is not None:
                raise error
            call.refusal = error
            return
        await self._pause(call, error, limits.retry_after)

    async def _pause(
        self, call: _Call, error: errors.APIError, retry_after: float | None = None
    ) -> None:
        """Wait as long as it takes until the next try, or raise the error if there is none."""
        call.failures += 1
        delay = retry_delay(
            error,
            attempt=call.failures,
            max_retries=call.max_retries,
            jitter=random.random(),
            retry_after=retry_after,
        )
        if delay is None:
            raise error
        await asyncio.sleep(delay)

    async def _send(self, call: _Call, here: LoopConnections) -> Exchange:
        """Send one try; a second time where a kept connection had been closed meanwhile."""
        repeatable = True
        while True:
            try:
                return await self._send_once(call, here)
            except WIRE_FAILURES as error:
                if not (repeatable and isinstance(error, StaleConnectionError)):
                    raise _wire_error(error, call) from _shown_cause(error, call.token)
                repeatable = False

    async def _send_once(self, call: _Call, here: LoopConnections) -> Exchange:
        """Send a request and wait for the headers of its answer."""
        sent_at = await self._turn(call)
        try:
            await here.slots.acquire()
        except BaseException:
            self.pacer.give_back()
            raise
        call.sent += 1
        started = time.monotonic()
        try:
            raw = await here.session.get(
                call.url,
                headers=call.headers,
                allow_redirects=False,
                raise_for_status=False,
                proxy=self._proxy,
                timeout=_client_timeout(call.timeout, here.owned),
            )
        except BaseException as error:
            here.slots.release()
            if _may_have_been_sent(error):
                self.pacer.finish(sent_at, None)
            else:
                self.pacer.give_back()
            raise
        limits = RateLimitHeaders(raw.headers, time.time())
        if raw.status == 429:
            self.pacer.refuse(sent_at, limits)
        else:
            self.pacer.finish(sent_at, limits)
        return Exchange(raw, here, call, started)

    async def _turn(self, call: _Call) -> float:
        """Wait for the rate limit; what is waited is taken off the patience of the call."""
        asked_at = time.monotonic()
        try:
            sent_at = await self.pacer.start(call.patience)
        except errors.RateLimitError as error:
            error = call.refusal or error
            error.request, error.droplet_id = call.failed_request(), call.droplet_id
            error.attempts = call.sent
            raise error from None
        if call.patience is not None:
            call.patience = max(0.0, call.patience - (sent_at - asked_at))
        return sent_at


def _may_have_been_sent(error: BaseException) -> bool:
    """Tell whether the server may have counted the request that ended in an error."""
    if isinstance(error, UNSENT):
        return False
    return isinstance(error, WIRE_FAILURES) or not isinstance(error, Exception)


@lru_cache(maxsize=64)
def _client_timeout(timeout: Timeout, owned: bool) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=timeout.total,
        # In a session of ours this is DNS, TCP and TLS. One that a user gave may have a queue of
        # its own, shared with others, that it would count too.
        connect=timeout.connect if owned else None,
        sock_connect=timeout.connect,
        ceil_threshold=float("inf"),
    )


def _wire_error(error: Exception, call: _Call) -> errors.APIConnectionError:
    """Give the error of our tree for what went wrong between here and the server."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return errors.APITimeoutError("no connection in time", **call.about())
    if isinstance(error, TimeoutError):
        within = call.timeout.total
        return errors.APITimeoutError(
            "no answer in time" if within is None else f"no answer within {within:g} s",
            **call.about(),
        )
    return errors.APIConnectionError(
        f"the connection failed: {call.token.redact(_said(error))}",
        unreachable=isinstance(error, aiohttp.ClientConnectorError),
        **call.about(),
    )


def _said(error: Exception) -> str:
    """Give what aiohttp says of a failure, in one line.

    Where it cannot read an answer, it speaks of a status 400, which nobody sent.
    """
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status} {error.message}"
    source = error.__cause__ if isinstance(error, aiohttp.ClientPayloadError) else error
    message = getattr(source, "message", None)
    said = message if isinstance(message, str) else str(error)
    return " ".join(said.split()).rstrip(".") or type(error).__name__


def _shown_cause(error: BaseException, token: AccessToken) -> BaseException | None:
    """Give an error without the frames that hold the token, ``None`` if it says the token itself.

    A server may have sent it back, and aiohttp quotes what it cannot read.
    """
    cause: BaseException | None = error
    seen: BaseException | None = error
    while seen is not None:
        seen.with_traceback(None)
        said = f"{seen} {seen!r}"
        if token.redact(said) != said:
            cause = None
        seen = seen.__cause__ or seen.__context__
    return cause


def unexpected_body(
    failure: DecodeFailure, endpoint: Endpoint[Any], response: Response, token: AccessToken
) -> errors.APIResponseValidationError:
    """Give the error of a good answer that is not what the endpoint promises."""
    return validation_error(
        token.redact(str(failure)),
        token.redact(failure.path),
        _redacted(response, token),
        endpoint.droplet_id,
    )


def _redacted(response: Response, token: AccessToken) -> Response:
    """Mask the token in an answer, should the server have sent it back."""
    headers = {name: token.redact(value) for name, value in response.headers.items()}
    content = token.redact(response.content.decode("utf-8", "surrogateescape"))
    return Response(
        response.method,
        token.redact(response.url),
        response.status_code,
        Headers(headers),
        content.encode("utf-8", "surrogateescape"),
        response.elapsed,
        response.retries_taken,
    )

"""What ``with_raw_response`` and ``with_streaming_response`` give: the answer, with its class.

The asynchronous and the blocking kind differ only in how they are asked to `parse` or `read`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Generic, TypeVar

import attrs

from ._call import Terms
from ._config import AccessToken
from ._exchange import Exchange
from ._http import Endpoint, Headers, Response
from ._transport import Transport, decoded, decoded_any
from .errors import RequestLine

__all__ = [
    "APIResponse",
    "AsyncAPIResponse",
    "AsyncStreamedResponse",
    "RawResponse",
    "StreamingContext",
]

T = TypeVar("T")


class RawResponse(Generic[T]):
    """A whole answer, not decoded yet. It can be copied and pickled."""

    def __init__(self, response: Response, endpoint: Endpoint[T], token: AccessToken) -> None:
        self._response = attrs.evolve(response, headers=Headers(response.headers))
        self._endpoint = endpoint
        self._token = token

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code} {self.method} {self.url}>"

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are case-insensitive."""
        return self._response.headers

    @property
    def url(self) -> str:
        """The whole URL that answered."""
        return self._response.url

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self._response.method

    @property
    def http_request(self) -> RequestLine:
        """The method and URL that were sent."""
        return RequestLine(self.method, self.url)

    @property
    def elapsed(self) -> timedelta:
        """From sending the last try to the last byte of its answer."""
        return timedelta(seconds=self._response.seconds)

    @property
    def retries_taken(self) -> int:
        """How many tries came before the one that was answered well."""
        return self._response.retries_taken

    @property
    def request_id(self) -> str | None:
        """What DigitalOcean's support asks for, where the answer has one."""
        return self._response.request_id

    @property
    def content(self) -> bytes:
        """The body, decompressed."""
        return self._response.content

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    @property
    def is_closed(self) -> bool:
        """Always true, as the connection has been given back."""
        return True

    def json(self) -> Any:
        """Return the body as plain ``dict`` and ``list`` objects, fields unknown to us included.

        Raises:
            APIResponseValidationError: The body is no JSON.
        """
        return decoded_any(self._endpoint, self._response, self._token)

    def _parsed(self) -> T:
        return decoded(self._endpoint, self._response, self._token)


class APIResponse(RawResponse[T]):
    """A whole answer, from the blocking client."""

    def parse(self) -> T:
        """Return the answer as its response class.

        Raises:
            APIResponseValidationError: The body is not what the endpoint promises.
        """
        return self._parsed()


class AsyncAPIResponse(RawResponse[T]):
    """A whole answer, from the asynchronous client."""

    async def parse(self) -> T:
        """Return the answer as its response class.

        Raises:
            APIResponseValidationError: The body is not what the endpoint promises.
        """
        return self._parsed()

    def blocking(self) -> APIResponse[T]:
        """Return the same answer as the blocking client does."""
        return APIResponse(self._response, self._endpoint, self._token)


class AsyncStreamedResponse(Generic[T]):
    """An answer whose body has not been read yet; usable inside its ``async with`` only."""

    def __init__(self, exchange: Exchange, endpoint: Endpoint[T], token: AccessToken) -> None:
        self._exchange = exchange
        self._endpoint = endpoint
        self._token = token
        self._content: bytes | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status_code} {self.method} {self.url}>"

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self._exchange.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are case-insensitive."""
        return self._exchange.headers

    @property
    def url(self) -> str:
        """The whole URL that answered."""
        return self._exchange.url

    @property
    def method(self) -> str:
        """The HTTP method."""
        return "GET"

    @property
    def http_request(self) -> RequestLine:
        """The method and URL that were sent."""
        return RequestLine(self.method, self.url)

    @property
    def retries_taken(self) -> int:
        """How many tries came before the one that was answered well."""
        return self._exchange.retries_taken

    @property
    def request_id(self) -> str | None:
        """What DigitalOcean's support asks for, where the headers have it."""
        return self.headers.get("x-request-id")

    @property
    def is_closed(self) -> bool:
        """Whether the connection has been given back."""
        return self._exchange.closed

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """Return the body in pieces, decompressed, as they arrive. No bound on its size.

        The pieces are not kept. After `read`, this gives what `read` returned, in one piece.

        Raises:
            APIConnectionError: The body broke off, or did not arrive within ``timeout``.
            RuntimeError: The body was given in pieces before, or the block was left.
        """
        return self._exchange.iter_bytes() if self._content is None else _pieces(self._content)

    async def read(self) -> bytes:
        """Read the whole body; a second call returns the same bytes.

        Raises:
            APIConnectionError: The body broke off, or did not arrive within ``timeout``.
            APIResponseValidationError: It is larger than ``max_response_bytes``.
            RuntimeError: The body was given in pieces before, or the block was left.
        """
        if self._content is None:
            self._content = await self._exchange.read()
        return self._content

    async def parse(self) -> T:
        """Read the body and give it as its response class.

        Raises:
            APIConnectionError: The body broke off, or did not arrive within ``timeout``.
            APIResponseValidationError: The body is not what the endpoint promises.
            RuntimeError: As for `read`.
        """
        response = self._exchange.response(await self.read())
        return decoded(self._endpoint, response, self._token)


class StreamingContext(AbstractAsyncContextManager[AsyncStreamedResponse[T]]):
    """Sends a request as its block is entered, and closes the answer as it is left.

    No generator: a loop that ends closes all of those at once, also one that is inside another.
    """

    def __init__(self, transport: Transport, endpoint: Endpoint[T], terms: Terms) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._terms = terms
        self._entered = False
        self._exchange: Exchange | None = None

    async def __aenter__(self) -> AsyncStreamedResponse[T]:
        if self._entered:
            raise RuntimeError("this request was sent already: ask for a new one")
        self._entered = True
        self._exchange = await self._transport.open(self._endpoint, self._terms)
        return AsyncStreamedResponse(self._exchange, self._endpoint, self._terms.token)

    async def __aexit__(self, *_: object) -> None:
        if self._exchange is not None:
            self._exchange.close()

    def __del__(self) -> None:
        """Close the answer of a block that was never left, as it was not entered to the end."""
        if self._exchange is not None and not self._exchange.closed:
            self._exchange.close_soon()


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    if content:
        yield content

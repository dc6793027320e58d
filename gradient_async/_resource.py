"""What the classes of `resources` have in common: three ways to send an endpoint."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

from ._call import Terms
from ._http import Endpoint
from ._options import RequestOptions
from ._paging import Get
from ._response import AsyncAPIResponse, StreamingContext
from ._transport import Transport, decoded

__all__ = ["AsyncAPIResource"]

T = TypeVar("T")


class AsyncAPIResource:
    """A part of the API. Made by the client, which it shares the transport of."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _get(self, endpoint: Endpoint[T], options: RequestOptions) -> Coroutine[Any, Any, T]:
        return self._get_on(self._transport.terms(options), endpoint)

    def _getter(self, options: RequestOptions) -> Get:
        """Return what sends any number of endpoints with the same options.

        Raises:
            TypeError: There is no such option, or its value is of another type.
            ValueError: The value of an option is out of its range.
        """
        return partial(self._get_on, self._transport.terms(options))

    async def _get_on(self, terms: Terms, endpoint: Endpoint[T]) -> T:
        response = await self._transport.request(endpoint, terms)
        return decoded(endpoint, response, terms.token)

    async def _get_raw(self, endpoint: Endpoint[T], options: RequestOptions) -> AsyncAPIResponse[T]:
        terms = self._transport.terms(options)
        response = await self._transport.request(endpoint, terms)
        return AsyncAPIResponse(response, endpoint, terms.token)

    def _get_streaming(self, endpoint: Endpoint[T], options: RequestOptions) -> StreamingContext[T]:
        return StreamingContext(self._transport, endpoint, self._transport.terms(options))

"""What the classes of `resources` have in common: three ways to send an endpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from ._http import Endpoint, RequestOptions
from ._response import AsyncAPIResponse, AsyncStreamedResponse
from ._transport import Transport

__all__ = ["AsyncAPIResource"]

T = TypeVar("T")


class AsyncAPIResource:
    """A part of the API. Made by the client, which it shares the transport of."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def _get(self, endpoint: Endpoint[T], options: RequestOptions) -> T:
        response = await self._transport.request(endpoint, options)
        return self._transport.decoded(endpoint, response)

    async def _get_raw(self, endpoint: Endpoint[T], options: RequestOptions) -> AsyncAPIResponse[T]:
        response = await self._transport.request(endpoint, options)
        return AsyncAPIResponse(response, endpoint, self._transport.config.access_token)

    @asynccontextmanager
    async def _get_streaming(
        self, endpoint: Endpoint[T], options: RequestOptions
    ) -> AsyncIterator[AsyncStreamedResponse[T]]:
        async with self._transport.stream(endpoint, options) as exchange:
            yield AsyncStreamedResponse(exchange, self._transport, endpoint)

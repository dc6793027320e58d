"""The asynchronous client: its configuration, and the way to the resources."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import Any, Self, Unpack

from ._config import AccessToken, ClientOptions, Config, masked, masked_in
from ._connections import Connections
from ._options import (
    DEFAULT_MAX_RATE_LIMIT_WAIT,
    DEFAULT_MAX_RESPONSE_BYTES,
    DEFAULT_MAX_RETRIES,
    DEFAULT_TIMEOUT,
    Timeout,
)
from ._pacing import Pacer
from ._rate_limit import DEFAULT_RATE_LIMIT, RateLimit, RateLimitStatus
from ._session import SessionSource
from ._transport import Transport
from .resources.gpu_droplets import AsyncGPUDropletsResource

__all__ = ["AsyncGradient"]


def own_attributes(client: object) -> dict[str, Any]:
    """Return what a client has, also by a subclass, but not what it derives from that."""
    return {
        name: value
        for name, value in vars(client).copy().items()
        if not isinstance(getattr(type(client), name, None), cached_property)
    }


class AsyncGradient:
    """A client of DigitalOcean's API for the backups of GPU Droplets.

    It can be made anywhere, at module level too, and belongs to no event loop and no thread: it can
    be used from one after another and from several at once. It may be left open; ``async with`` and
    `close` give the connections back at once.

    Args:
        access_token: The API token. The default is the environment variable
            ``DIGITALOCEAN_ACCESS_TOKEN``.
        base_url: Where the API is. The default is the environment variable ``GRADIENT_BASE_URL``,
            or else ``https://api.digitalocean.com``.
        timeout: Seconds for one try of a request, or a `Timeout`; ``None`` for no bound. The
            default is 60 s, of them 5 s to connect. Waiting for a free connection or for the rate
            limit is not counted.
        max_retries: How many times a request is repeated after a failed connection, a timeout, 408,
            409 or 5xx; 2 by default. An answer 429 is waited for and uses none of them up. With 0
            it is raised at once, too, unless ``max_rate_limit_wait`` is ``None``.
        default_headers: Headers to send with every request.
        default_query: Query parameters to send with every request.
        rate_limit: The limits of the token, shared by all requests of this client and its copies.
            The default is what the API documents: 250 a minute and 5,000 an hour. Requests of other
            users of the token are noticed in the window whose size the API names in
            ``ratelimit-limit``; in the others only by an answer that says that nothing is left, or
            a 429. ``None`` keeps no count and waits only when the API says so.
        max_rate_limit_wait: Seconds that one call may wait for the rate limit, or a twentieth
            more, before it ends in `RateLimitError`; 60 by default, ``None`` for no bound. Fan-outs
            wait as long as it takes.
        max_response_bytes: The largest answer that is read, after decompression. 32 MiB.
        allow_insecure_http: Allow ``http://`` to other hosts than loopback, where everybody on the
            way can read the token.
        session: `SessionSource`: a function that makes an `aiohttp.ClientSession` (proxy, TLS,
            tracing). It is called once per event loop, and what it makes is closed with the client.

    Raises:
        ConfigurationError: There is no token, or one that cannot be sent, or a base URL that the
            token must not be sent to, or the environment names a proxy that cannot be used.
        TypeError: An argument is of another type than it has to be.
        ValueError: A number is out of its range, or a header cannot be sent.

    Example:
        >>> async with AsyncGradient() as client:
        ...     page = await client.gpu_droplets.backups.list(3164444)
        >>> page.meta.total
        4
    """

    def __init__(
        self,
        access_token: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float | Timeout | None = DEFAULT_TIMEOUT,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        rate_limit: RateLimit | None = DEFAULT_RATE_LIMIT,
        max_rate_limit_wait: float | None = DEFAULT_MAX_RATE_LIMIT_WAIT,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
        allow_insecure_http: bool = False,
        session: SessionSource | None = None,
    ) -> None:
        access_token = masked(access_token)  # as a traceback may show the locals of its frames
        config = Config.of(
            AccessToken.find(access_token),
            {
                "base_url": base_url,
                "timeout": timeout,
                "max_retries": max_retries,
                "default_headers": default_headers,
                "default_query": default_query,
                "rate_limit": rate_limit,
                "max_rate_limit_wait": max_rate_limit_wait,
                "max_response_bytes": max_response_bytes,
                "allow_insecure_http": allow_insecure_http,
            },
        )
        connections = Connections(session)
        self._transport = Transport(config, connections, Pacer(config.rate_limit))

    def __repr__(self) -> str:
        try:
            return f"<{type(self).__name__} {self.base_url}>"
        except AttributeError:  # shown in a traceback of its own making
            return f"<{type(self).__name__}>"

    @cached_property
    def gpu_droplets(self) -> AsyncGPUDropletsResource:
        """GPU Droplets, and their backups."""
        return AsyncGPUDropletsResource(self._transport)

    @property
    def access_token(self) -> str:
        """The token itself. Nothing else of the client shows it."""
        return self._transport.config.access_token.reveal()

    @property
    def base_url(self) -> str:
        """Where the API is, without a slash at the end."""
        return self._transport.config.base_url

    @property
    def timeout(self) -> Timeout:
        """The time that one try of a request may take."""
        return self._transport.config.timeout

    @property
    def max_retries(self) -> int:
        """How many times a failed request is repeated."""
        return self._transport.config.max_retries

    @property
    def rate_limit(self) -> RateLimitStatus:
        """How much of the token's rate limit is used, and until when requests are paused.

        Example:
            >>> client.rate_limit.windows[0].limit
            250
        """
        return self._transport.pacer.status()

    def copy(self, **changes: Unpack[ClientOptions]) -> Self:
        """Make a client with some settings changed, on the same connections.

        It also shares the rate limit, unless the token or ``rate_limit`` itself is changed. Closing
        a copy ends that copy alone; closing the client that made the connections ends all copies.

        Args:
            **changes: The keywords of `AsyncGradient`, except ``session``.
                With ``None`` for ``access_token`` or ``base_url`` the copy has this client's.
                ``default_headers`` and ``default_query`` are added to this client's;
                ``set_default_headers`` and ``set_default_query`` replace them.

        Raises:
            ConfigurationError: As for `AsyncGradient`.
            TypeError: There is no such keyword, or a value is of another type than it has to be.
            ValueError: Defaults are to be added to, and replaced; or as for `AsyncGradient`.

        Example:
            >>> patient = client.copy(timeout=300.0, max_retries=5)
            >>> patient.timeout.total
            300.0
        """
        changes = masked_in(changes)  # as in `__init__`
        mine = self._transport
        config = mine.config.with_changes(changes)
        same_limit = (
            config.access_token == mine.config.access_token
            and config.rate_limit == mine.config.rate_limit
        )
        pacer = mine.pacer if same_limit else Pacer(config.rate_limit)
        twin = object.__new__(type(self))
        vars(twin).update(own_attributes(self))
        twin._transport = Transport(config, mine.connections.shared(), pacer)
        return twin

    with_options = copy

    def is_closed(self) -> bool:
        """Tell whether the client was closed."""
        return self._transport.connections.closed

    async def close(self) -> None:
        """Give the connections back. Requests that are under way end in `APIConnectionError`.

        Closing again does nothing. A session of your own stays open.
        """
        await self._transport.connections.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

"""What a caller may set for a request: how long it may take, and all else that is optional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypedDict

import attrs

from ._checks import SafeRepr, checked_timeout

__all__ = [
    "DEFAULT_CONCURRENCY",
    "DEFAULT_MAX_RATE_LIMIT_WAIT",
    "DEFAULT_MAX_RESPONSE_BYTES",
    "DEFAULT_MAX_RETRIES",
    "DEFAULT_TIMEOUT",
    "RequestOptions",
    "Timeout",
]


def _checked_total(seconds: float | None) -> float | None:
    return checked_timeout("timeout", seconds)


def _checked_connect(seconds: float | None) -> float | None:
    return checked_timeout("connect", seconds)


@attrs.frozen(repr=False)
class Timeout(SafeRepr):
    """How long one try of a request may take.

    Attributes:
        total: Seconds from sending to the last byte of the answer, ``None`` for no bound. Waiting
            for a free connection or for the rate limit is not counted.
        connect: Seconds, within the total, for making a new connection; ``None`` for no bound but
            the total. A client that is given no timeout has 5.

    Raises:
        TypeError: One of them is no number.
        ValueError: One of them is not more than 0, or not finite.

    Example:
        >>> Timeout(10.0, connect=2.0)
        Timeout(total=10.0, connect=2.0)
    """

    total: float | None = attrs.field(default=60.0, converter=_checked_total)
    connect: float | None = attrs.field(default=None, kw_only=True, converter=_checked_connect)

    @classmethod
    def of(cls, value: float | Timeout | None) -> Timeout:
        """Read what users give as a timeout: seconds, ``None`` for no bound, or a `Timeout`."""
        if isinstance(value, Timeout):
            return value
        return cls(value)


DEFAULT_TIMEOUT: Final = Timeout(60.0, connect=5.0)
DEFAULT_MAX_RETRIES: Final = 2
DEFAULT_CONCURRENCY: Final = 50
DEFAULT_MAX_RATE_LIMIT_WAIT: Final = 60.0
DEFAULT_MAX_RESPONSE_BYTES: Final = 32 * 1024 * 1024


class RequestOptions(TypedDict, total=False):
    """What every method takes beside its own parameters; what is left out is the client's."""

    extra_headers: Mapping[str, str] | None
    """Headers to send too; they win over the client's. The token is not set by one:
    `copy` takes another ``access_token``."""
    extra_query: Mapping[str, object] | None
    """Query parameters to send too; they win over the method's own."""
    timeout: float | Timeout | None
    """Seconds for one try, or a `Timeout`; ``None`` for no bound."""
    max_retries: int
    """How many times a failed try is repeated. With 0 an answer 429 is raised at once, too, unless
    ``max_rate_limit_wait`` is ``None``, as it is in fan-outs where it is not given."""
    max_rate_limit_wait: float | None
    """Seconds that the call may wait for the rate limit in all; ``None`` for as long as needed."""

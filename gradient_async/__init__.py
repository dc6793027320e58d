"""An async-first SDK for the backups of DigitalOcean GPU Droplets.

``AsyncGradient`` is awaited, ``Gradient`` blocks; both have the same methods::

    async with AsyncGradient() as client:
        page = await client.gpu_droplets.backups.list(3164444)

    page = Gradient().gpu_droplets.backups.list(3164444)

What is imported here is loaded when it is first used, so a program that needs only the types or the
errors does not load an HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ._version import __version__

if TYPE_CHECKING:
    from . import audit, errors, types
    from . import testing as testing
    from ._blocking import BlockingFanOut, BlockingIterator
    from ._config import ClientOptions
    from ._droplet_ids import DropletIds
    from ._fan_out import FanOut
    from ._fleet import FleetPlan, PlanChoice
    from ._options import DEFAULT_MAX_RETRIES, DEFAULT_TIMEOUT, RequestOptions, Timeout
    from ._paging import Listing
    from ._rate_limit import RateLimit, RateLimitStatus, WindowStatus
    from ._response import (
        APIResponse,
        AsyncAPIResponse,
        AsyncStreamedResponse,
    )
    from ._session import SessionFactory, SessionSource
    from .client import AsyncGradient
    from .errors import (
        APIConnectionError,
        APIError,
        APIResponseValidationError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        BlockingCallWarning,
        ConfigurationError,
        ConflictError,
        DeadlineExceededError,
        GradientError,
        IncompleteListingError,
        InternalServerError,
        NotFoundError,
        PermissionDeniedError,
        RateLimitError,
        UnprocessableEntityError,
    )
    from .resources._listings import DropletType
    from .sync import Gradient, StreamedResponse
    from .types import DropletBackups

    AsyncClient = AsyncGradient
    Client = Gradient

__all__ = [  # noqa: RUF022 - as `sorted` has them, and not by kind
    "APIConnectionError",
    "APIError",
    "APIResponse",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncAPIResponse",
    "AsyncClient",
    "AsyncGradient",
    "AsyncStreamedResponse",
    "AuthenticationError",
    "BadRequestError",
    "BlockingCallWarning",
    "BlockingFanOut",
    "BlockingIterator",
    "Client",
    "ClientOptions",
    "ConfigurationError",
    "ConflictError",
    "DEFAULT_MAX_RETRIES",
    "DEFAULT_TIMEOUT",
    "DeadlineExceededError",
    "DropletBackups",
    "DropletIds",
    "DropletType",
    "FanOut",
    "FleetPlan",
    "Gradient",
    "GradientError",
    "IncompleteListingError",
    "InternalServerError",
    "Listing",
    "NotFoundError",
    "PermissionDeniedError",
    "PlanChoice",
    "RateLimit",
    "RateLimitError",
    "RateLimitStatus",
    "RequestOptions",
    "SessionFactory",
    "SessionSource",
    "StreamedResponse",
    "Timeout",
    "UnprocessableEntityError",
    "WindowStatus",
    "__version__",
    "audit",
    "errors",
    "types",
]

_MODULES: Final = ("audit", "errors", "resources", "sync", "testing", "types")

_HOMES: Final = {
    "_blocking": ("BlockingFanOut", "BlockingIterator"),
    "_config": ("ClientOptions",),
    "_droplet_ids": ("DropletIds",),
    "_fan_out": ("FanOut",),
    "_fleet": ("FleetPlan", "PlanChoice"),
    "_options": ("DEFAULT_MAX_RETRIES", "DEFAULT_TIMEOUT", "RequestOptions", "Timeout"),
    "_paging": ("Listing",),
    "_rate_limit": ("RateLimit", "RateLimitStatus", "WindowStatus"),
    "_response": ("APIResponse", "AsyncAPIResponse", "AsyncStreamedResponse"),
    "_session": ("SessionFactory", "SessionSource"),
    "client": ("AsyncGradient",),
    "resources._listings": ("DropletType",),
    "sync": ("Gradient", "StreamedResponse"),
    "types": ("DropletBackups",),
}
_OTHER_NAMES: Final = {"AsyncClient": "AsyncGradient", "Client": "Gradient"}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    own_name = _OTHER_NAMES.get(name, name)
    value = getattr(import_module(f".{_HOME_OF.get(own_name, 'errors')}", __name__), own_name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})

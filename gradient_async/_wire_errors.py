"""What aiohttp's failures are called in our tree, and what they tell about a request."""

from __future__ import annotations

from typing import Final

import aiohttp

from ._call import Call
from ._config import AccessToken
from ._session import how_it_ended
from ._text import one_line
from .errors import APIConnectionError, APITimeoutError

__all__ = ["WIRE_FAILURES", "may_have_been_sent", "wire_error"]

WIRE_FAILURES: Final = (aiohttp.ClientError, OSError, EOFError)
"""What is raised when the other side, or the way there, is at fault; ``TimeoutError`` is one."""
UNREACHABLE: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
)
"""Those of them that are raised when no connection came to be."""
UNSENT: Final = (*UNREACHABLE, aiohttp.InvalidURL)
"""Those of them before which nothing is sent."""


def may_have_been_sent(error: BaseException) -> bool:
    """Tell whether the server may have counted the request that ended in an error."""
    if isinstance(error, UNSENT):
        return False
    return isinstance(error, WIRE_FAILURES) or not isinstance(error, Exception)


def wire_error(error: Exception, call: Call) -> APIConnectionError:
    """Return the error of our tree for what went wrong between here and the server.

    Raise it where ``error`` was caught: a function that was given it keeps it in its frame, and it
    may tell the token.
    """
    named = _named(error, call)
    named.__cause__ = _shown_cause(error, call.terms.token)
    return named


def _named(error: Exception, call: Call) -> APIConnectionError:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        unreachable = _is_unreachable(error, call)
        return APITimeoutError("no connection in time", unreachable=unreachable, **call.about())
    if isinstance(error, TimeoutError):
        within = call.terms.timeout.total
        return APITimeoutError(
            "no answer in time" if within is None else f"no answer within {within:g} s",
            **call.about(),
        )
    # Not the other way round: of a token that is cut off, the rest would not be found.
    said = one_line(call.terms.token.redact(_said(error))).rstrip(".") or type(error).__name__
    return APIConnectionError(
        f"the connection failed: {said}", unreachable=_is_unreachable(error, call), **call.about()
    )


def _is_unreachable(error: Exception, call: Call) -> bool:
    return isinstance(error, UNREACHABLE) and not call.others_answered


def _said(error: Exception) -> str:
    """Return what aiohttp says of a failure.

    Where it cannot read an answer, it speaks of a status 400, which nobody sent.
    """
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {error.status} {error.message}"
    source = error.__cause__ if isinstance(error, aiohttp.ClientPayloadError) else error
    message = getattr(source, "message", None)
    return message if isinstance(message, str) else how_it_ended(error)


def _shown_cause(error: BaseException, token: AccessToken) -> BaseException | None:
    """Return an error without the frames that hold the token, ``None`` if it says the token itself.

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

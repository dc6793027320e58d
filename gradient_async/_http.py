"""Requests and answers as values: what to send, what the headers say, which error a status is.

Nothing here does I/O, so all of it can be tested without a loop and without a socket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import attrs
import msgspec

from . import errors
from ._checks import checked_count
from ._structure import DecodeFailure, decode_any
from ._text import one_line

__all__ = [
    "MAX_PER_PAGE",
    "Endpoint",
    "Headers",
    "RateLimitHeaders",
    "Response",
    "failed_response",
    "paging_query",
    "query_string",
    "redirect_target",
    "status_error",
    "validation_error",
]

T = TypeVar("T")

MAX_PER_PAGE: Final = 200
"""The most items that the API puts on one page."""


class Endpoint(msgspec.Struct, Generic[T], frozen=True):
    """A request to make: where, and what the answer is."""

    answer: type[T]
    path: str
    query: Mapping[str, object] = msgspec.field(default_factory=dict)
    droplet_id: int | None = None


class Headers(Mapping[str, str]):
    """Headers whose names are case-insensitive; can be pickled.

    Example:
        >>> Headers({"Retry-After": "29"})["retry-after"]
        '29'
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = {name.lower(): value for name, value in headers.items()}

    def __getitem__(self, name: str) -> str:
        return self._headers[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def __repr__(self) -> str:
        return f"Headers({self._headers!r})"


@attrs.define  # no struct, as those show all that they hold; not frozen, which is slow to make
class Response:
    """A whole answer. What the server wrote is in no representation: it may have sent the token."""

    method: str
    url: str
    status_code: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)
    seconds: float = 0.0
    retries_taken: int = 0

    @property
    def request_id(self) -> str | None:
        """What support asks for: from the headers, or from the body of an error."""
        found = self.headers.get("x-request-id") or _error_body(self.content).get("request_id")
        return one_line(str(found)) if found else None


def paging_query(page: int | None, per_page: int | None) -> dict[str, object]:
    """Return the query of one page; what is ``None`` is left to the API.

    Raises:
        TypeError: One of them is no integer.
        ValueError: ``page`` is less than 1, or ``per_page`` is not between 1 and 200.
    """
    query: dict[str, object] = {}
    if page is not None:
        query["page"] = checked_count("page", page)
    if per_page is not None:
        query["per_page"] = checked_count("per_page", per_page, most=MAX_PER_PAGE)
    return query


def query_string(*parts: Mapping[str, object] | None) -> str:
    """Join queries, later ones winning, into ``a=1&b=2``; ``None`` as a value leaves it out.

    Example:
        >>> query_string({"page": 1}, {"page": 2, "deep": True})
        'page=2&deep=true'
    """
    merged = {name: value for part in parts if part for name, value in part.items()}
    sent = {name: _query_value(value) for name, value in merged.items() if value is not None}
    return urlencode(sent, doseq=True)


def _query_value(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_query_value(each) for each in value if each is not None]
    return str(value).lower() if isinstance(value, bool) else value


class RateLimitHeaders:
    """What the headers of one answer say about the token's rate limit.

    Every property is ``None`` where they do not say it, and none ever raises. They are read when
    they are asked for: most answers need only two of them.
    """

    __slots__ = ("_headers", "_now")

    def __init__(self, headers: Mapping[str, str], now: float) -> None:
        """Keep the headers of an answer that came at the Unix time ``now``."""
        self._headers = headers
        self._now = now

    @property
    def limit(self) -> int | None:
        """The number of requests that the window allows."""
        return _whole(self._headers.get("ratelimit-limit"))

    @property
    def remaining(self) -> int | None:
        """How many of them are left."""
        return _whole(self._headers.get("ratelimit-remaining"))

    @property
    def reset_at(self) -> datetime | None:
        """When the oldest counted request expires."""
        try:
            seconds = _whole(self._headers.get("ratelimit-reset"))
            return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def reset_in(self) -> float | None:
        """Seconds until then, by the server's clock where it tells it. Can be negative."""
        reset_at = self.reset_at
        return None if reset_at is None else reset_at.timestamp() - self._server_now

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait. Of the answers 429 only those of the short window have it."""
        return _retry_after(self._headers.get("retry-after"), self._server_now)

    @property
    def refused_by(self) -> errors.LimitKind | None:
        """Which limit an answer 429 is about. Only that of the short window has ``retry-after``.

        One that names no moment at all is of something else, a proxy say, and about neither.
        """
        if self.retry_after is not None:
            return "burst"
        return None if self.reset_at is None else "hourly"

    @property
    def _server_now(self) -> float:
        date = _http_date(self._headers.get("date"))
        return self._now if date is None else date


def _whole(text: str | None) -> int | None:
    """Read a header that is a number; one that is too long to be meant is ignored."""
    if text is None or len(text) > 18:
        return None
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _http_date(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _retry_after(text: str | None, now: float) -> float | None:
    """Read ``retry-after``, which is a number of seconds or a date."""
    if text is None or len(text) > 64 or not text.isascii():
        return None
    try:
        seconds = float(text)
    except ValueError:
        date = _http_date(text)
        return None if date is None else max(0.0, date - now)
    return seconds if seconds >= 0 and isfinite(seconds) else None


_STATUS_ERRORS: Final[Mapping[int, type[errors.APIStatusError]]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    422: errors.UnprocessableEntityError,
}


def status_error(
    response: Response, limits: RateLimitHeaders, droplet_id: int | None = None
) -> errors.APIStatusError:
    """Return the error that an answer with an error status is."""
    status = response.status_code
    if status == 429:
        return _rate_limit_error(response, limits, droplet_id)
    kind = _STATUS_ERRORS.get(
        status, errors.InternalServerError if status >= 500 else errors.APIStatusError
    )
    return kind(_status_message(response), **_about(response, droplet_id))


def _rate_limit_error(
    response: Response, limits: RateLimitHeaders, droplet_id: int | None
) -> errors.RateLimitError:
    retry_after = limits.retry_after
    if retry_after is None and limits.reset_in is not None and limits.reset_in > 0:
        retry_after = limits.reset_in
    return errors.RateLimitError(
        _status_message(response),
        retry_after=retry_after,
        limit=limits.limit,
        remaining=limits.remaining,
        reset_at=limits.reset_at,
        kind=limits.refused_by,
        **_about(response, droplet_id),
    )


def validation_error(
    problem: str, path: str, response: Response, droplet_id: int | None = None
) -> errors.APIResponseValidationError:
    """Return the error that a good answer with an unexpected body is."""
    return errors.APIResponseValidationError(
        f"{response.status_code} with an unexpected body: {problem} at {path} in "
        f"{_excerpt(response.content)}",
        path=path,
        **_about(response, droplet_id),
    )


def failed_response(response: Response) -> errors.FailedResponse:
    """Return an answer in the form in which errors keep it."""
    return errors.FailedResponse(
        response.status_code,
        Headers(response.headers),
        response.content,
        response.url,
        response.method,
    )


def _about(response: Response, droplet_id: int | None) -> dict[str, Any]:
    return {
        "response": failed_response(response),
        "request": errors.RequestLine(response.method, response.url),
        "request_id": response.request_id,
        "body": _body(response.content),
        "droplet_id": droplet_id,
        "attempts": response.retries_taken + 1,
    }


def _body(content: bytes) -> object:
    try:
        return decode_any(content)
    except DecodeFailure:
        return content.decode("utf-8", "replace") or None


def _error_body(content: bytes) -> dict[str, Any]:
    body = _body(content)
    return body if isinstance(body, dict) else {}


def _status_message(response: Response) -> str:
    """Return ``404 not_found: The resource ...``, or what there is of it."""
    body = _error_body(response.content)
    said = ": ".join(one_line(str(body[key])) for key in ("id", "message") if body.get(key))
    if 300 <= response.status_code < 400:
        where = response.headers.get("location", "")
        said = f"a redirect that is not followed, to {where!r}: is `base_url` right?"
    elif not said and response.content:
        said = _excerpt(response.content)
    return f"{response.status_code} {said}".rstrip().rstrip(".")


def _excerpt(content: bytes, length: int = 120) -> str:
    text = " ".join(content[: 4 * length].decode("utf-8", "replace").split())
    return repr(text if len(text) <= length else f"{text[:length]}...")


def origin(url: str) -> tuple[str, str | None, str, int | None]:
    """Return the scheme, user, host and port of a URL, which is what a token is sent to."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.username, (parts.hostname or "").lower(), port


def redirect_target(url: str, response: Response) -> str | None:
    """Return where a redirect leads, if the token may be sent there: to the same origin."""
    if response.status_code not in (301, 302, 303, 307, 308):
        return None
    try:
        target = urljoin(url, response.headers.get("location", ""))
        return target if target != url and origin(target) == origin(url) else None
    except ValueError:
        return None

"""One request of a user: what it asks for, on which terms, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import attrs
from multidict import CIMultiDict
from yarl import URL

from ._checks import (
    check_keywords,
    checked_count,
    checked_headers,
    checked_query,
    checked_seconds,
)
from ._config import AccessToken, Config
from ._http import Endpoint, query_string
from ._options import RequestOptions, Timeout
from ._version import __version__
from .errors import RateLimitError, RequestLine

__all__ = ["Call", "Terms"]

PAGING: Final = frozenset({"page", "per_page"})
USER_AGENT: Final = f"gradient-async/{__version__}"


@attrs.define
class Terms:
    """How a request is sent: as the client is set, or as the options of the request say instead."""

    token: AccessToken
    base_url: str
    headers: CIMultiDict[str] = attrs.field(repr=False)
    default_query: Mapping[str, object] = attrs.field(repr=False)
    timeout: Timeout
    max_retries: int
    max_rate_limit_wait: float | None
    max_response_bytes: int
    extra_query: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    _scheme: str = attrs.field(init=False)
    _authority: str = attrs.field(init=False)
    _path: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        base = URL(self.base_url)
        self._scheme, self._authority = base.scheme, base.raw_authority
        self._path = base.raw_path.rstrip("/")

    @classmethod
    def of(cls, config: Config) -> Terms:
        """Return those of a client."""
        headers = CIMultiDict({"Accept": "application/json", "User-Agent": USER_AGENT})
        headers["Authorization"] = config.access_token.authorization
        return cls(
            token=config.access_token,
            base_url=config.base_url,
            headers=_merged_headers(headers, config.default_headers),
            default_query=config.default_query,
            timeout=config.timeout,
            max_retries=config.max_retries,
            max_rate_limit_wait=config.max_rate_limit_wait,
            max_response_bytes=config.max_response_bytes,
        )

    def changed(self, options: RequestOptions) -> Terms:
        """Return those of one request.

        Raises:
            TypeError: There is no such option, or its value is of another type.
            ValueError: The value of an option is out of its range.
        """
        check_keywords(options, RequestOptions.__optional_keys__)
        changes: dict[str, Any] = {}
        if "extra_headers" in options:
            extra = checked_headers("extra_headers", options["extra_headers"])
            changes["headers"] = _merged_headers(self.headers, extra)
        if "extra_query" in options:
            changes["extra_query"] = checked_query("extra_query", options["extra_query"])
        if "timeout" in options:
            changes["timeout"] = Timeout.of(options["timeout"])
        if "max_retries" in options:
            changes["max_retries"] = checked_count("max_retries", options["max_retries"], least=0)
        if "max_rate_limit_wait" in options:
            wait = options["max_rate_limit_wait"]
            changes["max_rate_limit_wait"] = checked_seconds("max_rate_limit_wait", wait)
        return attrs.evolve(self, **changes)

    def query(self, own: Mapping[str, object]) -> str:
        """Return the query of an endpoint, joined with that of the client and of the options."""
        if self.default_query or self.extra_query or not own.keys() <= PAGING:
            return query_string(self.default_query, own, self.extra_query)
        return _paging_query_string(own.get("page"), own.get("per_page"))

    def url(self, path: str, query: str) -> URL:
        """Return the URL of a path and a query that need no quoting any more."""
        return URL.build(
            scheme=self._scheme,
            authority=self._authority,
            path=self._path + path,
            query_string=query,
            encoded=True,
        )


@lru_cache(maxsize=256)
def _paging_query_string(page: object, per_page: object) -> str:
    """Keep what nearly all requests send: a few numbers, which have been checked to be that."""
    return query_string({"page": page, "per_page": per_page})


def _merged_headers(defaults: CIMultiDict[str], extra: Mapping[str, str]) -> CIMultiDict[str]:
    """Join headers, later ones winning in any case of their names."""
    merged = defaults.copy()
    for name, value in extra.items():
        merged[name] = value
    return merged


class Call:
    """One request over all its tries.

    Attributes:
        url: Where the next try goes; also in the form that aiohttp takes, as `target`.
        patience: The seconds that it may still wait for the rate limit.
        sent: The tries that were sent.
        failures: Those of them that are counted against ``max_retries``.
        repeated: Whether the last try was repeated at once, as its connection had been closed.
        others_answered: Whether other requests were answered while the last try failed.
        refusal: The answer 429 that it is waiting for.
    """

    def __init__(self, endpoint: Endpoint[Any], terms: Terms) -> None:
        self.terms: Terms = terms
        self.droplet_id: int | None = endpoint.droplet_id
        query = terms.query(endpoint.query)
        self.url: str = f"{terms.base_url}{endpoint.path}{'?' if query else ''}{query}"
        self.target: str | URL = terms.url(endpoint.path, query)
        self.patience: float | None = terms.max_rate_limit_wait
        self.sent: int = 0
        self.failures: int = 0
        self.redirects: int = 0
        self.repeated: bool = False
        self.others_answered: bool = False
        self.refusal: RateLimitError | None = None

    def redirect(self, url: str) -> None:
        """Have the next try go elsewhere."""
        self.url = self.target = url
        self.redirects += 1

    def request_line(self) -> RequestLine:
        """Return the request in the form in which errors keep it."""
        return RequestLine("GET", self.terms.token.redact(self.url))

    def about(self) -> dict[str, Any]:
        """Return what every error about this request says."""
        return {
            "request": self.request_line(),
            "droplet_id": self.droplet_id,
            "attempts": self.sent,
        }

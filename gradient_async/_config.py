"""What a client is configured with, checked once, when the client is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final, SupportsIndex, TypedDict
from urllib.parse import SplitResult, urlsplit

import attrs
from yarl import URL

from ._checks import (
    check_keywords,
    checked_count,
    checked_headers,
    checked_mapping,
    checked_query,
    checked_seconds,
)
from ._options import Timeout
from ._rate_limit import RateLimit
from .errors import ConfigurationError

__all__ = [
    "AccessToken",
    "ClientOptions",
    "Config",
    "is_loopback",
    "masked",
    "masked_in",
]

DEFAULT_BASE_URL: Final = "https://api.digitalocean.com"
TOKEN_VARIABLE: Final = "DIGITALOCEAN_ACCESS_TOKEN"  # noqa: S105 - a name, not a token
BASE_URL_VARIABLE: Final = "GRADIENT_BASE_URL"
SHORTEST_SECRET: Final = 16
"""DigitalOcean's tokens have 71 characters; what is shorter than this stands in for one."""


class ClientOptions(TypedDict, total=False):
    """What `AsyncGradient.copy` can change; it and `AsyncGradient` tell about each."""

    access_token: str | None
    base_url: str | None
    timeout: float | Timeout | None
    max_retries: int
    default_headers: Mapping[str, str] | None
    set_default_headers: Mapping[str, str] | None
    default_query: Mapping[str, object] | None
    set_default_query: Mapping[str, object] | None
    rate_limit: RateLimit | None
    max_rate_limit_wait: float | None
    max_response_bytes: int
    allow_insecure_http: bool


class _Secret(str):
    """Text that no representation shows, so that no traceback and no log line does."""

    __slots__ = ()

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        return _Secret(super().__getitem__(key))  # what cuts long text for show cuts it before

    def __repr__(self) -> str:
        return "'***'"


class _NoText(str):
    """The name of the type of what is no text, in place of it: it may be a token all the same."""

    __slots__ = ()


def masked(token: object) -> str | None:
    """Return the token, stripped, as text whose ``repr`` is ``'***'``.

    It raises nothing, or the traceback would show the token.
    """
    if token is None or isinstance(token, _NoText):
        return token
    return _Secret(token.strip()) if isinstance(token, str) else _NoText(type(token).__name__)


def masked_in(changes: ClientOptions) -> ClientOptions:
    """Return the same options with the token, if it is among them, `masked`."""
    if "access_token" not in changes:
        return changes
    return {**changes, "access_token": masked(changes["access_token"])}


def _secret(token: object) -> str:
    token = masked(token)
    if not isinstance(token, _Secret):
        raise TypeError(f"access_token must be a str, got {token}")
    return token


@attrs.frozen(repr=False)
class AccessToken:
    """A token that is only ever shown as ``***``."""

    _value: str = attrs.field(converter=_secret)

    @classmethod
    def find(cls, given: str | None) -> AccessToken:
        """Take the token that was given, or that of the environment."""
        return cls(os.environ.get(TOKEN_VARIABLE, "") if given is None else given)

    def checked(self) -> AccessToken:
        """Return the token if it can be sent.

        Raises:
            ConfigurationError: It is empty, or has a character that no header can have.
        """
        if not self._value:
            raise ConfigurationError(
                "no access token",
                f"set the environment variable {TOKEN_VARIABLE}, or give `access_token`",
            )
        if not (self._value.isascii() and self._value.isprintable()) or " " in self._value:
            raise ConfigurationError(
                "the access token has a line break or another character that no token has",
                f"check `access_token` or {TOKEN_VARIABLE}",
            )
        return self

    @property
    def authorization(self) -> str:
        """The value of the ``Authorization`` header."""
        return _Secret(f"Bearer {self._value!s}")

    def reveal(self) -> str:
        """Return the token itself."""
        return str(self._value)

    def redact(self, text: str) -> str:
        """Return text with the token, should it be in there, masked.

        A short one, such as the ``test`` of a test suite, is not looked for: it would be found in
        words, numbers and URLs that are not the token.
        """
        if len(self._value) < SHORTEST_SECRET:
            return text
        return text.replace(str(self._value), "***")

    def __deepcopy__(self, _: object) -> AccessToken:
        return self

    def __reduce__(self) -> tuple[type[AccessToken], tuple[str]]:
        """Pickle without the token: what is pickled goes to files, queues and other machines."""
        return AccessToken, ("",)

    def __repr__(self) -> str:
        return "AccessToken('***')"


@attrs.frozen
class Config:
    """The settings of a client; a copy of the client has some of them changed."""

    access_token: AccessToken
    base_url: str
    timeout: Timeout
    max_retries: int
    default_headers: Mapping[str, str] = attrs.field(repr=False)
    default_query: Mapping[str, object] = attrs.field(repr=False)
    rate_limit: RateLimit | None
    max_rate_limit_wait: float | None
    max_response_bytes: int
    allow_insecure_http: bool

    @classmethod
    def of(cls, access_token: AccessToken, options: Mapping[str, Any]) -> Config:
        """Check what a user gave, which is every option.

        Raises:
            ConfigurationError: See `AccessToken.checked` and `checked_base_url`.
            TypeError: A value is not a number, or the headers are not a mapping.
            ValueError: A number is out of its range, or a header cannot be sent.
        """
        given: dict[str, Any] = {
            **options,
            "access_token": access_token.checked(),
            "base_url": checked_base_url(
                _base_url(options["base_url"]), options["allow_insecure_http"]
            ),
            "timeout": Timeout.of(options["timeout"]),
            "max_retries": checked_count("max_retries", options["max_retries"], least=0),
            "max_rate_limit_wait": checked_seconds(
                "max_rate_limit_wait", options["max_rate_limit_wait"]
            ),
            "max_response_bytes": checked_count(
                "max_response_bytes", options["max_response_bytes"]
            ),
            "rate_limit": _checked_rate_limit(options["rate_limit"]),
            "default_headers": checked_headers("default_headers", options["default_headers"]),
            "default_query": checked_query("default_query", options["default_query"]),
        }
        return cls(**given)

    def with_changes(self, changes: ClientOptions) -> Config:
        """Return the same settings with some of them changed.

        Raises:
            TypeError: There is no such setting.
            ValueError: Defaults are to be added to, and replaced.
        """
        check_keywords(changes, ClientOptions.__optional_keys__)
        kept: dict[str, Any] = {
            field.name: getattr(self, field.name)
            for field in attrs.fields(Config)
            if field.name != "access_token"
        }
        given: dict[str, Any] = {**changes}
        token = given.pop("access_token", None)
        if given.get("base_url") is None:  # which would lead to another server
            given.pop("base_url", None)
        for name in ("default_headers", "default_query"):
            added, instead = given.pop(name, None), given.pop(f"set_{name}", None)
            given[name] = _changed(name, kept[name], added, instead)
        return Config.of(
            self.access_token if token is None else AccessToken.find(token),
            {**kept, **given},
        )


def _checked_rate_limit(value: RateLimit | None) -> RateLimit | None:
    if value is None or isinstance(value, RateLimit):
        return value
    raise TypeError(f"rate_limit must be a RateLimit or None, got {value!r}")


def _changed(
    name: str,
    kept: Mapping[str, object],
    added: Mapping[str, object] | None,
    instead: Mapping[str, object] | None,
) -> dict[str, object]:
    """Return what the defaults of a copy are: the client's with some added, or others instead."""
    if added is not None and instead is not None:
        raise ValueError(f"{name} is added to the client's, set_{name} replaces it: give one")
    given = kept if instead is None else checked_mapping(f"set_{name}", instead)
    return {**given, **checked_mapping(name, added)}


def _base_url(given: str | None) -> str:
    return given if given is not None else os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL


def checked_base_url(url: str, allow_insecure_http: bool) -> str:
    """Return a base URL that the token may be sent to, without a slash at its end.

    Raises:
        ConfigurationError: It is no plain ``https://`` URL. ``http://`` is for loopback only,
            unless it is opted in.
    """
    if not isinstance(url, str):
        raise TypeError(f"base_url must be a str, got {url!r}")
    url = url.strip()
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"base_url must be an https:// URL, got {url!r}")
    if set("@?#") & set(url):
        raise ConfigurationError("base_url must have no user, query or fragment")
    if parts.scheme == "http" and not (allow_insecure_http or is_loopback(parts.hostname)):
        raise ConfigurationError(
            f"base_url {url!r} would send the token in clear text",
            "use https://, or give `allow_insecure_http=True` where that is really wanted",
        )
    try:
        str(URL(url).raw_host).encode("idna")  # which is how it is sent, and looked up
    except ValueError as error:
        raise ConfigurationError(f"base_url {url!r} is no URL: {error}") from None
    return url.rstrip("/")


def _split(url: str) -> SplitResult:
    if not url.isprintable() or set(" \\") & set(url):
        raise ConfigurationError(f"base_url has a character that no URL has: {url!r}")
    try:
        parts = urlsplit(url)
        _ = parts.port  # looked at for the error of one that is out of range
    except ValueError as error:
        raise ConfigurationError(f"base_url {url!r} is no URL: {error}") from None
    return parts


def is_loopback(host: str) -> bool:
    """Tell whether the host of a URL is this machine, as its name says."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"

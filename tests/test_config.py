"""The settings of a client: where they come from, and what is refused when it is made."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import pytest

import gradient_async
from gradient_async import AsyncGradient, Gradient, RateLimit, Timeout
from gradient_async._config import AccessToken
from gradient_async.errors import ConfigurationError

TOKEN_VARIABLE = "DIGITALOCEAN_ACCESS_TOKEN"
Make = Callable[..., Any]

pytestmark = pytest.mark.parametrize("make", [AsyncGradient, Gradient])


def transport_of(client: Any) -> Any:
    """Reach into either client."""
    inner: Any = getattr(client, "_wrapped", client)
    return inner._transport


def test_defaults(make: Make) -> None:
    """Given nothing but a token, a client is what the documentation says."""
    client = make("t")
    assert client.base_url == "https://api.digitalocean.com"
    assert client.timeout == Timeout(60.0, connect=5.0) == gradient_async.DEFAULT_TIMEOUT
    assert client.max_retries == 2 == gradient_async.DEFAULT_MAX_RETRIES
    assert [window.limit for window in client.rate_limit.windows] == [250, 5000]
    assert not client.is_closed()


def test_settings_are_kept(make: Make) -> None:
    """What is given is what the client has."""
    client = make(
        "t",
        base_url="https://other.test/api/",
        timeout=3,
        max_retries=0,
        rate_limit=RateLimit(windows=((10, 1.0),)),
    )
    assert client.base_url == "https://other.test/api"
    assert client.timeout == Timeout(3.0)
    assert client.max_retries == 0
    assert [window.limit for window in client.rate_limit.windows] == [10]
    assert make("t", timeout=None).timeout == Timeout(None, connect=None)
    assert make("t", rate_limit=None).rate_limit.windows == ()


def test_token_of_the_environment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token given, that of the environment is used; one that is given wins."""
    monkeypatch.setenv(TOKEN_VARIABLE, "  from-environment\n")
    assert make().access_token == "from-environment"
    assert make("given").access_token == "given"
    assert make(access_token=" given\n").access_token == "given"


def test_base_url_of_the_environment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """``GRADIENT_BASE_URL`` replaces the API's own; empty, it is as if it were not set."""
    monkeypatch.setenv("GRADIENT_BASE_URL", "https://environment.test/")
    assert make("t").base_url == "https://environment.test"
    assert make("t", base_url="https://given.test").base_url == "https://given.test"
    monkeypatch.setenv("GRADIENT_BASE_URL", "")
    assert make("t").base_url == "https://api.digitalocean.com"


@pytest.mark.parametrize("variable", [None, "", " \n"])
def test_missing_token(make: Make, variable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, making the client fails, and the message names the variable to set."""
    if variable is not None:
        monkeypatch.setenv(TOKEN_VARIABLE, variable)
    with pytest.raises(ConfigurationError, match=f"set the environment variable {TOKEN_VARIABLE}"):
        make()


@pytest.mark.parametrize("token", ["", "  "])
def test_empty_token(make: Make, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty token that is given does not fall back to the environment's."""
    monkeypatch.setenv(TOKEN_VARIABLE, "another")
    with pytest.raises(ConfigurationError, match="no access token"):
        make(token)


@pytest.mark.parametrize("token", ["a\nb", "a\r\nX: y", "a b", "t\u00f6ken", "a\tb", "a\x00b"])
def test_token_that_cannot_be_sent(make: Make, token: str) -> None:
    """A token with a line break in it, or what no header takes, is refused and not shown."""
    with pytest.raises(ConfigurationError, match="a line break or another character") as caught:
        make(token)
    assert token not in str(caught.value)


@pytest.mark.parametrize("token", [123, b"bytes", ["t"]], ids=repr)
def test_token_of_another_type(make: Make, token: Any) -> None:
    """A token that is not a string is refused, without being shown."""
    with pytest.raises(TypeError, match=r"access_token must be a str, got (int|bytes|list)$"):
        make(token)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://h", "https://h"),
        ("https://h/", "https://h"),
        (" https://h:8443/a/ \n", "https://h:8443/a"),
        ("http://localhost:80", "http://localhost:80"),
        ("http://LOCALHOST", "http://LOCALHOST"),
        ("http://127.0.0.1:5", "http://127.0.0.1:5"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:5/", "http://[::1]:5"),
    ],
)
def test_base_url_is_https_or_loopback(make: Make, url: str, kept: str) -> None:
    """``https`` to anywhere, ``http`` to this machine; white space and slashes go."""
    assert make("t", base_url=url).base_url == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://api.digitalocean.com",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://localhost.evil.test",
        "http://127.0.0.1.evil.test",
        "http://127.1",
    ],
)
def test_base_url_in_clear_text(make: Make, url: str) -> None:
    """``http`` to anything but loopback is refused, unless it is opted in."""
    with pytest.raises(ConfigurationError, match="allow_insecure_http=True"):
        make("t", base_url=url)
    assert make("t", base_url=url, allow_insecure_http=True).base_url == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "must be an https:// URL"),
        ("api.digitalocean.com", "must be an https:// URL"),
        ("ftp://h", "must be an https:// URL"),
        ("https://", "must be an https:// URL"),
        ("https:///v2", "must be an https:// URL"),
        ("https://user:secret@h", "no user, query or fragment"),
        ("https://user@h", "no user, query or fragment"),
        ("http://localhost@evil.test", "no user, query or fragment"),
        ("http://127.0.0.1\\@evil.test", "a character that no URL has"),
        ("https://h?x=1", "no user, query or fragment"),
        ("https://h/?", "no user, query or fragment"),
        ("https://h/#", "no user, query or fragment"),
        ("https://h/a b", "a character that no URL has"),
        ("https://h\n.test", "a character that no URL has"),
        ("https://[::1", "is no URL"),
        ("https://h:99999", "is no URL: Port out of range"),
        ("https://h:port", "is no URL"),
        ("https://host\\v2", "a character that no URL has"),
        (f"https://{'a' * 64}\u00e4.test", "is no URL"),
    ],
)
def test_invalid_base_url(make: Make, url: str, problem: str) -> None:
    """An invalid base URL is refused when the client is made, not with its first request."""
    with pytest.raises(ConfigurationError, match=problem):
        make("t", base_url=url)


def test_base_url_of_another_type(make: Make) -> None:
    """A base URL that is not a string is refused by name."""
    with pytest.raises(TypeError, match="base_url must be a str, got 5"):
        make("t", base_url=5)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("timeout", 0, ValueError),
        ("timeout", -1.0, ValueError),
        ("timeout", "5", TypeError),
        ("max_retries", -1, ValueError),
        ("max_retries", 1.5, TypeError),
        ("max_retries", True, TypeError),
        ("max_retries", None, TypeError),
        ("max_response_bytes", 0, ValueError),
        ("max_response_bytes", "1", TypeError),
        ("max_rate_limit_wait", -1.0, ValueError),
        ("max_rate_limit_wait", float("nan"), ValueError),
        ("max_rate_limit_wait", "1", TypeError),
        ("max_rate_limit_wait", True, TypeError),
    ],
)
def test_numbers_are_checked(make: Make, option: str, value: Any, error: type[Exception]) -> None:
    """A setting out of its range is refused when the client is made, by name and value."""
    with pytest.raises(error, match=option) as caught:
        make("t", **{option: value})
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", ["a=b", [("a", "b")], [], 0], ids=repr)
def test_query_of_another_type(make: Make, value: Any) -> None:
    """A query that is not a mapping is refused by name, for a client and for a copy."""
    for configure in (partial(make, "t"), make("t").copy):
        with pytest.raises(TypeError, match="default_query must be a mapping, got"):
            configure(default_query=value)
    with pytest.raises(TypeError, match="set_default_query must be a mapping, got"):
        make("t").copy(set_default_query=value)


@pytest.mark.parametrize("value", [(250, 60), 5, "250/min", [(250, 60.0)]], ids=repr)
def test_rate_limit_of_another_type(make: Make, value: Any) -> None:
    """A rate limit that is not a `RateLimit` is refused by name, for a client and for a copy."""
    for configure in (partial(make, "t"), make("t").copy):
        with pytest.raises(TypeError, match="rate_limit must be a RateLimit or None, got"):
            configure(rate_limit=value)


@pytest.mark.parametrize("session", [5, "proxy", []], ids=repr)
def test_session_of_another_type(make: Make, session: Any) -> None:
    """What is neither a session nor a function is refused when the client is made."""
    with pytest.raises(TypeError, match="session must be a"):
        make("t", session=session)


def test_unknown_setting(make: Make) -> None:
    """A setting that is spelled wrong is no setting."""
    with pytest.raises(TypeError, match="retries"):
        make("t", retries=3)
    with pytest.raises(TypeError, match="retries"):
        make("t").copy(retries=3)


def test_settings_are_a_copy(make: Make) -> None:
    """Changing a mapping after the client was made does not change the client."""
    headers = {"X-Team": "a"}
    client = make("t", default_headers=headers)
    headers["X-Team"] = "b"
    transport = transport_of(client)
    assert transport.config.default_headers == {"X-Team": "a"}


def test_representations_mask_the_token(make: Make) -> None:
    """Neither the client nor its settings show the token."""
    client = make("a-secret-token-of-some-length", base_url="https://h.test")
    assert repr(client) == f"<{make.__name__} https://h.test>"
    transport = transport_of(client)
    for thing in (transport.config, transport.config.access_token, vars(transport)):
        assert "secret" not in repr(thing)
        assert "secret" not in f"{thing}"
    token: AccessToken = transport.config.access_token
    assert token.reveal() == client.access_token == "a-secret-token-of-some-length"
    assert token.authorization == "Bearer a-secret-token-of-some-length"
    assert "secret" not in repr(token.authorization)
    assert token.redact("x a-secret-token-of-some-length y") == "x *** y"


def test_copy_changes_what_it_is_told(make: Make) -> None:
    """A copy has the original's settings but for those that are named."""
    client = make("t", base_url="https://h.test", timeout=9.0, max_retries=7)
    copy = client.copy(max_retries=1, timeout=None)
    assert (copy.base_url, copy.max_retries, copy.timeout.total) == ("https://h.test", 1, None)
    assert (client.max_retries, client.timeout.total) == (7, 9.0)
    other = client.with_options(access_token=" u ", base_url="https://i.test")
    assert (other.access_token, other.base_url) == ("u", "https://i.test")
    assert client.copy(access_token=None).access_token == "t"
    assert type(copy) is type(client)


@pytest.mark.parametrize("name", ["default_headers", "default_query"])
def test_copy_adds_to_defaults_or_replaces_them(make: Make, name: str) -> None:
    """As with the official SDK, ``default_*`` is added and ``set_default_*`` is put in place."""

    def defaults(client: Any) -> object:
        return getattr(transport_of(client).config, name)

    client = make("t", **{name: {"A": "1", "B": "2"}})
    assert defaults(client.copy(**{name: {"B": "3", "C": "4"}})) == {"A": "1", "B": "3", "C": "4"}
    assert defaults(client.copy(**{f"set_{name}": {"C": "4"}})) == {"C": "4"}
    assert defaults(client.copy(**{f"set_{name}": {}})) == {}
    kept: dict[str, Any] = {name: None, f"set_{name}": None}
    assert defaults(client.copy(**kept)) == defaults(client.copy()) == defaults(client)
    with pytest.raises(ValueError, match=f"set_{name} replaces it: give one"):
        client.copy(**{name: {}, f"set_{name}": {}})


def test_copy_of_a_subclass_is_of_it(make: Make) -> None:
    """A copy has what a subclass added, and makes anew what the client derives from itself."""
    base: Any = make

    class Named(base):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            super().__init__("t")
            self.name = name

        @cached_property
        def label(self) -> str:
            return f"{self.name}, {self.max_retries} retries"

    client = Named("mine")
    resource, label = client.gpu_droplets, client.label
    copy = client.copy(max_retries=7)
    assert (type(copy), copy.name) == (Named, "mine")
    assert (label, copy.label) == ("mine, 2 retries", "mine, 7 retries")
    assert copy.gpu_droplets is not resource
    assert client.gpu_droplets is resource


def test_copy_is_checked_too(make: Make) -> None:
    """A copy cannot be made from what a client cannot be made from."""
    client = make("t", base_url="https://h.test")
    for changes, problem in (
        ({"access_token": ""}, "no access token"),
        ({"base_url": "http://h.test"}, "allow_insecure_http"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            client.copy(**changes)
    with pytest.raises(ValueError, match="max_retries"):
        client.copy(max_retries=-1)


def test_copy_keeps_the_permission_for_clear_text(make: Make) -> None:
    """What was opted in stays so, and can be taken back."""
    client = make("t", base_url="http://h.test", allow_insecure_http=True)
    assert client.copy(max_retries=1).base_url == "http://h.test"
    with pytest.raises(ConfigurationError):
        client.copy(allow_insecure_http=False)


def test_every_option_of_a_client_can_be_copied(make: Make) -> None:
    """`ClientOptions` has the keywords of the constructor, except the session and the loop."""
    from inspect import signature

    from gradient_async._config import ClientOptions

    names = set(signature(make).parameters) - {"session", "loop_factory"}
    replaced = {"set_default_headers", "set_default_query"}
    assert names | replaced == set(ClientOptions.__optional_keys__)


@pytest.mark.parametrize("kept", ["access_token", "base_url"])
def test_copy_with_none_keeps_what_the_client_has(
    make: Make, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """A copy never goes back to the environment: its token would go to another server."""
    client = make("mine", base_url="http://127.0.0.1:9")
    monkeypatch.setenv("GRADIENT_BASE_URL", "http://127.0.0.1:8")
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "theirs")
    copy = client.copy(**{kept: None})
    assert (copy.access_token, copy.base_url) == ("mine", "http://127.0.0.1:9")


def test_copy_with_an_unknown_keyword(make: Make) -> None:
    """A setting that there is none of, or that only a new client can have, is named."""
    with pytest.raises(TypeError, match=r"there is no keyword 'retries', 'session'"):
        make("token").copy(retries=2, session=None)

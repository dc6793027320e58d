"""Requests and answers as values: parameters, queries, headers, redirects."""

from __future__ import annotations

import pickle
import re
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from gradient_async import errors
from gradient_async._http import (
    Headers,
    RateLimitHeaders,
    Response,
    origin,
    paging_query,
    query_string,
    redirect_target,
    status_error,
)

URL = "https://api.test/v2/droplets/7/backups"
HEADER_NAMES = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after", "date"]


@pytest.mark.parametrize("value", [True, False, "1", 1.0], ids=repr)
@pytest.mark.parametrize("name", ["page", "per_page"])
def test_paging_takes_integers(name: str, value: Any) -> None:
    """A page number is an ``int``, and the message says which parameter is not."""
    remedy = " (use int(...) to convert it)" if isinstance(value, str) else ""
    message = f"{name} must be an int, got {value!r}{remedy}"
    numbers: dict[str, Any] = {"page": None, "per_page": None, name: value}
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        paging_query(**numbers)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("page", 0, "at least 1"),
        ("page", -5, "at least 1"),
        ("per_page", 0, "between 1 and 200"),
        ("per_page", 201, "between 1 and 200"),
    ],
)
def test_paging_has_bounds(name: str, value: int, allowed: str) -> None:
    """What the API would refuse is refused here, with the bounds in the message."""
    with pytest.raises(ValueError, match=f"^{name} must be {allowed}, got {value}$"):
        paging_query(**{"page": None, "per_page": None, name: value})


def test_paging_sends_what_is_given() -> None:
    """What is left out is left to the API."""
    assert paging_query(None, None) == {}
    assert paging_query(1, None) == {"page": 1}
    assert paging_query(None, 200) == {"per_page": 200}


def test_paging_sends_plain_integers() -> None:
    """A number of another class, which may be shown by a name, is sent as its digits."""
    query = paging_query(HTTPStatus.OK, HTTPStatus.OK)
    assert {(type(value), value) for value in query.values()} == {(int, 200)}


scalars = st.integers() | st.text(st.characters(codec="utf-8")) | st.floats(allow_nan=False)
names = st.text(st.characters(codec="utf-8"), min_size=1)


@given(st.dictionaries(names, scalars))
def test_query_arrives_as_it_was_given(query: dict[str, object]) -> None:
    """Names and values of any text come out of the URL as they went in."""
    sent = query_string(query)
    arrived = dict(parse_qsl(sent, keep_blank_values=True, strict_parsing=bool(sent)))
    assert arrived == {name: str(value) for name, value in query.items()}


def test_query_with_flags_lists_and_gaps() -> None:
    """``True`` is ``true``, a list is repeated, ``None`` is left out, nothing is no query."""
    assert query_string({"a": True, "b": False, "c": None}) == "a=true&b=false"
    assert parse_qs(query_string({"tag": ["x", "y"]})) == {"tag": ["x", "y"]}
    assert query_string() == query_string(None, {}, {"a": None}) == ""


def test_later_queries_win() -> None:
    """A call's own query replaces the client's, and ``None`` takes a parameter out."""
    assert query_string({"a": 1, "b": 2}, None, {"a": 3, "b": None}) == "a=3"
    assert query_string(MultiDict([("a", 1), ("a", 2)])) == "a=2"


def test_values_of_a_list_are_sent_as_they_are_alone() -> None:
    """In a list, too, booleans are in lower case and ``None`` is left out."""
    assert query_string({"a": [True, None, 1], "b": (False,)}) == "a=true&a=1&b=false"
    assert query_string({"a": []}) == ""


def test_headers_are_found_in_any_case() -> None:
    """A header is found however it is written, and only if it is there."""
    headers = Headers({"Retry-After": "29", "X-Request-ID": "r"})
    assert headers["retry-after"] == headers["RETRY-AFTER"] == "29"
    assert list(headers) == ["retry-after", "x-request-id"]
    assert len(headers) == 2
    assert "Date" not in headers
    assert headers == {"retry-after": "29", "x-request-id": "r"}
    assert repr(headers) == "Headers({'retry-after': '29', 'x-request-id': 'r'})"
    assert pickle.loads(pickle.dumps(headers)) == headers


def limits(now: float = 1_000.0, **headers: str) -> RateLimitHeaders:
    """Read headers that came at a moment."""
    return RateLimitHeaders({n.replace("_", "-"): text for n, text in headers.items()}, now)


def everything(read: RateLimitHeaders) -> list[object]:
    """Ask for each property."""
    return [read.limit, read.remaining, read.reset_at, read.reset_in, read.retry_after]


def test_rate_limit_headers_of_an_answer() -> None:
    """The numbers come out as numbers, the reset as an aware time and as seconds from now."""
    read = limits(ratelimit_limit="5000", ratelimit_remaining=" 0 ", ratelimit_reset="1600")
    assert read.limit == 5000
    assert read.remaining == 0
    assert read.reset_at == datetime.fromtimestamp(1600, UTC)
    assert read.reset_in == 600.0
    assert read.retry_after is None


def test_no_headers_say_nothing() -> None:
    """Every property is ``None`` for an answer without these headers."""
    assert everything(limits()) == [None] * 5


@given(st.dictionaries(st.sampled_from(HEADER_NAMES), st.text(max_size=40)), st.floats(0, 4e9))
def test_any_text_can_be_a_header(headers: dict[str, str], now: float) -> None:
    """Whatever a server writes there, nothing is raised, and a wait is never negative."""
    read = RateLimitHeaders(headers, now)
    everything(read)
    assert read.retry_after is None or read.retry_after >= 0


numbers = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.integers(0, 10**40).map(str),
    st.sampled_from(["1e999", "-0", "+5", "0x1", "1_000", "٣", "²", "nan", "Infinity", "9" * 18]),
)


@given(st.dictionaries(st.sampled_from(HEADER_NAMES), numbers), st.floats(0, 4e9))
def test_any_number_can_be_a_header(headers: dict[str, str], now: float) -> None:
    """Numbers that are too large, negative or no finite number at all are no trouble either."""
    read = RateLimitHeaders(headers, now)
    everything(read)
    assert read.limit is None or 0 <= read.limit < 10**18
    assert read.retry_after is None or 0 <= read.retry_after < float("inf")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("29", 29.0),
        ("1.5", 1.5),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("soon", None),
        ("\N{ARABIC-INDIC DIGIT THREE}", None),
        ("1" * 65, None),
        ("1".zfill(64), 1.0),
        ("Thu, 01 Jan 1970 00:17:10 GMT", 30.0),
        ("Thu, 01 Jan 1970 00:16:10 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:17:10 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    """Seconds are taken as they are, a date as the seconds until then; garbage says nothing."""
    assert limits(1_000.0, retry_after=text).retry_after == seconds


def test_dates_go_by_the_clock_of_the_server() -> None:
    """A wrong clock here does no harm where the answer tells its own time."""
    headers = {
        "date": "Thu, 01 Jan 1970 00:17:10 GMT",
        "retry_after": "Thu, 01 Jan 1970 00:17:15 GMT",
        "ratelimit_reset": "1040",
    }
    read = limits(9_999_999.0, **headers)
    assert (read.retry_after, read.reset_in) == (5.0, 10.0)
    assert limits(1_000.0, date="yesterday", ratelimit_reset="900").reset_in == -100.0


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000", "UT", ""])
def test_dates_without_another_zone_are_in_gmt(zone: str) -> None:
    """HTTP has no other, so one that is left out is that one."""
    text = f"Thu, 01 Jan 1970 00:17:10 {zone}"
    assert limits(1_000.0, retry_after=text).retry_after == 30.0


def test_dates_in_another_zone_are_read_there() -> None:
    """HTTP forbids them, but what is meant is clear."""
    read = limits(1_000.0, retry_after="Thu, 01 Jan 1970 02:17:10 +0200")
    assert read.retry_after == 30.0


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be set")
def test_dates_are_those_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time zone of the machine changes nothing."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert limits(1_000.0, retry_after="Thu, 01 Jan 1970 00:17:10 GMT").retry_after == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_longest_number_that_can_be_meant() -> None:
    """18 digits are a number, 19 are none."""
    assert limits(ratelimit_limit="9" * 18).limit == 10**18 - 1
    assert limits(ratelimit_limit="9" * 19).limit is None


def answered(status: int, content: bytes = b"", **headers: str) -> errors.APIStatusError:
    """Give the error of an answer about Droplet 7, at the Unix time 1000."""
    given = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return status_error(
        Response("GET", URL, status, given, content), RateLimitHeaders(given, 1000.0), 7
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (300, errors.APIStatusError),
        (399, errors.APIStatusError),
        (400, errors.BadRequestError),
        (418, errors.APIStatusError),
        (429, errors.RateLimitError),
        (499, errors.APIStatusError),
        (500, errors.InternalServerError),
        (599, errors.InternalServerError),
    ],
)
def test_errors_of_statuses(status: int, kind: type[errors.APIStatusError]) -> None:
    """Each knows its answer, its request, its Droplet and its body."""
    error = answered(status, b'{"id": "what", "message": "It is so."}', x_request_id="r")
    assert type(error) is kind
    assert error.status_code == status
    assert (error.droplet_id, error.attempts, error.request_id) == (7, 1, "r")
    assert error.body == {"id": "what", "message": "It is so."}
    assert error.request is not None
    assert (error.request.method, error.request.url) == ("GET", URL)
    assert error.response is not None
    assert (error.response.url, error.response.method) == (URL, "GET")
    said = str(error).startswith(f"{status} what: It is so")
    assert said is (status >= 400)


@pytest.mark.parametrize("status", [300, 301, 399])
def test_the_error_of_a_redirect_names_the_place(status: int) -> None:
    """Most likely the base URL is wrong, and the redirect says what it should be."""
    told = str(answered(status, location="https://b.test/"))
    assert told.startswith(f"{status} a redirect that is not followed, to 'https://b.test/': is `b")
    assert str(answered(status)).startswith(f"{status} a redirect that is not followed, to '':")


@pytest.mark.parametrize(
    ("reset", "waits"), [("999", None), ("1000", None), ("1001", 1.0), ("2000", 1000.0)]
)
def test_the_hourly_limit_is_waited_for_until_its_reset(reset: str, waits: float | None) -> None:
    """Without ``retry-after``, the reset tells, unless it lies in the past."""
    error = answered(429, ratelimit_reset=reset)
    assert isinstance(error, errors.RateLimitError)
    assert (error.retry_after, error.kind) == (waits, "hourly")


def test_the_short_limit_has_its_own_wait() -> None:
    """``retry-after`` is believed whatever the reset is."""
    error = answered(429, retry_after="5", ratelimit_reset="2000", ratelimit_limit="250")
    assert isinstance(error, errors.RateLimitError)
    assert (error.retry_after, error.kind, error.limit) == (5.0, "burst", 250)


@pytest.mark.parametrize(("length", "shown"), [(120, "a" * 120), (121, "a" * 120 + "...")])
def test_a_long_body_is_cut(length: int, shown: str) -> None:
    """A message has at most 120 characters of a body that says nothing else."""
    assert str(answered(500, b"a" * length)).startswith(f"500 {shown!r}".rstrip("."))


def test_only_the_beginning_of_a_body_is_looked_at() -> None:
    """Of one that is mostly empty, a message has what stands in its first 480 bytes."""
    assert str(answered(500, b"a" + b" " * 479 + b"b")).startswith("500 'a':")
    assert str(answered(500, b"a" + b" " * 478 + b"b")).startswith("500 'a b':")


def test_only_the_full_stop_of_a_message_is_left_out() -> None:
    """The text that follows goes on in the same sentence."""
    assert str(answered(400, b'{"message": "No MAX..."}')).startswith("400 No MAX ")


def redirect(location: str | None, status: int = 302, url: str = URL) -> str | None:
    """Ask where a redirect leads."""
    headers = Headers({} if location is None else {"Location": location})
    return redirect_target(url, Response("GET", url, status, headers, b""))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/v2/other", "https://api.test/v2/other"),
        ("policy", "https://api.test/v2/droplets/7/policy"),
        ("?page=2", f"{URL}?page=2"),
        ("https://api.test/x", "https://api.test/x"),
        ("https://API.test:443/x", "https://API.test:443/x"),
        ("//api.test/x", "https://api.test/x"),
    ],
)
def test_redirect_within_the_origin(status: int, location: str, target: str) -> None:
    """The token may follow to another path of the same scheme, host and port."""
    assert redirect(location, status) == target


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.test/v2/droplets/7/backups",
        "http://api.test/v2/droplets/7/backups",
        "https://api.test:8443/x",
        "https://api.test.evil.test/",
        "https://api.test@evil.test/",
        "https://evil.test@api.test/",
        "https://api.test\\@evil.test/",
        "//evil.test/x",
        "///evil.test",
        "https:evil.test",
        "ftp://api.test/x",
        "javascript:alert(1)",
        "https://api.test:port/",
        "https://[api.test/",
        "data:,x",
    ],
)
def test_redirect_elsewhere(location: str) -> None:
    """The token is sent to no other origin, however the URL is dressed up."""
    target = redirect(location)
    assert target is None or target.startswith("https://api.test/")


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_the_usual_port_may_be_named_or_not(scheme: str, port: int) -> None:
    """It is the same origin, and no other scheme has that port as its usual one."""
    assert origin(f"{scheme}://api.test") == origin(f"{scheme}://API.test:{port}/x")
    assert origin(f"{scheme}://api.test") != origin(f"{scheme}://api.test:{523 - port}")
    assert origin("https://api.test:443") != origin("http://api.test:443")


@pytest.mark.parametrize("location", [None, "", URL, "backups"])
def test_redirect_to_itself(location: str | None) -> None:
    """A redirect that names no other place is none."""
    assert redirect(location) is None


@pytest.mark.parametrize("status", [200, 204, 300, 304, 400])
def test_other_statuses_are_no_redirects(status: int) -> None:
    """A ``location`` header alone leads nowhere."""
    assert redirect("/v2/other", status) is None


@given(st.text(max_size=40))
def test_any_location_is_safe(location: str) -> None:
    """Whatever a server names as the place, the origin stays."""
    target = redirect(location)
    assert target is None or target.startswith(("https://api.test/", "https://api.test?"))

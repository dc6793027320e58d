"""What users give, checked: what is refused, by which name, and what becomes of the rest."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_async import RateLimit, Timeout
from gradient_async._checks import (
    check_keywords,
    checked_count,
    checked_droplet_id,
    checked_headers,
    checked_query,
    checked_seconds,
    checked_timeout,
)
from gradient_async.audit.judge import Rules

NOW = datetime(2026, 9, 1, tzinfo=UTC)

NOT_INTEGERS: list[Any] = [True, False, "1", 1.0, None, [1], b"1", "1/../../account/keys?x="]


@pytest.mark.parametrize("value", NOT_INTEGERS, ids=repr)
def test_droplet_id_is_an_integer(value: Any) -> None:
    """``True`` and text, which could lead elsewhere, are no IDs; with text the remedy is named."""
    with pytest.raises(TypeError, match="droplet_id must be an int, got") as caught:
        checked_droplet_id(value)
    assert repr(value) in str(caught.value)
    remedy = " (use int(...) to convert it)"
    assert str(caught.value).endswith(remedy if isinstance(value, str) else repr(value))


@pytest.mark.parametrize("value", [0, -1, -(2**70)])
def test_droplet_id_is_at_least_one(value: int) -> None:
    """Zero and negative numbers are refused by name and value."""
    with pytest.raises(ValueError, match=f"droplet_id must be at least 1, got {value}"):
        checked_droplet_id(value)


@given(st.integers(1))
def test_droplet_id_has_no_upper_bound(value: int) -> None:
    """The API decides how large its IDs grow."""
    assert checked_droplet_id(value) == value


class Seven(IntEnum):
    """As a program may name its Droplet."""

    IT = 7


class Scalar:
    """A number of another library, as those of NumPy, which are no ``int`` and no ``float``."""

    def __index__(self) -> int:
        return 7

    def __float__(self) -> float:
        return 7.0


@pytest.mark.parametrize("value", [Seven.IT, Scalar()])
def test_whole_numbers_of_other_classes_become_plain(value: Any) -> None:
    """What Python itself takes as an index is a number here too, and is sent as its digits."""
    for number in (checked_droplet_id(value), checked_count("concurrency", value)):
        assert (type(number), number) == (int, 7)


@pytest.mark.parametrize("value", [7, Seven.IT, Scalar(), Fraction(7), Decimal(7)])
def test_seconds_of_other_classes_become_floats(value: Any) -> None:
    """Any real number is a number of seconds."""
    for seconds in (checked_seconds("deadline", value), checked_timeout("timeout", value)):
        assert (type(seconds), seconds) == (float, 7.0)


def test_seconds_beyond_all_floats_are_refused() -> None:
    """A number that no ``float`` can hold is a `ValueError`, as any other out of range."""
    for check in (checked_timeout, checked_seconds):
        with pytest.raises(ValueError, match="connect is more seconds than a float can hold"):
            check("connect", 10**400)


def test_count_may_start_at_zero() -> None:
    """The least value is part of the range."""
    assert checked_count("max_retries", 0, least=0) == 0
    with pytest.raises(ValueError, match="max_retries must be at least 0, got -1"):
        checked_count("max_retries", -1, least=0)


def test_seconds_may_be_none_at_all() -> None:
    """Zero seconds are not to wait, ``None`` is to wait as long as it takes."""
    assert checked_seconds("deadline", 0) == 0
    assert checked_seconds("deadline", None) is None
    with pytest.raises(
        ValueError, match=r"^deadline must be at least 0 seconds, None for no bound, got -1"
    ):
        checked_seconds("deadline", -1)
    with pytest.raises(TypeError, match=r"^deadline must be a number of seconds"):
        checked_seconds("deadline", "5")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], ({},)], ids=repr)
def test_query_of_a_mapping_is_refused(value: Any) -> None:
    """A mapping as a value would be sent as its keys, so it is an error with its name."""
    with pytest.raises(TypeError, match="extra_query: filter cannot be a mapping"):
        checked_query("extra_query", {"ok": [1, "b"], "filter": value})
    assert checked_query("extra_query", {"ok": [1, "b"]}) == {"ok": [1, "b"]}
    with pytest.raises(TypeError, match=r"^extra_query must be a mapping, got list"):
        checked_query("extra_query", [])  # type: ignore[arg-type]


def test_unknown_keywords_are_named() -> None:
    """All keywords that there are not are in the message, in order; those that there are pass."""
    allowed = frozenset({"page", "timeout"})
    check_keywords({"page": 1}, allowed)
    with pytest.raises(TypeError, match=r"^there is no keyword 'a', 'b'$"):
        check_keywords({"b": 1, "page": 1, "a": 2}, allowed)


BAD_HEADERS: list[tuple[Any, type[Exception], str]] = [
    ({"X-Team": "a\r\nX-Evil: b"}, ValueError, "X-Team has a character that no header can have"),
    ({"X-Team": "a\x00"}, ValueError, "X-Team has a character"),
    ({"X-Team": "\ud800"}, ValueError, "X-Team has a character"),
    ({"X-Team\r\nX-Evil": "a"}, ValueError, "is no name of a header"),
    ({"Authorization ": "Bearer other"}, ValueError, "'Authorization ' is no name"),
    ({"X-Te\u00e4m": "a"}, ValueError, "is no name of a header"),
    ({"": "a"}, ValueError, "'' is no name of a header"),
    ({"Content-Length": "5"}, ValueError, "Content-Length cannot be set"),
    ({"transfer-encoding": "chunked"}, ValueError, "transfer-encoding cannot be set"),
    ({"HOST": "elsewhere.test"}, ValueError, "HOST cannot be set"),
    ({"AUTHORIZATION": "Bearer other"}, ValueError, "AUTHORIZATION is made of the access token"),
    ({"X-Team": 5}, TypeError, "X-Team must be a str, got int"),
    ({"X-Team": None}, TypeError, "X-Team must be a str, got NoneType"),
    ({"X-Team": b"a"}, TypeError, "X-Team must be a str, got bytes"),
    ({5: "a"}, TypeError, "must have str as names, got 5"),
    ("X-Team: a", TypeError, "must be a mapping, got str"),
    ([("X-Team", "a")], TypeError, "must be a mapping, got list"),
    ([], TypeError, "must be a mapping, got list"),
]


@pytest.mark.parametrize(("headers", "error", "problem"), BAD_HEADERS, ids=repr)
def test_headers_that_cannot_be_sent_are_named(
    headers: Any, error: type[Exception], problem: str
) -> None:
    """The keyword, the header and what is wrong with it are told; its value is not."""
    with pytest.raises(error, match=rf"^extra_headers:? .*{problem}") as caught:
        checked_headers("extra_headers", headers)
    assert "X-Evil: b" not in str(caught.value)


def test_headers_that_can_be_sent() -> None:
    """All else is given back as it is, in a copy; ``None`` is no headers at all."""
    headers = {"x!#$%&'*+-.^_`|~": "a\tb", "X-Empty": "", "Content-Length-Of-Mine": "\u00e4"}
    checked = checked_headers("extra_headers", headers)
    assert (checked, checked is headers) == (headers, False)
    assert checked_headers("extra_headers", None) == {}


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda: Timeout("5"), "Timeout()"),  # type: ignore[arg-type]
        (lambda: Timeout(5, connect=-1), "Timeout(total=5.0)"),
        (lambda: RateLimit(((0, 1.0),)), "RateLimit()"),
        (lambda: Rules(NOW, timedelta(-1)), f"Rules(now={NOW!r}, "),
    ],
)
def test_what_is_not_made_yet_can_be_shown(make: Callable[[], object], shown: str) -> None:
    """A traceback with locals shows what an object has while its values are checked."""
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    with_locals = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert f"self = {shown}" in "".join(with_locals.format())


def test_what_is_made_is_shown_as_attrs_does() -> None:
    """The names and values, in order."""
    assert repr(Timeout(5, connect=2)) == "Timeout(total=5.0, connect=2.0)"
    assert repr(RateLimit()) == "RateLimit(windows=((250, 60.0), (5000, 3600.0)))"

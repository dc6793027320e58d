"""How long a request may take: what users give, and what it means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gradient_async import DEFAULT_TIMEOUT, Timeout

PLACES: list[tuple[str, Callable[[Any], Timeout]]] = [
    ("timeout", Timeout.of),
    ("timeout", Timeout),
    ("connect", lambda seconds: Timeout(connect=seconds)),
]
"""Each way to give seconds, with the name that the caller knows them by."""


def test_timeout_has_defaults() -> None:
    """A minute in all, with no bound of its own for connecting but where none is given at all."""
    assert Timeout() == Timeout(60.0, connect=None)
    assert Timeout(60.0, connect=5.0) == DEFAULT_TIMEOUT


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (3, Timeout(3.0, connect=None)),
        (0.5, Timeout(0.5, connect=None)),
        (None, Timeout(None, connect=None)),
        (Timeout(None, connect=1.0), Timeout(None, connect=1.0)),
    ],
)
def test_timeout_is_read_from_what_users_give(
    given: float | Timeout | None, meant: Timeout
) -> None:
    """Seconds, ``None`` for no bound at all, or both bounds one by one."""
    assert Timeout.of(given) == meant


@pytest.mark.parametrize("value", ["5", True, b"1", [1]], ids=repr)
def test_timeout_is_a_number(value: Any) -> None:
    """A timeout that is no number is refused by name and value, in each of its places."""
    for name, make in PLACES:
        with pytest.raises(TypeError, match=f"^{name} must be a number of seconds") as caught:
            make(value)
        assert repr(value) in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_timeout_is_more_than_nothing(value: float) -> None:
    """Zero means "no bound" to some libraries and "at once" to others: say ``None`` instead."""
    for name, make in PLACES:
        with pytest.raises(ValueError, match=f"^{name} must be more than 0 seconds, None for no"):
            make(value)

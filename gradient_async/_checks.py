"""What users give, checked before anything is sent: numbers, seconds, headers, Droplet IDs.

Each function returns the value in one plain form, or raises `TypeError` or `ValueError` with the
name of the parameter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from operator import index
from typing import Final, SupportsIndex, TypeVar, cast

import attrs

__all__ = [
    "SafeRepr",
    "check_keywords",
    "checked_count",
    "checked_droplet_id",
    "checked_headers",
    "checked_mapping",
    "checked_query",
    "checked_seconds",
    "checked_timeout",
]

K = TypeVar("K")
T = TypeVar("T")

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NO_HEADER_VALUE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_FRAMING: Final = frozenset({"content-length", "host", "transfer-encoding"})


class SafeRepr:
    """The ``repr`` of an attrs class, also of an instance whose values are still being checked.

    A traceback that shows locals may have one, and before 3.12 it fails where its ``repr`` does.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        fields = attrs.fields(cast("type[attrs.AttrsInstance]", type(self)))
        known = [field.name for field in fields if hasattr(self, field.name)]
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in known)
        return f"{type(self).__name__}({shown})"


def checked_droplet_id(value: int) -> int:
    """Return a Droplet ID, which goes into the path of a URL, as a plain ``int``.

    Raises:
        TypeError: It is not an integer. A ``bool``, a ``float`` and a ``str`` are not.
        ValueError: It is less than 1.
    """
    return checked_count("droplet_id", value)


def checked_count(name: str, value: int, least: int = 1, most: int | None = None) -> int:
    """Return a whole number, of whichever class (of NumPy, say), as a plain ``int``.

    Raises:
        TypeError: It is not an integer. A ``bool``, a ``float`` and a ``str`` are not.
        ValueError: It is less than ``least`` or more than ``most``.
    """
    if type(value) is not int:
        value = _plain_int(name, value)
    if value < least or (most is not None and value > most):
        allowed = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
    return value


def _plain_int(name: str, value: SupportsIndex) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        convert = " (use int(...) to convert it)" if isinstance(value, str) else ""
        raise TypeError(f"{name} must be an int, got {value!r}{convert}")
    return index(value)


def checked_seconds(name: str, value: float | None) -> float | None:
    """Return a number of seconds that something may take as a ``float``, ``None`` for no bound.

    Raises:
        TypeError: It is no number.
        ValueError: It is less than 0, or more than a ``float`` can hold.
    """
    seconds = None if value is None else _seconds(name, value)
    if seconds is None or seconds >= 0:
        return seconds
    raise ValueError(f"{name} must be at least 0 seconds, None for no bound, got {value!r}")


def checked_timeout(name: str, value: float | None) -> float | None:
    """Return the seconds of a timeout as a ``float``, ``None`` for no bound.

    Raises:
        TypeError: It is no number.
        ValueError: It is not more than 0, or not finite.
    """
    seconds = None if value is None else _seconds(name, value)
    if seconds is None or (seconds > 0 and isfinite(seconds)):
        return seconds
    raise ValueError(f"{name} must be more than 0 seconds, None for no bound, got {value!r}")


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number of seconds or None, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is more seconds than a float can hold") from None


def checked_headers(name: str, headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return headers that can be sent. What is wrong is told without the value, often a secret.

    Raises:
        TypeError: They are no mapping, or a name or a value is no ``str``.
        ValueError: A name or a value has a character that it cannot have, or a header is one of
            those that say where a request ends, which server it is for, and whose it is.
    """
    headers = checked_mapping(name, headers)
    for header, value in headers.items():
        _check_header(name, header, value)
    return dict(headers)


def check_keywords(given: Mapping[str, object], allowed: frozenset[str]) -> None:
    """See that there are no keywords but those that are allowed.

    Raises:
        TypeError: There are.
    """
    if unknown := given.keys() - allowed:
        raise TypeError(f"there is no keyword {', '.join(map(repr, sorted(unknown)))}")


def checked_mapping(name: str, value: Mapping[K, T] | None) -> Mapping[K, T]:
    """Return a mapping, an empty one for ``None``.

    Raises:
        TypeError: It is no mapping.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, got {type(value).__name__}")
    return value


def checked_query(name: str, query: Mapping[str, object] | None) -> dict[str, object]:
    """Return query parameters that can be sent; of a mapping as a value only the keys would be.

    Raises:
        TypeError: They are no mapping, or a value is one.
    """
    query = checked_mapping(name, query)
    for parameter, value in query.items():
        values = value if isinstance(value, (list, tuple)) else (value,)
        if any(isinstance(each, Mapping) for each in values):
            raise TypeError(f"{name}: {parameter} cannot be a mapping, got {value!r}")
    return dict(query)


def _check_header(name: str, header: object, value: object) -> None:
    if not isinstance(header, str):
        raise TypeError(f"{name} must have str as names, got {header!r}")
    if not isinstance(value, str):
        raise TypeError(f"{name}: {header} must be a str, got {type(value).__name__}")
    if not _HEADER_NAME.fullmatch(header):
        raise ValueError(f"{name}: {header!r} is no name of a header")
    if _NO_HEADER_VALUE.search(value):
        raise ValueError(f"{name}: {header} has a character that no header can have")
    if header.lower() in _FRAMING:
        raise ValueError(f"{name}: {header} cannot be set")
    if header.lower() == "authorization":
        raise ValueError(
            f"{name}: {header} is made of the access token: use copy(access_token=...) for another"
        )

"""From the bytes of an answer to the response classes.

msgspec decodes straight into the classes when the answer fits them. One that does not fit is looked
at again by a lenient cattrs converter, which keeps what a newer API may send: values that an
enumeration does not list, times without an offset (they are UTC), ``null`` for an empty list; and a
page that lacks ``meta`` or has odd ``links``, which its items do not need. What remains is wrong,
and the failure names the place.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import msgspec
from attrs import fields, has

if TYPE_CHECKING:
    from cattrs import BaseConverter, Converter

__all__ = ["DecodeFailure", "decode", "decode_any"]

T = TypeVar("T")
_Hook: TypeAlias = Callable[[Any, Any], Any]
_Factory: TypeAlias = "Callable[[Any, BaseConverter], _Hook]"

MAX_NESTING: Final = 100
"""Objects and arrays within each other. Python holds more, but may fail to pickle or show them."""


class DecodeFailure(ValueError):
    """Bytes that are not what the class wants; ``path`` is where, as in ``$.meta.total``."""

    def __init__(self, message: str, path: str = "$") -> None:
        super().__init__(message)
        self.path = path


def decode(answer: type[T], content: bytes) -> T:
    """Decode JSON into a response class.

    Raises:
        DecodeFailure: The bytes are no JSON, or not JSON of this shape.
    """
    try:
        return _decoder(answer).decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _structure(answer, decode_any(content))


def decode_any(content: bytes) -> Any:
    """Decode JSON, which may begin with a byte order mark, into plain objects.

    Raises:
        DecodeFailure: The bytes are no JSON, or nested more than `MAX_NESTING` levels deep.
    """
    try:
        value = msgspec.json.decode(content.removeprefix(BOM_UTF8))
    except RecursionError:
        raise DecodeFailure("JSON nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeFailure(f"no valid JSON: {error}") from None
    if content.count(b"[") + content.count(b"{") > MAX_NESTING:
        _check_nesting(value)
    return value


def _check_nesting(value: Any) -> None:
    """Go down level by level: recursion would fail where it is to be kept from failing."""
    level = [value]
    for _ in range(MAX_NESTING + 1):
        containers = [inner for inner in level if isinstance(inner, (dict, list))]
        if not containers:
            return
        level = [
            inner
            for container in containers
            for inner in (container.values() if isinstance(container, dict) else container)
        ]
    raise DecodeFailure("JSON nested too deeply")


def _decoder(answer: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _decoders.get(answer)
    if decoder is None:
        decoder = _decoders[answer] = msgspec.json.Decoder(answer)
    return decoder


_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def _structure(answer: type[T], value: Any) -> T:
    from cattrs import BaseValidationError, transform_error

    try:
        return _converter().structure(value, answer)
    except BaseValidationError as error:
        described = transform_error(error, format_exception=_describe)[0]
        message, _, path = described.rpartition(" @ $")
        raise DecodeFailure(message, f"${path}") from None
    except TypeError as error:
        raise DecodeFailure(str(error)) from None


def _describe(error: BaseException, _: type | None) -> str:
    return "required field missing" if isinstance(error, KeyError) else str(error)


@cache
def _converter() -> Converter:
    # Imported late: most programs never meet an answer that needs it. A plain converter, as that of
    # cattrs for msgspec hands structs back to msgspec.
    from cattrs import Converter
    from cattrs.cols import list_structure_factory, mapping_structure_factory

    converter = Converter()
    for scalar, hook in (
        (str, _exactly(str)),
        (bool, _exactly(bool)),
        (int, _integer),
        (float, _number),
        (datetime, _time),
    ):
        converter.register_structure_hook(scalar, hook)
    converter.register_structure_hook_func(_is_enumeration, _exactly(str))
    converter.register_structure_hook_func(_is_open_enumeration, _string_or_null)
    for matches, container, factory in (
        (has, dict, _object_factory),
        (_is_list, list, list_structure_factory),
        (_is_map, dict, mapping_structure_factory),
    ):
        converter.register_structure_hook_factory(matches, _guarded(container, factory))
    return converter


def _object_factory(kind: Any, converter: BaseConverter) -> _Hook:
    """Structure a class; what tells of the other pages only must not fail the items of this one."""
    from cattrs.gen import make_dict_structure_fn

    structure: _Hook = make_dict_structure_fn(kind, converter)
    names = {field.name for field in fields(kind)}
    if "meta" not in names:
        return structure
    items = names - {"meta", "links"}

    def hook(value: Any, kind: Any) -> Any:
        if value.get("meta") is None and not items.isdisjoint(value):
            value = {**value, "meta": {}}
        if "links" in value:
            value = {**value, "links": _usable_links(value["links"])}
        return structure(value, kind)

    return hook


def _usable_links(links: Any) -> dict[str, Any] | None:
    """Return what of the links can be read, each for itself: one may name the next page."""
    if not isinstance(links, dict):
        return None
    pages = links.get("pages")
    if not isinstance(pages, dict):
        return {}
    return {"pages": {name: url for name, url in pages.items() if isinstance(url, str)}}


def _guarded(container: type, factory: _Factory) -> _Factory:
    """Let cattrs structure a container only once it is known to be one.

    A list or map may come as ``null``, which is how Go encodes an empty one that was never made.
    """

    def guarded_factory(kind: Any, converter: BaseConverter) -> _Hook:
        structure = factory(kind, converter)
        nullable = not has(kind)

        def hook(value: Any, kind: Any) -> Any:
            if value is None and nullable:
                return container()
            if not isinstance(value, container):
                raise TypeError(f"expected {_NAMES[container]}, got {_name(value)}")
            return structure(value, kind)

        return hook

    return guarded_factory


_NAMES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}


def _name(value: Any) -> str:
    if value is None:
        return "null"
    return _NAMES.get(type(value), f"a number ({value!r})")


def _exactly(kind: type) -> _Hook:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {_NAMES[kind]}, got {_name(value)}")
        return value

    return hook


def _integer(value: Any, _: Any) -> int:
    if type(value) is int or (type(value) is float and value.is_integer()):
        return int(value)
    raise TypeError(f"expected an integer, got {_name(value)}")


def _number(value: Any, _: Any) -> float:
    if type(value) is int or type(value) is float:
        return float(value)
    raise TypeError(f"expected a number, got {_name(value)}")


def _time(value: Any, _: Any) -> datetime:
    if type(value) is not str:
        raise TypeError(f"expected a time, got {_name(value)}")
    try:
        time = _parsed(value)
    except ValueError:  # as is that of msgspec
        raise ValueError(f"expected a time in ISO 8601, got {value[:40]!r}") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _parsed(text: str) -> datetime:
    """Read a time as the fast way does, or else as Python does: a date alone, no seconds, ..."""
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        time = datetime.fromisoformat(text)
    if (time.utcoffset() or timedelta()) % timedelta(minutes=1):
        raise ValueError  # an offset with seconds, which ISO 8601 has not
    return time


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is list


def _is_map(kind: Any) -> bool:
    return get_origin(kind) is dict


def _is_enumeration(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _is_open_enumeration(kind: Any) -> bool:
    """Tell ``Optional[Union[Literal[...], str]]``, for which cattrs has no rule of its own."""
    members = get_args(kind) if get_origin(kind) is Union else ()
    return str in members and any(map(_is_enumeration, members))


def _string_or_null(value: Any, kind: Any) -> str | None:
    return None if value is None else _exactly(str)(value, kind)

"""One page of a listing: which part of it, and the links to the other pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, get_args
from urllib.parse import urlencode

import attrs
from attrs.validators import in_

from ._answers import Refusal

__all__ = ["LinkStyle", "PageRequest", "PageRules", "page_body"]

LinkStyle: TypeAlias = Literal["full", "missing", "empty", "trailing_slash"]
T = TypeVar("T")

DEFAULT_PER_PAGE = 20
MAX_PER_PAGE = 200
WHOLE = re.compile(r"-?[0-9]{1,9}")


@attrs.frozen
class PageRules:
    """How the simulator pages.

    Attributes:
        links: ``full``: ``{}`` on a single page, else the links that make sense. ``missing``: no
            ``links`` at all. ``empty``: always ``{"pages": {}}``. ``trailing_slash``: as some
            services of the real API write their links.
        origin: Scheme, host and port of the links.
        clamp: Whether ``page`` and ``per_page`` out of range are clamped instead of refused (422).
    """

    links: LinkStyle = attrs.field(default="full", validator=in_(get_args(LinkStyle)))
    origin: str = ""
    clamp: bool = False


@attrs.frozen
class PageRequest:
    """The page that a request asks for.

    Attributes:
        path: Path of the listing.
        query: The request's query.
        number: Number of the page, from 1.
        size: Items on a page, 1 to 200.
    """

    path: str
    query: Mapping[str, str]
    number: int
    size: int

    @classmethod
    def parse(cls, path: str, query: Mapping[str, str], *, clamp: bool) -> PageRequest:
        """Read ``page`` and ``per_page`` from a query; a `Refusal` (422) where they are no good."""
        number = _whole(query, "page", 1, None, clamp)
        size = _whole(query, "per_page", DEFAULT_PER_PAGE, MAX_PER_PAGE, clamp)
        return cls(path, query, number, size)

    def cut(self, items: Sequence[T]) -> Sequence[T]:
        """Return the items of this page; none on a page beyond the last."""
        return items[(self.number - 1) * self.size : self.number * self.size]

    def links(self, total: int, rules: PageRules) -> dict[str, Any]:
        """Return the ``links`` member of the answer, as a mapping to merge into it."""
        if rules.links == "missing":
            return {}
        if rules.links == "empty":
            return {"links": {"pages": {}}}
        last = max(1, -(-total // self.size))
        if last == 1 and self.number == 1:
            return {"links": {}}
        pages = {name: self._url(number, rules) for name, number in self._neighbours(last)}
        return {"links": {"pages": pages}}

    def _neighbours(self, last: int) -> list[tuple[str, int]]:
        backward = [("first", 1), ("prev", min(self.number - 1, last))] if self.number > 1 else []
        forward = [("next", self.number + 1), ("last", last)] if self.number < last else []
        return backward + forward

    def _url(self, number: int, rules: PageRules) -> str:
        slash = "/" if rules.links == "trailing_slash" else ""
        query = urlencode({**self.query, "page": number})
        return f"{rules.origin}{self.path}{slash}?{query}"


def _whole(
    query: Mapping[str, str], name: str, default: int, maximum: int | None, clamp: bool
) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not WHOLE.fullmatch(text):
        raise Refusal(422, f"{name} must be a whole number.")
    value = int(text)
    if clamp:
        return max(1, min(value, maximum or value))
    if value < 1 or (maximum and value > maximum):
        raise Refusal(422, f"{name} is out of range.")
    return value


def page_body(
    name: str,
    items: Sequence[T],
    request: PageRequest,
    rules: PageRules,
    render: Callable[[Sequence[T]], object],
) -> dict[str, Any]:
    """Return the body of one page of a listing.

    Args:
        name: Key of the items in the body.
        items: All items of the listing, in order.
        request: The page that was asked for.
        rules: How to page.
        render: Turns the items of the page into what is sent.

    Returns:
        The items, ``links`` (unless the rules leave them out) and ``meta``.
    """
    total = len(items)
    return {
        name: render(request.cut(items)),
        **request.links(total, rules),
        "meta": {"total": total},
    }

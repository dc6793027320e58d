"""Classes that several answers have in common."""

import attrs

from .._model import AwareDatetime, Model, response

__all__ = [
    "BackwardLinks",
    "DropletNextBackupWindow",
    "ForwardLinks",
    "MetaProperties",
    "PageLinks",
    "Pages",
]


# Not a `response`, as the next two: `Pages` is both, and a struct can have one base with fields.
@attrs.frozen(slots=False)
class ForwardLinks(Model):
    """Links to the pages after this one.

    Attributes:
        last: URL of the last page.
        next: URL of the next page.
    """

    last: str | None = None
    next: str | None = None


@attrs.frozen(slots=False)
class BackwardLinks(Model):
    """Links to the pages before this one.

    Attributes:
        first: URL of the first page.
        prev: URL of the previous page.
    """

    first: str | None = None
    prev: str | None = None


@attrs.frozen(slots=False)
class Pages(ForwardLinks, BackwardLinks):
    """Links to the other pages: on every page all four can be read, ``None`` where not sent.

    They are for people to read. The library itself pages by number and follows none of them.
    """


@response
class PageLinks(Model):
    """The ``links`` of an answer.

    Attributes:
        pages: The links, or ``None`` when everything fits on one page.
    """

    pages: Pages | None = None


@response
class MetaProperties(Model):
    """The ``meta`` of an answer.

    Attributes:
        total: The number of objects over all pages.
    """

    total: int | None = None


@response
class DropletNextBackupWindow(Model):
    """When the next backup of a Droplet will be made.

    Attributes:
        start: The start of the window.
        end: The end of the window.
    """

    start: AwareDatetime | None = None
    end: AwareDatetime | None = None

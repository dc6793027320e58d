"""Every item of a listing: its pages, fetched at once and given in order.

A listing is paged by number, never by following a URL from an answer. It may change while it is
read. `PagePlan` decides which page is next and whether the pages add up; `Listing` fetches them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from ._http import MAX_PER_PAGE, Endpoint
from ._stream import ResultStream, retrieve
from .errors import IncompleteListingError
from .types.shared import MetaProperties, PageLinks

__all__ = [
    "DEFAULT_PAGE_CONCURRENCY",
    "Answer",
    "Get",
    "Listing",
    "Page",
    "PagePlan",
    "Paged",
    "has_next",
    "is_doubtful",
]

T = TypeVar("T")
Get: TypeAlias = Callable[[Endpoint[Any]], Coroutine[Any, Any, Any]]

DEFAULT_PAGE_CONCURRENCY: Final = 16
MAX_LOOKS: Final = 3


class Answer(Protocol):
    """What the answers of all listings have."""

    @property
    def meta(self) -> MetaProperties:
        """The total."""
        ...

    @property
    def links(self) -> PageLinks | None:
        """The pages before and after."""
        ...


def has_next(answer: Answer) -> bool | None:
    """Tell whether an answer names a next page; ``None`` when it has no links at all."""
    links = answer.links
    if links is None:
        return None
    return links.pages is not None and bool(links.pages.next)


def is_doubtful(total: int | None, received: int, has_next: bool | None) -> bool:
    """Tell whether a total has been reached though there is a next page."""
    return bool(has_next) and total is not None and total <= received


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a listing.

    Attributes:
        items: Its items.
        total: The number of items over all pages, where the answer names it.
        has_next: Whether the answer names a next page; ``None`` when it has no links at all.
    """

    items: Sequence[T]
    total: int | None
    has_next: bool | None = None


class PagePlan:
    """Which page of a listing is next, and whether what was read is all of it. Pure.

    One look at the pages is enough when all of them name the same total and it is what they show.
    Otherwise the listing changed, and an item may have moved from a page that was still to be read
    to one that had been: another look finds it. That one may show a listing that grew, whose items
    stay where they are. When the last look, too, shows fewer items than it names, or a listing that
    shrank, something may be missing, and the caller must not take it for all.

    What no page can tell is that between two of them as many items were deleted as were added.
    """

    def __init__(self, per_page: int = MAX_PER_PAGE) -> None:
        self._per_page = per_page
        self.looks = 0
        self.look_again()

    def look_again(self) -> None:
        """Begin once more with the first page."""
        self.looks += 1
        self.read = 0
        self.last = 1
        self._page_size = self._per_page
        self._keys: set[Hashable] = set()
        self._totals: list[int] = []
        self._are_of_pages = True  # each of the totals
        self._doubted = False
        self._disproved = False

    def add(self, keys: Sequence[Hashable], total: int | None, *, has_next: bool | None) -> None:
        """Take the page that comes next in order: the keys of its items, and what it tells.

        One that tells neither a total nor of other pages is not taken for the last one until the
        next shows nothing new: the server may cap ``per_page``. Where a total has been reached and
        there is a next page, that one decides: if it shows something new, the totals are of
        something else, of a page say, or too old.
        """
        self.read += 1
        known = len(self._keys)
        self._keys.update(keys)
        shows_new = len(self._keys) > known
        if total is not None:
            self._totals.append(total)
            self._are_of_pages &= total == len(keys)
        self._disproved |= self._doubted and shows_new
        if self._disproved:
            total = None
        self._doubted = is_doubtful(total, len(self._keys), has_next)
        if not shows_new:
            self.last = self.read  # the end, or a server that takes no notice of the number
        elif total is None or total < len(self._keys) or self._doubted:
            tells_nothing = total is None and has_next is None
            is_full = len(keys) >= self._per_page
            self.last = self.read + bool(has_next or is_full or tells_nothing)
        else:
            if self.read == 1 and len(keys) < min(total, self._per_page):
                self._page_size = len(keys)  # a server that caps `per_page` lower
            self.last = max(self.read, -(-total // self._page_size))

    @property
    def received(self) -> int:
        """The number of different items that this look has shown."""
        return len(self._keys)

    @property
    def total(self) -> int:
        """The total that the newest page names; what was received where none can be believed."""
        return self._totals[-1] if self._totals and not self._disproved else self.received

    @property
    def settled(self) -> bool:
        """Whether nothing can be missing."""
        constant = len(set(self._totals)) <= 1
        if self._disproved:
            return self._are_of_pages or (self.looks > 1 and constant)
        if self.looks == 1:
            return constant and self.received == self.total
        return self._totals == sorted(self._totals) and self.received >= self.total


class Listing(ResultStream[T]):
    """An asynchronous iterator over every item of a listing, in order, none of them twice.

    Made by `iter_backups`, `iter_policies` and `iter_droplets`. A listing that changes while it is
    read is read again where its pages do not add up. What they cannot show is that between two of
    them as many items were deleted as were added: an item that moved from the later of them to the
    earlier one is missed then.

    Raises:
        IncompleteListingError: The pages do not add up to the total, also when looked at again.
            Raised after the last item.

    Example:
        >>> async with client.gpu_droplets.backups.iter_backups(3164444) as listing:
        ...     async for backup in listing:
        ...         if backup.size_gigabytes > 20.0:
        ...             break
        >>> backup.size_gigabytes
        20.5
    """

    def __init__(
        self,
        source: Paged[T],
        *,
        concurrency: int = DEFAULT_PAGE_CONCURRENCY,
        first: Page[T] | None = None,
    ) -> None:
        """Begin with nothing fetched.

        Args:
            source: Where the pages come from.
            concurrency: The most pages that are fetched at once; as many may be kept for the
                consumer.
            first: The first page, if it has been fetched already.
        """
        super().__init__()
        self._source = source
        self._concurrency = concurrency
        self._plan = PagePlan()
        self._given: set[Hashable] = set()
        self._fetching: deque[asyncio.Task[Page[T]]] = deque()
        self._running: set[asyncio.Task[Page[T]]] = set()
        if first is not None:
            self._add(first)

    def _leave(self) -> Iterable[asyncio.Task[Any]]:
        return tuple(self._running)

    async def _fill(self) -> bool:
        while not self._ready:
            if self._plan.read == self._plan.last and not self._look_again():
                return False
            self._fetch_ahead()
            # Not `await task`: that would cancel the task along with whoever waits for it.
            await asyncio.wait([self._fetching[0]])
            if self._closed:
                return False
            self._add(self._fetching.popleft().result())
            self._fetch_ahead()
            self._add_arrived()
        return True

    def _add_arrived(self) -> None:
        """Take the pages that come next, too, where they are there already."""
        while self._fetching and self._fetching[0].done() and not _failed(self._fetching[0]):
            self._add(self._fetching.popleft().result())
            self._fetch_ahead()

    def _look_again(self) -> bool:
        plan = self._plan
        if plan.settled:
            return False
        if plan.looks == MAX_LOOKS:
            raise IncompleteListingError(
                path=self._source.first.path,
                total=plan.total,
                received=plan.received,
                droplet_id=self._source.first.droplet_id,
            )
        plan.look_again()
        return True

    def _add(self, page: Page[T]) -> None:
        keys = [self._source.key(item) for item in page.items]
        self._plan.add(keys, page.total, has_next=page.has_next)
        for key, item in zip(keys, page.items, strict=True):
            if key not in self._given:
                self._given.add(key)
                self._ready.append(item)

    def _fetch_ahead(self) -> None:
        """Have the next pages fetched, as many as there are and as may be, and no others."""
        wanted = min(self._concurrency, self._plan.last - self._plan.read)
        while len(self._fetching) > wanted:
            self._fetching.pop().cancel()
        while len(self._fetching) < wanted:
            number = self._plan.read + len(self._fetching) + 1
            task = asyncio.create_task(self._source.fetch(number))
            task.add_done_callback(retrieve)
            task.add_done_callback(self._running.discard)
            self._running.add(task)
            self._fetching.append(task)


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None


class Paged(msgspec.Struct, Generic[T], frozen=True):
    """A listing that can be read by its first page or as a whole.

    Attributes:
        get: Sends an endpoint and gives its answer.
        first: The endpoint of its first page.
        endpoint: Gives the endpoint of a page, with 200 items to a page.
        items: Gives the items of an answer.
        key: What an item is known by when a changing listing shows it twice.
    """

    get: Get
    first: Endpoint[Any]
    endpoint: Callable[[int], Endpoint[Any]]
    items: Callable[[Any], Sequence[T]]
    key: Callable[[T], Hashable]

    async def fetch(self, number: int) -> Page[T]:
        """Get a page by its number, from 1."""
        return self.page(await self.get(self.first if number == 1 else self.endpoint(number)))

    def page(self, answer: Answer) -> Page[T]:
        """Read an answer as a page."""
        return Page(self.items(answer), answer.meta.total, has_next(answer))

    def listing(
        self, first: Page[T] | None = None, *, concurrency: int = DEFAULT_PAGE_CONCURRENCY
    ) -> Listing[T]:
        """Return all items, without fetching the first page again where it is given."""
        return Listing(self, concurrency=concurrency, first=first)

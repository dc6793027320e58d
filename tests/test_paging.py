"""Listings read page by page: in order, nothing twice, nothing lost without a word."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import combinations, product
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest
from aiohttp import web
from async_helpers import collect, far_client, nothing_left, settle
from hypothesis import given
from hypothesis import strategies as st

from gradient_async import (
    APIResponseValidationError,
    IncompleteListingError,
    InternalServerError,
)
from gradient_async._http import Endpoint
from gradient_async._paging import MAX_LOOKS, Listing, Page, Paged, PagePlan
from gradient_async.testing import Fault, Fleet, Simulator
from gradient_async.types import Backup

Edit = Callable[[list[int]], None]


def append(items: list[int]) -> None:
    """Add an item where the API adds new ones."""
    items.append(1000 + len(items) + max(items, default=0))


def insert(items: list[int]) -> None:
    """Add an item in front of all others."""
    items.insert(0, 1000 + len(items) + max(items, default=0))


def delete(position: int) -> Edit:
    """Delete the item at a position, if there is one."""

    def edit(items: list[int]) -> None:
        if position < len(items):
            del items[position]

    return edit


EDITS: tuple[Edit, ...] = (append, insert, *(delete(position) for position in range(5)))


def page_of(items: Sequence[int], number: int, per_page: int) -> Sequence[int]:
    """One page of a listing, as a server cuts it."""
    return items[(number - 1) * per_page : number * per_page]


@attrs.define(slots=False)
class Server:
    """A listing on a server, two items to a page, with edits between its answers.

    Attributes:
        items: What there is now.
        edits: What happens before which request, from 0.
        per_page: How many items to a page.
        total: What the answers name as the total, given what there is.
        asked: The number of every page that was asked for.
        always: The items that have been there all along.
    """

    items: list[int]
    edits: dict[int, Edit] = attrs.field(factory=dict[int, Edit])
    per_page: int = 2
    total: Callable[[int], int | None] = int
    asked: list[int] = attrs.field(factory=list[int])
    always: set[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with all items."""
        self.always = set(self.items)

    def page(self, number: int) -> Page[int]:
        """Answer a request."""
        if edit := self.edits.get(len(self.asked)):
            edit(self.items)
        self.always &= set(self.items)
        self.asked.append(number)
        assert len(self.asked) < 100, "it does not end"
        return Page(page_of(self.items, number, self.per_page), self.total(len(self.items)))


def read(server: Server, plan: PagePlan) -> tuple[set[int], bool]:
    """Read a listing as `Listing` does: all items, and whether they can be all."""
    seen: set[int] = set()
    while True:
        while plan.read < plan.last:
            page = server.page(plan.read + 1)
            seen.update(page.items)
            plan.add(page.items, page.total, has_next=page.has_next)
        if plan.settled or plan.looks == MAX_LOOKS:
            return seen, plan.settled
        plan.look_again()


class TestPagePlan:
    """The pure part: which page is next, and whether it was all."""

    @pytest.mark.parametrize("count", range(8))
    def test_an_unchanged_listing_takes_one_request_per_page(self, count: int) -> None:
        """Each page is asked for once, the first one also where there is nothing."""
        server = Server(list(range(count)))
        assert read(server, PagePlan(2)) == (set(range(count)), True)
        assert server.asked == list(range(1, max(1, -(-count // 2)) + 1))

    @pytest.mark.parametrize("count", range(7))
    def test_one_change_at_any_position_loses_nothing(self, count: int) -> None:
        """Whatever is added or deleted between whichever pages: all that stayed is found."""
        for when, edit in product(range(8), EDITS):
            server = Server(list(range(count)), {when: edit})
            seen, complete = read(server, PagePlan(2))
            assert complete
            assert seen >= server.always

    @pytest.mark.parametrize("count", range(7))
    def test_changes_at_any_two_positions_lose_nothing(self, count: int) -> None:
        """With two changes, too, all that stayed is found; it is asked at most three times."""
        for (first, second), one, other in product(combinations(range(9), 2), EDITS, EDITS):
            server = Server(list(range(count)), {first: one, second: other})
            seen, complete = read(server, PagePlan(2))
            assert complete
            assert seen >= server.always

    @given(
        st.integers(0, 12),
        st.dictionaries(st.integers(0, 25), st.sampled_from(EDITS), max_size=15),
        st.integers(2, 3),
    )
    def test_a_restless_listing_is_complete_or_an_error(
        self, count: int, edits: dict[int, Edit], per_page: int
    ) -> None:
        """However often it changes, what stayed is not left out without saying so."""
        server = Server(list(range(count)), edits, per_page)
        seen, complete = read(server, PagePlan(per_page))
        assert not complete or seen >= server.always

    def test_as_many_deleted_as_added_between_two_pages_cannot_be_seen(self) -> None:
        """The one change that no page shows, as the docstring of `PagePlan` says."""

        def exchange(items: list[int]) -> None:
            append(items)
            del items[0]

        server = Server([1, 2, 3, 4], {1: exchange})
        seen, complete = read(server, PagePlan(2))
        assert complete
        assert server.always - seen == {3}

    @pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
    @pytest.mark.parametrize("excess", [1, 5, 10**18])
    def test_a_total_that_is_too_high_is_an_error(self, count: int, excess: int) -> None:
        """Everything is read, and that something seems to be missing is said."""
        server = Server(list(range(count)), total=lambda count: count + excess)
        assert read(server, PagePlan(2)) == (set(range(count)), False)
        assert len(server.asked) <= MAX_LOOKS * (count + 2)

    @pytest.mark.parametrize("count", range(9))
    @pytest.mark.parametrize("total", [None, 0, 1])
    def test_a_total_that_is_missing_or_too_low_hides_nothing(
        self, count: int, total: int | None
    ) -> None:
        """With a missing or too low total, pages are read until one is not full."""
        server = Server(list(range(count)), total=lambda count: total and min(total, count))
        assert read(server, PagePlan(2))[0] == set(range(count))

    @pytest.mark.parametrize("count", range(1, 12))
    def test_a_server_that_caps_the_page_size_is_read_whole(self, count: int) -> None:
        """The size of the first page tells how many there are where the server caps it."""
        server = Server(list(range(count)), per_page=3)
        assert read(server, PagePlan(200)) == (set(range(count)), True)
        assert len(server.asked) == -(-count // 3)

    @pytest.mark.parametrize("count", range(8))
    def test_a_server_that_tells_nothing_is_read_until_nothing_is_new(self, count: int) -> None:
        """Without total and links, a page that is not full may be one of a server that caps it."""
        server = Server(list(range(count)), per_page=3, total=lambda _: None)
        assert read(server, PagePlan(200)) == (set(range(count)), True)
        assert len(server.asked) == 1 + -(-count // 3)

    @pytest.mark.parametrize("count", range(3, 9))
    @pytest.mark.parametrize("total", [0, 1, 2, "page"])
    def test_a_total_that_the_links_contradict_hides_nothing(
        self, count: int, total: int | str
    ) -> None:
        """Where the next page shows more than a total names, that is none, and the links tell."""
        plan = PagePlan(2)
        for look in (1, 2):
            read = list[int]()
            while plan.read < plan.last:
                items = page_of(list(range(count)), plan.read + 1, 2)
                read += items
                named = len(items) if isinstance(total, str) else total
                plan.add(items, named, has_next=2 * (plan.read + 1) < count)
            assert read == list(range(count))
            assert plan.read <= 1 + -(-count // 2)  # after a full page one more is looked at
            assert plan.settled is (look == 2 or total == "page")
            plan.look_again()

    @pytest.mark.parametrize(
        "pages",
        [
            [([1, 2], 6, True), ([6, 7], 3, True), ([8], 4, False)],
            [([1], 4, True), ([2], 4, True), ([1], 2, True)],
            [([1, 2, 3], 4, True), ([4, 5, 6], 4, True), ([1, 2, 3], 4, True)],
        ],
        ids=["an old total", "the first page once more", "grown at its head"],
    )
    def test_a_total_that_is_doubted_still_tells_of_a_change(
        self, pages: list[tuple[list[int], int, bool]]
    ) -> None:
        """Totals that differed, or that were exceeded at the end, have the listing read again."""
        plan = PagePlan(len(pages[0][0]))
        for items, total, has_next in pages:
            assert plan.read < plan.last
            plan.add(items, total, has_next=has_next)
        assert plan.read == plan.last
        assert not plan.settled

    def test_a_next_page_that_shows_nothing_new_is_none(self) -> None:
        """A server that always names one takes a request more, and its total is believed."""
        plan = PagePlan(200)
        plan.add([1, 2, 3], 3, has_next=True)
        assert (plan.read, plan.last) == (1, 2)
        plan.add([], 3, has_next=True)
        assert (plan.read, plan.last, plan.settled) == (2, 2, True)

    @pytest.mark.parametrize(("total", "last"), [(0, 1), (1, 1), (2, 1), (3, 2), (5, 3)])
    def test_the_total_tells_the_last_page(self, total: int, last: int) -> None:
        """The first page tells how many pages there are, the last one being full or not."""
        plan = PagePlan(2)
        plan.add(range(min(total, 2)), total, has_next=False)
        assert (plan.read, plan.last) == (1, last)

    def test_a_server_that_ignores_the_page_number_comes_to_an_end(self) -> None:
        """A page that shows nothing new is the last one."""
        server = Server([1, 2], total=lambda _: 10**18)
        server.page = lambda number: Server.page(server, 1)  # type: ignore[method-assign]
        assert read(server, PagePlan(2)) == ({1, 2}, False)
        assert len(server.asked) == 2 * MAX_LOOKS


def listing_of(
    fetch: Callable[[int], Coroutine[Any, Any, Page[int]]], concurrency: int = 4
) -> Listing[int]:
    """A listing of numbers."""

    def endpoint(number: int) -> Endpoint[Any]:
        return Endpoint(object, "/v2/numbers", {"page": number})

    async def get(asked: Endpoint[Any]) -> SimpleNamespace:
        page = await fetch(cast("int", asked.query["page"]))
        return SimpleNamespace(items=page.items, meta=SimpleNamespace(total=page.total), links=None)

    return Paged(
        get, endpoint(1), endpoint, lambda answer: answer.items, lambda item: item
    ).listing(concurrency=concurrency)


class SlowPages:
    """Pages of two hundred numbers whose answers are given by hand, in any order."""

    def __init__(self, pages: int) -> None:
        self.total = 200 * pages
        self.answers: dict[int, asyncio.Future[None]] = {}
        self.cancelled: list[int] = []

    async def fetch(self, number: int) -> Page[int]:
        """Wait until the page is let through."""
        self.answers[number] = asyncio.get_running_loop().create_future()
        try:
            await self.answers[number]
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        return Page(range(200 * (number - 1), 200 * number), self.total)

    async def let(self, *numbers: int) -> None:
        """Let pages through, one after the other."""
        for number in numbers:
            await self.asked(number)
            self.answers[number].set_result(None)
        await self.asked(0)

    async def asked(self, number: int) -> None:
        """Wait until a page has been asked for; for all that can run, with 0."""
        for _ in range(10 if number == 0 else 1000):
            if number in self.answers:
                return
            await asyncio.sleep(0)
        assert number == 0, f"page {number} is not asked for"


class TestListing:
    """The pages of a listing, fetched at once."""

    async def test_order_is_kept_whatever_comes_first(self) -> None:
        """Pages answered backwards are given forwards."""
        pages = SlowPages(4)
        reading = asyncio.create_task(collect(listing_of(pages.fetch)))
        await pages.let(1, 4, 3, 2)
        assert await reading == list(range(800))

    async def test_all_pages_are_asked_for_at_once_within_the_bound(self) -> None:
        """After the first page as many as allowed are under way, and no more."""
        pages = SlowPages(9)
        reading = asyncio.create_task(collect(listing_of(pages.fetch, concurrency=3)))
        await pages.let(1)
        assert sorted(pages.answers) == [1, 2, 3, 4]
        await pages.let(3, 4)
        assert sorted(pages.answers) == [1, 2, 3, 4]
        await pages.let(2)
        assert sorted(pages.answers) == [1, 2, 3, 4, 5, 6, 7]
        await pages.let(*range(5, 10))
        assert len(await reading) == 1800

    async def test_a_consumer_that_waits_holds_the_pages_back(self) -> None:
        """No more pages are fetched ahead than may be fetched at once."""
        pages = SlowPages(9)
        listing = listing_of(pages.fetch, concurrency=2)
        first = asyncio.ensure_future(anext(listing))
        await pages.let(1, 2, 3)
        assert await first == 0
        assert sorted(pages.answers) == [1, 2, 3]
        await listing.aclose()

    async def test_pages_that_are_there_are_taken_at_once(self) -> None:
        """A batch has every page that follows and has come, up to the first that failed."""
        async with nothing_left():
            pages, batches = SlowPages(9), list[int]()
            listing = listing_of(pages.fetch, concurrency=5)

            async def read() -> None:
                while batch := await listing.take():
                    batches.append(len(batch))

            reading = asyncio.create_task(read())
            await pages.let(1)
            await pages.asked(5)
            pages.answers[5].set_exception(ValueError("broken"))
            await pages.let(4, 3, 2)
            with pytest.raises(ValueError, match="broken"):
                await reading
            assert batches == [200, 600]

    async def test_an_error_comes_after_the_pages_before_it(self) -> None:
        """What can be given is given; then the error is raised and the rest is cancelled."""
        async with nothing_left():
            pages, items = SlowPages(5), list[int]()
            reading = asyncio.create_task(collect(listing_of(pages.fetch), items))
            await pages.let(1)
            await pages.asked(3)
            pages.answers[3].set_exception(ValueError("broken"))
            await pages.let(4, 2)
            with pytest.raises(ValueError, match="broken"):
                await reading
            assert items == list(range(400))
            assert pages.cancelled == [5]

    async def test_errors_of_pages_that_nobody_reads_are_not_logged(self) -> None:
        """The error of a page behind one that failed is forgotten, and not logged."""
        async with nothing_left():
            pages = SlowPages(5)
            reading = asyncio.create_task(collect(listing_of(pages.fetch)))
            await pages.let(1)
            await pages.asked(5)
            for number in (5, 4, 3, 2):
                pages.answers[number].set_exception(ValueError(f"page {number}"))
            with pytest.raises(ValueError, match="page 2"):
                await reading

    async def test_pages_that_are_no_longer_there_are_not_waited_for(self) -> None:
        """When a page tells that the listing has shrunk, the pages beyond its end are dropped."""
        async with nothing_left():
            pages = SlowPages(4)
            reading = asyncio.create_task(collect(listing_of(pages.fetch)))
            await pages.let(1)
            await pages.asked(4)
            pages.total = 400
            asked, pages.answers = pages.answers, {}
            asked[2].set_result(None)
            await pages.let(1, 2)
            assert await reading == list(range(400))
            assert pages.cancelled == [4, 3]

    @pytest.mark.parametrize("page", [1, 2])
    async def test_closed_beside_its_consumer(self, page: int) -> None:
        """A listing that another task closes ends, after what can be given, without an error."""
        async with nothing_left():
            pages, items = SlowPages(3), list[int]()
            listing = listing_of(pages.fetch)
            reading = asyncio.create_task(collect(listing, items))
            await pages.let(*range(1, page))
            await pages.asked(page)
            await listing.aclose()
            await reading
            assert items == list(range(200 * (page - 1)))
            assert await listing.take() == []

    async def test_cancelled_at_every_step(self) -> None:
        """At whichever step its consumer is cancelled, no page is fetched any more."""
        steps, completed = 0, False
        while not completed:
            server = Server(list(range(700)), per_page=200)

            async def fetch(number: int, server: Server = server) -> Page[int]:
                await asyncio.sleep(0)
                return server.page(number)

            async with nothing_left():
                items: list[int] = []
                task = asyncio.create_task(collect(listing_of(fetch, 2), items))
                await settle(steps)
                task.cancel()
                await asyncio.wait([task])
            assert items == list(range(len(items)))
            completed = not task.cancelled()
            steps += 1
        assert steps > 5

    async def test_garbage_fetches_nothing(self) -> None:
        """A listing that nobody holds any more cancels its pages."""
        pages = SlowPages(4)
        listing = listing_of(pages.fetch)
        first = asyncio.ensure_future(anext(listing))
        await pages.let(1)
        assert await first == 0
        await pages.asked(4)
        del listing, first
        gc.collect()
        await settle()
        assert sorted(pages.cancelled) == [2, 3, 4]

    async def test_the_error_of_an_incomplete_listing_names_both_numbers(self) -> None:
        """An incomplete listing ends, after its last item, in an error with both numbers."""
        items: list[int] = []

        async def fetch(number: int) -> Page[int]:
            return Page([1, 2, 3] if number == 1 else [], 5)

        with pytest.raises(IncompleteListingError) as caught:
            await collect(listing_of(fetch), items)
        assert items == [1, 2, 3]
        assert (caught.value.total, caught.value.received) == (5, 3)
        assert caught.value.path == "/v2/numbers"

    @pytest.mark.parametrize("concurrency", [1, 3])
    async def test_nothing_twice_in_a_listing_that_moves(self, concurrency: int) -> None:
        """Items that move to a later page while it is read are given once, at their first place."""
        server = Server(list(range(900)), {2: insert, 3: delete(0)}, per_page=200)

        async def fetch(number: int) -> Page[int]:
            return server.page(number)

        items = await collect(listing_of(fetch, concurrency))
        assert len(items) == len(set(items))
        assert server.always <= set(items)


@pytest.fixture
def large() -> Iterator[Simulator]:
    """A simulator in its own thread: one Droplet with 450 backups, and 450 without."""
    fleet = Fleet.uniform(1, backups=450)
    for _ in range(449):
        fleet.add_droplet()
    with Simulator(fleet) as simulator:
        yield simulator


def only(simulator: Simulator) -> int:
    """The Droplet with the backups."""
    return next(iter(simulator.fleet.droplets))


def backup_ids(simulator: Simulator) -> list[int]:
    """The backups of that Droplet, in their order."""
    return [backup.id for backup in simulator.fleet.droplets[only(simulator)].backups]


class TestOverSockets:
    """The listings of the client, from a real server."""

    async def test_every_backup_in_three_requests(self, large: Simulator) -> None:
        """450 backups are three pages of 200, in the order of the API."""
        async with far_client(large) as client:
            got = [b.id async for b in client.gpu_droplets.backups.iter_backups(only(large))]
        assert got == backup_ids(large)
        assert sorted(int(r.query["page"]) for r in large.requests) == [1, 2, 3]
        assert {r.query["per_page"] for r in large.requests} == {"200"}

    async def test_every_policy_in_three_requests(self, large: Simulator) -> None:
        """450 Droplets have 450 policies, with their IDs as ``int``."""
        async with far_client(large) as client:
            got = [pair async for pair in client.gpu_droplets.backups.iter_policies()]
        assert [droplet_id for droplet_id, _ in got] == list(large.fleet.droplets)
        assert all(policy.droplet_id == droplet_id for droplet_id, policy in got)
        assert len(large.requests) == 3

    async def test_an_empty_listing_is_one_request(self, large: Simulator) -> None:
        """A Droplet without backups takes one request and gives nothing."""
        async with far_client(large) as client:
            *_, empty = large.fleet.droplets
            assert [b async for b in client.gpu_droplets.backups.iter_backups(empty)] == []
        assert len(large.requests) == 1

    @pytest.mark.parametrize("concurrency", [1, 16])
    @pytest.mark.parametrize("request_number", [2, 3, 4])
    @pytest.mark.parametrize("change", ["oldest", "newest", "added", "both", "many"])
    async def test_what_changes_between_pages(
        self, large: Simulator, change: str, request_number: int, concurrency: int
    ) -> None:
        """Backups made or deleted before any of the requests: none twice, none that stayed lost."""
        droplet_id, before = only(large), set(backup_ids(large))

        def act(_: object) -> None:
            if large.received != request_number:
                return
            ids = backup_ids(large)
            doomed = {"oldest": ids[:1], "newest": ids[-1:], "both": ids[:2], "many": ids[:300]}
            for backup_id in doomed.get(change, []):
                large.fleet.delete_backup(droplet_id, backup_id)
            for _ in range({"added": 300, "both": 1}.get(change, 0)):
                large.fleet.add_backup(droplet_id)

        large.before(act)
        async with far_client(large) as client:
            listing = client.gpu_droplets.backups.iter_backups(droplet_id, concurrency=concurrency)
            got = [backup.id async for backup in listing]
        assert len(got) == len(set(got))
        assert before & set(backup_ids(large)) <= set(got)
        assert large.received <= 12

    @pytest.mark.parametrize("total", ["of the page", 200, 400, 0])
    async def test_a_total_that_the_links_contradict_hides_nothing(
        self, large: Simulator, total: int | str
    ) -> None:
        """A server that counts each page by itself, or an old total, loses no backup anywhere."""
        known = backup_ids(large)

        def answer(request: web.BaseRequest) -> web.Response:
            page = int(request.query["page"])
            ids = known[200 * (page - 1) : 200 * page]
            named = len(ids) if isinstance(total, str) else total
            content = page_content(ids, named, has_next=200 * page < len(known))
            return web.Response(body=content, content_type="application/json")

        large.faults.add(Fault.callback(answer), path="/backups$", times=None)
        async with far_client(large) as client:
            backups = client.gpu_droplets.backups
            assert [b.id async for b in backups.iter_backups(only(large))] == known
            [result] = await collect(backups.list_many([only(large)]))
        assert result.error is None
        assert [backup.id for backup in result.backups] == known

    async def test_a_listing_whose_pages_do_not_add_up_is_an_error(self, large: Simulator) -> None:
        """A server that shows less than it names is asked again, and then not believed."""
        large.faults.add(page_body([1, 2], total=7), path="/backups$", times=None)
        async with far_client(large) as client:
            with pytest.raises(IncompleteListingError) as caught:
                await collect(client.gpu_droplets.backups.iter_backups(only(large)))
        assert (caught.value.total, caught.value.received) == (7, 2)
        assert caught.value.droplet_id == only(large)
        assert large.received <= 2 * MAX_LOOKS + MAX_LOOKS * 16

    async def test_an_absurd_total_ends_all_the_same(self, large: Simulator) -> None:
        """10**18 items on one page are read in bounded time, and not believed."""
        large.faults.add(page_body([1, 2], total=10**18), path="/backups$", times=None)
        async with far_client(large) as client:
            with pytest.raises(IncompleteListingError):
                await collect(client.gpu_droplets.backups.iter_backups(only(large)))
        assert large.received <= MAX_LOOKS * 18

    async def test_without_a_total_pages_are_read_to_the_first_short_one(
        self, large: Simulator
    ) -> None:
        """Without ``meta.total`` pages are read up to the first short one."""
        large.faults.add(page_body([1, 2], total=None), path="/backups$", times=None)
        async with far_client(large) as client:
            got = [b.id async for b in client.gpu_droplets.backups.iter_backups(only(large))]
        assert got == [1, 2]
        assert large.received == 1

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (Fault.status(500), InternalServerError),
            (Fault.body(b"<html>"), APIResponseValidationError),
        ],
        ids=["500", "HTML"],
    )
    async def test_the_error_of_a_page_comes_after_the_pages_before(
        self, large: Simulator, fault: Fault, error: type[Exception]
    ) -> None:
        """The backups of the first page are given, then what page 2 ended in is raised."""
        large.faults.add(fault, query={"page": 2}, times=None)
        got: list[Backup] = []
        async with far_client(large, max_retries=0) as client, nothing_left():
            with pytest.raises(error):
                await collect(client.gpu_droplets.backups.iter_backups(only(large)), got)
        assert [backup.id for backup in got] == backup_ids(large)[:200]

    async def test_thousands_of_policies_in_a_few_requests(self) -> None:
        """10,000 policies are 50 requests, all but the first at once."""
        fleet = Fleet.uniform(10_000, backups=0)
        with Simulator(fleet) as simulator:
            async with far_client(simulator, rate_limit=None) as client:
                backups = client.gpu_droplets.backups
                got = [i async for i, _ in backups.iter_policies(concurrency=64)]
        assert got == list(fleet.droplets)
        assert simulator.received == 50

    async def test_without_a_total_a_next_page_is_read(self) -> None:
        """A server that caps the pages and names no total, but a next page, shows all of them."""
        fleet = Fleet.uniform(1, backups=45)
        with Simulator(fleet) as simulator:
            for number in range(1, 6):
                ids = range(20 * number - 19, min(20 * number, 45) + 1)
                body = page_body(ids, None, has_next=number < 3)
                simulator.faults.add(body, query={"page": number}, times=None)
            async with far_client(simulator) as client:
                backups = client.gpu_droplets.backups
                got = [backup.id async for backup in backups.iter_backups(only(simulator))]
                [result] = await collect(backups.list_many([only(simulator)]))
        assert got == [backup.id for backup in result.backups] == list(range(1, 46))
        assert simulator.received == 6

    async def test_the_same_backup_twice_on_a_page(self) -> None:
        """A backup that is twice on a page counts once: one of the total is missing."""
        with Simulator(Fleet.uniform(1, backups=0)) as simulator:
            simulator.faults.add(page_body([1, 1], total=2), path="/backups$", times=None)
            async with far_client(simulator) as client:
                backups = client.gpu_droplets.backups
                [result] = await collect(backups.list_many([only(simulator)]))
                with pytest.raises(IncompleteListingError):
                    await collect(backups.iter_backups(only(simulator)))
        assert isinstance(result.error, IncompleteListingError)

    async def test_an_order_of_the_api_is_not_relied_on(self) -> None:
        """Backups are oldest first, whatever the order of the pages."""
        with Simulator(Fleet.uniform(1, backups=0)) as simulator:
            simulator.faults.add(page_body(range(200, 0, -1), 203), query={"page": 1}, times=None)
            simulator.faults.add(page_body([202, 203, 201], 203), query={"page": 2}, times=None)
            async with far_client(simulator) as client:
                backups = client.gpu_droplets.backups
                [result] = await collect(backups.list_many([only(simulator)]))
        assert [backup.id for backup in result.backups] == list(range(1, 204))

    @pytest.mark.parametrize("key", ["abc", "", "1_0", "-1", "9" * 21, "9" * 5000])
    async def test_policy_under_an_invalid_id(self, key: str) -> None:
        """A key that is not a Droplet ID is an error of the answer that names the place."""
        body = json.dumps({"policies": {key: {"droplet_id": 1}}, "meta": {"total": 1}}).encode()
        with Simulator(Fleet.uniform(3, backups=0)) as simulator:
            simulator.faults.add(Fault.body(body), path="/policies$", times=None)
            async with far_client(simulator) as client:
                with pytest.raises(APIResponseValidationError) as caught:
                    await collect(client.gpu_droplets.backups.iter_policies())
                results = await collect(client.gpu_droplets.backups.list_fleet(plan="joined"))
        assert caught.value.path == f"$.policies[{key[:40]!r}]"
        assert [result.error for result in results] == [None] * 3


def page_body(ids: Sequence[int], total: int | None, *, has_next: bool = False) -> Fault:
    """An answer with these backups, whatever page is asked for."""
    return Fault.body(page_content(ids, total, has_next=has_next))


def page_content(ids: Sequence[int], total: int | None, *, has_next: bool) -> bytes:
    """The body of a page with these backups."""
    one = (
        '{{"id":{},"name":"n","regions":[],"created_at":"2026-01-01T00:00:00Z",'
        '"min_disk_size":1,"size_gigabytes":1.5,"type":"backup"}}'
    )
    backups = ",".join(one.format(backup_id) for backup_id in ids)
    meta = "" if total is None else f'"total":{total}'
    links = '"pages":{"next":"https://api/next"}' if has_next else ""
    return f'{{"backups":[{backups}],"links":{{{links}}},"meta":{{{meta}}}}}'.encode()

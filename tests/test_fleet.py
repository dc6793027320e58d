"""A whole account: Droplets, images and policies joined, or each Droplet asked, with one result."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from aiohttp import web
from async_helpers import collect, far_client
from conftest import AnyClient, Kind, MakeClient
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_async import AsyncGradient, RateLimit, errors
from gradient_async._fan_out import FanOut
from gradient_async._fleet import (
    FEW,
    FirstPages,
    PlanChoice,
    as_backup,
    checked_plan,
    joined_backups,
    pages,
    policies_pay,
)
from gradient_async.testing import ALL_SCOPES, Fault, Fleet, Simulator
from gradient_async.types import Backup, Droplet, DropletBackups, Policy
from gradient_async.types._images import Image

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
PLANS: tuple[PlanChoice, ...] = ("auto", "joined", "per_droplet")


def image(number: int, type: str = "backup", **changes: Any) -> Image:
    """An image that has all that a backup has."""
    made = NOON + timedelta(hours=number)
    usual: dict[str, Any] = {
        "created_at": made,
        "min_disk_size": 25,
        "name": f"image {number}",
        "regions": ["nyc2"],
        "size_gigabytes": 2.5,
        "type": type,
    }
    return Image(number, **{**usual, **changes})


def backup(number: int) -> Backup:
    """The backup that `image` of this number is."""
    made = as_backup(image(number))
    assert made is not None
    return made


def droplet(number: int, backup_ids: Iterable[int] | None = ()) -> Droplet:
    """A Droplet that names these backups, or that does not tell."""
    return Droplet(
        number, f"gpu-{number}", backup_ids=None if backup_ids is None else list(backup_ids)
    )


class TestJoin:
    """The backups of one Droplet, from what the listings hold."""

    @given(
        named=st.lists(st.integers(1, 12), unique=True, min_size=1),
        listed=st.sets(st.integers(1, 12)),
        enabled=st.sampled_from([True, False, None]),
    )
    def test_all_that_it_names_or_nothing(
        self, named: list[int], listed: set[int], enabled: bool | None
    ) -> None:
        """Every backup that is named is found, oldest first, or the join does not answer."""
        images = {number: backup(number) for number in listed}
        joined = joined_backups(droplet(1, named), images, {1: Policy(enabled)})
        if set(named) <= listed:
            assert joined == [backup(number) for number in sorted(named)]
        else:
            assert joined is None

    @pytest.mark.parametrize(
        ("policies", "joined"),
        [({1: Policy(False)}, []), ({1: Policy(True)}, None), ({1: Policy()}, None), ({}, None)],
        ids=["disabled", "enabled", "not told", "no policy"],
    )
    def test_names_none(self, policies: dict[int, Policy], joined: list[Backup] | None) -> None:
        """That there are none is believed only where backups are known to be disabled."""
        assert joined_backups(droplet(1), {7: backup(7)}, policies) == joined

    def test_does_not_tell(self) -> None:
        """A Droplet without ``backup_ids`` is not taken for one without backups."""
        assert joined_backups(droplet(1, None), {7: backup(7)}, {1: Policy(False)}) is None

    @pytest.mark.parametrize("kind", ["snapshot", "custom", "admin", ""])
    def test_other_kinds_of_images(self, kind: str) -> None:
        """No image of another kind is a backup, whatever names it."""
        assert as_backup(image(1, kind)) is None

    @pytest.mark.parametrize("field", [f.name for f in attrs.fields(Backup) if f.name != "id"])
    def test_image_that_lacks_something(self, field: str) -> None:
        """An image without all that a backup has is none."""
        lacking: dict[str, Any] = {field: None}
        assert as_backup(attrs.evolve(image(1), **lacking)) is None

    def test_what_an_image_gives(self) -> None:
        """All members of the backup come from the image."""
        assert attrs.asdict(backup(3)) == {
            "id": 3,
            "created_at": NOON + timedelta(hours=3),
            "min_disk_size": 25,
            "name": "image 3",
            "regions": ["nyc2"],
            "size_gigabytes": 2.5,
            "type": "backup",
        }


class TestPlan:
    """Which way takes fewer requests, as far as the first pages show."""

    @pytest.mark.parametrize(
        ("total", "images", "joined", "choice"),
        [
            (1000, 4000, 25, "joined"),
            (1000, 7000, 40, "joined"),
            (1000, 42000, 215, "joined"),
            (1000, 27000, 140, "joined"),
            (100_000, 700_000, 4000, "joined"),
            (100, 20_000, 101, "per_droplet"),
            (100, 19_800, 100, "joined"),
        ],
    )
    def test_by_requests(self, total: int, images: int, joined: int, choice: str) -> None:
        """The pages of two listings against a request for each Droplet."""
        seen = FirstPages([droplet(1, [1])], total, [image(1)], images)
        plan = seen.plan(None)
        assert plan.per_droplet_requests == pages(total) + total
        assert (plan.joined_requests, plan.choice) == (joined, choice)

    def test_time_under_the_limit(self) -> None:
        """250 requests go out at once, the next 250 a minute later; 5,000 in an hour."""
        seen = FirstPages([droplet(1, [1])], 1000, [image(1)], 7000)
        plan = seen.plan(RateLimit())
        assert (plan.joined_requests, plan.joined_seconds) == (40, 0.0)
        assert (plan.per_droplet_requests, plan.per_droplet_seconds) == (1005, 240.0)

    @pytest.mark.parametrize(
        ("backups", "requests"), [([1, 200], 1 + 2), ([201, 1, 0], 1 + 4), ([201] * 200, 5 + 2000)]
    )
    def test_more_backups_than_one_page_has(self, backups: list[int], requests: int) -> None:
        """Asking about a Droplet takes a request per page of its backups, and at least one."""
        listed = [droplet(id, list(range(count))) for id, count in enumerate(backups, 1)]
        total = 1000 if len(backups) == 200 else len(backups)
        assert FirstPages(listed, total).plan(None).per_droplet_requests == requests

    def test_a_number_of_droplets_that_a_server_makes_up(self) -> None:
        """No number is too large to be multiplied."""
        plan = FirstPages([droplet(1, [1])], 10**400).plan(RateLimit())
        assert plan.per_droplet_requests == 10**400 + 10**400 // 200

    def test_policies_are_counted_where_a_droplet_names_no_backup(self) -> None:
        """They are read to tell "disabled" from "not yet"."""
        listed = [droplet(1, [1]), droplet(2), droplet(3)]
        seen = FirstPages(listed, 1000, [image(1)], 200)
        assert seen.plan(None).joined_requests == 5 + 1 + 2
        known = attrs.evolve(seen, reads_policies=False)
        assert known.plan(None).joined_requests == 5 + 1

    @pytest.mark.parametrize(
        ("seen", "reason"),
        [
            (FirstPages([droplet(1, [1])], FEW), "so few"),
            (FirstPages([droplet(1, [1]), droplet(2, None)], 900), "image:read"),
            (FirstPages([droplet(1, [1])], 900), "cannot be listed"),
            (FirstPages([droplet(1, [1])], 900, [], 0), "show no backups"),
            (FirstPages([droplet(1, [1])], 900, [image(1, "snapshot")], 1), "show no backups"),
        ],
    )
    def test_obstacles(self, seen: FirstPages, reason: str) -> None:
        """Where the join cannot work each Droplet is asked, and the plan says why."""
        plan = seen.plan(None)
        assert plan.choice == "per_droplet"
        assert (plan.joined_requests, plan.joined_seconds) == (None, None)
        assert reason in plan.reason

    def test_no_backups_at_all(self) -> None:
        """An account whose Droplets name no backups says nothing about its images."""
        plan = FirstPages([droplet(1)], 900, [image(1, "snapshot")], 1).plan(None)
        assert (plan.choice, plan.joined_requests) == ("joined", 5 + 1 + 1)

    @pytest.mark.parametrize("plan", ["", "Joined", "per-droplet", None, 1])
    def test_unknown(self, plan: Any) -> None:
        """A plan that there is none of is refused by its name."""
        with pytest.raises(ValueError, match=f"plan must be one of .* got {plan!r}"):
            checked_plan(plan)


class TestPoliciesPay:
    """Reading on in the policies, or asking about the Droplets that name no backup."""

    @pytest.mark.parametrize(("empty", "pay"), [(0, False), (1, False), (2, True), (900, True)])
    def test_first_page(self, empty: int, pay: bool) -> None:
        """One request is worth it for two Droplets."""
        assert policies_pay(range(empty), {}, 1) is pay

    @pytest.mark.parametrize(("left", "pay"), [(49, True), (50, False)])
    def test_by_what_the_first_page_shows(self, left: int, pay: bool) -> None:
        """Half of those seen are disabled, so half of the other hundred will be."""
        seen = {number: Policy(bool(number % 2)) for number in range(10)}
        assert policies_pay(range(110), seen, left) is pay

    def test_none_saves_anything(self) -> None:
        """Where all are enabled each has to be asked all the same."""
        assert not policies_pay(range(1000), {1: Policy(True)}, 1)

    def test_none_seen(self) -> None:
        """A page about other Droplets says nothing: the best is expected."""
        assert policies_pay(range(10), {99: Policy(True)}, 9)
        assert not policies_pay(range(10), {99: Policy(True)}, 10)


def truth(fleet: Fleet, selected: Callable[[Any], bool] = lambda d: d.is_gpu) -> dict[int, Any]:
    """The backups of each Droplet, by their IDs, as the account has them."""
    return {
        droplet.id: [backup.id for backup in droplet.backups]
        for droplet in fleet.droplets.values()
        if selected(droplet)
    }


def found(results: Iterable[DropletBackups]) -> dict[int, Any]:
    """The same of what was listed; fails on a Droplet that comes twice or has an error."""
    by_id: dict[int, Any] = {}
    for result in results:
        assert result.error is None
        assert result.droplet_id not in by_id
        assert result.droplet is not None
        assert result.droplet.id == result.droplet_id
        assert all(backup.type == "backup" for backup in result.backups)
        by_id[result.droplet_id] = [backup.id for backup in result.backups]
    return by_id


async def list_fleet(client: AnyClient, **options: Any) -> list[DropletBackups]:
    """All results of `list_fleet`, by either client."""
    results = client.real.gpu_droplets.backups.list_fleet
    if client.kind == "async":
        return await collect(results(**options))
    return await asyncio.to_thread(lambda: list(results(**options)))


MakeSimulator = Callable[..., Any]


@pytest.fixture
def fleet() -> Fleet:
    """An account of all that there is: more than a page of Droplets, some without GPUs."""
    return Fleet.generate(260, unrelated_images=250)


class TestOverSockets:
    """The join against asking each Droplet, on a simulated account."""

    @pytest.mark.parametrize("plan", PLANS)
    async def test_every_plan_tells_the_same(
        self, client: AnyClient, simulator: Simulator, plan: PlanChoice
    ) -> None:
        """Each GPU Droplet once, with all its backups, oldest first, and the Droplet beside."""
        results = await list_fleet(client, plan=plan)
        assert found(results) == truth(simulator.fleet)
        names = {result.droplet_id: result.droplet.name for result in results if result.droplet}
        assert names == {number: simulator.fleet.droplets[number].name for number in names}

    async def test_the_same_objects(self, async_client: AsyncGradient) -> None:
        """A joined backup equals the one that the Droplet's own endpoint gives."""
        backups = async_client.gpu_droplets.backups
        joined = {r.droplet_id: r for r in await collect(backups.list_fleet(plan="joined"))}
        each = {r.droplet_id: r for r in await collect(backups.list_fleet(plan="per_droplet"))}
        assert joined == each

    @pytest.mark.parametrize(
        ("options", "selected"),
        [
            ({"type": "droplets"}, lambda d: not d.is_gpu),
            ({"tag_name": "env:staging"}, lambda d: "env:staging" in d.tags),
            ({"tag_name": "nobody has it"}, lambda d: False),
        ],
        ids=["type", "tag", "empty"],
    )
    async def test_filters(
        self,
        client: AnyClient,
        simulator: Simulator,
        options: dict[str, Any],
        selected: Callable[[Any], bool],
    ) -> None:
        """Only the Droplets that were asked for, with GPUs or without, by each plan."""
        for plan in PLANS:
            results = await list_fleet(client, plan=plan, **options)
            assert found(results) == truth(simulator.fleet, selected)

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"plan": "fast"}, "plan"),
            ({"type": "gpu"}, "type"),
            ({"type": "gpus", "tag_name": "x"}, "tag_name"),
            ({"concurrency": 0}, "concurrency"),
            ({"policies": [(7, Policy(False))]}, "policies must be a mapping"),
            ({"policies": {"7": Policy(False)}}, "a key of policies must be an int, got '7'"),
        ],
    )
    async def test_bad_input(
        self, client: AnyClient, simulator: Simulator, options: dict[str, Any], name: str
    ) -> None:
        """What cannot be is refused by its name, before anything is sent."""
        with pytest.raises((TypeError, ValueError), match=name):
            await list_fleet(client, **options)
        assert simulator.received == 0

    async def test_plan_fleet(self, client: AnyClient, simulator: Simulator) -> None:
        """The dry run counts Droplets, images and requests, and sends three at most."""
        plan = await client.backups.plan_fleet()
        backups = truth(simulator.fleet)
        gpus, one_by_one = len(backups), sum(pages(len(each)) for each in backups.values())
        images = len(simulator.fleet.private_images())
        assert (plan.droplets, plan.images, plan.choice) == (gpus, images, "joined")
        assert plan.per_droplet_requests == pages(gpus) + one_by_one > pages(gpus) + gpus
        assert plan.joined_requests == 2 * pages(gpus) + pages(images)
        assert simulator.received <= 3


def unlimited(simulator: Simulator, **options: Any) -> AsyncGradient:
    """A client that asks more in a minute than an account allows."""
    return AsyncGradient(simulator.token, base_url=simulator.url, rate_limit=None, **options)


async def requests_of(fleet: Fleet, plan: PlanChoice = "auto", **options: Any) -> int:
    """List an account, see that nothing is missing, and count the requests."""
    async with Simulator(fleet, **options) as simulator:
        async with unlimited(simulator) as client:
            results = await collect(client.gpu_droplets.backups.list_fleet(plan=plan))
        assert found(results) == truth(fleet)
        return simulator.received


class TestRequests:
    """What it costs."""

    @pytest.mark.parametrize(
        ("droplets", "each", "requests"), [(1000, 4, 25), (1000, 7, 40), (200, 42, 43)]
    )
    async def test_large_accounts(self, droplets: int, each: int, requests: int) -> None:
        """A page of Droplets and images for 200 of them each."""
        assert await requests_of(Fleet.uniform(droplets, each)) == requests

    async def test_images_that_are_no_backups(self) -> None:
        """So many that joining does not pay: two requests show it."""
        fleet = Fleet.uniform(40, 2, unrelated_images=8_000)
        assert await requests_of(fleet) <= 41 + 2

    async def test_old_snapshots_on_the_first_page(self) -> None:
        """A first page of snapshots, older than all backups, is not taken for all there is."""
        fleet = Fleet.uniform(300, 2, unrelated_images=400)
        for snapshot in fleet.images:
            snapshot.created_at -= timedelta(days=1000)
        assert await requests_of(fleet) == 2 + 5 + 1

    @pytest.mark.parametrize("unrelated", [0, 30, 450])
    async def test_images_without_backups(self, unrelated: int) -> None:
        """Where the images hold no backups, three requests at most show it."""
        fleet = Fleet.uniform(60, 3, unrelated_images=unrelated)
        fleet.images_include_backups = False
        for plan in PLANS:
            assert await requests_of(fleet, plan) <= 61 + 2

    @pytest.mark.parametrize("scopes", [ALL_SCOPES - {"image:read"}, ALL_SCOPES - {"tag:read"}])
    async def test_scopes(self, scopes: frozenset[str]) -> None:
        """Without the right to see images each Droplet is asked, at no request more."""
        requests = await requests_of(Fleet.uniform(60, 3), scopes=scopes)
        assert requests == (2 if "image:read" in scopes else 61)

    async def test_policies_are_read_only_where_they_save_requests(self) -> None:
        """Droplets that are all too new for a backup are asked, not looked up page by page."""
        fresh = Fleet.uniform(500, 0)
        assert await requests_of(fresh) == 3 + 1 + 1 + 500
        for number in fresh.droplets:
            fresh.set_policy(number, None)
        assert await requests_of(fresh) == 3 + 1 + 3

    async def test_policies_that_are_known(self) -> None:
        """Policies that are given are not read again; a Droplet that they lack is asked."""
        fleet = Fleet.uniform(500, 0)
        for number in fleet.droplets:
            fleet.set_policy(number, None)
        known = dict.fromkeys(list(fleet.droplets)[:-1], Policy(False))
        async with Simulator(fleet) as simulator:
            async with unlimited(simulator) as client:
                results = await collect(client.gpu_droplets.backups.list_fleet(policies=known))
            assert found(results) == truth(fleet)
            assert simulator.received == 3 + 1 + 1

    async def test_policies_that_cannot_be_read(self) -> None:
        """Then each Droplet that names no backup is asked."""
        fleet = Fleet.uniform(20, 0)
        async with Simulator(fleet) as simulator:
            simulator.faults.add(Fault.status(404), path="/policies$", times=None)
            async with unlimited(simulator) as client:
                results = await collect(client.gpu_droplets.backups.list_fleet(plan="joined"))
            assert found(results) == truth(fleet)
            assert simulator.received == 1 + 1 + 1 + 20

    async def test_images_that_cannot_be_read(self) -> None:
        """Then each Droplet is asked."""
        fleet = Fleet.uniform(20, 2)
        async with Simulator(fleet) as simulator:
            simulator.faults.add(Fault.status(403), path="/images$", times=None)
            async with unlimited(simulator) as client:
                results = await collect(client.gpu_droplets.backups.list_fleet())
            assert found(results) == truth(fleet)
            assert simulator.received == 1 + 1 + 20


class TestWhatCannotBeVouchedFor:
    """The join is not believed where it may be wrong."""

    async def test_backup_that_no_image_shows(self) -> None:
        """Only the Droplets whose backups are not all among the images are asked."""
        fleet = Fleet.uniform(300, 3)
        missing = [droplet.backups[0].id for droplet in list(fleet.droplets.values())[:5]]
        for number in missing:
            fleet.hide(number, "images")
        assert await requests_of(fleet) == 2 + 5 + 5

    async def test_one_droplet_whose_own_endpoint_fails(self) -> None:
        """An error of a Droplet that has to be asked is its result; the others are joined."""
        fleet = Fleet.uniform(30, 3)
        failing = list(fleet.droplets.values())[3]
        fleet.hide(failing.backups[0].id, "images")
        async with Simulator(fleet) as simulator:
            simulator.faults.add(Fault.status(403), path=f"/{failing.id}/backups", times=None)
            async with unlimited(simulator) as client:
                results = await collect(client.gpu_droplets.backups.list_fleet())
        [failed] = [result for result in results if result.error is not None]
        assert isinstance(failed.error, errors.PermissionDeniedError)
        assert failed.droplet_id == failing.id
        assert failed.droplet is not None
        assert failed.droplet.name == failing.name
        assert len(results) == 30

    @pytest.mark.parametrize("plan", ["auto", "joined"])
    @pytest.mark.parametrize("request_number", range(1, 8))
    @pytest.mark.parametrize("lagging", [(), ("images",), ("droplets",), ("droplets", "images")])
    async def test_backups_that_come_and_go(
        self, plan: PlanChoice, request_number: int, lagging: Any
    ) -> None:
        """Each Droplet ends in a state that it was in at one moment, whatever the listings show."""
        fleet = Fleet.uniform(250, 3)
        before = truth(fleet)
        changed = list(fleet.droplets)[::25]

        async with Simulator(fleet) as simulator:

            def change(_: object) -> None:
                if simulator.received != request_number:
                    return
                fleet.lag(*lagging)
                for number in changed:
                    fleet.add_backup(number)
                    fleet.delete_backup(number, before[number][0])

            simulator.before(change)
            async with unlimited(simulator) as client:
                results = await collect(client.gpu_droplets.backups.list_fleet(plan=plan))
        got, after = found(results), truth(fleet)
        assert got.keys() == before.keys()
        halfway = {number: [*before[number], *after[number][-1:]] for number in changed}
        for number, backups in got.items():
            moments = [before[number], after[number], halfway.get(number)]
            assert backups in moments

    @pytest.mark.parametrize("request_number", range(1, 6))
    @pytest.mark.parametrize("plan", PLANS)
    @pytest.mark.parametrize("comes", [True, False], ids=["comes", "goes"])
    async def test_droplets_that_come_and_go(
        self, plan: PlanChoice, request_number: int, comes: bool
    ) -> None:
        """Droplets that were there throughout are all listed, once, with all backups."""
        fleet = Fleet.uniform(250, 2)
        before = truth(fleet)
        async with Simulator(fleet) as simulator:

            def change(_: object) -> None:
                if simulator.received == request_number and comes:
                    fleet.add_droplet()
                elif simulator.received == request_number:
                    fleet.remove_droplet(next(iter(before)))

            simulator.before(change)
            async with unlimited(simulator) as client:
                results = await collect(client.gpu_droplets.backups.list_fleet(plan=plan))
        after = truth(fleet)
        got = {result.droplet_id: [b.id for b in result.backups] for result in results}
        assert len(got) == len(results)
        for number in before.keys() & after.keys():
            assert got[number] == before[number]

    async def test_a_page_of_droplets_that_fails_in_a_join(self) -> None:
        """What was listed is joined and given; then the error of the listing is raised."""
        fleet = Fleet.uniform(450, 3)
        async with Simulator(fleet) as simulator:
            simulator.faults.add(Fault.status(500), path="/v2/droplets$", query={"page": 3})
            async with unlimited(simulator, max_retries=0) as client:
                results: list[DropletBackups] = []
                with pytest.raises(errors.InternalServerError):
                    await collect(
                        client.gpu_droplets.backups.list_fleet(plan="joined"), into=results
                    )
        assert found(results) == dict(list(truth(fleet).items())[:400])
        assert simulator.received < 20

    async def test_a_page_of_images_that_fails_in_a_join(self) -> None:
        """The Droplets whose backups it would have shown are asked about one by one."""
        fleet = Fleet.uniform(150, 4)
        async with Simulator(fleet) as simulator:
            simulator.faults.add(Fault.status(500), path="/v2/images$", query={"page": 3})
            async with unlimited(simulator, max_retries=0) as client:
                results = await collect(client.gpu_droplets.backups.list_fleet(plan="joined"))
        assert found(results) == truth(fleet)
        assert simulator.received == 1 + 3 + 150  # a backup of each was on that page

    @pytest.mark.parametrize("plan", PLANS)
    async def test_a_total_that_is_of_the_page(self, plan: PlanChoice) -> None:
        """It is not taken for that of the account: nobody is told that all Droplets are known."""
        fleet = Fleet.uniform(450, 0)
        numbers = list(fleet.droplets)
        async with Simulator(fleet) as simulator:

            def answer(request: web.BaseRequest) -> web.Response:
                page = int(request.query["page"])
                ids = numbers[200 * (page - 1) : 200 * page]
                pages = {"next": "https://api/next"} if 200 * page < len(numbers) else {}
                droplets = [{"id": number, "name": "gpu", "backup_ids": []} for number in ids]
                links, meta = {"pages": pages}, {"total": len(ids)}
                return web.json_response({"droplets": droplets, "links": links, "meta": meta})

            simulator.faults.add(Fault.callback(answer), path="/v2/droplets$", times=None)
            async with unlimited(simulator) as client:
                results = client.gpu_droplets.backups.list_fleet(plan=plan)
                first = await anext(results)
                known = results.total
                rest = await collect(results)
        assert known in (None, 450)
        assert results.total == len(rest) + 1 == 450
        assert {result.droplet_id for result in [first, *rest]} == set(numbers)

    async def test_droplets_that_do_not_add_up(self) -> None:
        """A listing of Droplets that shows fewer than it names ends in an error, after the rest."""
        fleet = Fleet.uniform(10, 2)
        droplets = [{"id": next(iter(fleet.droplets)), "name": "gpu"}]
        answer = json.dumps({"droplets": droplets, "meta": {"total": 10}}).encode()
        async with Simulator(fleet) as simulator:
            simulator.faults.add(Fault.body(answer), path="/v2/droplets$", times=None)
            async with unlimited(simulator) as client:
                for plan in PLANS:
                    results: list[DropletBackups] = []
                    with pytest.raises(errors.IncompleteListingError):
                        await collect(
                            client.gpu_droplets.backups.list_fleet(plan=plan), into=results
                        )
                    assert found(results) == dict([next(iter(truth(fleet).items()))])


@st.composite
def accounts(draw: st.DrawFn) -> Fleet:
    """An account with any mix of policies and backups, and listings that hide some of these."""
    fleet = Fleet.uniform(
        draw(st.integers(0, 12)),
        draw(st.integers(0, 3)),
        unrelated_images=draw(st.sampled_from([0, 1, 30, 230])),
    )
    fleet.images_include_backups = draw(st.booleans())
    for number, owned in list(truth(fleet).items()):
        fate = draw(st.sampled_from(["kept", "kept", "disabled", "emptied", "hidden", "extra"]))
        if fate == "disabled":
            fleet.set_policy(number, None)
        elif fate == "emptied":
            for backup_id in owned:
                fleet.delete_backup(number, backup_id)
        elif fate == "hidden" and owned:
            fleet.hide(draw(st.sampled_from(owned)), "images")
        elif fate == "extra":
            fleet.add_backup(number)
    return fleet


class TestAnyAccount:
    """Whatever an account holds and its listings show."""

    @settings(max_examples=40)
    @given(
        fleet=accounts(),
        plan=st.sampled_from(PLANS),
        scopes=st.sampled_from([ALL_SCOPES, ALL_SCOPES - {"image:read"}]),
    )
    def test_result_and_requests(
        self, fleet: Fleet, plan: PlanChoice, scopes: frozenset[str]
    ) -> None:
        """The truth, for at most three requests more than asking each Droplet takes."""
        requests = asyncio.run(requests_of(fleet, plan, scopes=scopes))
        assert requests <= 1 + len(fleet.droplets) + 3


class TestRun:
    """A run over an account is a fan-out like any other."""

    async def test_total_and_missing(self, async_client: AsyncGradient, fleet: Fleet) -> None:
        """The number is known with the first answer, the Droplets with their listing."""
        gpus = truth(fleet)
        async with async_client.gpu_droplets.backups.list_fleet(plan="joined") as results:
            assert (results.total, results.missing) == (None, ())
            first = await anext(results)
            assert results.total == len(gpus)
            assert {first.droplet_id} | set(results.missing) >= gpus.keys() - {
                result.droplet_id for result in await results.take()
            }
            await collect(results)
            assert results.missing == ()

    async def test_missing_while_droplets_are_asked(
        self, async_client: AsyncGradient, simulator: Simulator, fleet: Fleet
    ) -> None:
        """The Droplets that were listed and have no result are named."""
        gpus = list(truth(fleet))
        simulator.faults.add(Fault.hold(), path="/backups$", times=None)
        results = async_client.gpu_droplets.backups.list_fleet(plan="per_droplet", concurrency=3)
        async with results:
            waiting = asyncio.ensure_future(results.take())
            await simulator.wait_for(held=3)
            assert set(results.missing) == set(gpus[:200])
            waiting.cancel()
        assert set(results.missing) == set(gpus[:200])

    @pytest.mark.parametrize("plan", PLANS)
    async def test_leaving_early_leaves_nothing(self, fleet: Fleet, plan: PlanChoice) -> None:
        """Whoever leaves the loop early leaves no task and no request behind."""
        with Simulator(fleet) as simulator:
            async with far_client(simulator) as client:
                async with client.gpu_droplets.backups.list_fleet(plan=plan) as results:
                    async for _ in results:
                        break
                assert asyncio.all_tasks() == {asyncio.current_task()}
            await asyncio.to_thread(simulator.wait_for_sync, lambda s: s.in_flight == 0)

    @pytest.mark.parametrize("plan", ["joined", "per_droplet"])
    async def test_deadline_before_all_are_listed(self, plan: PlanChoice) -> None:
        """The first page is named as missing, whatever was read for; the rest is counted."""
        async with Simulator(Fleet.uniform(250, 1)) as simulator:
            simulator.faults.add(Fault.hold(), path="/(images|backups)$", times=None)
            async with unlimited(simulator) as client:
                fleet = client.gpu_droplets.backups.list_fleet(plan=plan, deadline=1.0)
                with pytest.raises(errors.DeadlineExceededError) as caught:
                    await anext(fleet)
        first_page = list(simulator.fleet.droplets)[:200]
        assert sorted(caught.value.missing) == first_page
        assert caught.value.unlisted == 50

    async def test_deadline_after_all_are_listed(self) -> None:
        """All Droplets are named then, and none is counted beside them."""
        async with Simulator(Fleet.uniform(250, 0)) as simulator:
            simulator.faults.add(Fault.hold(), path="/policies$", times=None)
            async with unlimited(simulator) as client:
                fleet = client.gpu_droplets.backups.list_fleet(plan="joined", deadline=1.0)
                with pytest.raises(errors.DeadlineExceededError) as caught:
                    await anext(fleet)
        assert sorted(caught.value.missing) == list(simulator.fleet.droplets)
        assert caught.value.unlisted == 0

    async def test_deadline_before_anything_is_listed(self, simulator: Simulator) -> None:
        """Nothing can be named or counted."""
        simulator.faults.add(Fault.hold(), path="/droplets$", times=None)
        async with unlimited(simulator) as client:
            with pytest.raises(errors.DeadlineExceededError) as caught:
                await collect(client.gpu_droplets.backups.list_fleet(deadline=0.05))
        assert (caught.value.missing, caught.value.unlisted) == ((), None)

    async def test_deadline(self, async_client: AsyncGradient, simulator: Simulator) -> None:
        """A deadline that passes while the listings are read ends the run, too."""
        simulator.faults.add(Fault.hold(), path="/images$")
        with pytest.raises(errors.DeadlineExceededError) as caught:
            await collect(async_client.gpu_droplets.backups.list_fleet(deadline=0.2))
        assert caught.value.deadline == 0.2

    @pytest.mark.parametrize("path", ["/v2/droplets$", "/v2/images$", "/backups$"])
    @pytest.mark.parametrize("plan", PLANS)
    async def test_what_concerns_all_ends_the_run(
        self, async_client: AsyncGradient, simulator: Simulator, plan: PlanChoice, path: str
    ) -> None:
        """A token that is refused ends the run with that error, wherever it shows first."""
        simulator.faults.add(Fault.status(401), path=path, times=None)
        if plan != "per_droplet" and path == "/backups$":
            simulator.fleet.images_include_backups = False
        if plan == "per_droplet" and path == "/v2/images$":
            assert found(await collect(async_client.gpu_droplets.backups.list_fleet(plan=plan)))
            return
        with pytest.raises(errors.AuthenticationError):
            await collect(async_client.gpu_droplets.backups.list_fleet(plan=plan))

    async def test_a_listing_does_not_outlive_the_run(self, fleet: Fleet) -> None:
        """When one listing ends the run, the other one that is read beside it ends with it."""
        with Simulator(fleet) as simulator:
            hold = simulator.faults.add(Fault.hold(), path="/policies$")
            simulator.faults.add(Fault.status(401), path="/images$", query={"page": 2})
            async with far_client(simulator) as client:
                with pytest.raises(errors.AuthenticationError):
                    async with client.gpu_droplets.backups.list_fleet(plan="joined") as results:
                        await collect(results)
                assert asyncio.all_tasks() == {asyncio.current_task()}
            assert hold.hits == 1

    async def test_blocking(
        self, make_client: MakeClient, kind: Kind, simulator: Simulator
    ) -> None:
        """Both clients give a fan-out with its number and what is missing."""
        results = make_client().real.gpu_droplets.backups.list_fleet()
        assert isinstance(results, FanOut) is (kind == "async")
        assert (results.total, results.missing) == (None, ())


async def ask(client: AnyClient, method: str, **options: Any) -> Any:
    """Call a method of `client.gpu_droplets`, or of a view of it, of either client."""
    called: Any = client.real.gpu_droplets
    for name in method.split("."):
        called = getattr(called, name)
    return await client.finish(lambda: called(**options))


async def droplets_of(client: AnyClient, **options: Any) -> list[Droplet]:
    """All that `iter_droplets` gives, by either client."""
    listing = client.real.gpu_droplets.iter_droplets(**options)
    if client.kind == "async":
        return await collect(listing)
    return await asyncio.to_thread(lambda: list(listing))


class TestDroplets:
    """The listing of Droplets itself."""

    async def test_a_page(self, client: AnyClient, simulator: Simulator) -> None:
        """GPU Droplets, each with all that an operator needs."""
        page = await ask(client, "list", page=2, per_page=3)
        assert page.meta.total == len(truth(simulator.fleet))
        assert [d.id for d in page.droplets] == list(truth(simulator.fleet))[3:6]
        first, shown = page.droplets[0], simulator.fleet.droplets[page.droplets[0].id]
        assert (first.name, first.status, first.tags) == (shown.name, shown.status, shown.tags)
        assert (first.region.slug, first.size_slug) == (shown.region, shown.size.slug)
        assert first.created_at == shown.created_at
        assert first.backup_ids == [backup.id for backup in shown.backups]
        assert first.snapshot_ids == shown.snapshot_ids
        assert shown.size.gpu is not None
        assert first.gpu_info.count == shown.size.gpu[0]
        assert "monitoring" in first.features
        assert page.links.pages.next.endswith("page=3&per_page=3")

    @pytest.mark.parametrize(
        ("options", "selected"),
        [
            ({}, lambda d: d.is_gpu),
            ({"type": "gpus"}, lambda d: d.is_gpu),
            ({"type": "droplets"}, lambda d: not d.is_gpu),
            ({"tag_name": "env:prod"}, lambda d: "env:prod" in d.tags),
            ({"name": "GPU-train-01"}, lambda d: d.name == "gpu-train-01"),
        ],
        ids=["default", "gpus", "droplets", "tag", "name"],
    )
    async def test_all_pages(
        self,
        client: AnyClient,
        simulator: Simulator,
        options: dict[str, Any],
        selected: Callable[[Any], bool],
    ) -> None:
        """Every Droplet that is asked for, in order, in no more requests than there are pages."""
        wanted = list(truth(simulator.fleet, selected))
        assert [d.id for d in await droplets_of(client, **options)] == wanted
        assert simulator.received == pages(len(wanted))

    async def test_what_a_scope_hides_is_absent_and_not_empty(
        self, make_client: MakeClient, simulator: Simulator
    ) -> None:
        """Without ``image:read`` and ``tag:read`` these parts are ``None``."""
        scopes = ALL_SCOPES - {"image:read", "tag:read"}
        async with Simulator(simulator.fleet, scopes=scopes) as narrow:
            [first, *_] = await droplets_of(make_client(base_url=narrow.url))
        [seen, *_] = await droplets_of(make_client())
        assert (first.backup_ids, first.snapshot_ids, first.tags) == (None, None, None)
        assert None not in (seen.backup_ids, seen.snapshot_ids, seen.tags)

    @pytest.mark.parametrize("method", ["list", "iter_droplets"])
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"type": "gpu"}, "type must be 'gpus' or 'droplets', got 'gpu'"),
            ({"type": "gpus", "tag_name": "x"}, "tag_name cannot be combined"),
            ({"tag_name": "x", "name": "y"}, "tag_name cannot be combined"),
        ],
    )
    async def test_bad_input(
        self,
        client: AnyClient,
        simulator: Simulator,
        method: str,
        options: dict[str, Any],
        message: str,
    ) -> None:
        """What the API refuses is refused before anything is sent."""
        with pytest.raises(ValueError, match=message):
            await ask(client, method, **options)
        assert simulator.received == 0

    @pytest.mark.parametrize("options", [{"page": 0}, {"per_page": 201}, {"page": True}])
    async def test_bad_page(
        self, client: AnyClient, simulator: Simulator, options: dict[str, Any]
    ) -> None:
        """So are pages that there cannot be."""
        with pytest.raises((TypeError, ValueError), match=next(iter(options))):
            await ask(client, "list", **options)
        assert simulator.received == 0

    async def test_raw_response(self, client: AnyClient) -> None:
        """The raw view has the answer as it came, and the page that it parses to."""
        raw = await ask(client, "with_raw_response.list", per_page=2)
        assert raw.status_code == 200
        assert len(raw.json()["droplets"]) == 2
        parsed = await client.finish(raw.parse)
        assert parsed == await ask(client, "list", per_page=2)
        assert parsed.to_dict(mode="json")["droplets"][0]["id"] == raw.json()["droplets"][0]["id"]

    async def test_streaming_response(self, client: AnyClient) -> None:
        """The streaming view reads the same page."""
        view = client.real.gpu_droplets.with_streaming_response
        if client.kind == "async":
            async with view.list(per_page=2) as response:
                page = await response.parse()
        else:
            page = await asyncio.to_thread(read_streamed, view)
        assert page == await ask(client, "list", per_page=2)


def read_streamed(view: Any) -> Any:
    """Read a page through the streaming view of the blocking client."""
    with view.list(per_page=2) as response:
        return response.parse()

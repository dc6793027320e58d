"""The token's rate limit, kept by whole clients: in one process and in several, over sockets.

No test looks at a clock: what counts is how many requests were sent, refused and answered.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
import pytest
from async_helpers import assert_idle, collect, drop, nothing_left, until

import gradient_async
from gradient_async import APIConnectionError, AsyncGradient, RateLimit, RateLimitError
from gradient_async.testing import Fault, Fleet, Simulator

MakeClient: TypeAlias = Callable[..., Any]

FAST = ((20, 0.2),)
MINUTE = ((250, 60.0),)
DOCUMENTED = ((250, 60.0), (5000, 3600.0))


@pytest.fixture
def fleet() -> Fleet:
    """Sixty Droplets with one page of backups each."""
    return Fleet.uniform(60, backups=2)


@pytest.fixture
def about() -> dict[str, Any]:
    """What the server allows and how it refuses, unless a test says otherwise."""
    return {"limits": FAST}


def server(**about: Any) -> pytest.MarkDecorator:
    """Run a test against a server with other limits."""
    return pytest.mark.parametrize("about", [about], ids=[""])


@pytest.fixture
async def simulator(fleet: Fleet, about: dict[str, Any]) -> AsyncIterator[Simulator]:
    """A simulator with a limit, in a thread of its own."""
    with Simulator(fleet, **about) as simulator:
        yield simulator


@pytest.fixture
def ids(fleet: Fleet) -> list[int]:
    """All Droplets."""
    return list(fleet.droplets)


def a_client(simulator: Simulator, **options: Any) -> AsyncGradient:
    """A client of the simulator."""
    return AsyncGradient(simulator.token, base_url=simulator.url, **options)


def statuses(simulator: Simulator) -> Counter[int]:
    """How many answers of each status were sent."""
    return Counter(request.status for request in simulator.requests)


def ask(client: AsyncGradient, ids: list[int], **options: Any) -> list[asyncio.Future[Any]]:
    """Ask about Droplets, all at once."""
    calls = (client.gpu_droplets.backups.list(droplet_id, **options) for droplet_id in ids)
    return [asyncio.ensure_future(call) for call in calls]


async def waiting(client: AsyncGradient, count: int) -> None:
    """Wait until so many requests wait for the limit."""
    await until(lambda: client.rate_limit.waiting == count)


class TestWindows:
    """The client keeps within the limit by itself."""

    async def test_more_calls_than_the_limit(
        self, make_client: MakeClient, simulator: Simulator, ids: list[int]
    ) -> None:
        """Sixty calls at a limit of twenty are all answered, and none of them is refused."""
        client = make_client(rate_limit=RateLimit(FAST))
        answers = await asyncio.gather(*map(client.backups.list, ids))
        assert [len(answer.backups) for answer in answers] == [2] * 60
        assert statuses(simulator) == {200: 60}

    async def test_more_droplets_than_the_limit(self, simulator: Simulator, ids: list[int]) -> None:
        """A fan-out at a limit of twenty answers them all, and none is refused."""
        async with a_client(simulator, rate_limit=RateLimit(FAST)) as client:
            results = await collect(client.gpu_droplets.backups.list_many(ids))
        assert sorted(result.droplet_id for result in results if result.error is None) == ids
        assert statuses(simulator) == {200: 60}

    async def test_a_whole_window_is_sent_at_once(
        self, simulator: Simulator, ids: list[int]
    ) -> None:
        """As many requests are under way together as have room; the others wait."""
        rule = simulator.faults.add(Fault.hold(), times=None)
        async with a_client(simulator, rate_limit=RateLimit(FAST)) as client:
            calls = ask(client, ids)
            await simulator.wait_for(held=20)
            assert (simulator.received, client.rate_limit.waiting) == (20, 40)
            simulator.faults.remove(rule)
            simulator.release()
            await asyncio.gather(*calls)
        assert statuses(simulator) == {200: 60}

    async def test_copies_share_the_windows(self, simulator: Simulator, ids: list[int]) -> None:
        """A client and its copies together stay within one limit."""
        async with a_client(simulator, rate_limit=RateLimit(FAST)) as client:
            copies = [client, client.copy(timeout=30.0), client.with_options(max_retries=5)]
            await asyncio.gather(*(call for copy in copies for call in ask(copy, ids[:20])))
            assert statuses(simulator) == {200: 60}
            assert len({copy._transport.pacer for copy in copies}) == 1

    async def test_a_copy_with_another_limit_has_its_own_windows(
        self, simulator: Simulator, ids: list[int]
    ) -> None:
        """What it sends is not counted with the original's."""
        async with a_client(simulator) as client:
            copy = client.copy(rate_limit=RateLimit(FAST))
            await copy.gpu_droplets.backups.list(ids[0])
            assert [window.limit for window in client.rate_limit.windows] == [250, 5000]
            assert [window.used for window in client.rate_limit.windows] == [0, 0]
            assert client.copy(rate_limit=None).rate_limit.windows == ()

    async def test_cancelled_waiters_leave_their_places(
        self, simulator: Simulator, ids: list[int]
    ) -> None:
        """Calls that were cancelled as they waited are not sent, and hold nobody up."""
        rule = simulator.faults.add(Fault.hold(), times=None)
        async with a_client(simulator, rate_limit=RateLimit(FAST)) as client:
            calls = ask(client, ids)
            await simulator.wait_for(held=20)
            await drop(calls[20:50])
            simulator.faults.remove(rule)
            simulator.release()
            await asyncio.gather(*calls[:20], *calls[50:])
            await assert_idle(client, simulator)
        assert statuses(simulator) == {200: 30}


class TestRefused:
    """An answer 429 closes one gate for all."""

    @server(limits=None)
    async def test_those_who_wait_at_the_gate_send_nothing(
        self, simulator: Simulator, ids: list[int]
    ) -> None:
        """One 429 stops every call of the client and its copies, not each its own."""
        simulator.faults.add(Fault.rate_limited(300))
        async with a_client(simulator, max_rate_limit_wait=None) as client, nothing_left():
            calls = ask(client, ids[:1])
            await waiting(client, 1)
            calls += ask(client.copy(timeout=5.0), ids[1:])
            await waiting(client, 60)
            assert client.rate_limit.paused_until is not None
            assert statuses(simulator) == {429: 1}
            await drop(calls)
            await assert_idle(client, simulator)

    @server(limits=None)
    @pytest.mark.parametrize("rate_limit", [RateLimit(), None], ids=["windows", "no windows"])
    async def test_the_gate_opens_for_all(
        self, simulator: Simulator, ids: list[int], rate_limit: RateLimit | None
    ) -> None:
        """After the pause that was asked for all of them are answered: one 429 in all."""
        simulator.faults.add(Fault.rate_limited("0.1"))
        async with a_client(simulator, rate_limit=rate_limit) as client:
            calls = ask(client, ids[:1])
            await simulator.wait_for(lambda simulator: len(simulator.requests) == 1)
            await asyncio.gather(*calls, *ask(client, ids[1:]))
        assert statuses(simulator) == {429: 1, 200: 60}

    @server(limits=None)
    async def test_an_answer_429_that_was_got_over_is_not_shown_later(
        self, simulator: Simulator, ids: list[int]
    ) -> None:
        """What a call is sent away for is the gate that others closed since, not its own 429."""
        simulator.faults.add(Fault.rate_limited(0), path=f"/{ids[0]}/")
        simulator.faults.add(Fault.status(503, headers={"retry-after": "1"}), path=f"/{ids[0]}/")
        async with a_client(simulator) as client:
            (call,) = ask(client, ids[:1])
            await simulator.wait_for(lambda simulator: statuses(simulator) == {429: 1, 503: 1})
            simulator.faults.add(Fault.rate_limited(300))
            with pytest.raises(RateLimitError):
                await client.gpu_droplets.backups.list(ids[1])
            with pytest.raises(RateLimitError) as caught:
                await call
        assert caught.value.response is None
        assert (caught.value.attempts, caught.value.droplet_id) == (2, ids[0])

    @server(limits=None)
    @pytest.mark.parametrize("rate_limit", [RateLimit(), None], ids=["windows", "no windows"])
    async def test_those_that_queue_for_a_connection_see_that_the_gate_was_closed(
        self, simulator: Simulator, ids: list[int], rate_limit: RateLimit | None
    ) -> None:
        """Of sixty requests over two connections, the two that were under way collect a 429."""
        simulator.faults.add(Fault.rate_limited("3600"), times=None)
        connector = aiohttp.TCPConnector(limit=2)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            a_client(simulator, rate_limit=rate_limit, session=session) as client,
        ):
            ended = await asyncio.gather(*ask(client, ids), return_exceptions=True)
            assert client.rate_limit.waiting == 0
        assert [type(error) for error in ended] == [RateLimitError] * 60
        assert statuses(simulator) == {429: 2}

    @server(limits=FAST, hour_style=True)
    @pytest.mark.parametrize("rate_limit", [RateLimit(), None], ids=["windows", "no windows"])
    async def test_a_limit_that_is_lower_than_the_client_believes(
        self, simulator: Simulator, ids: list[int], rate_limit: RateLimit | None
    ) -> None:
        """What the server refuses is sent again, and not more often than there is room for it."""
        async with a_client(simulator, rate_limit=rate_limit) as client:
            results = await collect(client.gpu_droplets.backups.list_many(ids, concurrency=30))
        assert sorted(result.droplet_id for result in results if result.error is None) == ids
        assert statuses(simulator)[429] <= 2 * 60  # two thirds of each burst of thirty at most

    @pytest.mark.parametrize(
        "about",
        [
            {"limits": FAST, "hour_style": True},
            {"limits": FAST, "hour_style": True, "reset_in_past": True},
            {"limits": FAST, "hour_style": True, "count_rejected": True, "reset_in_past": True},
            {"limits": FAST, "reset_in_past": True},
        ],
        ids=["no retry-after", "reset in the past", "refusals count", "retry-after"],
    )
    async def test_a_limit_that_others_have_used_up(
        self, make_client: MakeClient, simulator: Simulator, ids: list[int]
    ) -> None:
        """Whatever the refusal says or leaves out: nothing is lost, and nothing spins."""
        simulator.spend(20)
        client = make_client(rate_limit=RateLimit(FAST))
        answers = await asyncio.gather(*map(client.backups.list, ids[:30]))
        assert len(answers) == 30
        assert statuses(simulator)[200] == 30
        assert statuses(simulator)[429] <= 25


class TestWaiting:
    """What waiting for the limit costs a call."""

    async def test_no_timeout(self, make_client: MakeClient, ids: list[int]) -> None:
        """The time in the queue is not charged to ``timeout``, though it is many times as long."""
        client = make_client(rate_limit=RateLimit(((1, 0.3),)), timeout=0.25)
        answers = await asyncio.gather(*map(client.backups.list, ids[:5]))
        assert len(answers) == 5

    @server(limits=None)
    async def test_no_timeout_at_the_gate(
        self, make_client: MakeClient, simulator: Simulator, ids: list[int]
    ) -> None:
        """Nor is the pause after a 429."""
        simulator.faults.add(Fault.rate_limited("0.6"))
        client = make_client(timeout=0.3)
        assert (await client.backups.list(ids[0])).backups

    @server(limits=None)
    async def test_no_retries(
        self, make_client: MakeClient, simulator: Simulator, ids: list[int]
    ) -> None:
        """More answers 429 than there are retries are waited for all the same."""
        simulator.faults.add(Fault.rate_limited(0), times=2)
        client = make_client(max_retries=1)
        assert (await client.backups.list(ids[0])).backups
        assert statuses(simulator) == {429: 2, 200: 1}

    @server(limits=None)
    async def test_retries_are_left_for_what_fails(
        self, make_client: MakeClient, simulator: Simulator, ids: list[int], delays: list[float]
    ) -> None:
        """A 429 between two failures takes none of the tries that ``max_retries`` allows."""
        for fault in (Fault.status(503), Fault.rate_limited(0), Fault.status(502)):
            simulator.faults.add(fault)
        client = make_client(max_retries=2)
        assert (await client.backups.list(ids[0])).backups
        assert [request.status for request in simulator.requests] == [503, 429, 502, 200]
        assert len(delays) == 2

    @server(limits=None)
    @pytest.mark.parametrize("client_wide", [True, False])
    async def test_a_fan_out_waits_without_retries(
        self, simulator: Simulator, ids: list[int], client_wide: bool
    ) -> None:
        """Also with ``max_retries=0`` a refused request of a fan-out is sent again."""
        simulator.faults.add(Fault.rate_limited(0), times=1)
        options = {"max_retries": 0}
        async with a_client(simulator, **(options if client_wide else {})) as client:
            backups = client.gpu_droplets.backups
            call_options: Any = {} if client_wide else options
            results = await collect(backups.list_many(ids, concurrency=1, **call_options))
        assert [result.error for result in results] == [None] * 60
        assert statuses(simulator) == {429: 1, 200: 60}


class TestPatience:
    """``max_rate_limit_wait``."""

    @server(limits=None)
    async def test_a_longer_wait_ends_at_once(
        self, make_client: MakeClient, simulator: Simulator, ids: list[int]
    ) -> None:
        """By default a wait of more than a minute is an error, and nothing is sent."""
        client = make_client(rate_limit=RateLimit(((1, 300.0),)))
        await client.backups.list(ids[0])
        with pytest.raises(RateLimitError, match="allows no more requests") as caught:
            await client.backups.list(ids[1])
        assert simulator.received == 1
        assert caught.value.retry_after == pytest.approx(300.0, abs=60.0)
        assert (caught.value.attempts, caught.value.droplet_id) == (0, ids[1])
        assert client.rate_limit.waiting == 0

    @server(limits=((20, 60.0),), hour_style=True, reset_in_past=True)
    @pytest.mark.parametrize("max_retries", [0, 2])
    async def test_an_error_always_says_how_long(
        self, make_client: MakeClient, simulator: Simulator, ids: list[int], max_retries: int
    ) -> None:
        """Where the answer names no moment, `retry_after` is what the client would have waited."""
        simulator.spend(20)
        client = make_client(max_retries=max_retries, max_rate_limit_wait=0.1)
        with pytest.raises(RateLimitError, match=r"wait 0\.\d s, or raise") as caught:
            await client.backups.list(ids[0])
        assert caught.value.response is not None
        assert 0 < (caught.value.retry_after or 0) <= 0.6

    @server(limits=None)
    async def test_a_shorter_wait_is_waited_for(self, simulator: Simulator, ids: list[int]) -> None:
        """By default a call waits for up to a minute."""
        async with a_client(simulator, rate_limit=RateLimit(((1, 55.0),))) as client:
            await client.gpu_droplets.backups.list(ids[0])
            calls = ask(client, ids[1:2])
            await waiting(client, 1)
            with pytest.raises(RateLimitError):  # two windows away
                await client.gpu_droplets.backups.list(ids[2])
            await drop(calls)
        assert simulator.received == 1

    @server(limits=None)
    @pytest.mark.parametrize("seconds", [None, 301.0, 0.0])
    async def test_of_one_call(
        self, simulator: Simulator, ids: list[int], seconds: float | None
    ) -> None:
        """A call may be more patient or less than the client."""
        async with a_client(simulator, rate_limit=RateLimit(((1, 300.0),))) as client:
            await client.gpu_droplets.backups.list(ids[0])
            calls = ask(client, ids[1:2], max_rate_limit_wait=seconds)
            if seconds == 0.0:
                with pytest.raises(RateLimitError):
                    await calls[0]
            else:
                await waiting(client, 1)
                await drop(calls)
        assert simulator.received == 1

    @server(limits=None)
    async def test_a_fan_out_has_no_end_of_patience(
        self, simulator: Simulator, ids: list[int]
    ) -> None:
        """It waits for hours where a single call would not; leaving it ends the wait."""
        async with a_client(simulator, rate_limit=RateLimit(((1, 300.0),))) as client:
            async with client.gpu_droplets.backups.list_many(ids, concurrency=5) as results:
                assert (await anext(results)).error is None
                await waiting(client, 5)
            await assert_idle(client, simulator)
        assert len(results.missing) == 59
        assert simulator.received == 1

    @server(limits=None)
    @pytest.mark.parametrize("patience", [0.0, 60.0])
    async def test_a_fan_out_with_a_bound(
        self, simulator: Simulator, ids: list[int], patience: float
    ) -> None:
        """Where a patience is given, it ends the run at once and names what is missing."""
        given: list[Any] = []
        async with a_client(simulator, rate_limit=RateLimit(((3, 300.0),))) as client:
            results = client.gpu_droplets.backups.list_many(ids, max_rate_limit_wait=patience)
            with pytest.raises(RateLimitError):
                await collect(results, given)
            await assert_idle(client, simulator)
        assert sorted([*(result.droplet_id for result in given), *results.missing]) == ids
        assert simulator.received <= 3


class TestStatus:
    """``client.rate_limit``, for progress displays."""

    @server(limits=MINUTE)
    async def test_before_and_after_a_request(self, make_client: MakeClient, fleet: Fleet) -> None:
        """Nothing is known before the first answer; then what it said, and the own windows."""
        client = make_client()
        status = client.rate_limit
        assert (status.limit, status.remaining, status.reset_at) == (None, None, None)
        assert [window.used for window in status.windows] == [0, 0]
        await client.backups.list(next(iter(fleet.droplets)))
        status = client.rate_limit
        assert (status.limit, status.remaining, status.waiting) == (250, 249, 0)
        assert status.reset_at is not None
        assert 0 < status.reset_at.timestamp() - datetime.now(UTC).timestamp() <= 60
        assert status.paused_until is None
        assert [(window.limit, window.seconds) for window in status.windows] == list(DOCUMENTED)
        assert [window.used for window in status.windows] == [1, 1]

    @server(limits=None)
    async def test_while_the_gate_is_closed(
        self, make_client: MakeClient, simulator: Simulator, fleet: Fleet
    ) -> None:
        """It tells until when requests have to wait."""
        simulator.faults.add(Fault.rate_limited(300, remaining=0))
        client = make_client()
        with pytest.raises(RateLimitError):
            await client.backups.list(next(iter(fleet.droplets)))
        status = client.rate_limit
        assert status.remaining == 0
        assert status.paused_until is not None
        pause = status.paused_until.timestamp() - datetime.now(UTC).timestamp()
        assert pause == pytest.approx(300.0, abs=60.0)

    @server(limits=DOCUMENTED)
    async def test_the_headers_tell_of_others(
        self, make_client: MakeClient, simulator: Simulator, fleet: Fleet
    ) -> None:
        """Requests that others made with the token show in the window that the headers are of."""
        simulator.spend(100)
        client = make_client()
        await client.backups.list(next(iter(fleet.droplets)))
        status = client.rate_limit
        assert (status.limit, status.remaining) == (5000, 4899)
        assert [window.used_by_others for window in status.windows] == [0, 100]


class TestOthers:
    """Other users of the same token."""

    @server(limits=((20, 60.0),))
    async def test_what_others_use_is_left_to_them(
        self, simulator: Simulator, ids: list[int]
    ) -> None:
        """Of twenty requests fifteen are used by others: five are sent, and none is refused."""
        simulator.spend(15)
        limit = RateLimit(((20, 60.0),))
        async with a_client(simulator, rate_limit=limit, max_rate_limit_wait=0.0) as client:
            await client.gpu_droplets.backups.list(ids[0])
            answers = await asyncio.gather(*ask(client, ids[1:21]), return_exceptions=True)
        assert statuses(simulator) == {200: 5}
        assert sum(isinstance(answer, RateLimitError) for answer in answers) == 16

    @server(limits=((40, 0.5),), hour_style=True)
    async def test_several_clients_in_one_process(
        self, simulator: Simulator, ids: list[int]
    ) -> None:
        """Clients that know nothing of each other share a token, and nothing is lost."""
        limit = RateLimit(((40, 0.5),))
        clients = [a_client(simulator, rate_limit=limit) for _ in range(3)]
        runs = [client.gpu_droplets.backups.list_many(ids[:40]) for client in clients]
        for results in await asyncio.gather(*map(collect, runs)):
            assert sorted(r.droplet_id for r in results if r.error is None) == ids[:40]
        for client in clients:
            await client.close()
        # The first burst of all three at once is what they cannot foresee.
        assert statuses(simulator)[429] <= 120

    @server(limits=((40, 0.5),), hour_style=True)
    async def test_several_processes(self, simulator: Simulator, ids: list[int]) -> None:
        """Processes share a token with nothing between them but the answers: nothing is lost."""
        script = Path(__file__).parent / "scripts" / "share_a_token.py"
        environment = {
            **os.environ,
            "DIGITALOCEAN_ACCESS_TOKEN": simulator.token,
            "GRADIENT_BASE_URL": simulator.url,
            "PYTHONPATH": str(Path(gradient_async.__file__).parents[1]),
        }

        def run(kind: str) -> str:
            command = [sys.executable, str(script), kind, "40", "0.5", *map(str, ids[:40])]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=50, check=True
            )
            return done.stdout

        kinds = ("async", "blocking")
        printed = await asyncio.gather(*(asyncio.to_thread(run, kind) for kind in kinds))
        assert printed == ["40 answered\n"] * 2
        assert statuses(simulator)[200] == 80
        assert statuses(simulator)[429] <= 80


@server(limits=None)
async def test_a_connection_that_is_refused_uses_nothing_up(
    simulator: Simulator, ids: list[int], delays: list[float]
) -> None:
    """What never reached the server is not counted in the windows."""
    async with a_client(simulator, rate_limit=RateLimit(((3, 300.0),))) as client:
        simulator.__exit__(None, None, None)
        for _ in range(5):
            with pytest.raises(APIConnectionError):
                await client.gpu_droplets.backups.list(ids[0])
        assert client.rate_limit.windows[0].used == 0

"""What can go wrong, and when it does."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gradient_async.testing import Fault, Faults, Fleet, Simulator

from .calls import Caller, exchange_bytes

POLICIES = "/v2/droplets/backups/policies"


@pytest.mark.parametrize("code", [400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504, 524])
async def test_any_status_can_be_sent(fleet: Fleet, caller: Caller, code: int) -> None:
    """A status comes with the API's error body, once."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.status(code, headers={"retry-after": "7"}, message="because"))
        replies = [await caller.get(simulator, POLICIES) for _ in range(2)]
        assert [request.status for request in simulator.requests] == [code, 200]
    assert [reply.status for reply in replies] == [code, 200]
    assert set(replies[0].json) == {"id", "message", "request_id"}
    assert replies[0].json["message"] == "because"
    assert replies[0].headers["retry-after"] == "7"
    assert "ratelimit-remaining" in replies[0].headers


async def test_texts_may_be_empty(fleet: Fleet, caller: Caller) -> None:
    """A message and an encoding without text are sent as they are."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.status(500, message=""))
        simulator.faults.add(Fault.body(b"{}", encoding=""))
        error, body = [await caller.get(simulator, POLICIES) for _ in range(2)]
    assert error.json["message"] == ""
    assert body.headers["content-encoding"] == ""


async def test_a_proxy_answers_with_html(fleet: Fleet, caller: Caller) -> None:
    """HTML pages and bodies of one's own replace the error body."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.status(502, html=True))
        simulator.faults.add(Fault.status(503, b"later"))
        html, own = [await caller.get(simulator, POLICIES) for _ in range(2)]
    assert html.headers["content-type"].startswith("text/html")
    assert b"502" in html.body
    assert own.body == b"later"


@pytest.mark.parametrize("after", [None, 3, "Wed, 21 Oct 2026 07:28:00 GMT", "soon", -1])
async def test_a_429_can_name_any_time(fleet: Fleet, caller: Caller, after: Any) -> None:
    """``retry-after`` is sent as given or left out; reset and remaining can be set as well."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.rate_limited(after, reset=12))
        reply = await caller.get(simulator, POLICIES)
    assert reply.status == 429
    assert reply.json["id"] == "too_many_requests"
    assert reply.headers.get("retry-after") == (None if after is None else str(after))
    assert reply.headers["ratelimit-reset"] == "12"
    assert reply.headers["ratelimit-remaining"] == "0"


async def test_any_body_can_be_sent(fleet: Fleet, caller: Caller) -> None:
    """Bodies are sent byte for byte, with any content type."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.body(b"<html>", content_type="text/html"))
        simulator.faults.add(Fault.body(b""))
        simulator.faults.add(Fault.nested(1000, b'{"a":'))
        html, empty, nested = [await caller.get(simulator, POLICIES) for _ in range(3)]
    assert (html.status, html.body, html.headers["content-type"]) == (200, b"<html>", "text/html")
    assert empty.body == b""
    assert nested.body == b'{"a":' * 1000


async def test_an_encoding_can_be_a_lie(fleet: Fleet, caller: Caller) -> None:
    """A body that is not encoded as its header says cannot be read."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.body(b"{}", encoding="gzip"))
        with pytest.raises(aiohttp.ClientError):
            await caller.get(simulator, POLICIES)


async def test_a_gzip_bomb_is_small_on_the_wire(fleet: Fleet) -> None:
    """A few kilobytes decompress to as many bytes of JSON as were asked for."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.gzip_bomb(5_000_000))
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.get(simulator.url + POLICIES) as response,
        ):
            packed = await response.read()
    assert len(packed) < 20_000
    blank = gzip.decompress(packed)
    assert len(blank) == 5_000_000
    assert blank.strip() == b"{}"


async def test_redirects_lead_anywhere(fleet: Fleet, caller: Caller) -> None:
    """To another origin by default headers, or in a circle until the client has enough."""
    async with Simulator(fleet) as simulator, Simulator(fleet) as other:
        simulator.faults.add(Fault.redirect(other.url + POLICIES, 307))
        reply = await caller.get(simulator, POLICIES, allow_redirects=False)
        assert (reply.status, reply.headers["location"]) == (307, other.url + POLICIES)
        simulator.faults.add(Fault.redirect(), times=None)
        with pytest.raises(aiohttp.TooManyRedirects):
            await caller.get(simulator, POLICIES)


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("at", ["request", "in_headers", "headers", "body"])
async def test_connections_are_cut_anywhere(fleet: Fleet, at: Any, reset: bool) -> None:
    """The bytes end where they should, with a reset or an orderly close."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.drop(at, reset=reset))
        sent, was_reset = await asyncio.to_thread(exchange_bytes, simulator.url, POLICIES)
        await simulator.wait_for(lambda s: s.in_flight == 0)
        assert simulator.cancelled == 0
        status = simulator.requests[-1].status
    assert was_reset is reset
    head, ended, body = sent.partition(b"\r\n\r\n")
    assert bool(head) is (at != "request")
    assert bool(ended) is (at in {"headers", "body"})
    assert bool(body) is (at == "body")
    assert status == (200 if ended else 0)


@pytest.mark.parametrize("fault", [Fault.short_body(), Fault.broken_chunks(), Fault.drop("body")])
async def test_bodies_end_too_early(fleet: Fleet, caller: Caller, fault: Fault) -> None:
    """A client notices that a body is not complete."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(fault)
        with pytest.raises(aiohttp.ClientError):
            await caller.get(simulator, POLICIES)
        assert (await caller.get(simulator, POLICIES)).status == 200


async def test_raw_bytes_need_not_be_http(fleet: Fleet, caller: Caller) -> None:
    """Bytes can be sent that no HTTP client understands."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.raw(b"SSH-2.0-OpenSSH\r\n"))
        with pytest.raises(aiohttp.ClientError):
            await caller.get(simulator, POLICIES)


async def test_headers_can_be_too_many(fleet: Fleet) -> None:
    """As many headers of any size as were asked for, before a complete body."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.flood_headers(200, 1000))
        sent, _ = await asyncio.to_thread(exchange_bytes, simulator.url, POLICIES)
    assert sent.count(b"x-flood-") == 200
    assert sent.endswith(b"}}")


async def test_a_drip_is_complete_in_the_end(fleet: Fleet, caller: Caller) -> None:
    """A slow body is the usual body."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.drip(500, 0.0))
        slow, usual = [await caller.get(simulator, POLICIES) for _ in range(2)]
    assert slow.body == usual.body


@pytest.mark.parametrize("at", ["request", "headers", "body"])
async def test_a_held_answer_is_complete_in_the_end(fleet: Fleet, caller: Caller, at: Any) -> None:
    """What was held anywhere and then released is the usual answer."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.hold(at))
        call = asyncio.create_task(caller.get(simulator, POLICIES))
        await simulator.wait_for(held=1)
        simulator.release()
        held, usual = await call, await caller.get(simulator, POLICIES)
    assert held.body == usual.body


async def test_a_delay_and_a_callback_go_on(fleet: Fleet, caller: Caller) -> None:
    """A delay goes on as usual, and so does a callback that returns nothing."""
    seen: list[str] = []

    async def look(request: web.BaseRequest) -> None:
        """Note the path."""
        seen.append(request.path)

    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.delay(0.0))
        simulator.faults.add(Fault.callback(look))
        reply = await caller.get(simulator, POLICIES)
    assert reply.status == 200
    assert seen == [POLICIES]


async def test_a_callback_can_answer(fleet: Fleet, caller: Caller) -> None:
    """A callback's response is sent and logged."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.callback(lambda request: web.json_response([], status=418)))
        assert (await caller.get(simulator, POLICIES)).status == 418
        assert simulator.requests[-1].status == 418


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("a mistake"), 500), (web.HTTPNotFound(), 404)]
)
async def test_a_callback_that_fails_is_logged_with_what_is_sent(
    fleet: Fleet, caller: Caller, error: Exception, status: int
) -> None:
    """An error of a callback is a 500, one of aiohttp's has its own status; the log shows it."""

    def fail(request: web.BaseRequest) -> None:
        """Raise the error."""
        raise error

    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.callback(fail))
        assert (await caller.get(simulator, POLICIES)).status == status
        assert simulator.requests[-1].status == status


async def test_a_connection_can_die_after_its_answer(fleet: Fleet, caller: Caller) -> None:
    """The answer is complete and promises nothing, then the connection is closed."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.close_after())
        first = await caller.get(simulator, POLICIES)
        assert first.status == 200
        assert first.headers.get("connection") != "close"
        await simulator.wait_for(lambda s: s.open_connections == 0)
        assert (await caller.get(simulator, POLICIES)).body == first.body
        assert simulator.connections == 2


async def test_rules_choose_by_path_query_and_number(fleet: Fleet, caller: Caller) -> None:
    """A rule counts the requests that it matches, lets some pass, and then happens so often."""
    async with Simulator(fleet) as simulator:
        rule = simulator.faults.add(
            Fault.status(500), path="policies$", query={"page": 2}, after=1, times=2
        )
        paths = [f"{POLICIES}?page=2"] * 5 + [POLICIES, "/v2/droplets?page=2"]
        statuses = [(await caller.get(simulator, path)).status for path in paths]
        assert statuses == [200, 500, 500, 200, 200, 200, 200]
        assert rule.hits == 2
        rule.times = None
        assert (await caller.get(simulator, paths[0])).status == 500
        simulator.faults.remove(rule)
        assert (await caller.get(simulator, paths[0])).status == 200
        simulator.faults.add(Fault.status(500), times=None)
        simulator.faults.clear()
        assert (await caller.get(simulator, paths[0])).status == 200


def test_chance_comes_from_the_seed() -> None:
    """The same seed gives the same faults, in about the share that was asked for."""

    def draws(seed: int) -> list[str]:
        faults = Faults(seed)
        kinds = [Fault.status(500), Fault.drop(), Fault.delay(1)]
        faults.add(kinds, times=None, probability=0.2)
        return [fault.name for _ in range(2000) for fault in faults.draw("/", {})]

    assert draws(1) == draws(1) != draws(2)
    assert 320 < len(draws(1)) < 480
    assert set(Counter(draws(1))) == {"status 500", "drop at request", "delay of 1 s"}


async def test_a_limit_comes_before_a_fault(fleet: Fleet, caller: Caller) -> None:
    """A request beyond the limit is a 429 and leaves the fault to the next one."""
    now = 0.0
    async with Simulator(fleet, limits=[(1, 10.0)], clock=lambda: now) as simulator:
        await caller.get(simulator, POLICIES)
        simulator.faults.add(Fault.status(500))
        assert (await caller.get(simulator, POLICIES)).status == 429
        now = 10.0
        assert (await caller.get(simulator, POLICIES)).status == 500


async def test_a_storm_leaves_nothing(
    fleet: Fleet, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    """Hundreds of faults, with clients that leave at any time, leave no request and no error."""
    rng = random.Random(5)
    faults = [
        *(Fault.drop("body"), Fault.drop("headers", reset=False), Fault.drop()),
        *(Fault.short_body(), Fault.broken_chunks(), Fault.flood_headers(3, 9000)),
        *(Fault.drip(200, 0.0005), Fault.hold("body"), Fault.hold(), Fault.close_after()),
    ]

    async def call(simulator: Simulator) -> None:
        """Ask, and leave when it takes too long."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(rng.uniform(0.0, 0.3)):
                await caller.get(simulator, POLICIES)

    async with Simulator(fleet) as simulator:
        simulator.faults.add(faults, times=None, probability=0.5)
        await asyncio.gather(*(call(simulator) for _ in range(400)))
        await caller.session.close()
        await simulator.wait_for(lambda s: s.open_connections == s.in_flight == 0)
        assert simulator.held == 0
    assert not caplog.records

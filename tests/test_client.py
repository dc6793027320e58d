"""Both clients against the simulator, over real sockets."""

from __future__ import annotations

import copy
import gc
import gzip
import pickle
import sys
import weakref
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import aiohttp
import pytest
from conftest import AnyClient, MakeClient

from gradient_async import AsyncGradient, Timeout, __version__, errors
from gradient_async.testing import ALL_SCOPES, Fault, Fleet, Simulator
from gradient_async.types import (
    Backup,
    BackupListPoliciesResponse,
    BackupListResponse,
    BackupListSupportedPoliciesResponse,
    BackupRetrievePolicyResponse,
)

AT_ONCE = {"retry-after": "0"}
NOTHING_TO_WAIT = Fault.rate_limited(0)


def statuses(simulator: Simulator) -> list[int]:
    """Give the statuses of all requests, in order."""
    return [request.status for request in simulator.requests]


# The four methods.


async def test_list(client: AnyClient, simulator: Simulator, fleet: Fleet, droplet_id: int) -> None:
    """``list`` gives the backups of a Droplet as the account has them."""
    page = await client.backups.list(droplet_id)
    known = fleet.droplets[droplet_id].backups
    assert isinstance(page, BackupListResponse)
    assert page.meta.total == len(known)
    assert [backup.id for backup in page.backups] == [backup.id for backup in known]
    first, expected = page.backups[0], known[0]
    assert isinstance(first, Backup)
    assert first.created_at == expected.created_at
    assert (first.name, first.size_gigabytes) == (expected.name, expected.size_gigabytes)
    [request] = simulator.requests
    assert request.path == f"/v2/droplets/{droplet_id}/backups"
    assert (request.method, dict(request.query)) == ("GET", {})


async def test_list_policies(client: AnyClient, simulator: Simulator, fleet: Fleet) -> None:
    """``list_policies`` gives a page of policies by Droplet ID."""
    page = await client.backups.list_policies(per_page=200)
    assert isinstance(page, BackupListPoliciesResponse)
    assert set(page.policies) == {str(droplet_id) for droplet_id in fleet.droplets}
    for droplet_id, policy in page.policies.items():
        assert policy.droplet_id == int(droplet_id)
        assert policy.backup_enabled is (fleet.droplets[int(droplet_id)].backup_policy is not None)
    assert simulator.requests[0].path == "/v2/droplets/backups/policies"


async def test_list_supported_policies(client: AnyClient, simulator: Simulator) -> None:
    """``list_supported_policies`` gives the plans."""
    answer = await client.backups.list_supported_policies()
    assert isinstance(answer, BackupListSupportedPoliciesResponse)
    assert {"daily", "weekly"} <= {plan.name for plan in answer.supported_policies}
    assert simulator.requests[0].path == "/v2/droplets/backups/supported_policies"


async def test_retrieve_policy(
    client: AnyClient, simulator: Simulator, fleet: Fleet, droplet_id: int
) -> None:
    """``retrieve_policy`` gives the policy of a Droplet; midnight is an hour like any other."""
    fleet.set_policy(droplet_id, "intra_daily_4h", hour=0)
    answer = await client.backups.retrieve_policy(droplet_id)
    assert isinstance(answer, BackupRetrievePolicyResponse)
    assert answer.policy.backup_enabled is True
    assert answer.policy.backup_policy is not None
    assert answer.policy.backup_policy.plan == "intra_daily_4h"
    assert answer.policy.backup_policy.hour == 0
    assert answer.policy.next_backup_window is None
    fleet.set_policy(droplet_id, None)
    disabled = (await client.backups.retrieve_policy(droplet_id)).policy
    assert disabled.backup_enabled is False
    assert disabled.backup_policy is None
    assert simulator.requests[0].path == f"/v2/droplets/{droplet_id}/backups/policy"


async def test_pages(client: AnyClient, simulator: Simulator, fleet: Fleet) -> None:
    """Page by page, a listing comes out whole, with the links that each page has."""
    droplet_id = next(d.id for d in fleet.droplets.values() if len(d.backups) > 40)
    known = [backup.id for backup in fleet.droplets[droplet_id].backups]
    seen: list[int] = []
    for number in (1, 2, 3):
        page = await client.backups.list(droplet_id, page=number, per_page=len(known) // 2)
        seen += [backup.id for backup in page.backups]
        assert page.links is not None
        if page.links.pages is not None:
            assert (page.links.pages.prev is None) is (number == 1)
    assert seen[: len(known)] == known
    assert dict(simulator.requests[1].query) == {"page": "2", "per_page": str(len(known) // 2)}


async def test_first_and_last_page_have_all_four_links(client: AnyClient) -> None:
    """The name of a link that is not there can be read, and is ``None``."""
    first = (await client.backups.list_policies(page=1, per_page=15)).links
    last = (await client.backups.list_policies(page=3, per_page=15)).links
    assert first is not None
    assert last is not None
    assert first.pages is not None
    assert last.pages is not None
    assert (first.pages.first, first.pages.prev) == (None, None)
    assert (last.pages.next, last.pages.last) == (None, None)
    assert "page=2" in (first.pages.next or "")
    assert "page=2" in (last.pages.prev or "")


# What is sent along.


async def test_headers_that_are_always_sent(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """Each request has the token, says what it accepts and who sends it."""
    await client.backups.list(droplet_id)
    headers = simulator.requests[0].headers
    assert headers["Authorization"] == f"Bearer {simulator.token}"
    assert headers["Accept"] == "application/json"
    assert headers["User-Agent"] == f"gradient-async/{__version__}"
    assert "Cookie" not in headers


async def test_headers_of_client_and_call(
    make_client: MakeClient, simulator: Simulator, droplet_id: int
) -> None:
    """A call's headers win over the client's in any case of their names, for this call alone."""
    client = make_client(default_headers={"X-Team": "a", "user-agent": "mine", "X-Other": "o"})
    await client.backups.list(droplet_id, extra_headers={"x-TEAM": "b"})
    await client.backups.list(droplet_id)
    first, second = (request.headers for request in simulator.requests)
    assert (first["X-Team"], second["X-Team"]) == ("b", "a")
    assert first["User-Agent"] == second["User-Agent"] == "mine"
    assert first["X-Other"] == "o"


async def test_token_cannot_be_replaced_by_a_header(
    make_client: MakeClient, simulator: Simulator, droplet_id: int
) -> None:
    """A header with another token is an error, and not another account's answer or a silence."""
    client = make_client()
    why = "is made of the access token: use copy"
    with pytest.raises(ValueError, match=f"extra_headers: authorization {why}"):
        await client.backups.list(droplet_id, extra_headers={"authorization": "Bearer other"})
    with pytest.raises(ValueError, match=f"default_headers: Authorization {why}"):
        make_client(default_headers={"Authorization": "Bearer other"})
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("headers", "error", "problem"),
    [
        ({"X-Team": "a\r\nX-Evil: b"}, ValueError, "X-Team has a character"),
        ({"HOST": "elsewhere.test"}, ValueError, "HOST cannot be set"),
        ({"X-Team": None}, TypeError, "X-Team must be a str, got NoneType"),
        ([], TypeError, "must be a mapping, got list"),
    ],
    ids=repr,
)
async def test_headers_that_cannot_be_sent(
    make_client: MakeClient,
    simulator: Simulator,
    droplet_id: int,
    headers: Any,
    error: type[Exception],
    problem: str,
) -> None:
    """A header that cannot be sent is refused by name where it is given, and nothing is sent."""
    client = make_client()
    with pytest.raises(error, match=f"extra_headers.*{problem}"):
        await client.backups.list(droplet_id, extra_headers=headers)
    assert client.rate_limit.windows[0].used == simulator.received == 0
    for configure in (make_client, client.copy):
        with pytest.raises(error, match=f"default_headers.*{problem}"):
            configure(default_headers=headers)


async def test_headers_that_can_be_sent(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """Any valid name and text of a header is sent as it is."""
    headers = {"x!#$%&'*+-.^_`|~": "a\tb", "X-Empty": "", "X-Text": "\u00e4 \u20ac"}
    await client.backups.list(droplet_id, extra_headers=headers)
    await client.backups.list(droplet_id, extra_headers={})
    sent = simulator.requests[0].headers
    assert {name: sent[name] for name in headers} == headers


async def test_query_of_client_and_call(
    make_client: MakeClient, simulator: Simulator, droplet_id: int
) -> None:
    """The method's query wins over the client's, and the call's own over both."""
    client = make_client(default_query={"team": "a&b", "page": 9, "beta": True})
    await client.backups.list(droplet_id, page=1, extra_query={"per_page": 3, "beta": None})
    await client.backups.list(droplet_id, page=1, per_page=5, extra_query={"q": "ü +/%&=?#"})
    first, second = (dict(request.query) for request in simulator.requests)
    assert first == {"team": "a&b", "page": "1", "per_page": "3"}
    assert second["q"] == "ü +/%&=?#"
    assert second["beta"] == "true"


async def test_query_of_the_client_alone(
    make_client: MakeClient, simulator: Simulator, droplet_id: int
) -> None:
    """The client's query is sent with every call, whatever the method's own query is."""
    client = make_client(default_query={"team": "a"})
    await client.backups.list(droplet_id, per_page=5)
    await client.backups.retrieve_policy(droplet_id)
    sent = [dict(request.query) for request in simulator.requests]
    assert sent == [{"per_page": "5", "team": "a"}, {"team": "a"}]


async def test_query_of_the_call_alone(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """The query of a call is sent with that call, and with none after it."""
    await client.backups.list(droplet_id, per_page=5, extra_query={"team": True})
    await client.backups.list(droplet_id, page=1, per_page=5)
    sent = [dict(request.query) for request in simulator.requests]
    assert sent == [{"per_page": "5", "team": "true"}, {"page": "1", "per_page": "5"}]


async def test_queries_that_are_equal_and_not_the_same(
    async_client: AsyncGradient, simulator: Simulator
) -> None:
    """Equal query values of different types are each sent as they are given."""
    names: list[Any] = ["1", 1, True, 1.0]
    for name in names:
        await async_client.gpu_droplets.list(name=name)
    assert [request.query["name"] for request in simulator.requests] == ["1", "1", "true", "1.0"]


async def test_options_may_be_none(client: AnyClient, droplet_id: int) -> None:
    """``None`` for headers and query is the same as leaving them out."""
    page = await client.backups.list(droplet_id, extra_headers=None, extra_query=None, timeout=None)
    assert page.backups


@pytest.mark.parametrize(
    "options",
    [{"perpage": 3}, {"extra_body": {}}, {"droplet": 1}],
    ids=str,
)
async def test_unknown_keyword(
    client: AnyClient, simulator: Simulator, droplet_id: int, options: dict[str, Any]
) -> None:
    """A keyword that is spelled wrong is an error by its name, and nothing is sent."""
    backups: Any = client.backups
    for method, arguments in (
        (backups.list, (droplet_id,)),
        (backups.list_policies, ()),
        (backups.list_supported_policies, ()),
        (backups.retrieve_policy, (droplet_id,)),
    ):
        with pytest.raises(TypeError, match=next(iter(options))):
            await method(*arguments, **options)
    assert simulator.received == 0


# Connections and the life of a client.


async def test_connection_is_kept(client: AnyClient, simulator: Simulator, droplet_id: int) -> None:
    """A hundred calls in a row open one connection."""
    for _ in range(100):
        await client.backups.list(droplet_id)
    assert simulator.connections == 1
    assert client.rate_limit.windows[0].used == 100


async def test_closed_client(client: AnyClient, simulator: Simulator, droplet_id: int) -> None:
    """A call on a closed client is a clear error; closing again does nothing."""
    await client.backups.list(droplet_id)
    assert not client.real.is_closed()
    await client.close()
    await client.close()
    assert client.real.is_closed()
    with pytest.raises(RuntimeError, match="this client is closed: make a new one"):
        await client.backups.list(droplet_id)
    assert simulator.received == 1
    await simulator.wait_for(lambda s: s.open_connections == 0)


async def test_client_closed_before_it_was_used(client: AnyClient) -> None:
    """A client that never sent anything can be closed, too."""
    await client.close()
    assert client.real.is_closed()


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy])
async def test_client_belongs_to_its_process(
    client: AnyClient, copied: Callable[[object], object]
) -> None:
    """A client, its methods and its iterators cannot be pickled, and the error says what to do."""
    resource = client.real.gpu_droplets.backups
    for part in (client.real, resource, resource.list, resource.iter_policies()):
        with pytest.raises(TypeError, match=r"make a client in each process, or .* `copy`$"):
            copied(part)


def test_no_event_loop() -> None:
    """Outside of asyncio, under trio say, the error says what there is to be done."""
    client = AsyncGradient("token")
    for awaitable in (client.gpu_droplets.list(), anext(client.gpu_droplets.iter_droplets())):
        with pytest.raises(RuntimeError, match="no asyncio event loop is running here"):
            awaitable.send(None)


async def test_context_manager_closes(
    make_client: MakeClient, simulator: Simulator, droplet_id: int
) -> None:
    """Leaving the block gives the connections back, also when it is left by an error."""
    client = make_client()

    async def use() -> None:
        async with client:
            await client.backups.list(droplet_id)
            await client.backups.list(1)

    with pytest.raises(errors.NotFoundError):
        await use()
    assert client.real.is_closed()
    await simulator.wait_for(lambda s: s.open_connections == 0)


async def test_copy_shares_connections_and_limit(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """A copy sends over the original's connection and counts in its windows."""
    copy = client.copy(max_retries=0)
    await client.backups.list(droplet_id)
    await copy.backups.list(droplet_id)
    assert simulator.connections == 1
    assert client.rate_limit.windows == copy.rate_limit.windows
    assert copy.rate_limit.windows[0].used == 2


async def test_closing_a_copy_closes_nothing_else(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """A closed copy sends no more; the original goes on over the same connection."""
    await client.backups.list(droplet_id)
    async with client.copy() as copy:
        await copy.backups.list(droplet_id)
    assert copy.real.is_closed()
    with pytest.raises(RuntimeError, match="this client is closed"):
        await copy.backups.list(droplet_id)
    await client.backups.list(droplet_id)
    assert simulator.connections == 1


async def test_closing_the_original_ends_its_copies(client: AnyClient, droplet_id: int) -> None:
    """Copies, and copies of copies, have no connections of their own."""
    copy = client.copy()
    other = copy.copy()
    await client.close()
    for closed in (copy, other):
        assert closed.real.is_closed()
        with pytest.raises(RuntimeError, match="this client is closed"):
            await closed.backups.list(droplet_id)


async def test_closing_a_copy_ends_no_copy_of_it(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """Copies of copies are copies of the original; a copy of a closed one is closed."""
    copy = client.copy()
    other = copy.copy()
    await copy.close()
    assert copy.copy().real.is_closed()
    assert (await other.backups.list(droplet_id)).backups
    assert simulator.connections == 1


async def test_a_client_may_become_a_copy_of_itself_any_number_of_times(
    client: AnyClient, droplet_id: int
) -> None:
    """A chain of copies works at any length, and keeps none of those between."""
    copy = client.copy()
    between = weakref.ref(copy.real)
    for _ in range(2 * sys.getrecursionlimit()):
        copy = copy.copy(max_retries=0)
    gc.collect()
    assert between() is None
    assert (await copy.backups.list(droplet_id)).backups


async def test_copy_for_another_token_has_its_own_limit(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """The limit belongs to the token: another one starts with an empty window."""
    await client.backups.list(droplet_id)
    other = client.copy(access_token="other")
    assert other.rate_limit.windows[0].used == 0
    with pytest.raises(errors.AuthenticationError):
        await other.backups.list(droplet_id)
    assert simulator.requests[1].headers["Authorization"] == "Bearer other"
    assert client.copy(rate_limit=None).rate_limit.windows == ()


# Errors.


async def test_not_found(client: AnyClient, simulator: Simulator) -> None:
    """A Droplet that is not there is a `NotFoundError` that names it; it is not asked for twice."""
    with pytest.raises(errors.NotFoundError) as caught:
        await client.backups.retrieve_policy(7)
    error = caught.value
    assert error.droplet_id == 7
    assert error.status_code == 404
    assert error.attempts == 1
    assert error.request_id == simulator.requests[0].request_id
    assert error.request == ("GET", f"{simulator.url}/v2/droplets/7/backups/policy")
    assert isinstance(error.body, dict)
    assert error.body["id"] == "not_found"
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("token", ["t", "test", "droplets", "404", "dop_v1_" + "0" * 8])
async def test_what_a_short_token_looks_like_is_not_masked(
    make_client: MakeClient, fleet: Fleet, token: str
) -> None:
    """A word that stands in for a token leaves the words and URLs of errors as they are."""
    async with Simulator(fleet, token=token) as simulator:
        client = make_client(access_token=token, base_url=simulator.url)
        with pytest.raises(errors.NotFoundError) as caught:
            await client.backups.list(7)
    assert caught.value.request == ("GET", f"{simulator.url}/v2/droplets/7/backups")
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["id"] == "not_found"
    assert "***" not in str(caught.value)


async def test_wrong_token(make_client: MakeClient, simulator: Simulator, droplet_id: int) -> None:
    """A wrong token is an `AuthenticationError` that says what to check."""
    with pytest.raises(errors.AuthenticationError, match="check DIGITALOCEAN_ACCESS_TOKEN"):
        await make_client(access_token="wrong").backups.list(droplet_id)
    assert statuses(simulator) == [401]


async def test_missing_scope(make_client: MakeClient, fleet: Fleet, droplet_id: int) -> None:
    """A token without the scope is a `PermissionDeniedError` that names the scope."""
    async with Simulator(fleet, scopes=ALL_SCOPES - {"droplet:read"}) as limited:
        client = make_client(base_url=limited.url)
        with pytest.raises(errors.PermissionDeniedError, match="droplet:read"):
            await client.backups.list(droplet_id)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequestError),
        (403, errors.PermissionDeniedError),
        (410, errors.APIStatusError),
        (422, errors.UnprocessableEntityError),
    ],
)
async def test_final_statuses_are_not_retried(
    client: AnyClient,
    simulator: Simulator,
    droplet_id: int,
    status: int,
    kind: type[errors.APIStatusError],
) -> None:
    """A status that would come out the same each time is asked for once."""
    simulator.faults.add(Fault.status(status, headers=AT_ONCE))
    with pytest.raises(kind) as caught:
        await client.backups.list(droplet_id)
    assert type(caught.value) is kind
    assert statuses(simulator) == [status]


# Retries.


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504])
async def test_transient_statuses_are_retried(
    client: AnyClient,
    simulator: Simulator,
    droplet_id: int,
    delays: list[float | None],
    status: int,
) -> None:
    """After two bad answers the third is the result; the pauses double, with jitter."""
    simulator.faults.add(Fault.status(status), times=2)
    page = await client.backups.list(droplet_id)
    assert page.backups
    assert statuses(simulator) == [status, status, 200]
    [first, second] = delays
    assert first is not None
    assert second is not None
    assert 0.375 <= first <= 0.5
    assert 0.75 <= second <= 1.0


async def test_retries_end(
    client: AnyClient, simulator: Simulator, droplet_id: int, delays: list[float | None]
) -> None:
    """The last error is raised when the retries are used up, and says how many tries there were."""
    simulator.faults.add(Fault.status(503, html=True), times=None)
    with pytest.raises(errors.InternalServerError, match="3 attempts") as caught:
        await client.backups.list(droplet_id)
    assert caught.value.attempts == 3
    assert isinstance(caught.value.body, str)
    assert "503 Service Unavailable" in caught.value.message
    assert statuses(simulator) == [503] * 3
    assert delays[-1] is None


@pytest.mark.parametrize("fault", [Fault.status(503), Fault.drop(), NOTHING_TO_WAIT])
async def test_no_retries(
    client: AnyClient, simulator: Simulator, droplet_id: int, fault: Fault
) -> None:
    """With ``max_retries=0``, for a call or a client, there is one try, also after a 429."""
    simulator.faults.add(fault, times=2)
    for impatient, options in ((client, {"max_retries": 0}), (client.copy(max_retries=0), {})):
        with pytest.raises(errors.APIError) as caught:
            await cast("Any", impatient.backups).list(droplet_id, **options)
        assert caught.value.attempts == 1
    assert len(simulator.requests) == 2


async def test_retries_of_one_call(
    client: AnyClient, simulator: Simulator, droplet_id: int, delays: list[float | None]
) -> None:
    """A call may have more retries than its client."""
    simulator.faults.add(Fault.status(500), times=5)
    assert (await client.backups.list(droplet_id, max_retries=5)).backups
    assert len(delays) == 5


BREAKS = {
    "reset before the answer": Fault.drop("request"),
    "closed before the answer": Fault.drop("request", reset=False),
    "reset in the headers": Fault.drop("in_headers"),
    "reset after the headers": Fault.drop("headers"),
    "reset in the body": Fault.drop("body"),
    "closed in the body": Fault.drop("body", reset=False),
    "short body": Fault.short_body(),
    "chunks cut off": Fault.broken_chunks(),
    "no HTTP": Fault.raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "endless headers": Fault.flood_headers(100),
    "wrong encoding": Fault.body(b"not gzip", encoding="gzip"),
}


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS.keys())
async def test_broken_connections_are_retried(
    make_client: MakeClient,
    simulator: Simulator,
    droplet_id: int,
    delays: list[float | None],
    fault: Fault,
) -> None:
    """Wherever an answer breaks off, it is asked for again, and never taken for a whole one."""
    simulator.faults.add(fault)
    page = await make_client().backups.list(droplet_id)
    assert page.meta.total == len(page.backups)
    assert len(simulator.requests) == 2
    assert len(delays) == 1
    simulator.faults.add(fault)
    with pytest.raises(errors.APIConnectionError, match="the connection failed") as caught:
        await make_client(max_retries=0).backups.list(droplet_id)
    assert caught.value.attempts == 1
    assert caught.value.droplet_id == droplet_id
    assert not caught.value.unreachable
    assert "400" not in caught.value.message  # aiohttp's own word for what it cannot read
    assert caught.value.message.isprintable()
    assert len(simulator.requests) == 3


@pytest.mark.parametrize("session", [None, aiohttp.ClientSession])
async def test_an_answer_that_ends_within_its_headers(
    make_client: MakeClient, simulator: Simulator, droplet_id: int, session: Any
) -> None:
    """The error says so in words, also with a session of the user's; aiohttp shows its objects."""
    client = make_client(session=session, max_retries=0)
    simulator.faults.add(Fault.drop("in_headers", reset=False), times=None)
    with pytest.raises(errors.APIConnectionError, match="failed: it ended within the headers of"):
        await client.backups.list(droplet_id)


@pytest.mark.parametrize(
    "fault", [Fault.drop("request"), Fault.drop("request", reset=False), Fault.drop("in_headers")]
)
async def test_kept_connection_that_ends_is_replaced_at_once(
    client: AnyClient,
    simulator: Simulator,
    droplet_id: int,
    delays: list[float | None],
    fault: Fault,
) -> None:
    """The server may close a kept connection as it is used again: no retry, no pause, but a try."""
    await client.backups.list(droplet_id)
    simulator.faults.add(fault)
    raw = client.real.gpu_droplets.backups.with_raw_response
    answer = await client.finish(lambda: raw.list(droplet_id, max_retries=0))
    assert (answer.retries_taken, delays) == (1, [])
    assert len(simulator.requests) == client.rate_limit.windows[0].used == 3
    simulator.faults.add(fault, times=2)
    with pytest.raises(errors.APIConnectionError) as caught:
        await client.backups.list(droplet_id, max_retries=0)
    assert caught.value.attempts == 2
    assert len(simulator.requests) == client.rate_limit.windows[0].used == 5


async def test_connection_closed_while_idle(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """A kept connection that the server closed meanwhile is replaced, at the cost of nothing."""
    await client.backups.list(droplet_id)
    simulator.drop_connections()
    await simulator.wait_for(lambda s: s.open_connections == 0)
    assert (await client.backups.list(droplet_id)).backups
    assert simulator.connections == 2


async def test_refused_connection(
    make_client: MakeClient, simulator: Simulator, delays: list[float | None]
) -> None:
    """Where nobody listens, the error says so and that the API cannot be reached."""
    client = make_client(rate_limit=None)
    await simulator.stop()
    with pytest.raises(errors.APIConnectionError, match="Cannot connect to host") as caught:
        await client.backups.list(7)
    assert caught.value.unreachable
    assert caught.value.attempts == 3
    assert len(delays) == 3


async def test_timeout(
    client: AnyClient, simulator: Simulator, droplet_id: int, delays: list[float | None]
) -> None:
    """A stalled answer ends in `APITimeoutError`, which says what to raise; it is retried."""
    simulator.faults.add(Fault.hold(), times=None)
    with pytest.raises(errors.APITimeoutError, match=r"no answer within 0\.05 s: raise") as caught:
        await client.backups.list(droplet_id, timeout=0.05)
    assert caught.value.attempts == 3
    assert len(delays) == 3
    simulator.faults.clear()
    assert (await client.backups.list(droplet_id)).backups


@pytest.mark.parametrize("fault", [Fault.hold("headers"), Fault.hold("body"), Fault.drip()])
async def test_timeout_is_for_the_whole_answer(
    make_client: MakeClient, simulator: Simulator, droplet_id: int, fault: Fault
) -> None:
    """A body that stalls, or that comes a byte at a time, is cut off when the time is up."""
    client = make_client(timeout=0.1, max_retries=0)
    simulator.faults.add(fault)
    with pytest.raises(errors.APITimeoutError, match=r"within 0\.1 s"):
        await client.backups.list(droplet_id)
    simulator.faults.clear()
    assert (await client.backups.list(droplet_id, timeout=Timeout(5.0))).backups


# What the server asks for.


async def test_retry_after_in_seconds(
    client: AnyClient, simulator: Simulator, droplet_id: int, delays: list[float | None]
) -> None:
    """The pause that the server names is the one that is made."""
    simulator.faults.add(Fault.status(503, headers={"retry-after": "17"}))
    await client.backups.list(droplet_id)
    assert delays == [17.0]


async def test_retry_after_as_a_date(
    client: AnyClient, simulator: Simulator, droplet_id: int, delays: list[float | None]
) -> None:
    """A date is waited for by the clock of the server that names it."""
    now = datetime(2001, 1, 1, tzinfo=UTC)
    then = format_datetime(now + timedelta(seconds=40), usegmt=True)
    headers = {"retry-after": then, "date": format_datetime(now, usegmt=True)}
    simulator.faults.add(Fault.status(503, headers=headers))
    await client.backups.list(droplet_id)
    assert delays == [40.0]


async def test_retry_after_that_is_too_long(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """A server that wants more than a minute gets no second try; the caller is told at once."""
    simulator.faults.add(Fault.status(503, headers={"retry-after": "61"}))
    with pytest.raises(errors.InternalServerError):
        await client.backups.list(droplet_id)
    assert statuses(simulator) == [503]


async def test_rate_limit_is_waited_for(
    make_client: MakeClient, simulator: Simulator, droplet_id: int
) -> None:
    """A 429 is waited for and uses up no retry."""
    client = make_client(max_retries=1)
    simulator.faults.add(NOTHING_TO_WAIT)
    assert (await client.backups.list(droplet_id)).backups
    assert statuses(simulator) == [429, 200]


async def test_rate_limit_date_in_the_past(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """A 429 whose ``retry-after`` is a date that has passed is repeated at once."""
    simulator.faults.add(Fault.rate_limited("Thu, 01 Jan 1970 00:00:00 GMT"))
    assert (await client.backups.list(droplet_id)).backups
    assert statuses(simulator) == [429, 200]


async def test_rate_limit_that_is_too_long(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """A 429 that wants more than ``max_rate_limit_wait`` is raised at once, with all it said."""
    simulator.faults.add(Fault.rate_limited(300, reset=4_000_000_000))
    with pytest.raises(errors.RateLimitError, match="raise `max_rate_limit_wait`") as caught:
        await client.backups.list(droplet_id)
    error = caught.value
    assert error.retry_after == pytest.approx(300.0, abs=1.1)
    assert (error.remaining, error.kind) == (0, "burst")
    assert (error.limit, error.status_code) == (5000, 429)
    assert error.reset_at == datetime.fromtimestamp(4_000_000_000, UTC)
    assert (error.attempts, error.droplet_id) == (1, droplet_id)
    assert error.request_id == simulator.requests[0].request_id
    assert statuses(simulator) == [429]


async def test_closed_gate_sends_nothing(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """While the limit is known to be used up, a call that will not wait sends nothing."""
    simulator.faults.add(Fault.rate_limited(300))
    with pytest.raises(errors.RateLimitError) as refused:
        await client.backups.list(droplet_id)
    with pytest.raises(errors.RateLimitError, match="allows no more requests") as unsent:
        await client.backups.list(droplet_id)
    assert (refused.value.attempts, unsent.value.attempts) == (1, 0)
    assert refused.value.request == unsent.value.request
    assert unsent.value.droplet_id == droplet_id
    assert unsent.value.response is None
    assert simulator.received == 1


# Redirects.


async def test_redirect_within_the_origin(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """A redirect to the same origin is followed, with the token and without using up retries."""
    simulator.faults.add(Fault.redirect(f"/v2/droplets/{droplet_id}/backups?page=1"))
    page = await client.backups.list(droplet_id, max_retries=0)
    assert page.backups
    assert statuses(simulator) == [302, 200]
    assert simulator.requests[1].headers["Authorization"] == f"Bearer {simulator.token}"
    assert dict(simulator.requests[1].query) == {"page": "1"}


async def test_redirect_to_another_origin(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """The token is not taken to another origin; the error names the place and what to check."""
    async with Simulator(Fleet.generate(1)) as other:
        simulator.faults.add(Fault.redirect(f"{other.url}/v2/x"))
        with pytest.raises(errors.APIStatusError, match="is `base_url` right") as caught:
            await client.backups.list(droplet_id)
        assert other.connections == 0
        assert other.url in str(caught.value)
    assert caught.value.status_code == 302
    assert simulator.received == 1


async def test_redirect_in_a_circle(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """A circle is left after five redirects, one that leads to itself at once."""
    simulator.faults.add(Fault.redirect("?a=1"), query={"a": 2}, times=None)
    simulator.faults.add(Fault.redirect("?a=2"), times=None)
    with pytest.raises(errors.APIStatusError, match="a redirect that is not followed") as caught:
        await client.backups.list(droplet_id)
    assert caught.value.attempts == 6
    assert simulator.received == 6
    simulator.faults.clear()
    simulator.faults.add(Fault.redirect())
    with pytest.raises(errors.APIStatusError):
        await client.backups.list(droplet_id)
    assert simulator.received == 7


async def test_redirect_with_a_user(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """A redirect that brings credentials of its own is not followed."""
    simulator.faults.add(Fault.redirect(simulator.url.replace("//", "//user:word@") + "/v2/x"))
    with pytest.raises(errors.APIStatusError, match="not followed"):
        await client.backups.list(droplet_id)
    assert simulator.received == 1


# Bounds.


async def test_answer_that_is_too_large(
    make_client: MakeClient, simulator: Simulator, droplet_id: int
) -> None:
    """An answer over the limit is not read, and the error names the limit."""
    client = make_client(max_response_bytes=100)
    with pytest.raises(errors.APIResponseValidationError, match="more than 100 bytes") as caught:
        await client.backups.list(droplet_id)
    assert "raise `max_response_bytes`" in str(caught.value)
    assert "base_url" not in str(caught.value)
    assert caught.value.too_large
    assert caught.value.status_code == 200
    assert caught.value.droplet_id == droplet_id
    assert len(simulator.requests) == 1


async def test_gzip_bomb(client: AnyClient, simulator: Simulator, droplet_id: int) -> None:
    """A small body that decompresses to more than 32 MiB is given up."""
    simulator.faults.add(Fault.gzip_bomb())
    with pytest.raises(errors.APIResponseValidationError, match="more than 33554432 bytes"):
        await client.backups.list(droplet_id)
    assert (await client.backups.list(droplet_id)).backups


@pytest.mark.parametrize("encoding", [None, "gzip"])
async def test_large_error_body(
    make_client: MakeClient, simulator: Simulator, droplet_id: int, encoding: str | None
) -> None:
    """The limit is for the bodies of errors, too: they are cut off, and the status is raised."""
    body = gzip.compress(b"x" * 2000) if encoding else b"x" * 2000
    client = make_client(max_response_bytes=1000)
    simulator.faults.add(Fault.body(body, status=404, encoding=encoding))
    with pytest.raises(errors.NotFoundError) as caught:
        await client.backups.list(droplet_id)
    assert caught.value.body == "x" * 1000


@pytest.mark.parametrize("status", [429, 503])
async def test_large_body_of_an_error_that_is_transient(
    make_client: MakeClient, simulator: Simulator, droplet_id: int, status: int
) -> None:
    """A page of a proxy, however long, keeps no request from being sent again."""
    client = make_client(max_response_bytes=100_000)
    simulator.faults.add(Fault.status(status, b"x" * 200_000, headers=AT_ONCE))
    assert (await client.backups.list_supported_policies()).supported_policies
    assert statuses(simulator) == [status, 200]


async def test_compressed_answers_are_read(make_client: MakeClient, fleet: Fleet) -> None:
    """A server that compresses is understood."""
    async with Simulator(fleet, compress=True) as compressing:
        page = await make_client(base_url=compressing.url).backups.list_policies(per_page=200)
    assert len(page.policies) == len(fleet.droplets)

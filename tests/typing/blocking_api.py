"""The types that the blocking client gives, as mypy and pyright see them. Is never run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, assert_type

import aiohttp

from gradient_async import (
    APIResponse,
    BlockingFanOut,
    BlockingIterator,
    DropletBackups,
    FleetPlan,
    Gradient,
    RateLimit,
    RateLimitStatus,
    StreamedResponse,
    Timeout,
    WindowStatus,
)
from gradient_async.errors import GradientError, RequestLine
from gradient_async.sync import BackupsResource, GPUDropletsResource
from gradient_async.types import (
    Backup,
    BackupListPoliciesResponse,
    BackupListResponse,
    BackupListSupportedPoliciesResponse,
    BackupRetrievePolicyResponse,
    Droplet,
    DropletListResponse,
    Policy,
)
from gradient_async.types.gpu_droplets import BackupListParams


class Special(Gradient):
    """A client with something of its own."""


def client_itself() -> None:
    """What a client is made of, and what it tells."""
    client = Gradient(
        "token",
        base_url="https://api.digitalocean.com",
        timeout=Timeout(10.0, connect=2.0),
        max_retries=3,
        default_headers={"X-Team": "ml"},
        default_query={"deep": True},
        session=lambda: aiohttp.ClientSession(),
        rate_limit=RateLimit(windows=((10, 1.0),)),
    )
    with client as entered:
        assert_type(entered, Gradient)
    assert_type(client.copy(max_retries=0), Gradient)
    assert_type(Special("token").copy(max_retries=0), Special)
    assert_type(client.with_options(timeout=None), Gradient)
    assert_type(client.gpu_droplets, GPUDropletsResource)
    assert_type(client.gpu_droplets.backups, BackupsResource)
    assert_type(client.is_closed(), bool)
    assert_type(client.rate_limit, RateLimitStatus)
    assert_type(client.rate_limit.windows, tuple[WindowStatus, ...])
    assert_type(client.rate_limit.paused_until, datetime | None)
    client.close()


def methods(client: Gradient) -> None:
    """The four methods of the official SDK, with the options of every method."""
    backups = client.gpu_droplets.backups
    assert_type(backups.list(1), BackupListResponse)
    assert_type(backups.list(droplet_id=1, page=2, per_page=200), BackupListResponse)
    which: BackupListParams = {"page": 2, "per_page": 200}
    assert_type(backups.list(1, **which), BackupListResponse)
    assert_type(backups.list_policies(page=1, per_page=1), BackupListPoliciesResponse)
    assert_type(backups.list_supported_policies(), BackupListSupportedPoliciesResponse)
    assert_type(backups.retrieve_policy(1), BackupRetrievePolicyResponse)
    backups.retrieve_policy(
        1,
        extra_headers={"X-Trace": "1"},
        extra_query={"deep": True},
        timeout=Timeout(1.0),
        max_retries=0,
        max_rate_limit_wait=None,
    )


def beyond(client: Gradient) -> None:
    """Every page, every Droplet, the whole account."""
    backups = client.gpu_droplets.backups
    assert_type(backups.iter_backups(1), BlockingIterator[Backup])
    for backup in backups.iter_backups(1, concurrency=2, timeout=1.0):
        assert_type(backup, Backup)
    for droplet_id, policy in backups.iter_policies():
        assert_type(droplet_id, int)
        assert_type(policy, Policy)
    assert_type(backups.list_many([1, 2]), BlockingFanOut[DropletBackups])
    with backups.list_many(range(1, 9), concurrency=2, deadline=60) as results:
        assert_type(results.missing, tuple[int, ...])
        assert_type(results.total, int | None)
        for result in results:
            assert_type(result, DropletBackups)
            assert_type(result.backups, list[Backup])
            assert_type(result.error, GradientError | None)
            assert_type(result.droplet, Droplet | None)
    fleet = backups.list_fleet(type="gpus", plan="joined")
    assert_type(fleet, BlockingFanOut[DropletBackups])
    assert_type(backups.plan_fleet(tag_name="prod"), FleetPlan)


def any_ids(client: Gradient) -> None:
    """IDs come in any iterable."""
    backups = client.gpu_droplets.backups
    for given in ([1], (1,), {1}, range(1, 2), (i for i in [1])):
        backups.list_many(given)


def droplets(client: Gradient) -> None:
    """The listing of Droplets."""
    assert_type(client.gpu_droplets.list(type="droplets", name="x"), DropletListResponse)
    for droplet in client.gpu_droplets.iter_droplets(tag_name="prod"):
        assert_type(droplet, Droplet)
        assert_type(droplet.backup_ids, list[int] | None)


def raw(client: Gradient) -> None:
    """What the raw view gives knows what it parses to."""
    view = client.gpu_droplets.backups.with_raw_response
    response = view.list(1)
    assert_type(response, APIResponse[BackupListResponse])
    assert_type(response.parse(), BackupListResponse)
    assert_type(response.status_code, int)
    assert_type(response.headers, Mapping[str, str])
    assert_type(response.url, str)
    assert_type(response.method, str)
    assert_type(response.elapsed, timedelta)
    assert_type(response.retries_taken, int)
    assert_type(response.request_id, str | None)
    assert_type(response.http_request, RequestLine)
    assert_type(response.text, str)
    assert_type(response.content, bytes)
    assert_type(response.json(), Any)
    assert_type((view.list_policies()).parse(), BackupListPoliciesResponse)
    supported = view.list_supported_policies()
    assert_type(supported.parse(), BackupListSupportedPoliciesResponse)
    assert_type((view.retrieve_policy(1)).parse(), BackupRetrievePolicyResponse)
    listed = client.gpu_droplets.with_raw_response.list()
    assert_type(listed.parse(), DropletListResponse)


def streaming(client: Gradient) -> None:
    """The streaming view gives answers that parse into the classes of the methods."""
    view = client.gpu_droplets.backups.with_streaming_response
    with view.list(1) as response:
        assert_type(response, StreamedResponse[BackupListResponse])
        assert_type(response.parse(), BackupListResponse)
        assert_type(response.read(), bytes)
        assert_type(response.iter_bytes(), Iterator[bytes])
    with view.retrieve_policy(1) as policy:
        assert_type(policy.parse(), BackupRetrievePolicyResponse)
    with client.gpu_droplets.with_streaming_response.list() as listed:
        assert_type(listed.parse(), DropletListResponse)


def answers(page: BackupListResponse, policies: BackupListPoliciesResponse) -> None:
    """The members of the response classes."""
    assert_type(page.meta.total, int | None)
    assert_type(page.backups, list[Backup])
    assert page.links is not None
    assert page.links.pages is not None
    assert_type(page.links.pages.next, str | None)
    assert_type(page.links.pages.prev, str | None)
    backup = page.backups[0]
    assert_type(backup.created_at, datetime)
    assert_type(backup.regions, list[str])
    assert_type(backup.size_gigabytes, float)
    assert_type(policies.policies, dict[str, Policy])
    assert_type(page.to_dict(), dict[str, Any])
    assert_type(page.to_json(), str)
    mode: Literal["python", "json"] = "json"
    page.to_dict(mode=mode)

"""``client.gpu_droplets.backups``: the backups of Droplets, and the policies they are made by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Unpack

from .._checks import checked_count, checked_mapping
from .._droplet_ids import DropletIds
from .._fan_out import FanOut, ends_run
from .._fleet import FleetPlan, PlanChoice, checked_plan, oldest_first
from .._fleet_reader import FleetReader
from .._options import DEFAULT_CONCURRENCY, RequestOptions
from .._paging import DEFAULT_PAGE_CONCURRENCY, Get, Listing, has_next
from .._resource import AsyncAPIResource
from ..errors import GradientError
from ..types import (
    Backup,
    BackupListPoliciesResponse,
    BackupListResponse,
    BackupListSupportedPoliciesResponse,
    BackupRetrievePolicyResponse,
    DropletBackups,
    Policy,
)
from ._listings import (
    FIRST_PAGE,
    DropletType,
    all_droplets,
    all_images,
    all_policies,
    backups_endpoint,
    backups_of,
    policies_endpoint,
    policy_endpoint,
    supported_policies_endpoint,
    unchecked_backups_endpoint,
)

if TYPE_CHECKING:
    from ._views import (
        AsyncBackupsResourceWithRawResponse,
        AsyncBackupsResourceWithStreamingResponse,
    )

__all__ = ["AsyncBackupsResource"]


class AsyncBackupsResource(AsyncAPIResource):
    """The backups of Droplets, and the policies by which they are made.

    Every method takes the keywords of `RequestOptions` too: ``extra_headers``, ``extra_query``,
    ``timeout``, ``max_retries`` and ``max_rate_limit_wait``, for this call alone.
    """

    @cached_property
    def with_raw_response(self) -> AsyncBackupsResourceWithRawResponse:
        """The same methods, giving the whole answer with its headers: `AsyncAPIResponse`."""
        from ._views import AsyncBackupsResourceWithRawResponse

        return AsyncBackupsResourceWithRawResponse(self._transport)

    @cached_property
    def with_streaming_response(self) -> AsyncBackupsResourceWithStreamingResponse:
        """The same methods, for ``async with``, with the body unread: `AsyncStreamedResponse`."""
        from ._views import AsyncBackupsResourceWithStreamingResponse

        return AsyncBackupsResourceWithStreamingResponse(self._transport)

    async def list(
        self,
        droplet_id: int,
        *,
        page: int | None = None,
        per_page: int | None = None,
        **options: Unpack[RequestOptions],
    ) -> BackupListResponse:
        """List one page of the backups of a Droplet.

        ``GET /v2/droplets/{droplet_id}/backups``

        Args:
            droplet_id: The Droplet, at least 1.
            page: Which page, from 1. The API's default is 1.
            per_page: How many backups to a page, 1 to 200. The API's default is 20.
            **options: See `RequestOptions`.

        Returns:
            The page. `iter_backups` gives the backups of all pages.

        Raises:
            NotFoundError: There is no such Droplet.
            APIError: The request failed otherwise; see `gradient_async.errors`.
            TypeError: A number is no ``int``.
            ValueError: A number is out of its range.

        Example:
            >>> page = await client.gpu_droplets.backups.list(3164444, per_page=50)
            >>> page.meta.total
            4
            >>> page.backups[0].type
            'backup'
        """
        return await self._get(backups_endpoint(droplet_id, page, per_page), options)

    async def list_policies(
        self,
        *,
        page: int | None = None,
        per_page: int | None = None,
        **options: Unpack[RequestOptions],
    ) -> BackupListPoliciesResponse:
        """List one page of the backup policies of all Droplets of the account.

        ``GET /v2/droplets/backups/policies``

        Args:
            page: Which page, from 1. The API's default is 1.
            per_page: How many policies to a page, 1 to 200. The API's default is 20.
            **options: See `RequestOptions`.

        Returns:
            The page; its ``policies`` are keyed by Droplet ID as ``str``. `iter_policies` gives
            those of all pages.

        Raises:
            APIError: The request failed; see `gradient_async.errors`.
            TypeError: A number is no ``int``.
            ValueError: A number is out of its range.

        Example:
            >>> page = await client.gpu_droplets.backups.list_policies(per_page=200)
            >>> page.policies["3164444"].backup_enabled
            True
        """
        return await self._get(policies_endpoint(page, per_page), options)

    async def list_supported_policies(
        self, **options: Unpack[RequestOptions]
    ) -> BackupListSupportedPoliciesResponse:
        """List the plans that Droplets can be backed up by.

        ``GET /v2/droplets/backups/supported_policies``

        Args:
            **options: See `RequestOptions`.

        Raises:
            APIError: The request failed; see `gradient_async.errors`.

        Example:
            >>> answer = await client.gpu_droplets.backups.list_supported_policies()
            >>> [plan.name for plan in answer.supported_policies]
            ['weekly', 'daily']
        """
        return await self._get(supported_policies_endpoint(), options)

    async def retrieve_policy(
        self, droplet_id: int, **options: Unpack[RequestOptions]
    ) -> BackupRetrievePolicyResponse:
        """Retrieve the backup policy of a Droplet.

        ``GET /v2/droplets/{droplet_id}/backups/policy``

        Args:
            droplet_id: The Droplet, at least 1.
            **options: See `RequestOptions`.

        Raises:
            NotFoundError: There is no such Droplet.
            APIError: The request failed otherwise; see `gradient_async.errors`.
            TypeError: ``droplet_id`` is no ``int``.
            ValueError: ``droplet_id`` is less than 1.

        Example:
            >>> answer = await client.gpu_droplets.backups.retrieve_policy(3164444)
            >>> answer.policy.backup_policy.plan
            'daily'
        """
        return await self._get(policy_endpoint(droplet_id), options)

    def iter_backups(
        self,
        droplet_id: int,
        *,
        concurrency: int = DEFAULT_PAGE_CONCURRENCY,
        **options: Unpack[RequestOptions],
    ) -> Listing[Backup]:
        """Iterate over all backups of a Droplet, over all pages, in the order of the API.

        ``GET /v2/droplets/{droplet_id}/backups``, with 200 backups to a page. The first page tells
        how many there are; the others are fetched at once.

        Args:
            droplet_id: The Droplet, at least 1.
            concurrency: The most pages that are fetched at once; 16 by default.
            **options: See `RequestOptions`; they hold for the request of each page.

        Returns:
            An asynchronous iterator. It can also be entered with ``async with``, and left early.

        Raises:
            NotFoundError: There is no such Droplet.
            IncompleteListingError: The pages do not add up to the total. Raised at the end.
            APIError: A request failed otherwise; see `gradient_async.errors`.
            TypeError: A number is no ``int``.
            ValueError: A number is out of its range.

        Example:
            >>> async for backup in client.gpu_droplets.backups.iter_backups(3164444):
            ...     print(backup.type, backup.size_gigabytes)
            backup 20.0
            backup 20.5
            backup 21.0
            backup 21.5
        """
        return backups_of(self._getter(options), droplet_id).listing(
            concurrency=checked_count("concurrency", concurrency)
        )

    def iter_policies(
        self, *, concurrency: int = DEFAULT_PAGE_CONCURRENCY, **options: Unpack[RequestOptions]
    ) -> Listing[tuple[int, Policy]]:
        """Iterate over the backup policies of all Droplets of the account, over all pages.

        ``GET /v2/droplets/backups/policies``, with 200 policies to a page. The first page tells how
        many there are; the others are fetched at once.

        Args:
            concurrency: The most pages that are fetched at once; 16 by default.
            **options: See `RequestOptions`; they hold for the request of each page.

        Returns:
            An asynchronous iterator over pairs of a Droplet ID, as ``int``, and its policy. It can
            also be entered with ``async with``, and left early.

        Raises:
            IncompleteListingError: The pages do not add up to the total. Raised at the end.
            APIError: A request failed; see `gradient_async.errors`.
            TypeError: ``concurrency`` is no ``int``.
            ValueError: ``concurrency`` is less than 1.

        Example:
            >>> policies = {
            ...     droplet_id: policy
            ...     async for droplet_id, policy in client.gpu_droplets.backups.iter_policies()
            ... }
            >>> policies[3164444].backup_enabled
            True
        """
        return all_policies(self._getter(options)).listing(
            concurrency=checked_count("concurrency", concurrency)
        )

    def list_many(
        self,
        droplet_ids: DropletIds,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        deadline: float | None = None,
        **options: Unpack[RequestOptions],
    ) -> FanOut[DropletBackups]:
        """List all backups of many Droplets, each Droplet's as soon as they are complete.

        ``GET /v2/droplets/{droplet_id}/backups`` for every Droplet, with 200 backups to a page, at
        the pace that the token's rate limit allows.

        Args:
            droplet_ids: Any iterable or asynchronous iterable of Droplet IDs. A collection is taken
                as it is at the call; an iterator is consumed as there is room, so it may be without
                end. An ID that comes again is asked about once and answered each time; of an
                iterator the newest 1,024 answers are remembered.
            concurrency: The most Droplets that are asked about at once; 50 by default. At most 100
                requests are under way on one loop, or as many as a session of your own allows.
            deadline: Seconds for the whole run, ``None`` for as long as it takes.
            **options: See `RequestOptions`; they hold for every request. ``max_rate_limit_wait`` is
                ``None`` here unless it is given: a fan-out waits as long as the limit takes.

        Returns:
            An asynchronous iterator over one `DropletBackups` per ID. It can also be entered with
            ``async with``, and left early. A consumer that is slow holds the requests back.
            Its ``missing`` names the IDs without a result so far, its ``total`` is the number of
            results that there will be, ``None`` where that is not known.

        Raises:
            AuthenticationError: The token is not valid. Like every error that concerns all Droplets
                it ends the run; an error on one Droplet is the ``error`` of its result.
            APIConnectionError: The API could not be reached, also not by the retries.
            RateLimitError: The limit is used up for longer than ``max_rate_limit_wait``.
            DeadlineExceededError: The deadline passed; its ``missing`` names the Droplets left.
            TypeError: An ID, or ``concurrency``, is no ``int``, or ``deadline`` is no number.
            ValueError: An ID, or ``concurrency``, is less than 1, or ``deadline`` less than 0.

        Example:
            >>> async for result in client.gpu_droplets.backups.list_many([3164444, 3164445]):
            ...     print(result.droplet_id, len(result.backups), result.error)
            3164444 4 None
            3164445 0 None
        """
        options.setdefault("max_rate_limit_wait", None)
        return FanOut(
            droplet_ids,
            partial(_ask, self._getter(options)),
            concurrency=concurrency,
            deadline=deadline,
        )

    def list_fleet(
        self,
        *,
        type: DropletType | None = None,
        tag_name: str | None = None,
        plan: PlanChoice = "auto",
        policies: Mapping[int, Policy] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        deadline: float | None = None,
        **options: Unpack[RequestOptions],
    ) -> FanOut[DropletBackups]:
        """List all backups of all Droplets of the account, in as few requests as it takes.

        ``GET /v2/droplets``, and then either ``GET /v2/droplets/{droplet_id}/backups`` for every
        Droplet or ``GET /v2/images?private=true`` and ``GET /v2/droplets/backups/policies``, whose
        pages joined tell the same. 1,000 Droplets with 7 backups each take 1,005 requests the one
        way and 40 the other. The join is checked, not trusted: a Droplet whose backups it cannot
        vouch for is asked about by itself.

        Args:
            type: ``"gpus"``, which is what is listed unless ``tag_name`` is given, or
                ``"droplets"`` for those without GPUs.
            tag_name: Only the Droplets with this tag, of whatever type. Cannot be combined with
                ``type``.
            plan: ``"per_droplet"``, ``"joined"``, or ``"auto"`` for whichever takes fewer requests.
                ``"auto"`` decides from the first pages and takes at most two requests more than the
                plan that it chooses; `plan_fleet` tells which that would be. Where the images
                cannot be used, each Droplet is asked, whatever the plan.
            policies: The policies by Droplet ID, if they were read a moment ago: they are not read
                again. ``{number: policy async for number, policy in iter_policies()}``
            concurrency: The most Droplets that are asked about at once; 50 by default. At most 100
                requests are under way on one loop, or as many as a session of your own allows.
            deadline: Seconds for the whole run, ``None`` for as long as it takes.
            **options: See `RequestOptions`; they hold for every request. ``max_rate_limit_wait`` is
                ``None`` here unless it is given: a fan-out waits as long as the limit takes.

        Returns:
            An asynchronous iterator over one `DropletBackups` per Droplet, with the Droplet itself
            beside its backups. It can also be entered with ``async with``, and left early. Its
            ``missing`` names the Droplets that were listed and have no result so far, its ``total``
            is the number of Droplets once that is known.

        Raises:
            APIError: As for `list_many`.
            IncompleteListingError: The pages of Droplets do not add up to the total. Raised at the
                end.
            DeadlineExceededError: The deadline passed; its ``missing`` names the Droplets left that
                were listed, its ``unlisted`` is the number of the others.
            TypeError: ``concurrency``, or a key of ``policies``, is no ``int``, ``policies`` no
                mapping, or ``deadline`` no number.
            ValueError: ``concurrency`` is less than 1, ``deadline`` less than 0, ``plan`` unknown,
                or the filters cannot be combined.

        Example:
            >>> async for result in client.gpu_droplets.backups.list_fleet():
            ...     print(result.droplet.name, len(result.backups))
            gpu-train-00 4
            gpu-train-01 0
        """
        options.setdefault("max_rate_limit_wait", None)
        reader = self._fleet_reader(type, tag_name, plan, options, policies)
        return FanOut(
            reader,
            reader.answer,
            concurrency=concurrency,
            deadline=deadline,
        )

    async def plan_fleet(
        self,
        *,
        type: DropletType | None = None,
        tag_name: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> FleetPlan:
        """Tell what `list_fleet` would cost by each plan, and which it would choose.

        The first pages of ``GET /v2/droplets`` and ``GET /v2/images?private=true``, and the last
        page of the images where the first shows no backup: three requests at most.

        Args:
            type: As for `list_fleet`.
            tag_name: As for `list_fleet`.
            **options: See `RequestOptions`.

        Raises:
            APIError: A request failed; see `gradient_async.errors`.
            ValueError: The filters cannot be combined.

        Example:
            >>> plan = await client.gpu_droplets.backups.plan_fleet()
            >>> plan.choice, plan.per_droplet_requests
            ('per_droplet', 3)
        """
        reader = self._fleet_reader(type, tag_name, "auto", options)
        return await reader.plan(self._transport.config.rate_limit)

    def _fleet_reader(
        self,
        type: DropletType | None,
        tag_name: str | None,
        plan: PlanChoice,
        options: RequestOptions,
        known_policies: Mapping[int, Policy] | None = None,
    ) -> FleetReader:
        get = self._getter(options)
        return FleetReader(
            all_droplets(get, type=type, tag_name=tag_name, name=None),
            all_images(get),
            all_policies(get),
            ask=partial(_ask, get),
            choice=checked_plan(plan),
            known_policies=_checked_policies(known_policies),
        )


def _checked_policies(policies: Mapping[int, Policy] | None) -> Mapping[int, Policy] | None:
    """Return policies that a user gave; those of `list_policies` have text as keys."""
    for key in checked_mapping("policies", policies):
        checked_count("a key of policies", key)
    return policies


async def _ask(get: Get, droplet_id: int) -> DropletBackups:
    """Get all backups of a Droplet; an error that concerns only it is its result."""
    try:
        answer: BackupListResponse = await get(unchecked_backups_endpoint(droplet_id, FIRST_PAGE))
        # Nearly always one page is all; a listing of it would cost a sixth of the request.
        ids = {backup.id for backup in answer.backups}
        if len(ids) == answer.meta.total and not has_next(answer):
            return DropletBackups(droplet_id, oldest_first(answer.backups))
        pages = backups_of(get, droplet_id)
        listing = pages.listing(pages.page(answer))
        return DropletBackups(droplet_id, oldest_first([backup async for backup in listing]))
    except GradientError as error:
        if ends_run(error):
            raise
        return DropletBackups(droplet_id, error=error)

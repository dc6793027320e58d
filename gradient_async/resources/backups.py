"""``client.gpu_droplets.backups``: the backups of Droplets, and the policies they are made by."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, Unpack

from .._fan_out import DEFAULT_CONCURRENCY, DropletIds, FanOut, ends_run
from .._http import (
    MAX_PER_PAGE,
    Endpoint,
    RequestOptions,
    checked_count,
    checked_droplet_id,
    paging_query,
)
from .._paging import DEFAULT_PAGE_CONCURRENCY, Listing, Page
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

if TYPE_CHECKING:
    from ._views import (
        AsyncBackupsResourceWithRawResponse,
        AsyncBackupsResourceWithStreamingResponse,
    )

__all__ = ["AsyncBackupsResource"]

# In the class below, `list` is its method.
_Backups: TypeAlias = list[Backup]


class AsyncBackupsResource(AsyncAPIResource):
    """The backups of Droplets, and the policies by which they are made.

    Every method takes the keywords of `RequestOptions` too: ``extra_headers``, ``extra_query``,
    ``timeout``, ``max_retries`` and ``max_rate_limit_wait``, for this call alone.
    """

    @cached_property
    def with_raw_response(self) -> AsyncBackupsResourceWithRawResponse:
        """The same methods, giving the whole answer with its status and headers."""
        from ._views import AsyncBackupsResourceWithRawResponse

        return AsyncBackupsResourceWithRawResponse(self._transport)

    @cached_property
    def with_streaming_response(self) -> AsyncBackupsResourceWithStreamingResponse:
        """The same methods, as context managers that have not read the body yet."""
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
        return await self._get(
            Endpoint(
                BackupListResponse,
                f"/v2/droplets/{checked_droplet_id(droplet_id)}/backups",
                paging_query(page, per_page),
                droplet_id,
            ),
            options,
        )

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
        return await self._get(
            Endpoint(
                BackupListPoliciesResponse,
                "/v2/droplets/backups/policies",
                paging_query(page, per_page),
            ),
            options,
        )

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
        return await self._get(
            Endpoint(
                BackupListSupportedPoliciesResponse, "/v2/droplets/backups/supported_policies"
            ),
            options,
        )

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
        return await self._get(
            Endpoint(
                BackupRetrievePolicyResponse,
                f"/v2/droplets/{checked_droplet_id(droplet_id)}/backups/policy",
                droplet_id=droplet_id,
            ),
            options,
        )

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
            concurrency: The most pages that are fetched at once.
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
            ...     print(backup.created_at.date(), backup.size_gigabytes)
        """
        return self._all_backups(
            checked_droplet_id(droplet_id), checked_count("concurrency", concurrency), options
        )

    def iter_policies(
        self, *, concurrency: int = DEFAULT_PAGE_CONCURRENCY, **options: Unpack[RequestOptions]
    ) -> Listing[tuple[int, Policy]]:
        """Iterate over the backup policies of all Droplets of the account, over all pages.

        ``GET /v2/droplets/backups/policies``, with 200 policies to a page. The first page tells how
        many there are; the others are fetched at once.

        Args:
            concurrency: The most pages that are fetched at once.
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

        async def fetch(number: int) -> Page[tuple[int, Policy]]:
            answer = await self.list_policies(page=number, per_page=MAX_PER_PAGE, **options)
            items = [(int(droplet_id), policy) for droplet_id, policy in answer.policies.items()]
            return Page(items, answer.meta.total)

        return Listing(
            fetch,
            _droplet_of,
            concurrency=checked_count("concurrency", concurrency),
            path="/v2/droplets/backups/policies",
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
            droplet_ids: Any iterable or asynchronous iterable of Droplet IDs. It is consumed as
                there is room, so it may be without end. An ID that comes again is asked about once
                and answered each time; of an iterator the newest 1,024 answers are remembered.
            concurrency: The most Droplets that are asked about at once.
            deadline: Seconds for the whole run, ``None`` for as long as it takes.
            **options: See `RequestOptions`; they hold for every request. ``max_rate_limit_wait`` is
                ``None`` here unless it is given: a fan-out waits as long as the limit takes.

        Returns:
            An asynchronous iterator over one `DropletBackups` per ID. It can also be entered with
            ``async with``, and left early. A consumer that is slow holds the requests back.
            Its ``missing`` names the IDs without a result so far.

        Raises:
            AuthenticationError: The token is not valid. Like every error that concerns all Droplets
                it ends the run; an error on one Droplet is the ``error`` of its result.
            APIConnectionError: The API could not be reached, also not by the retries.
            RateLimitError: The limit is used up for longer than ``max_rate_limit_wait``.
            DeadlineExceededError: The deadline passed; its ``missing`` names the Droplets left.
            TypeError: An ID, or ``concurrency``, is no ``int``.
            ValueError: An ID, or ``concurrency``, is less than 1.

        Example:
            >>> async for result in client.gpu_droplets.backups.list_many([3164444, 3164445]):
            ...     print(result.droplet_id, len(result.backups), result.error)
            3164444 4 None
            3164445 0 None
        """
        options.setdefault("max_rate_limit_wait", None)

        async def ask(droplet_id: int) -> DropletBackups:
            try:
                return DropletBackups(droplet_id, await self._whole_listing(droplet_id, options))
            except GradientError as error:
                if ends_run(error):
                    raise
                return DropletBackups(droplet_id, error=error)

        return FanOut(
            droplet_ids,
            ask,
            concurrency=checked_count("concurrency", concurrency),
            deadline=deadline,
        )

    async def _whole_listing(self, droplet_id: int, options: RequestOptions) -> _Backups:
        first = await self.list(droplet_id, per_page=MAX_PER_PAGE, **options)
        if len(first.backups) == first.meta.total:
            return first.backups
        page = Page(first.backups, first.meta.total)
        return [
            backup
            async for backup in self._all_backups(
                droplet_id, DEFAULT_PAGE_CONCURRENCY, options, first=page
            )
        ]

    def _all_backups(
        self,
        droplet_id: int,
        concurrency: int,
        options: RequestOptions,
        first: Page[Backup] | None = None,
    ) -> Listing[Backup]:
        async def fetch(number: int) -> Page[Backup]:
            answer = await self.list(droplet_id, page=number, per_page=MAX_PER_PAGE, **options)
            return Page(answer.backups, answer.meta.total)

        return Listing(
            fetch,
            _id_of,
            concurrency=concurrency,
            path=f"/v2/droplets/{droplet_id}/backups",
            droplet_id=droplet_id,
            first=first,
        )


def _id_of(backup: Backup) -> int:
    return backup.id


def _droplet_of(item: tuple[int, Policy]) -> int:
    return item[0]

"""``client.gpu_droplets``: the GPU Droplets of the account."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Unpack

from .._checks import checked_count
from .._options import RequestOptions
from .._paging import DEFAULT_PAGE_CONCURRENCY, Listing
from .._resource import AsyncAPIResource
from ..types import Droplet, DropletListResponse
from ._listings import DropletType, all_droplets, droplets_endpoint
from .backups import AsyncBackupsResource

if TYPE_CHECKING:
    from ._views import (
        AsyncGPUDropletsResourceWithRawResponse,
        AsyncGPUDropletsResourceWithStreamingResponse,
    )

__all__ = ["AsyncGPUDropletsResource"]


class AsyncGPUDropletsResource(AsyncAPIResource):
    """GPU Droplets: the virtual machines with accelerators."""

    @cached_property
    def backups(self) -> AsyncBackupsResource:
        """The backups of GPU Droplets, and the policies by which they are made."""
        return AsyncBackupsResource(self._transport)

    @cached_property
    def with_raw_response(self) -> AsyncGPUDropletsResourceWithRawResponse:
        """The same methods, giving the whole answer with its headers: `AsyncAPIResponse`."""
        from ._views import AsyncGPUDropletsResourceWithRawResponse

        return AsyncGPUDropletsResourceWithRawResponse(self._transport)

    @cached_property
    def with_streaming_response(self) -> AsyncGPUDropletsResourceWithStreamingResponse:
        """The same methods, for ``async with``, with the body unread: `AsyncStreamedResponse`."""
        from ._views import AsyncGPUDropletsResourceWithStreamingResponse

        return AsyncGPUDropletsResourceWithStreamingResponse(self._transport)

    async def list(
        self,
        *,
        type: DropletType | None = None,
        tag_name: str | None = None,
        name: str | None = None,
        page: int | None = None,
        per_page: int | None = None,
        **options: Unpack[RequestOptions],
    ) -> DropletListResponse:
        """List one page of the Droplets of the account.

        ``GET /v2/droplets``

        Args:
            type: ``"gpus"``, which is what is listed unless ``tag_name`` is given, or
                ``"droplets"`` for those without GPUs.
            tag_name: Only the Droplets with this tag, of whatever type. Cannot be combined with
                ``type`` or ``name``.
            name: Only the Droplets with this name.
            page: Which page, from 1. The API's default is 1.
            per_page: How many Droplets to a page, 1 to 200. The API's default is 20.
            **options: See `RequestOptions`.

        Returns:
            The page. `iter_droplets` gives the Droplets of all pages.

        Raises:
            APIError: The request failed; see `gradient_async.errors`.
            TypeError: A number is no ``int``.
            ValueError: A number is out of its range, or the filters cannot be combined.

        Example:
            >>> page = await client.gpu_droplets.list(per_page=50)
            >>> page.droplets[0].id
            3164444
        """
        return await self._get(droplets_endpoint(type, tag_name, name, page, per_page), options)

    def iter_droplets(
        self,
        *,
        type: DropletType | None = None,
        tag_name: str | None = None,
        name: str | None = None,
        concurrency: int = DEFAULT_PAGE_CONCURRENCY,
        **options: Unpack[RequestOptions],
    ) -> Listing[Droplet]:
        """Iterate over the Droplets of the account, over all pages.

        ``GET /v2/droplets``, with 200 Droplets to a page. The first page tells how many there are;
        the others are fetched at once.

        Args:
            type: As for `list`.
            tag_name: As for `list`.
            name: As for `list`.
            concurrency: The most pages that are fetched at once; 16 by default.
            **options: See `RequestOptions`; they hold for the request of each page.

        Returns:
            An asynchronous iterator. It can also be entered with ``async with``, and left early.

        Raises:
            IncompleteListingError: The pages do not add up to the total. Raised at the end.
            APIError: A request failed; see `gradient_async.errors`.
            TypeError: ``concurrency`` is no ``int``.
            ValueError: ``concurrency`` is less than 1, or the filters cannot be combined.

        Example:
            >>> [droplet.name async for droplet in client.gpu_droplets.iter_droplets()]
            ['gpu-train-00', 'gpu-train-01']
        """
        get = self._getter(options)
        return all_droplets(get, type=type, tag_name=tag_name, name=name).listing(
            concurrency=checked_count("concurrency", concurrency)
        )

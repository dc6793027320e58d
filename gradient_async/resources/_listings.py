"""The listings of the API, each as something that is read page by page."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeAlias, TypeVar

from .._http import MAX_PER_PAGE, Endpoint, RequestOptions, checked_droplet_id, paging_query
from .._paging import Page, Paged
from ..types import (
    Backup,
    BackupListPoliciesResponse,
    BackupListResponse,
    Droplet,
    DropletListResponse,
    Policy,
)
from ..types._images import Image, ImageListResponse

__all__ = [
    "DropletType",
    "Get",
    "backups_endpoint",
    "backups_of",
    "droplets",
    "droplets_endpoint",
    "images",
    "policies",
    "policies_endpoint",
]

T = TypeVar("T")
DropletType: TypeAlias = Literal["gpus", "droplets"]
Get: TypeAlias = Callable[[Endpoint[Any], RequestOptions], Coroutine[Any, Any, Any]]


def backups_endpoint(
    droplet_id: int, page: int | None, per_page: int | None
) -> Endpoint[BackupListResponse]:
    """``GET /v2/droplets/{droplet_id}/backups``."""
    return Endpoint(
        BackupListResponse,
        f"/v2/droplets/{checked_droplet_id(droplet_id)}/backups",
        paging_query(page, per_page),
        droplet_id,
    )


def policies_endpoint(
    page: int | None, per_page: int | None
) -> Endpoint[BackupListPoliciesResponse]:
    """``GET /v2/droplets/backups/policies``."""
    return Endpoint(
        BackupListPoliciesResponse, "/v2/droplets/backups/policies", paging_query(page, per_page)
    )


def droplets_endpoint(
    type: DropletType | None,
    tag_name: str | None,
    name: str | None,
    page: int | None,
    per_page: int | None,
) -> Endpoint[DropletListResponse]:
    """``GET /v2/droplets``; GPU Droplets unless something else is asked for.

    Raises:
        TypeError: ``page`` or ``per_page`` is no ``int``.
        ValueError: They are out of range, ``type`` is unknown, or ``tag_name`` is given with
            ``type`` or ``name``, which the API refuses.
    """
    if type not in ("gpus", "droplets", None):
        raise ValueError(f"type must be 'gpus' or 'droplets', got {type!r}")
    if tag_name is not None and (type is not None or name is not None):
        raise ValueError("tag_name cannot be combined with type or name: the API refuses it")
    kind = type or ("gpus" if tag_name is None else None)
    query = {"type": kind, "tag_name": tag_name, "name": name, **paging_query(page, per_page)}
    return Endpoint(DropletListResponse, "/v2/droplets", query)


def backups_of(get: Get, droplet_id: int, options: RequestOptions) -> Paged[Backup]:
    """Give the backups of a Droplet."""

    async def fetch(number: int) -> Page[Backup]:
        answer: BackupListResponse = await get(
            backups_endpoint(droplet_id, number, MAX_PER_PAGE), options
        )
        return Page(answer.backups, answer.meta.total)

    path = backups_endpoint(droplet_id, 1, None).path
    return Paged(path, fetch, lambda backup: backup.id, droplet_id)


def policies(get: Get, options: RequestOptions) -> Paged[tuple[int, Policy]]:
    """Give the policies of all Droplets, with the ID of each."""

    async def fetch(number: int) -> Page[tuple[int, Policy]]:
        answer: BackupListPoliciesResponse = await get(
            policies_endpoint(number, MAX_PER_PAGE), options
        )
        items = [(int(droplet_id), policy) for droplet_id, policy in answer.policies.items()]
        return Page(items, answer.meta.total)

    return Paged(policies_endpoint(1, None).path, fetch, lambda item: item[0])


def droplets(
    get: Get,
    type: DropletType | None,
    tag_name: str | None,
    name: str | None,
    options: RequestOptions,
) -> Paged[Droplet]:
    """Give the Droplets of the account.

    Raises:
        ValueError: See `droplets_endpoint`.
    """
    path = droplets_endpoint(type, tag_name, name, 1, None).path

    async def fetch(number: int) -> Page[Droplet]:
        endpoint = droplets_endpoint(type, tag_name, name, number, MAX_PER_PAGE)
        answer: DropletListResponse = await get(endpoint, options)
        return Page(answer.droplets, answer.meta.total)

    return Paged(path, fetch, lambda droplet: droplet.id)


def images(get: Get, options: RequestOptions) -> Paged[Image]:
    """Give the private images of the account: ``GET /v2/images?private=true``."""

    async def fetch(number: int) -> Page[Image]:
        query = {"private": True, **paging_query(number, MAX_PER_PAGE)}
        answer: ImageListResponse = await get(
            Endpoint(ImageListResponse, "/v2/images", query), options
        )
        return Page(answer.images, answer.meta.total)

    return Paged("/v2/images", fetch, lambda image: image.id)

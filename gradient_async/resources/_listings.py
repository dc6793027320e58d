"""What is sent: the endpoints of the API, and its listings, each read page by page."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Final, Literal, TypeAlias, TypeVar

from .._checks import checked_droplet_id
from .._http import MAX_PER_PAGE, Endpoint, paging_query
from .._paging import Answer, Get, Paged
from ..errors import APIResponseValidationError
from ..types import (
    Backup,
    BackupListPoliciesResponse,
    BackupListResponse,
    BackupListSupportedPoliciesResponse,
    BackupRetrievePolicyResponse,
    Droplet,
    DropletListResponse,
    Policy,
)
from ..types._images import Image, ImageListResponse

__all__ = [
    "FIRST_PAGE",
    "DropletType",
    "all_droplets",
    "all_images",
    "all_policies",
    "backups_endpoint",
    "backups_of",
    "droplets_endpoint",
    "policies_endpoint",
    "policy_endpoint",
    "supported_policies_endpoint",
    "unchecked_backups_endpoint",
]


FIRST_PAGE: Final[Mapping[str, object]] = paging_query(1, MAX_PER_PAGE)
MOST_DIGITS: Final = 20
"""A longer key is not an ID."""

A = TypeVar("A", bound=Answer)
T = TypeVar("T")
DropletType: TypeAlias = Literal["gpus", "droplets"]
"""Droplets with GPUs, or those without."""


def backups_endpoint(
    droplet_id: int, page: int | None, per_page: int | None
) -> Endpoint[BackupListResponse]:
    """``GET /v2/droplets/{droplet_id}/backups``."""
    return unchecked_backups_endpoint(checked_droplet_id(droplet_id), paging_query(page, per_page))


def unchecked_backups_endpoint(
    droplet_id: int, query: Mapping[str, object]
) -> Endpoint[BackupListResponse]:
    """As `backups_endpoint`, of what has been checked before, as a fan-out does with its IDs."""
    return Endpoint(BackupListResponse, f"/v2/droplets/{droplet_id}/backups", query, droplet_id)


def policy_endpoint(droplet_id: int) -> Endpoint[BackupRetrievePolicyResponse]:
    """``GET /v2/droplets/{droplet_id}/backups/policy``."""
    droplet_id = checked_droplet_id(droplet_id)
    path = f"/v2/droplets/{droplet_id}/backups/policy"
    return Endpoint(BackupRetrievePolicyResponse, path, droplet_id=droplet_id)


def policies_endpoint(
    page: int | None, per_page: int | None
) -> Endpoint[BackupListPoliciesResponse]:
    """``GET /v2/droplets/backups/policies``."""
    return Endpoint(
        BackupListPoliciesResponse, "/v2/droplets/backups/policies", paging_query(page, per_page)
    )


def supported_policies_endpoint() -> Endpoint[BackupListSupportedPoliciesResponse]:
    """``GET /v2/droplets/backups/supported_policies``."""
    return Endpoint(BackupListSupportedPoliciesResponse, "/v2/droplets/backups/supported_policies")


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


def images_endpoint(page: int) -> Endpoint[ImageListResponse]:
    """``GET /v2/images?private=true``."""
    query = {"private": True, **paging_query(page, MAX_PER_PAGE)}
    return Endpoint(ImageListResponse, "/v2/images", query)


def backups_of(get: Get, droplet_id: int) -> Paged[Backup]:
    """Return the backups of a Droplet."""
    return _paged(
        get,
        lambda page: backups_endpoint(droplet_id, page, MAX_PER_PAGE),
        attrgetter("backups"),
        attrgetter("id"),
    )


def all_policies(get: Get) -> Paged[tuple[int, Policy]]:
    """Return the policies of all Droplets, with the ID of each."""
    return _paged(
        get,
        lambda page: policies_endpoint(page, MAX_PER_PAGE),
        lambda answer: [(_as_id(key), policy) for key, policy in answer.policies.items()],
        itemgetter(0),
    )


def all_droplets(
    get: Get, *, type: DropletType | None, tag_name: str | None, name: str | None
) -> Paged[Droplet]:
    """Return the Droplets of the account.

    Raises:
        ValueError: See `droplets_endpoint`.
    """
    return _paged(
        get,
        lambda page: droplets_endpoint(type, tag_name, name, page, MAX_PER_PAGE),
        attrgetter("droplets"),
        attrgetter("id"),
    )


def all_images(get: Get) -> Paged[Image]:
    """Return the private images of the account."""
    return _paged(get, images_endpoint, attrgetter("images"), attrgetter("id"))


def _paged(
    get: Get,
    endpoint: Callable[[int], Endpoint[A]],
    items: Callable[[A], Sequence[T]],
    key: Callable[[T], Hashable],
) -> Paged[T]:
    return Paged(get, endpoint(1), endpoint, items, key)


def _as_id(key: str) -> int:
    """Read the key of a policy.

    Raises:
        APIResponseValidationError: It is no ID.
    """
    if key.isascii() and key.isdigit() and len(key) <= MOST_DIGITS:
        return int(key)
    where = f"$.policies[{key[: 2 * MOST_DIGITS]!r}]"
    raise APIResponseValidationError(
        f"the key of a policy is no Droplet ID: {where}", path=where, response=None
    )

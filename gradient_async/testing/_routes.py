"""The endpoints: one function each, and one line each in `ROUTES`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from ._account import Fleet
from ._answers import Refusal, SimulatedAnswer, encode_json
from ._pages import PageRequest, PageRules, page_body
from ._records import SimulatedBackup, SimulatedDroplet

__all__ = ["ALL_SCOPES", "answer_call"]

ALL_SCOPES = frozenset({"droplet:read", "image:read", "tag:read", "block_storage:read", "vpc:read"})


@attrs.frozen
class MatchedCall:
    """One request that was matched to an endpoint.

    Attributes:
        fleet: The account.
        path: Path of the request.
        query: Its query, the last value of each name.
        droplet_id: The Droplet in the path, if there is one.
        scopes: What the token may do.
        rules: How listings are paged.
    """

    fleet: Fleet
    path: str
    query: Mapping[str, str]
    droplet_id: int | None
    scopes: frozenset[str]
    rules: PageRules

    @property
    def droplet(self) -> SimulatedDroplet:
        """The Droplet in the path; a `Refusal` (404) if the account has none such."""
        droplet = self.fleet.droplets.get(self.droplet_id or 0)
        if droplet is None:
            raise Refusal(404)
        return droplet

    def page(
        self,
        name: str,
        items: Sequence[Any],
        render: Callable[[Sequence[Any]], object] = list,
    ) -> dict[str, Any]:
        """Return the page of ``items`` that the request asks for."""
        request = PageRequest.parse(self.path, self.query, clamp=self.rules.clamp)
        return page_body(name, items, request, self.rules, render)

    def choice(self, name: str, *allowed: str) -> str | None:
        """Read a parameter that takes one of a few values; a `Refusal` (422) for another one."""
        value = self.query.get(name)
        if value is not None and value not in allowed:
            raise Refusal(422, f"{name} must be one of: {', '.join(allowed)}.")
        return value


def list_backups(call: MatchedCall) -> dict[str, Any]:
    """List the backups of one Droplet, oldest first."""
    return call.page("backups", call.fleet.visible_backups(call.droplet, "backups"))


def retrieve_policy(call: MatchedCall) -> dict[str, Any]:
    """Retrieve the backup policy of one Droplet."""
    return {"policy": policy_of(call.droplet)}


def list_policies(call: MatchedCall) -> dict[str, Any]:
    """List the backup policies of all Droplets, keyed by the ID as a string."""
    droplets = call.fleet.select("policies", lambda droplet: True)
    return call.page("policies", droplets, lambda page: {str(d.id): policy_of(d) for d in page})


def list_supported_policies(call: MatchedCall) -> dict[str, Any]:
    """List the plans that the account supports."""
    return {"supported_policies": call.fleet.supported_policies}


def retrieve_droplet(call: MatchedCall) -> dict[str, Any]:
    """Retrieve one Droplet."""
    return {"droplet": droplet_record(call, call.droplet)}


def list_droplets(call: MatchedCall) -> dict[str, Any]:
    """List the Droplets of one type (by default without GPUs), of a tag, or of a name."""
    droplets = _of_tag(call) if "tag_name" in call.query else _of_type(call)
    return call.page("droplets", droplets, lambda page: [droplet_record(call, d) for d in page])


def _of_tag(call: MatchedCall) -> list[SimulatedDroplet]:
    tag = call.query["tag_name"]
    if "type" in call.query or "name" in call.query:
        raise Refusal(422, "tag_name cannot be combined with type or name.")
    if "tag:read" not in call.scopes:
        raise Refusal(403)
    return call.fleet.select(("tag", tag), lambda droplet: tag in droplet.tags)


def _of_type(call: MatchedCall) -> list[SimulatedDroplet]:
    gpu = call.choice("type", "droplets", "gpus") == "gpus"
    name = call.query.get("name")
    if name is None:
        return call.fleet.select(("gpu", gpu), lambda droplet: droplet.is_gpu == gpu)
    wanted = name.casefold()
    return call.fleet.select(
        ("gpu", gpu, wanted), lambda d: d.is_gpu == gpu and d.name.casefold() == wanted
    )


def list_images(call: MatchedCall) -> dict[str, Any]:
    """List private images, or without ``private=true`` public ones, of which there are none."""
    kind = call.choice("type", "distribution", "application")
    private = call.choice("private", "true", "false") == "true"
    images = call.fleet.private_images() if private and not kind else []
    if "tag_name" in call.query:
        images = []
    return call.page("images", images, lambda page: [image_record(image) for image in page])


def policy_of(droplet: SimulatedDroplet) -> dict[str, Any]:
    """Return the policy record of a Droplet; only two members where backups are disabled."""
    record: dict[str, Any] = {
        "droplet_id": droplet.id,
        "backup_enabled": droplet.backup_policy is not None,
    }
    if droplet.backup_policy is not None:
        record["backup_policy"] = droplet.backup_policy
        record["next_backup_window"] = window_record(droplet.next_backup_window)
    return record


def window_record(window: tuple[datetime, datetime] | None) -> dict[str, datetime] | None:
    """Return a backup window as the API sends it."""
    return {"start": window[0], "end": window[1]} if window else None


def image_record(image: SimulatedBackup) -> dict[str, Any]:
    """Return an image as ``/v2/images`` sends it: what a backup has, and a few members more."""
    return {
        **attrs.asdict(image),
        "description": "",
        "tags": [],
        "status": "available",
        "error_message": "",
    }


def droplet_record(call: MatchedCall, droplet: SimulatedDroplet) -> dict[str, Any]:
    """Return a Droplet as the API sends it, without what the token's scopes leave out."""
    features = ["backups"] if droplet.backup_policy else []
    record: dict[str, Any] = {
        "id": droplet.id,
        "name": droplet.name,
        "memory": droplet.size.memory,
        "vcpus": droplet.size.vcpus,
        "disk": droplet.size.disk,
        "locked": False,
        "status": droplet.status,
        "kernel": None,
        "created_at": droplet.created_at,
        "features": [*features, "private_networking", "monitoring"],
        "next_backup_window": window_record(droplet.next_backup_window),
        "size": _size_record(droplet),
        "size_slug": droplet.size.slug,
        "networks": {"v4": [], "v6": []},
        "region": _region_record(droplet.region),
        **_hardware(droplet),
    }
    for scope, members in _scoped_members(call, droplet).items():
        if scope in call.scopes:
            record.update(members)
    return record


def _scoped_members(call: MatchedCall, droplet: SimulatedDroplet) -> dict[str, dict[str, Any]]:
    backups = call.fleet.visible_backups(droplet, "droplets")
    image = {"id": 110_391_971, "name": "AI/ML Ready", "type": "base", "public": True}
    return {
        "image:read": {
            "backup_ids": [backup.id for backup in backups],
            "snapshot_ids": droplet.snapshot_ids,
            "image": {**image, "distribution": "Ubuntu", "slug": "gpu-h100x1-base"},
        },
        "tag:read": {"tags": droplet.tags},
        "block_storage:read": {"volume_ids": []},
        "vpc:read": {"vpc_uuid": f"760e09ef-dc84-11e8-981e-{hash_of(droplet.region):012x}"},
    }


def hash_of(text: str) -> int:
    """Return a number that stands for ``text``, the same in every process."""
    return int.from_bytes(text.encode()[:6], "big")


def _size_record(droplet: SimulatedDroplet) -> dict[str, Any]:
    size = droplet.size
    return {
        "slug": size.slug,
        "memory": size.memory,
        "vcpus": size.vcpus,
        "disk": size.disk,
        "transfer": 15.0,
        "price_monthly": 2522.16,
        "price_hourly": 3.39,
        "regions": [droplet.region],
        "available": True,
        "description": "GPU Droplet" if size.gpu else "Basic",
    }


def _region_record(slug: str) -> dict[str, Any]:
    return {
        "slug": slug,
        "name": f"{slug[:-1].upper()} {slug[-1]}",
        "features": ["backups", "ipv6", "metadata"],
        "available": True,
        "sizes": [],
    }


def _hardware(droplet: SimulatedDroplet) -> dict[str, Any]:
    disk = {"type": "local", "size": {"amount": droplet.size.disk, "unit": "gib"}}
    if droplet.size.gpu is None:
        return {"disk_info": [disk]}
    count, model, vram = droplet.size.gpu
    gpu = {"count": count, "model": model, "vram": {"amount": vram, "unit": "gib"}}
    scratch = {"type": "scratch", "size": {"amount": 5120, "unit": "gib"}}
    return {"disk_info": [disk, scratch], "gpu_info": gpu}


@attrs.frozen
class Route:
    """An endpoint, its path and the scope that it needs.

    Attributes:
        path: The path, in which ``{droplet_id}`` stands for digits.
        endpoint: Makes the body.
        scope: The scope without which the answer is 403.
    """

    path: str
    endpoint: Callable[[MatchedCall], dict[str, Any]]
    scope: str = "droplet:read"
    pattern: re.Pattern[str] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        pattern = re.compile(self.path.replace("{droplet_id}", r"(?P<droplet_id>[0-9]{1,18})"))
        object.__setattr__(self, "pattern", pattern)


ROUTES = (
    Route("/v2/droplets/{droplet_id}/backups", list_backups),
    Route("/v2/droplets/{droplet_id}/backups/policy", retrieve_policy),
    Route("/v2/droplets/backups/policies", list_policies),
    Route("/v2/droplets/backups/supported_policies", list_supported_policies),
    Route("/v2/droplets/{droplet_id}", retrieve_droplet),
    Route("/v2/droplets", list_droplets),
    Route("/v2/images", list_images, "image:read"),
)


def answer_call(
    fleet: Fleet,
    path: str,
    query: Mapping[str, str],
    scopes: frozenset[str],
    rules: PageRules,
) -> SimulatedAnswer:
    """Return the API's answer to an authenticated GET request.

    Raises:
        Refusal: For an error answer.
    """
    for route in ROUTES:
        if match := route.pattern.fullmatch(path):
            if route.scope not in scopes:
                raise Refusal(403)
            droplet_id = match.groupdict().get("droplet_id")
            number = int(droplet_id) if droplet_id else None
            call = MatchedCall(fleet, path, query, number, scopes, rules)
            return SimulatedAnswer(200, encode_json(route.endpoint(call)))
    raise Refusal(404)

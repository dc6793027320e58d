"""The answer of ``GET /v2/droplets``, as far as an operator of backups needs it."""

from typing import Literal

import attrs

from ._model import AwareDatetime, Model, response
from .shared import DropletNextBackupWindow, MetaProperties, PageLinks

__all__ = ["Droplet", "DropletListResponse", "GPUInfo", "GPUInfoVram", "Region"]


@response
class Region(Model):
    """Where a Droplet is.

    Attributes:
        slug: The short name, such as ``"nyc3"``.
        name: The name for people, such as ``"New York 3"``.
    """

    slug: str | None = None
    name: str | None = None


@response
class GPUInfoVram(Model):
    """The memory of the GPUs of a Droplet.

    Attributes:
        amount: How much.
        unit: Of what, such as ``"gib"``.
    """

    amount: int | None = None
    unit: str | None = None


@response
class GPUInfo(Model):
    """The GPUs of a Droplet.

    Attributes:
        count: How many.
        model: Which, such as ``"nvidia_h100"``.
        vram: Their memory.
    """

    count: int | None = None
    model: str | None = None
    vram: GPUInfoVram | None = None


@response
class Droplet(Model):
    """A Droplet, as far as an operator of backups needs it.

    What the API left out is ``None``, and so told apart from what is empty: without the scope
    ``image:read`` the token sees no ``backup_ids`` and no ``snapshot_ids``, without ``tag:read`` no
    ``tags``.

    Attributes:
        id: The unique number of the Droplet.
        name: Its name.
        status: ``"new"``, ``"active"``, ``"off"`` or ``"archive"``.
        region: Where it is.
        tags: Its tags.
        size_slug: Its size, such as ``"gpu-h100x1-80gb"``.
        created_at: When it was made.
        features: What is switched on. Whether backups are is in its policy, and not here.
        backup_ids: The numbers of its backups.
        snapshot_ids: The numbers of the snapshots of it.
        next_backup_window: When the next backup will be made, if one is planned.
        gpu_info: Its GPUs.
        vcpus: The number of its virtual CPUs.
        memory: Its memory, in MB.
        disk: Its disk, in GB.
        locked: Whether an action holds it.
        vpc_uuid: The network that it belongs to.
    """

    id: int
    name: str
    status: Literal["new", "active", "off", "archive"] | str | None = None
    region: Region | None = None
    tags: list[str] | None = None
    size_slug: str | None = None
    created_at: AwareDatetime | None = None
    features: list[str] | None = None
    backup_ids: list[int] | None = None
    snapshot_ids: list[int] | None = None
    next_backup_window: DropletNextBackupWindow | None = None
    gpu_info: GPUInfo | None = None
    vcpus: int | None = None
    memory: int | None = None
    disk: int | None = None
    locked: bool | None = None
    vpc_uuid: str | None = None


@response
class DropletListResponse(Model):
    """One page of the Droplets of the account.

    Attributes:
        meta: `meta.total` is the number of Droplets over all pages.
        droplets: The Droplets of this page.
        links: The other pages, if there are any.
    """

    meta: MetaProperties
    droplets: list[Droplet] = attrs.field(factory=list)
    links: PageLinks | None = None

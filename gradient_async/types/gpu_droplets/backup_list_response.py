"""The answer of ``GET /v2/droplets/{droplet_id}/backups``."""

from typing import Literal

import attrs

from .._model import AwareDatetime, Model, response
from ..shared import MetaProperties, PageLinks

__all__ = ["Backup", "BackupListResponse"]


@response
class Backup(Model):
    """One backup of a Droplet.

    Attributes:
        id: The unique number of the backup; it is an image, and restored by this number.
        created_at: When the backup was made.
        min_disk_size: The smallest disk, in GB, of a Droplet that it can be restored to.
        name: A name for people.
        regions: The slugs of the regions that it is available in.
        size_gigabytes: The size that is billed, in GB.
        type: ``"backup"``, or ``"snapshot"`` for one made by hand.
    """

    id: int
    created_at: AwareDatetime
    min_disk_size: int
    name: str
    regions: list[str]
    size_gigabytes: float
    type: Literal["snapshot", "backup"]


@response
class BackupListResponse(Model):
    """One page of the backups of a Droplet.

    Attributes:
        meta: `meta.total` is the number of backups over all pages.
        backups: The backups of this page, in the order of the API.
        links: The other pages, if there are any.
    """

    meta: MetaProperties
    backups: list[Backup] = attrs.field(factory=list)
    links: PageLinks | None = None

"""The answer of ``GET /v2/images``, as far as backups are found in it."""

import attrs

from ._model import AwareDatetime, Model, response
from .shared import MetaProperties, PageLinks

__all__ = ["Image", "ImageListResponse"]


@response
class Image(Model):
    """An image: one of a backup has all that the backup has, others may lack some of it."""

    id: int
    created_at: AwareDatetime | None = None
    min_disk_size: int | None = None
    name: str | None = None
    regions: list[str] | None = None
    size_gigabytes: float | None = None
    type: str | None = None


@response
class ImageListResponse(Model):
    """One page of images."""

    meta: MetaProperties
    images: list[Image] = attrs.field(factory=list)
    links: PageLinks | None = None

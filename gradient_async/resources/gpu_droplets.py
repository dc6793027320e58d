"""``client.gpu_droplets``."""

from __future__ import annotations

from functools import cached_property

from .._resource import AsyncAPIResource
from .backups import AsyncBackupsResource

__all__ = ["AsyncGPUDropletsResource"]


class AsyncGPUDropletsResource(AsyncAPIResource):
    """GPU Droplets: the virtual machines with accelerators."""

    @cached_property
    def backups(self) -> AsyncBackupsResource:
        """The backups of GPU Droplets, and the policies by which they are made."""
        return AsyncBackupsResource(self._transport)

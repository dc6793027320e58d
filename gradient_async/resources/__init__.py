"""The parts of the API, as reached from a client: ``client.gpu_droplets.backups``."""

from .backups import AsyncBackupsResource
from .gpu_droplets import AsyncGPUDropletsResource

__all__ = ["AsyncBackupsResource", "AsyncGPUDropletsResource"]

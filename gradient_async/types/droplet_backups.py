"""What a fan-out over many Droplets gives for each of them."""

from typing import Any

import attrs

from ..errors import GradientError, error_document
from ._model import Model, tracked_response
from .droplets import Droplet
from .gpu_droplets import Backup

__all__ = ["DropletBackups"]


@tracked_response
class DropletBackups(Model):
    """All backups of one Droplet, or why they could not be had.

    `to_dict` and `to_json` give an error as the object that the command line writes to JSON, too:
    its ``type``, ``message``, ``status_code`` and ``request_id``.

    Attributes:
        droplet_id: The Droplet.
        backups: All its backups, oldest first; empty, too, when there is an error.
        error: Why the backups could not be had, or ``None``.
        droplet: The Droplet itself, from a run over the whole account.
    """

    droplet_id: int
    backups: list[Backup] = attrs.field(factory=list)
    error: GradientError | None = None
    droplet: Droplet | None = None

    def _values(self) -> dict[str, Any]:
        return {**attrs.asdict(self), "error": error_document(self.error)}

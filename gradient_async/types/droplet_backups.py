"""What a fan-out over many Droplets gives for each of them."""

from __future__ import annotations

import attrs

from ..errors import GradientError
from .droplets import Droplet
from .gpu_droplets import Backup

__all__ = ["DropletBackups"]


@attrs.frozen
class DropletBackups:
    """All backups of one Droplet, or why they could not be had.

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

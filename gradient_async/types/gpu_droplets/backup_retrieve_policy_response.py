"""The answer of ``GET /v2/droplets/{droplet_id}/backups/policy``."""

from .._model import Model, response
from ..droplet_backup_policy import DropletBackupPolicy
from ..shared import DropletNextBackupWindow

__all__ = ["BackupRetrievePolicyResponse", "Policy"]


@response
class Policy(Model):
    """Whether, how and when next a Droplet is backed up.

    A Droplet whose backups are disabled has only ``droplet_id`` and ``backup_enabled``.

    Attributes:
        backup_enabled: Whether backups are enabled.
        backup_policy: The policy, if they are.
        droplet_id: The Droplet.
        next_backup_window: When the next backup will be made, if one is planned.
    """

    backup_enabled: bool | None = None
    backup_policy: DropletBackupPolicy | None = None
    droplet_id: int | None = None
    next_backup_window: DropletNextBackupWindow | None = None


@response
class BackupRetrievePolicyResponse(Model):
    """The backup policy of one Droplet.

    Attributes:
        policy: The policy.
    """

    policy: Policy

"""The response classes: frozen, typed, with the field names of the API.

The nested paths are those of the official SDK, so ``gradient_async.types.gpu_droplets`` and
``gradient_async.types.shared`` work too. Fields that a class does not know are ignored; who wants
them takes the raw response.
"""

from .droplet_backup_policy import DropletBackupPolicy
from .droplet_backups import DropletBackups
from .droplets import Droplet, DropletListResponse, GPUInfo, GPUInfoVram, Region
from .gpu_droplets import (
    Backup,
    BackupListPoliciesResponse,
    BackupListResponse,
    BackupListSupportedPoliciesResponse,
    BackupRetrievePolicyResponse,
    Policies,
    Policy,
    SupportedPolicy,
)
from .shared import (
    BackwardLinks,
    DropletNextBackupWindow,
    ForwardLinks,
    MetaProperties,
    PageLinks,
    Pages,
)

__all__ = [
    "Backup",
    "BackupListPoliciesResponse",
    "BackupListResponse",
    "BackupListSupportedPoliciesResponse",
    "BackupRetrievePolicyResponse",
    "BackwardLinks",
    "Droplet",
    "DropletBackupPolicy",
    "DropletBackups",
    "DropletListResponse",
    "DropletNextBackupWindow",
    "ForwardLinks",
    "GPUInfo",
    "GPUInfoVram",
    "MetaProperties",
    "PageLinks",
    "Pages",
    "Policies",
    "Policy",
    "Region",
    "SupportedPolicy",
]

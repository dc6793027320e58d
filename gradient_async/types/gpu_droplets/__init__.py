"""The answers of ``client.gpu_droplets``."""

from .backup_list_policies_response import BackupListPoliciesResponse, Policies
from .backup_list_response import Backup, BackupListResponse
from .backup_list_supported_policies_response import (
    BackupListSupportedPoliciesResponse,
    SupportedPolicy,
)
from .backup_retrieve_policy_response import BackupRetrievePolicyResponse, Policy

__all__ = [
    "Backup",
    "BackupListPoliciesResponse",
    "BackupListResponse",
    "BackupListSupportedPoliciesResponse",
    "BackupRetrievePolicyResponse",
    "Policies",
    "Policy",
    "SupportedPolicy",
]

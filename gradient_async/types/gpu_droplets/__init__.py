"""The answers of ``client.gpu_droplets``, and what its methods take."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .backup_list_policies_response import BackupListPoliciesResponse, Policies
from .backup_list_response import Backup, BackupListResponse
from .backup_list_supported_policies_response import (
    BackupListSupportedPoliciesResponse,
    SupportedPolicy,
)
from .backup_retrieve_policy_response import BackupRetrievePolicyResponse, Policy

if TYPE_CHECKING:
    from .backup_list_params import BackupListParams
    from .backup_list_policies_params import BackupListPoliciesParams

__all__ = [
    "Backup",
    "BackupListParams",
    "BackupListPoliciesParams",
    "BackupListPoliciesResponse",
    "BackupListResponse",
    "BackupListSupportedPoliciesResponse",
    "BackupRetrievePolicyResponse",
    "Policies",
    "Policy",
    "SupportedPolicy",
]

_PARAMETERS: Final = {
    "BackupListParams": "backup_list_params",
    "BackupListPoliciesParams": "backup_list_policies_params",
}


def __getattr__(name: str) -> Any:
    if name not in _PARAMETERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PARAMETERS[name]}", __name__), name)

"""The answers of ``client.gpu_droplets``, and what its methods take."""

from typing import TypedDict

from .backup_list_policies_response import BackupListPoliciesResponse, Policies
from .backup_list_response import Backup, BackupListResponse
from .backup_list_supported_policies_response import (
    BackupListSupportedPoliciesResponse,
    SupportedPolicy,
)
from .backup_retrieve_policy_response import BackupRetrievePolicyResponse, Policy

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


class BackupListParams(TypedDict, total=False):
    """Which page ``list`` asks for, to be kept in a ``dict`` and passed on with ``**``."""

    page: int
    """The number of the page, counted from 1."""
    per_page: int
    """How many backups a page has, 1 to 200."""


class BackupListPoliciesParams(TypedDict, total=False):
    """Which page ``list_policies`` asks for, to be kept in a ``dict`` and passed on with ``**``."""

    page: int
    """The number of the page, counted from 1."""
    per_page: int
    """How many policies a page has, 1 to 200."""

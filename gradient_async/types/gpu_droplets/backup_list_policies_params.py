"""The path of the official SDK to `BackupListPoliciesParams`."""

from . import BackupListPoliciesParams

__all__ = ["BackupListPoliciesParams"]

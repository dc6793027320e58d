"""The path of the official SDK to `BackupListParams`."""

from . import BackupListParams

__all__ = ["BackupListParams"]

"""The path of the official SDK to `DropletNextBackupWindow`."""

from . import DropletNextBackupWindow

__all__ = ["DropletNextBackupWindow"]

"""What ``list`` takes, to be kept in a ``dict`` and passed on with ``**``."""

from typing import TypedDict

__all__ = ["BackupListParams"]


class BackupListParams(TypedDict, total=False):
    """Which page ``list`` asks for."""

    page: int
    """The number of the page, counted from 1."""
    per_page: int
    """How many items a page has, 1 to 200."""

"""What ``list_policies`` takes, to be kept in a ``dict`` and passed on with ``**``."""

from typing import TypedDict

__all__ = ["BackupListPoliciesParams"]


class BackupListPoliciesParams(TypedDict, total=False):
    """Which page ``list_policies`` asks for."""

    page: int
    """The number of the page, counted from 1."""
    per_page: int
    """How many items a page has, 1 to 200."""

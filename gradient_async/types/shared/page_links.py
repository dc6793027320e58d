"""The path of the official SDK to `PageLinks`."""

from . import PageLinks, Pages

__all__ = ["PageLinks", "Pages"]

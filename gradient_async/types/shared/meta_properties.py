"""The path of the official SDK to `MetaProperties`."""

from . import MetaProperties

__all__ = ["MetaProperties"]

"""The path of the official SDK to `BackwardLinks`."""

from . import BackwardLinks

__all__ = ["BackwardLinks"]

"""The path of the official SDK to `ForwardLinks`."""

from . import ForwardLinks

__all__ = ["ForwardLinks"]

"""The event loop that is running, asked for where a user may have none."""

from __future__ import annotations

import asyncio

__all__ = ["running_loop", "running_loop_or_none"]


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop.

    Raises:
        RuntimeError: There is none of asyncio's.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "no asyncio event loop is running here (trio's is none): await this under asyncio, or "
            "take Gradient, which needs none"
        ) from None


def running_loop_or_none() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop, ``None`` where there is none of asyncio's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

"""Asks about all Droplets that it is given, with a token that other processes use as well.

Usage: share_a_token.py async|blocking LIMIT SECONDS ID...
"""

from __future__ import annotations

import asyncio
import sys

from gradient_async import AsyncGradient, Gradient, RateLimit


async def ask(rate_limit: RateLimit, ids: list[int]) -> int:
    """Ask with the asynchronous client; how many were answered."""
    async with AsyncGradient(rate_limit=rate_limit) as client:
        results = client.gpu_droplets.backups.list_many(ids)
        return sum([result.error is None async for result in results])


def ask_blocking(rate_limit: RateLimit, ids: list[int]) -> int:
    """Ask with the blocking client; how many were answered."""
    with Gradient(rate_limit=rate_limit) as client:
        results = client.gpu_droplets.backups.list_many(ids)
        return sum(result.error is None for result in results)


if __name__ == "__main__":
    kind, limit, seconds, *droplets = sys.argv[1:]
    windows = RateLimit(((int(limit), float(seconds)),))
    numbers = [int(droplet) for droplet in droplets]
    if kind == "async":
        answered = asyncio.run(ask(windows, numbers))
    else:
        answered = ask_blocking(windows, numbers)
    print(answered, "answered")

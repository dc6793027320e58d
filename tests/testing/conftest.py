"""What the simulator's tests share: a small account and a client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from gradient_async.testing import Fleet

from .calls import Caller


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    """A client that sends the token."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield Caller(session)


@pytest.fixture
def fleet() -> Fleet:
    """An account of 40 Droplets."""
    return Fleet.generate(40)


@pytest.fixture
def backups_path(fleet: Fleet) -> str:
    """The path of the first Droplet's backups; it has seven."""
    return f"/v2/droplets/{next(iter(fleet.droplets))}/backups"


@pytest.fixture
def droplet_with(fleet: Fleet) -> Callable[[int], int]:
    """Finds the ID of a Droplet with at least so many backups."""

    def find(count: int) -> int:
        return next(d.id for d in fleet.droplets.values() if len(d.backups) >= count)

    return find

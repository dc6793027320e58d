"""The simulated account of ``--simulate``, and the clients that ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from .. import AsyncGradient, RateLimit
from ..testing import Fault, Fleet, Simulator

__all__ = ["DROPLETS", "demo_client", "demo_fleet"]

DROPLETS: Final = 300
LIMIT: Final = (250, 2.0)
"""The API's limit per minute, in two seconds: a pause is to be seen and not to be endured."""
LATENCY: Final = (0.02, 0.09)


def demo_fleet(droplets: int = DROPLETS, seed: int = 0) -> Fleet:
    """Make up an account as of now: the same arguments give the same Droplets."""
    return Fleet.generate(droplets, seed=seed, now=datetime.now(UTC))


@asynccontextmanager
async def demo_client() -> AsyncIterator[AsyncGradient]:
    """Serve a simulated account on loopback, one of its Droplets failing, and give its client."""
    simulator = Simulator(demo_fleet(), limits=[LIMIT], latency=LATENCY)
    failing = list(simulator.fleet.droplets)[-4]
    simulator.faults.add(Fault.status(500), path=rf"/v2/droplets/{failing}/backups$", times=None)
    async with (
        simulator,
        AsyncGradient(
            access_token=simulator.token,
            base_url=simulator.url,
            rate_limit=RateLimit((LIMIT,)),
        ) as client,
    ):
        yield client

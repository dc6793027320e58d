"""The simulated account: of ``--simulate``, and served to other programs by ``simulate``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import click

from .. import AsyncGradient, RateLimit
from ..testing import Fleet, Simulator, run_forever
from .problems import OK, Problem
from .terminal import tell
from .text import count_of

__all__ = ["DROPLETS", "demo_client", "demo_fleet", "serve"]

DROPLETS: Final = 300
LIMIT: Final = (250, 2.0)
"""The API's limit per minute, in two seconds: a pause is to be seen and not to be endured."""
LATENCY: Final = (0.02, 0.09)


def demo_fleet(droplets: int = DROPLETS, seed: int = 0) -> Fleet:
    """Make up an account as of now, of GPU Droplets: the same arguments give the same ones."""
    fleet = Fleet.generate(droplets, seed=seed, now=datetime.now(UTC))
    with fleet.edit() as account:
        sizes = [droplet.size for droplet in account.values() if droplet.is_gpu]
        for droplet in account.values():
            droplet.size = droplet.size if droplet.is_gpu else sizes[0]
    return fleet


@asynccontextmanager
async def demo_client() -> AsyncIterator[AsyncGradient]:
    """Serve a simulated account on loopback, and give its client."""
    simulator = Simulator(demo_fleet(), limits=[LIMIT], latency=LATENCY)
    async with (
        simulator,
        AsyncGradient(
            access_token=simulator.token,
            base_url=simulator.url,
            rate_limit=RateLimit((LIMIT,)),
        ) as client,
    ):
        yield client


def serve(port: int, droplets: int, seed: int, limits: tuple[str, ...]) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        port: The port on loopback, 0 for any free one.
        droplets: How many Droplets there are.
        seed: Other seeds make other Droplets.
        limits: Rate limits such as ``"250/60"``.

    Returns:
        The exit code.

    Raises:
        Problem: A limit is not one, or the port is not free.
    """
    windows = [_window(limit) for limit in limits] or None
    simulator = Simulator(demo_fleet(droplets, seed), limits=windows, port=port, seed=seed)
    try:
        run_forever(simulator, _announce)
    except OSError as error:
        raise Problem(f"cannot listen on port {port}: {error.strerror}") from error
    return OK


def _window(limit: str) -> tuple[int, float]:
    found = re.fullmatch(r"([1-9][0-9]{,8})/([0-9]{1,9}(?:\.[0-9]{1,9})?)", limit)
    if not found or not float(found[2]):
        raise Problem(f"{limit!r} is no rate limit such as 250/60: requests, seconds")
    return int(found[1]), float(found[2])


def _announce(simulator: Simulator) -> None:
    click.echo(f"export GRADIENT_BASE_URL={simulator.url}")
    click.echo(f"export DIGITALOCEAN_ACCESS_TOKEN={simulator.token}")
    number = count_of(len(simulator.fleet.droplets), "Droplet")
    tell([f"Serving {number}. Ctrl-C ends it."], dim=True)

"""The command ``simulate``: a simulated account for other programs to ask."""

from __future__ import annotations

import re

import click

from ..testing import Simulator, run_forever
from .demo import demo_fleet
from .problems import OK, Problem
from .terminal import tell
from .text import count_of

__all__ = ["serve"]


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
        Problem: A limit is none, or the port is not free.
    """
    windows = [_window(limit) for limit in limits] or None
    simulator = Simulator(demo_fleet(droplets, seed), limits=windows, port=port, seed=seed)
    try:
        run_forever(simulator, _announce)
    except OSError as error:
        raise Problem(f"cannot listen on port {port}: {error.strerror}") from error
    return OK


def _window(limit: str) -> tuple[int, float]:
    found = re.fullmatch(r"([1-9][0-9]*)/([0-9]+(?:\.[0-9]+)?)", limit)
    if not found or not float(found[2]):
        raise Problem(f"{limit!r} is no rate limit such as 250/60: requests, seconds")
    return int(found[1]), float(found[2])


def _announce(simulator: Simulator) -> None:
    click.echo(f"export GRADIENT_BASE_URL={simulator.url}")
    click.echo(f"export DIGITALOCEAN_ACCESS_TOKEN={simulator.token}")
    number = count_of(len(simulator.fleet.droplets), "Droplet")
    tell([f"Serving {number}. Ctrl-C ends it."], dim=True)

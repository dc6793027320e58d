"""The project's simulator of the API, in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import attrs

from .canned import TOKEN


@attrs.frozen
class Simulated:
    """A simulator that runs.

    Attributes:
        url: Where it is.
        droplet_ids: The Droplets of its account.
    """

    url: str
    droplet_ids: list[int]
    _pipe: Connection

    def statuses(self) -> Counter[int]:
        """Count the answers so far by their status."""
        self._pipe.send("statuses")
        counted: Counter[int] = self._pipe.recv()
        return counted


@contextmanager
def simulated(droplets: int, backups: int, **options: Any) -> Iterator[Simulated]:
    """Serve a uniform fleet.

    Args:
        droplets: The number of Droplets.
        backups: The number of backups of each.
        **options: The keywords of `gradient_async.testing.Simulator`, and ``unrelated_images``.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    args = (theirs, droplets, backups, options)
    process = context.Process(target=_serve, args=args, daemon=True)
    process.start()
    try:
        url, droplet_ids = ours.recv()
        yield Simulated(url, droplet_ids, ours)
    finally:
        process.kill()
        process.join()


def _serve(pipe: Connection, droplets: int, backups: int, options: dict[str, Any]) -> None:
    from gradient_async.testing import Fleet, Simulator

    images = options.pop("unrelated_images", 0)
    fleet = Fleet.uniform(droplets, backups, unrelated_images=images)
    with Simulator(fleet, token=TOKEN, **options) as simulator:
        pipe.send((simulator.url, list(fleet.droplets)))
        while pipe.recv():
            pipe.send(Counter(request.status for request in simulator.requests))

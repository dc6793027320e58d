"""What the tests of the blocking client share: a simulator in a thread of its own, and clients."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gradient_async import Gradient
from gradient_async.testing import Fleet, Simulator

from .helpers import Clients, Scripts


@pytest.fixture
def simulator(fleet: Fleet) -> Iterator[Simulator]:
    """A simulator of the account, in a thread of its own."""
    with Simulator(fleet) as simulator:
        yield simulator


@pytest.fixture
def clients(simulator: Simulator) -> Iterator[Clients]:
    """Makes blocking clients of the simulator; closes all in the end."""
    clients = Clients(simulator)
    yield clients
    clients.close()


@pytest.fixture
def client(clients: Clients) -> Gradient:
    """A blocking client of the simulator, without a rate limit."""
    return clients.make()


@pytest.fixture
def scripts(simulator: Simulator, droplet_id: int) -> Scripts:
    """Runs the scripts beside this file against the simulator."""
    return Scripts(simulator, droplet_id)

"""What the tests of the command line share: a simulated account that changes when they say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gradient_async.cli.demo import demo_fleet
from gradient_async.testing import Simulator

from .commands import Cli


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulated account of 24 GPU Droplets, as of now, served from a thread."""
    with Simulator(demo_fleet(24)) as simulator:
        yield simulator


@pytest.fixture
def cli(simulator: Simulator, tmp_path: Path) -> Cli:
    """Runs commands against the simulator, in an empty directory."""
    return Cli(simulator, tmp_path)


@pytest.fixture
def droplet_ids(simulator: Simulator) -> list[int]:
    """The Droplets of the account, in its order."""
    return list(simulator.fleet.droplets)

"""pytest fixtures around the simulator; they need no plugin for asyncio.

Take them into a test suite with one line in its top ``conftest.py``::

    pytest_plugins = ["gradient_async.testing.pytest_plugin"]

Then a test, sync or async, asks for what it needs::

    def test_every_backup_is_reported(gradient_environment):
        assert len(my_report()) == 123  # it makes its own Gradient()

    @pytest.mark.gradient_simulator(limits=[(250, 60.0)])
    async def test_paced(gradient_simulator):
        async with AsyncGradient(
            access_token=gradient_simulator.token, base_url=gradient_simulator.url
        ) as client:
            ...

Override `gradient_fleet` to test against another account.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from . import Fleet, Simulator

__all__ = ["gradient_environment", "gradient_fleet", "gradient_simulator"]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "gradient_simulator(**options): keyword arguments of the test's Simulator"
    )


@pytest.fixture
def gradient_fleet() -> Fleet:
    """The simulated account of a test: 40 Droplets, the same in every run."""
    return Fleet.generate(40)


@pytest.fixture
def gradient_simulator(
    request: pytest.FixtureRequest, gradient_fleet: Fleet
) -> Iterator[Simulator]:
    """A simulator that serves `gradient_fleet` from a thread of its own during one test.

    The marker ``gradient_simulator`` passes keyword arguments to `Simulator`.
    """
    node: pytest.Item = request.node
    marker = node.get_closest_marker("gradient_simulator")
    options: dict[str, Any] = {"fleet": gradient_fleet, **(marker.kwargs if marker else {})}
    with Simulator(**options) as simulator:
        yield simulator


@pytest.fixture
def gradient_environment(
    gradient_simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Simulator:
    """The simulator, named by the environment: a client made without arguments talks to it."""
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", gradient_simulator.token)
    monkeypatch.setenv("GRADIENT_BASE_URL", gradient_simulator.url)
    return gradient_simulator

"""A simulator of the DigitalOcean API for tests: a real HTTP server on loopback.

Example:
    >>> from gradient_async import AsyncGradient
    >>> async with Simulator(Fleet.generate(100)) as simulator:
    ...     client = AsyncGradient(access_token=simulator.token, base_url=simulator.url)
    ...     policies = [policy async for policy in client.gpu_droplets.backups.iter_policies()]
    ...     await client.close()
    >>> len(policies), len(simulator.requests)
    (100, 1)
"""

from __future__ import annotations

from ._account import Fleet
from ._faults import Fault, FaultRule, Faults
from ._journal import LoggedRequest
from ._limits import SlidingLimits
from ._records import DropletSize, SimulatedBackup, SimulatedDroplet
from ._routes import ALL_SCOPES
from .simulator import Simulator, run_forever

__all__ = [
    "ALL_SCOPES",
    "DropletSize",
    "Fault",
    "FaultRule",
    "Faults",
    "Fleet",
    "LoggedRequest",
    "SimulatedBackup",
    "SimulatedDroplet",
    "Simulator",
    "SlidingLimits",
    "run_forever",
]

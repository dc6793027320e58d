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

from gradient_async.testing._faults import Fault, FaultRule, Faults
from gradient_async.testing._fleet import Fleet
from gradient_async.testing._journal import LoggedRequest
from gradient_async.testing._limits import SlidingLimits
from gradient_async.testing._records import DropletSize, SimulatedBackup, SimulatedDroplet
from gradient_async.testing._routes import ALL_SCOPES
from gradient_async.testing.simulator import Simulator, run_forever

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

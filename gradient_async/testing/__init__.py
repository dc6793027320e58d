"""A simulator of the DigitalOcean API for tests: a real HTTP server on loopback.

async with Simulator(Fleet.generate(100), limits=[(250, 60.0)]) as simulator:
client = AsyncGradient(access_token=simulator.token, base_url=simulator.url)
...
assert len(simulator.requests) == 100
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

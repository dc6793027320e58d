"""The account that the documentation speaks of, served by the simulator."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trustme

from gradient_async.cli.demo import demo_fleet
from gradient_async.testing import Fault, Fleet, SimulatedDroplet, Simulator

from .interpreter import Interpreter

MakeInterpreter: TypeAlias = Callable[..., Interpreter]


def loaded(path: Path) -> Any:
    """Load a module that is in no package."""
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def account_of_the_examples() -> Fleet:
    """Give two GPU Droplets: one with a backup for each of the last four days, one with none."""
    now = datetime.now(UTC).replace(microsecond=0)
    fleet = Fleet(now=now)
    fleet.supported_policies = fleet.supported_policies[:2]
    for droplet_id, name in ((3164444, "gpu-train-00"), (3164445, "gpu-train-01")):
        fleet.add_droplet(SimulatedDroplet(droplet_id, name))
        window = (now + timedelta(hours=22), now + timedelta(hours=26))
        fleet.set_policy(droplet_id, "daily", hour=window[0].hour, next_backup_window=window)
    for days in (3, 2, 1, 0):
        made = now - timedelta(days=days, hours=1)
        fleet.add_backup(3164444, created_at=made, size_gigabytes=21.5 - days / 2)
    return fleet


@pytest.fixture
def simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """The simulated account of a page: the tutorial's is the one that it has served."""
    path = getattr(request, "param", None)
    is_tutorial = isinstance(path, Path) and path.name == "tutorial.md"
    with Simulator(demo_fleet(120) if is_tutorial else account_of_the_examples()) as simulator:
        # Results come as they are there: let the second Droplet's be the second one's.
        simulator.faults.add(Fault.delay(0.3), path="/3164445/backups$", times=None)
        yield simulator


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority, for the page about TLS."""
    return trustme.CA()


@pytest.fixture
def make_interpreter(
    simulator: Simulator, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> MakeInterpreter:
    """Make what runs examples: clients made without arguments ask the simulator."""
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", simulator.token)
    monkeypatch.setenv("GRADIENT_BASE_URL", simulator.url)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setattr(sys, "displayhook", sys.__displayhook__)

    def make(**namespace: Any) -> Interpreter:
        return Interpreter({"simulator": simulator, **namespace}, tmp_path)

    return make

"""A campaign of faults, small enough for every test run; see `campaign` for the long one."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from .kinds import KINDS, METHODS, plan
from .server import RAW, SECURE, simulated

pytestmark = pytest.mark.timeout(240)

SEED = int(os.environ.get("FAULTS_SEED", "20260823"))


def campaign(*arguments: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a campaign in a process of its own."""
    command = [sys.executable, *python, "-m", "faults.campaign", "--seed", str(SEED), *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("client", ["async", "blocking"])
def test_every_request_ends_as_it_may_and_nothing_is_left(client: str) -> None:
    """Every kind of fault: the right answer or the right error, and all resources given back."""
    run = campaign("--requests", "1500", "--share", "0.3", "--client", client, "--workers", "32")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""


def test_a_campaign_is_clean_in_development_mode() -> None:
    """With asyncio's debug mode and all warnings as errors, nothing is reported."""
    run = campaign("--requests", "500", "--share", "0.3", python=("-X", "dev", "-W", "error"))
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""


def test_every_kind_of_fault_has_somebody_who_makes_it() -> None:
    """The faults that the plan knows are those that the servers make."""
    simulator, raw, secure = set(simulated("http://127.0.0.1")), set(RAW), set(SECURE)
    for where, made in (("simulator", simulator), ("raw", raw), ("secure", secure)):
        assert {name for name, kind in KINDS.items() if kind.where == where} == made


def test_a_seed_gives_the_same_requests_again() -> None:
    """What a printed seed stands for can be run again, and covers all faults and methods."""
    seed = random.randrange(1000)
    asks = list(plan(seed, 4000, 0.5, [1, 2, 3], cancelling=True))
    assert asks == list(plan(seed, 4000, 0.5, [1, 2, 3], cancelling=True))
    assert {ask.kind for ask in asks} == {None, *KINDS}
    assert {ask.method for ask in asks} == set(METHODS)

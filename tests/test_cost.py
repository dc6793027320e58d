"""What a request and a page cost, counted and not timed: the same on every machine.

The bounds are what is spent today and about a twentieth more. Where one fails, either find what was
added to every request, or raise the bound for something that is worth it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "scripts" / "count_cost.py"

REQUEST_BOUNDS = {
    "lines": 261,  # spent: 249
    "calls": 118,  # spent: 114
    "tasks": 0,
    "timers": 0,
}
DECODING_BOUNDS = {
    "lines": 5,  # for a page of 200 backups: msgspec does all of it
    "calls": 4,
    "collectable objects per backup": 1,  # the list of its regions
    "memory blocks per backup": 9,
}


@pytest.fixture(scope="module")
def costs() -> dict[str, dict[str, float]]:
    """What the script counts, in a process that nothing else is traced in."""
    environment = {name: value for name, value in os.environ.items() if "COV" not in name}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    run = subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    counted: dict[str, dict[str, float]] = json.loads(run.stdout)
    return counted


@pytest.mark.parametrize(("what", "bound"), REQUEST_BOUNDS.items())
def test_a_request_costs_no_more_than_it_did(
    costs: dict[str, dict[str, float]], what: str, bound: float
) -> None:
    """One awaited `list` on an open connection stays within its bound of lines, calls and tasks."""
    assert 0 <= costs["request"][what] <= bound


@pytest.mark.parametrize(("what", "bound"), DECODING_BOUNDS.items())
def test_decoding_a_page_costs_no_more_than_it_did(
    costs: dict[str, dict[str, float]], what: str, bound: float
) -> None:
    """A page of 200 backups is decoded without our own code, into no more objects than needed."""
    assert 0 < costs["decoding"][what] <= bound


def test_the_counters_count(costs: dict[str, dict[str, float]]) -> None:
    """The counts are near their bounds, so that a tenth more of anything is noticed."""
    for bounds, counts in ((REQUEST_BOUNDS, "request"), (DECODING_BOUNDS, "decoding")):
        for what, bound in bounds.items():
            assert costs[counts][what] >= bound / 1.09

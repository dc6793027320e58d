"""Nothing is left of what a program did, however often and however untidily it did it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(240)


def test_over_a_thousand_clients_leave_nothing() -> None:
    """Threads, files, objects and memory are as before, and development mode has nothing to say."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "leaks.rounds", "--count", "150"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""

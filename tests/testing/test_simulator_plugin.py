"""The fixtures that users take into their own suites."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gradient_async import testing

CONFTEST = 'pytest_plugins = ["gradient_async.testing.pytest_plugin"]\n'

SUITE = """
import json
import os
import urllib.request

import pytest


def get(url, token, path):
    request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as response:
        return dict(response.headers), json.load(response)


def test_environment(gradient_environment):
    url, token = os.environ["GRADIENT_BASE_URL"], os.environ["DIGITALOCEAN_ACCESS_TOKEN"]
    assert get(url, token, "/v2/droplets/backups/policies")[1]["meta"]["total"] == 40
    assert len(gradient_environment.requests) == 1


@pytest.mark.gradient_simulator(limits=[(7, 60.0)], token="mine")
def test_options(gradient_simulator):
    headers, _ = get(gradient_simulator.url, "mine", "/v2/droplets/backups/policies")
    assert headers["ratelimit-limit"] == "7"


def test_fleet(gradient_fleet, gradient_simulator):
    assert gradient_simulator.fleet is gradient_fleet
    assert not gradient_simulator.requests
"""


def test_a_suite_can_use_the_fixtures(tmp_path: Path) -> None:
    """One line in ``conftest.py`` is enough, without any plugin for asyncio."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-W", "error"]
    result = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:asyncio", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(testing.__file__).parents[2])},
    )
    assert "3 passed" in result.stdout, result.stdout + result.stderr

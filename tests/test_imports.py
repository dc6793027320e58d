"""What can be imported from where, and what an import loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gradient_async


def in_new_process(code: str) -> str:
    """Run code where nothing of the package was imported yet; give what it prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize("name", ["audit", "errors", "testing", "types"])
def test_public_module_is_an_attribute(name: str) -> None:
    """``gradient_async.errors`` can be named right after ``import gradient_async``."""
    code = f"import gradient_async as g; print(g.{name}.__name__, {name!r} in dir(g))"
    assert in_new_process(code) == f"gradient_async.{name} True"


def test_simulator_is_not_for_everybody() -> None:
    """``import *`` does not load the simulator and its web server, which are for tests."""
    assert "testing" not in gradient_async.__all__
    code = "from gradient_async import *; import sys; print('aiohttp.web' in sys.modules)"
    assert in_new_process(code) == "False"


def test_unknown_name_is_an_attribute_error() -> None:
    """A name that the package does not have is an `AttributeError`, as of any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gradient_async.nothing

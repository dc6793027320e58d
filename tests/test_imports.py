"""What can be imported from where, and what an import loads."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

import gradient_async


def in_new_process(code: str) -> str:
    """Run code where nothing of the package was imported yet; give what it prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize("name", ["audit", "errors", "resources", "sync", "testing", "types"])
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


def signatures() -> dict[str, Callable[..., Any]]:
    """Give how public classes are made, their methods, and the functions of the audit.

    Not those of an account: they take a client, whose module they must not load.
    """
    found: dict[str, Callable[..., Any]] = {}
    for name in gradient_async.__all__:
        value = getattr(gradient_async, name)
        if inspect.isclass(value) and value.__module__.startswith("gradient_async"):
            methods = inspect.getmembers(value, inspect.isfunction)
            found |= {f"{name}.{key}": method for key, method in methods if key[:1] != "_"}
            found[f"{name}()"] = value.__init__
    audit = {name: getattr(gradient_async.audit, name) for name in gradient_async.audit.__all__}
    functions = {name: value for name, value in audit.items() if inspect.isfunction(value)}
    return found | {name: value for name, value in functions.items() if "account" not in name}


@pytest.mark.parametrize("signature", signatures().values(), ids=signatures())
def test_annotations_can_be_evaluated(signature: Callable[..., Any]) -> None:
    """What injects dependencies, or makes a command line of a function, asks for real types."""
    for hint in get_type_hints(signature).values():
        assert not isinstance(hint, str)

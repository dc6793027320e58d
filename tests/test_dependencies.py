"""What is declared is imported, and what is imported is declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gradient_async"
PROGRAM = set(PACKAGE.glob("cli/**/*.py"))
PLUGIN = PACKAGE / "testing" / "pytest_plugin.py"
LIBRARY = set(PACKAGE.rglob("*.py")) - PROGRAM - {PLUGIN}

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="there are no sources beside the tests"
)


def project() -> dict[str, Any]:
    """Give the metadata of the project."""
    read: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return read


def names(requirements: Iterable[str]) -> set[str]:
    """Name what is required."""
    return {re.split(r"[^\w.-]", line)[0] for line in requirements}


def imports(paths: Iterable[Path]) -> set[str]:
    """Name the packages of others that files import, wherever in them."""
    found: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module or "")
    tops = {name.partition(".")[0] for name in found}
    return tops - set(sys.stdlib_module_names) - {"gradient_async"}


def test_the_library_imports_what_it_declares() -> None:
    """Each dependency is imported, and nothing that only comes along with one of them is."""
    assert imports(LIBRARY) == names(project()["dependencies"])


def test_the_command_imports_what_its_extras_declare() -> None:
    """Beyond what the library imports, the command imports exactly what its extras declare."""
    extras = project()["optional-dependencies"]
    assert imports(PROGRAM) - imports(LIBRARY) == names(extras["cli"] + extras["speed"])


def test_the_plugin_needs_what_loads_it() -> None:
    """The pytest plugin imports nothing beyond the library but pytest, which loads it."""
    assert imports([PLUGIN]) == {"pytest"}


def test_each_dependency_has_a_lower_bound_and_no_other() -> None:
    """The lowest version is one that is tested, and a newer one is never kept from anybody."""
    extras = project()["optional-dependencies"]
    for line in project()["dependencies"] + extras["cli"] + extras["speed"]:
        assert re.fullmatch(r"[\w.-]+>=[\d.]+", line.partition(";")[0].strip()), line

"""What the project promises about its own sources: layers, names, commands, habits."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

import gradient_async

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gradient_async"

# From the bottom up: a module imports from lines below its own and never from beside it.
LAYERS: list[set[str]] = [
    {"_version", "_text", "errors", "_checks", "_fork", "_deadlines", "_loop"},
    {"_resolver", "_slots"},
    {"types", "_structure", "_options", "_retry", "_session", "_droplet_ids"},
    {"_http", "audit"},
    {"_rate_limit"},
    {"_gate"},
    {"_schedule", "_config", "_fleet"},
    {"_pacing"},
    {"_call", "_proxies"},
    {"_connections"},
    {"_wire_errors"},
    {"_exchange"},
    {"_transport"},
    {"_stream", "_response"},
    {"_paging", "_fan_out"},
    {"_resource"},
    {"_fleet_reader"},
    {"resources"},
    {"client"},
    {"_loop_thread"},
    {"_portal"},
    {"_blocking"},
    {"sync"},
    {"__init__"},
    {"_generate", "testing"},
    {"cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

TOP_LEVEL = {
    ".ci",
    ".github",
    ".gitignore",
    ".pre-commit-config.yaml",
    "LICENSE",
    "README.md",
    "benchmarks",
    "docs",
    "gradient_async",
    "noxfile.py",
    "pyproject.toml",
    "setup.cfg",
    "tests",
}

PUBLIC = """
    DEFAULT_MAX_RETRIES DEFAULT_TIMEOUT APIConnectionError APIError APIResponse
    APIResponseValidationError APIStatusError APITimeoutError AsyncAPIResponse AsyncClient
    AsyncGradient AsyncStreamedResponse AuthenticationError BadRequestError BlockingCallWarning
    BlockingFanOut BlockingIterator Client ClientOptions ConfigurationError ConflictError
    DeadlineExceededError DropletBackups DropletIds DropletType FanOut FleetPlan Gradient
    GradientError IncompleteListingError InternalServerError Listing NotFoundError
    PermissionDeniedError PlanChoice RateLimit RateLimitError RateLimitStatus RequestOptions
    SessionFactory SessionSource StreamedResponse Timeout UnprocessableEntityError WindowStatus
    __version__ audit errors types
"""

MODULES = sorted(PACKAGE.rglob("*.py"))
# Written in pieces, or this file itself would be found.
FORBIDDEN = re.compile(
    "|".join(["/wor" + "k/", r"\.\./shar" + "ed", "DESIGN" + r"\.md", "/tmp/" + "venv"])
)


def tracked_files() -> list[Path]:
    """List the files that git tracks; a source archive has no history and is skipped."""
    command = ["git", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / line for line in listed.stdout.splitlines()]


def layer_of(path: Path) -> str:
    """Name the module or subpackage of ours that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_type_checking(node: ast.AST) -> bool:
    """Tell whether a node is an ``if TYPE_CHECKING:`` block."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree, leaving out what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if not is_type_checking(child):
            yield child
            yield from runtime_nodes(child)


def imported_names(path: Path) -> Iterator[str]:
    """Yield the absolute dotted name of each module, or member of one, that a file imports."""
    package = ("gradient_async", *path.relative_to(PACKAGE).parts[:-1])
    for node in runtime_nodes(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def own_layers(path: Path) -> set[str]:
    """Name the layers of ours that a file imports from."""
    found: set[str] = set()
    for name in imported_names(path):
        top, _, rest = name.partition(".")
        if top == "gradient_async":
            first = rest.partition(".")[0]
            found.add(first if first in LEVEL else "__init__")
    return found


def outside_packages(path: Path) -> set[str]:
    """Name the third-party packages that a file imports."""
    tops = {name.partition(".")[0] for name in imported_names(path)}
    return tops - set(sys.stdlib_module_names) - {"gradient_async"}


def importers_of(package: str) -> set[str]:
    """Name the layers with a file that imports a third-party package."""
    return {layer_of(path) for path in MODULES if package in outside_packages(path)}


def test_top_level_holds_what_was_agreed() -> None:
    """Nothing else is tracked at the top, so that a newcomer sees the whole at a glance."""
    assert {path.relative_to(ROOT).parts[0] for path in tracked_files()} <= TOP_LEVEL


def test_each_module_has_a_layer() -> None:
    """A new module is put in its place in LAYERS."""
    assert {layer_of(path) for path in MODULES} <= set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path: Path) -> None:
    """A module imports from lower layers and from its own subpackage only."""
    own = layer_of(path)
    upward = {name for name in own_layers(path) - {own} if LEVEL[name] >= LEVEL[own]}
    assert not upward


def test_few_modules_know_the_http_library() -> None:
    """Only the lowest I/O modules import aiohttp, and the simulator its server half."""
    assert importers_of("aiohttp") == {
        "_connections",
        "_exchange",
        "_resolver",
        "_session",
        "_wire_errors",
        "testing",
    }
    for path in (PACKAGE / "testing").rglob("*.py"):
        names = {name for name in imported_names(path) if name.startswith("aiohttp.")}
        assert all(name.startswith("aiohttp.web") for name in names)


def test_one_module_knows_the_thread_bridge() -> None:
    """Only the portal imports asgiref."""
    assert importers_of("asgiref") == {"_portal"}


def test_types_and_errors_are_light() -> None:
    """The error tree needs the standard library alone, the response classes no I/O library."""
    assert outside_packages(PACKAGE / "errors.py") == set()
    assert set().union(*map(outside_packages, (PACKAGE / "types").rglob("*.py"))) <= {
        "attrs",
        "msgspec",
    }


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import gradient_async.types, gradient_async.errors", "aiohttp asgiref cattrs"),
        ("from gradient_async import AsyncGradient", "aiohttp.web asgiref click pytest rich"),
    ],
)
def test_import_loads_what_it_needs(statement: str, absent: str) -> None:
    """Types load without an HTTP client, the async client without the bridge and the extras."""
    code = f"{statement}; import sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(absent.split()) & set(run.stdout.split())


def test_public_names_are_the_agreed_ones() -> None:
    """A name enters or leaves the public surface on purpose, here and in the changelog."""
    assert gradient_async.__all__ == sorted(PUBLIC.split())


@pytest.mark.parametrize("name", PUBLIC.split())
def test_public_name_can_be_imported(name: str) -> None:
    """Each public name is there, though it is loaded only when it is asked for."""
    assert getattr(gradient_async, name) is not None
    assert name in dir(gradient_async)


def test_version_is_written_once() -> None:
    """The installed distribution has the version that the package states."""
    assert version("gradient-async") == gradient_async.__version__


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda p: p.name)
def test_each_test_says_what_it_expects(path: Path) -> None:
    """Every test function has a docstring."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tests = [
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, functions) and node.name.startswith("test_")
    ]
    assert [test.name for test in tests if not ast.get_docstring(test)] == []


def test_readme_has_the_two_commands() -> None:
    """A fresh machine needs two lines, and they stand in the README exactly so."""
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    assert 'python3 -m pip install ".[cli]" && gradient-async backups --simulate' in lines
    assert "python3 -m pip install nox && nox -s tests" in lines


@pytest.mark.skipif(os.name == "nt", reason="the script is for a POSIX shell")
def test_ci_runs_the_command_of_the_readme() -> None:
    """The line with which the CI script finds its test command finds the README's."""
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    [line] = re.findall(r"^test_command=.*$", script, re.MULTILINE)
    shell = ["bash", "-c", f'{line}; echo "$test_command"']
    run = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "python3 -m pip install nox && nox -s tests\n"
    assert 'eval "$test_command"' in script


def test_nothing_points_outside_the_repository() -> None:
    """No file names a path that only the machine of its author has."""
    texts = ((path, path.read_text("utf-8", "replace")) for path in tracked_files())
    assert [str(path) for path, text in texts if FORBIDDEN.search(text)] == []

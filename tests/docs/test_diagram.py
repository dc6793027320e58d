"""The diagram of the architecture, which is drawn from the source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import gradient_async

from .conftest import loaded

SOURCE = Path(__file__).parents[2] / "docs" / "_ext" / "import_graph.py"
PACKAGE = Path(gradient_async.__file__).parent

pytestmark = pytest.mark.skipif(not SOURCE.exists(), reason="the documentation is not here")


@pytest.fixture(scope="module")
def import_graph() -> Any:
    """The module that draws it."""
    return loaded(SOURCE)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose imports are known."""
    files = {
        "__init__.py": "if TYPE_CHECKING:\n    from .top import Top\n",
        "top.py": "from . import middle\nfrom .low import Low\nimport json\n",
        "middle/__init__.py": "from .part import Part\n",
        "middle/part.py": "from ..low import Low\nif TYPE_CHECKING:\n    from ..top import Top\n",
        "low.py": "import asyncio\n",
        "beside.py": "def late() -> None:\n    import example.low\n",
    }
    for name, source in files.items():
        path = tmp_path / "example" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
    return tmp_path / "example"


def reachable(graph: Mapping[str, set[str]], name: str) -> set[str]:
    """Give all that a module imports, directly or not."""
    return set(graph[name]).union(*(reachable(graph, target) for target in graph[name]))


def test_it_reads_the_imports(import_graph: Any, package: Path) -> None:
    """Relative, absolute and late imports are read, those for type checkers in `__init__` only."""
    assert import_graph.import_graph(package) == {
        "example": {"top"},
        "top": {"middle", "low"},
        "middle": {"low"},
        "low": set(),
        "beside": {"low"},
    }


def test_it_leaves_out_what_a_longer_way_says(import_graph: Any, package: Path) -> None:
    """The diagram leaves out an import that a longer way of imports implies."""
    assert import_graph.reduced(import_graph.import_graph(package))["top"] == {"middle"}


def test_it_tells_the_pure_from_the_others(import_graph: Any, package: Path) -> None:
    """The diagram draws modules that import asyncio in another colour than pure ones."""
    assert [import_graph.talks(package, name) for name in ("low", "middle")] == [True, False]


def test_the_shortened_graph_says_the_same(import_graph: Any) -> None:
    """In the shortened graph each module reaches all that it imports, and nothing else."""
    whole = import_graph.import_graph(PACKAGE)
    shortened = import_graph.reduced(whole)
    assert {name: reachable(shortened, name) for name in whole} == {
        name: reachable(whole, name) for name in whole
    }


def test_each_module_is_drawn_above_what_it_imports(import_graph: Any) -> None:
    """Each module has a box in the diagram, above the boxes of what it imports."""
    graph = import_graph.reduced(import_graph.import_graph(PACKAGE))
    drawing = import_graph.drawing(PACKAGE)
    assert all(f">{name}</text>" in drawing for name in graph)
    assert drawing.count('class="arrow"') == sum(map(len, graph.values()))
    rows = import_graph.rows_of(graph)
    level = {name: number for number, row in enumerate(rows) for name in row}
    assert all(level[name] > level[target] for name in graph for target in graph[name])


def test_each_module_is_explained(import_graph: Any) -> None:
    """The table below the diagram explains each module."""
    page = (SOURCE.parents[1] / "explanation" / "architecture.md").read_text("utf-8")
    parts = set(import_graph.import_graph(PACKAGE)) - {PACKAGE.name}
    assert {part for part in parts if f"`{part}`" not in page} == set()

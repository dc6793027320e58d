"""The directive ``import-graph``: which module of a package imports which, drawn from its source.

A module or subpackage is a box, and an arrow leads from it to what it imports. An arrow is left
out where a way over other arrows says the same, so every way along arrows is an import, direct or
not. What is imported for type checkers only is no import here, except in the package's own
``__init__``, which names in that way what it loads when it is asked for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache, partial
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

Graph: TypeAlias = Mapping[str, set[str]]
Place: TypeAlias = tuple[float, float]

LEFT_OUT = {"__main__", "_generate", "_version"}
ROW, GAP, HEIGHT, LETTER, PADDING = 64, 16, 28, 7.6, 16
OUTSIDE_WORLD = {"aiohttp", "asgiref", "asyncio", "click", "signal", "threading"}


def files_of(package: Path) -> dict[str, list[Path]]:
    """Give the files of each module and subpackage; ``__init__`` has the name of the package."""
    found: dict[str, list[Path]] = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).parts[0].removesuffix(".py")
        if name not in LEFT_OUT:
            found.setdefault(package.name if name == "__init__" else name, []).append(path)
    return found


def is_type_checking(node: ast.AST) -> bool:
    """Tell whether a node is an ``if TYPE_CHECKING:`` block."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node: ast.AST, *, types_too: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Walk to the imports that are executed."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif types_too or not is_type_checking(child):
            yield from statements(child, types_too=types_too)


def imports(path: Path, package: Path) -> Iterator[str]:
    """Give the dotted names that a file imports, those from the package in full."""
    here = [package.name, *path.relative_to(package).parts[:-1]]
    is_lazy = path == package / "__init__.py"
    for node in statements(ast.parse(path.read_text("utf-8")), types_too=is_lazy):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            continue
        base = here[: len(here) - node.level + 1] if node.level else []
        base = [*base, *([node.module] if node.module else [])]
        yield from (".".join([*base, alias.name]) for alias in node.names)


def import_graph(package: Path) -> dict[str, set[str]]:
    """Give what each module or subpackage of a package imports of the others."""
    files = files_of(package)

    def imported(name: str) -> Iterator[str]:
        for path in files[name]:
            for dotted in imports(path, package):
                top, _, rest = dotted.partition(".")
                first = rest.partition(".")[0]
                if top == package.name and first not in LEFT_OUT:
                    yield first if first in files else package.name

    return {name: set(imported(name)) - {name} for name in files}


def talks(package: Path, name: str) -> bool:
    """Tell whether a module has to do with an event loop, a thread, a connection or a terminal."""
    files = files_of(package)[name]
    tops = {dotted.partition(".")[0] for path in files for dotted in imports(path, package)}
    return bool(tops & OUTSIDE_WORLD)


def reduced(graph: Graph) -> dict[str, set[str]]:
    """Leave out each arrow that a longer way makes needless."""

    @cache
    def below(name: str) -> frozenset[str]:
        return frozenset(graph[name]).union(*map(below, graph[name]))

    return {
        name: {target for target in targets if not any(target in below(t) for t in targets)}
        for name, targets in graph.items()
    }


def rows_of(graph: Graph) -> list[list[str]]:
    """Put each module as low as its imports allow, the lowest row first."""

    @cache
    def level(name: str) -> int:
        return 1 + max(map(level, graph[name]), default=-1)

    rows: list[list[str]] = [[] for _ in range(1 + max(map(level, graph), default=0))]
    for name in sorted(graph):
        rows[level(name)].append(name)
    return rows


def with_bends(graph: Graph, rows: list[list[str]]) -> dict[tuple[str, str], list[str]]:
    """Put a bend into each row that an arrow crosses, and give the way of each arrow."""
    level = {name: number for number, row in enumerate(rows) for name in row}
    ways: dict[tuple[str, str], list[str]] = {}
    for name, targets in graph.items():
        for target in sorted(targets):
            crossed = range(level[name] - 1, level[target], -1)
            bends = [f"{name} {target} {number}" for number in crossed]
            for number, bend in zip(crossed, bends, strict=True):
                rows[number].append(bend)
            ways[name, target] = [name, *bends, target]
    return ways


def width_of(name: str) -> float:
    """Give the width of a box; a bend needs little."""
    return 6.0 if " " in name else len(name) * LETTER + PADDING


def row_width(row: list[str]) -> float:
    """Give the width of a row with its gaps."""
    return sum(map(width_of, row)) + GAP * (len(row) - 1)


def places_of(rows: list[list[str]], width: float) -> dict[str, Place]:
    """Give the middle of each box and bend, every row centred."""
    places: dict[str, Place] = {}
    for number, row in enumerate(reversed(rows)):
        left = (width - row_width(row)) / 2
        for name in row:
            places[name] = (left + width_of(name) / 2, HEIGHT + number * ROW)
            left += width_of(name) + GAP
    return places


def untangle(rows: list[list[str]], ways: Mapping[tuple[str, str], list[str]]) -> dict[str, Place]:
    """Order each row by where its neighbours stand, to and fro, so that few arrows cross."""
    width = max(map(row_width, rows)) + 2 * GAP
    neighbours: dict[str, list[str]] = {name: [] for row in rows for name in row}
    for way in ways.values():
        for one, other in pairwise(way):
            neighbours[one].append(other)
            neighbours[other].append(one)
    places = places_of(rows, width)
    for _ in range(12):
        for row in [*rows, *reversed(rows)]:
            row.sort(key=partial(middle, places, neighbours))
            places = places_of(rows, width)
    return places


def middle(places: Mapping[str, Place], neighbours: Mapping[str, list[str]], name: str) -> float:
    """Give where the neighbours of a box stand on average; the box itself if it has none."""
    near = [places[other][0] for other in neighbours[name] or [name]]
    return sum(near) / len(near)


def drawing(package: Path) -> str:
    """Draw the import graph of a package as SVG, in the colours of the page that it is put in."""
    graph = reduced(import_graph(package))
    rows = rows_of(graph)
    ways = with_bends(graph, rows)
    places = untangle(rows, ways)
    width = max(map(row_width, rows)) + 2 * GAP
    height = len(rows) * ROW
    parts = [
        f'<svg class="import-graph" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" '
        f'role="img" aria-label="The import graph of {package.name}" xmlns="http://www.w3.org/2000/svg">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>',
        *(arrow([places[name] for name in way]) for way in ways.values()),
        *(box(name, places[name], talks(package, name)) for name in graph),
        "</svg>",
    ]
    return "\n".join(parts)


def arrow(points: list[Place]) -> str:
    """Draw the way of an arrow as a smooth line."""
    (x, y), *rest = points
    line = f"M{x:.1f},{y + HEIGHT / 2:.1f}"
    y += HEIGHT / 2
    for number, (next_x, next_y) in enumerate(rest, start=1):
        end = next_y - HEIGHT / 2 if number == len(rest) else next_y
        half = (y + end) / 2
        line += f" C{x:.1f},{half:.1f} {next_x:.1f},{half:.1f} {next_x:.1f},{end:.1f}"
        x, y = next_x, end
    return f'<path class="arrow" d="{line}" marker-end="url(#arrow)"/>'


def box(name: str, place: Place, outside: bool) -> str:
    """Draw a module."""
    x, y = place
    width = width_of(name)
    kind = "talks" if outside else "pure"
    return (
        f'<g class="{kind}"><rect x="{x - width / 2:.1f}" y="{y - HEIGHT / 2:.1f}" '
        f'width="{width:.1f}" height="{HEIGHT}" rx="5"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}">{escape(name)}</text></g>'
    )


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    from docutils import nodes
    from sphinx.util.docutils import SphinxDirective

    class ImportGraph(SphinxDirective):
        """Put the import graph of a package, given by its path from conf.py, into the page."""

        required_arguments = 1

        def run(self) -> list[nodes.Node]:
            """Draw it, and have the page written anew whenever the source changes."""
            package = (Path(self.env.srcdir) / self.arguments[0]).resolve()
            if not (package / "__init__.py").exists():
                raise self.error(f"no package at {package}")
            for path in package.rglob("*.py"):
                self.env.note_dependency(str(path))
            picture = f'<div class="wide">{drawing(package)}</div>'
            return [nodes.raw("", picture, format="html")]

    app.add_directive("import-graph", ImportGraph)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

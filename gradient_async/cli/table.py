"""Tables for people: as wide as they are in a pipe, as wide as it is in a terminal.

rich measures the text; its `rich.table` is far too slow for tens of thousands of rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import attrs
import click
from rich.cells import cell_len, set_cell_size

from .columns import Column, as_text
from .output import Output
from .terminal import legible, may_colour, tell
from .text import count_of

__all__ = ["Table", "Width", "fitting", "make_table", "write_table"]

GAP: Final = 2
FLOOR: Final = 12


@attrs.frozen
class Width:
    """How wide a column is.

    Attributes:
        full: The width of its longest text.
        min_width: To how much it may be cut.
        essential: Whether other columns are left out before it is.
        floor: To how much it may be cut before an essential one is left out.
    """

    full: int
    min_width: int
    essential: bool = False
    floor: int = attrs.Factory(lambda self: self.min_width, takes_self=True)


def fitting(widths: Sequence[Width], available: int) -> list[int]:
    """Return each column's width in a table that has to fit; 0 is a column that is left out.

    The rightmost are left out first, the essential ones only when no other is left; one always
    stays. What can be cut has the room that the others leave.

    Example:
        >>> columns = [Width(10, 10, essential=True), Width(30, 30), Width(40, 10, essential=True)]
        >>> fitting(columns, 100), fitting(columns, 40)
        ([10, 30, 40], [10, 0, 28])
    """
    given = [width.min_width for width in widths]
    by_use = sorted(range(len(widths)), key=lambda number: (widths[number].essential, -number))
    for number in by_use[:-1]:
        if _room(given, available) >= 0:
            break
        if widths[number].essential:
            given = [min(size, width.floor) for size, width in zip(given, widths, strict=True)]
            if _room(given, available) >= 0:
                break
        given[number] = 0
    for number, width in enumerate(widths):
        if given[number]:
            given[number] += max(0, min(width.full - given[number], _room(given, available)))
    return given


def _room(given: Sequence[int], available: int) -> int:
    there = [width for width in given if width]
    return available - sum(there) - GAP * (len(there) - 1)


class _Filled(NamedTuple):
    """A column with its texts, and how wide they are shown."""

    column: Column[Any]
    texts: list[str]
    width: int

    def cell(self, text: str) -> str:
        """Return a text as wide as the column."""
        length = cell_len(text)
        if length > self.width:
            return set_cell_size(text, self.width - 1) + "…"
        room = " " * (self.width - length)
        return room + text if self.column.right else text + room


class Table(NamedTuple):
    """Columns with their texts.

    Attributes:
        columns: Those that are shown.
        rows: How many rows there are.
        left_out: How many columns there is no room for.
    """

    columns: list[_Filled]
    rows: int
    left_out: int

    def lines(self, *, colour: bool) -> Iterator[str]:
        """Return the lines; ``colour`` tells whether columns may have colours."""
        yield "  ".join(part.cell(part.column.heading) for part in self.columns).rstrip()
        yield "  ".join("─" * part.width for part in self.columns)
        for number in range(self.rows):
            cells = [_styled(part, part.texts[number], colour) for part in self.columns]
            yield "  ".join(cells).rstrip()


def make_table(
    columns: Sequence[Column[Any]],
    rows: Sequence[Any],
    available: int | None = None,
    *,
    chosen: bool = False,
) -> Table:
    """Lay a table out.

    Args:
        columns: The columns.
        rows: The rows, of which each column has its text.
        available: The width of the terminal, in which it has to fit; ``None`` for any width.
        chosen: Whether the columns were asked for. Otherwise those that are empty in every row, and
            those that there is no room for, are left out.
    """
    filled = _filled(columns, rows)
    if chosen:
        return Table(filled, len(rows), 0)
    used = [part for part in filled if any(part.texts) or not rows]
    shown = used if available is None else _fitted(used, available)
    return Table(shown, len(rows), len(used) - len(shown))


def _filled(columns: Sequence[Column[Any]], rows: Sequence[Any]) -> list[_Filled]:
    texts = [[as_text(column.value(row)) for row in rows] for column in columns]
    return [
        _Filled(column, cells, max(map(cell_len, (column.heading, *cells))))
        for column, cells in zip(columns, texts, strict=True)
    ]


def _fitted(columns: Sequence[_Filled], available: int) -> list[_Filled]:
    widths = [
        Width(
            part.width,
            min(part.width, part.column.min_width or part.width),
            part.column.essential,
            min(part.width, FLOOR) if part.column.min_width else part.width,
        )
        for part in columns
    ]
    given = zip(columns, fitting(widths, available), strict=True)
    return [part._replace(width=width) for part, width in given if width]


def _styled(part: _Filled, text: str, colour: bool) -> str:
    cell = part.cell(text)
    style = part.column.style(text) if colour and text else None
    return click.style(cell, fg=style) if style else cell


def write_table(
    output: Output,
    columns: Sequence[Column[Any]],
    rows: Sequence[Any],
    *,
    heading: Iterable[str],
    chosen: bool,
) -> None:
    """Write a table as `make_table` lays it out, below the heading.

    Whoever sits at a terminal that it is too wide for is told so.
    """
    available = shutil.get_terminal_size().columns if output.is_terminal else None
    table = make_table(columns, rows, available, chosen=chosen)
    lines = chain(heading, table.lines(colour=may_colour(output.stream)))
    output.stream.writelines(f"{legible(line, output.stream)}\n" for line in lines)
    if table.left_out:
        number = count_of(table.left_out, "column")
        tell([f"{number} left out: widen the terminal, or use --columns or --format csv"], dim=True)

"""Tables for people: as wide as they are in a pipe, as wide as it is in a terminal.

rich measures the text; its `rich.table` would take 36 s for 42,000 rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import attrs
import click
from rich.cells import cell_len, set_cell_size

from .columns import Column, as_text
from .output import Output
from .terminal import may_colour

__all__ = ["Width", "fitting", "table_lines", "write_table"]

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
    """Give each column its width in a table that has to fit, 0 to one that is left out.

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
        """Give a text as wide as the column."""
        length = cell_len(text)
        if length > self.width:
            return set_cell_size(text, self.width - 1) + "…"
        room = " " * (self.width - length)
        return room + text if self.column.right else text + room


def table_lines(
    columns: Sequence[Column[Any]],
    rows: Sequence[Any],
    available: int | None,
    *,
    colour: bool,
    chosen: bool = False,
) -> Iterator[str]:
    """Give the lines of a table.

    Args:
        columns: The columns.
        rows: The rows, of which each column has its text.
        available: The width of the terminal, in which it has to fit; ``None`` for any width.
        chosen: Whether the columns were asked for. Otherwise those that are empty in every row, and
            those that there is no room for, are left out.
        colour: Whether columns may have colours.
    """
    shown = _filled(columns, rows)
    if not chosen:
        shown = [part for part in shown if any(part.texts) or not rows]
        shown = shown if available is None else _fitted(shown, available)
    yield "  ".join(part.cell(part.column.heading) for part in shown).rstrip()
    yield "  ".join("─" * part.width for part in shown)
    for number in range(len(rows)):
        cells = [_styled(part, part.texts[number], colour) for part in shown]
        yield "  ".join(cells).rstrip()


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
    output: Output, columns: Sequence[Column[Any]], rows: Sequence[Any], *, chosen: bool
) -> None:
    """Write a table; the arguments are those of `table_lines`."""
    available = shutil.get_terminal_size().columns if output.is_terminal else None
    colour = may_colour(output.stream)
    lines = table_lines(columns, rows, available, colour=colour, chosen=chosen)
    output.stream.writelines(f"{line}\n" for line in lines)

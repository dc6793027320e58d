"""Tables for people: as wide as they are in a pipe, as wide as it is in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import attrs
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .columns import Column, as_text
from .output import Output

__all__ = ["Width", "fitting", "write_table"]

GAP: Final = 2


@attrs.frozen
class Width:
    """How wide a column is.

    Attributes:
        full: The width of its longest text.
        least: To how much it may be cut.
        keep: Whether other columns are left out before it is.
    """

    full: int
    least: int
    keep: bool = False


def fitting(widths: Sequence[Width], available: int) -> list[int]:
    """Give each column its width in a table that has to fit, 0 to one that is left out.

    The rightmost are left out first, those to keep only when no other is left; one always stays.
    What can be cut has the room that the others leave.

    Example:
        >>> columns = [Width(10, 10, keep=True), Width(30, 30), Width(40, 10, keep=True)]
        >>> fitting(columns, 100), fitting(columns, 40)
        ([10, 30, 40], [10, 0, 26])
    """
    given = [width.least for width in widths]
    by_use = sorted(range(len(widths)), key=lambda number: (widths[number].keep, -number))
    for number in by_use[:-1]:
        if _room(given, available) >= 0:
            break
        given[number] = 0
    for number, width in enumerate(widths):
        if given[number]:
            given[number] += max(0, min(width.full - width.least, _room(given, available)))
    return given


def _room(given: Sequence[int], available: int) -> int:
    there = [width for width in given if width]
    return available - sum(there) - GAP * (len(there) - 1)


def write_table(
    output: Output, columns: Sequence[Column[Any]], rows: Sequence[Any], *, all_columns: bool
) -> None:
    """Write the rows.

    Args:
        output: Where to.
        columns: The columns. One that is empty in every row is left out.
        rows: The rows, of which each column has its text.
        all_columns: Whether the columns were asked for, so that none may be left out.
    """
    filled = [
        (column, texts)
        for column in columns
        if any(texts := [as_text(column.value(row)) for row in rows]) or all_columns or not rows
    ]
    full = [max(map(cell_len, (column.heading, *texts))) for column, texts in filled]
    if output.is_terminal and not all_columns:
        widths = [_width(column, size) for (column, _), size in zip(filled, full, strict=True)]
        given = fitting(widths, _console(output).width)
    else:
        given = full
    console = _console(output, None if output.is_terminal else sum(full) + GAP * len(full) + 1)
    with console.capture() as capture:
        console.print(_table(filled, given))
    lines = capture.get().splitlines()
    if not output.is_terminal:
        lines = [line.rstrip() for line in lines]
    output.stream.writelines(f"{line}\n" for line in lines)


def _width(column: Column[Any], full: int) -> Width:
    return Width(full, min(full, column.least or full), column.last_to_go)


def _table(columns: Sequence[tuple[Column[Any], Sequence[str]]], widths: Sequence[int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    shown = [(*column, width) for column, width in zip(columns, widths, strict=True) if width]
    for column, _, width in shown:
        justify: Literal["left", "right"] = "right" if column.right else "left"
        heading = Text(column.heading)
        table.add_column(
            heading, justify=justify, style=column.style, no_wrap=True, max_width=width
        )
    for row in zip(*(texts for _, texts, _ in shown), strict=True):
        table.add_row(*map(Text, row))
    return table


def _console(output: Output, width: int | None = None) -> Console:
    """Give a console that writes control characters to terminals only."""
    return Console(
        file=output.stream,
        force_terminal=output.is_terminal,
        width=width,
        highlight=False,
        legacy_windows=False,
    )
